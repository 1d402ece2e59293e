"""
Tests of L{muxd.phone.bus}.
"""
