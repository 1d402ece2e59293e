"""
Tests of L{muxd.fleet}.
"""
