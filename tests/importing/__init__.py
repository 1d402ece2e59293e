"""
Tests of L{muxd.importing}.
"""
