"""
Tests of L{muxd.phone.services}.
"""
