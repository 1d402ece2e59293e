"""
Tests of L{muxd.net}.
"""
