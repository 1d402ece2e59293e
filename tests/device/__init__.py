"""
Tests of L{muxd.device}.
"""
