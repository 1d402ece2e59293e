"""
Tests of L{muxd.phone.examine}.
"""
