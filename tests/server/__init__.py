"""
Tests of L{muxd.server}.
"""
