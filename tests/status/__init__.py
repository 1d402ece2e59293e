"""
Tests of L{muxd.status}.
"""
