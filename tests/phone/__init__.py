"""
Tests of L{muxd.phone}.
"""
