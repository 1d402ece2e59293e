"""
Tests of L{muxd.muxctl}.
"""
