"""
Tests of L{muxd.wifi}.
"""
