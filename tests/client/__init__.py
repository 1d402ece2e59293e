"""
Tests of L{muxd.client}.
"""
