"""
Tests of L{muxd.phone.usbip}.
"""
