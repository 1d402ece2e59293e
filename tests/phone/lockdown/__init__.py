"""
Tests of L{muxd.phone.lockdown}.
"""
