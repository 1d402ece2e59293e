"""
Tests of L{muxd.usb.threaded}.
"""
