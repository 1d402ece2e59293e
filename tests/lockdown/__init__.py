"""
Tests of L{muxd.lockdown}.
"""
