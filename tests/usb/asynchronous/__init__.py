"""
Tests of L{muxd.usb.asynchronous}.
"""
