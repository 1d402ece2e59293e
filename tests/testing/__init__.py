"""
Tests of L{muxd.testing}.
"""
