"""
Tests of L{muxd.capture}.
"""
