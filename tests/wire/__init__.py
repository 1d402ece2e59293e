"""
Tests of L{muxd.wire}.
"""
