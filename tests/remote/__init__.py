"""
Tests of L{muxd.remote}.
"""
