"""
Tests of L{muxd.usbip}.
"""
