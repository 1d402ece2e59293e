"""
Tests of L{muxd.tunnel}.
"""
