"""
Tests of L{muxd.tap}.
"""
