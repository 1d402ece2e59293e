"""
Tests of L{muxd.usb}.
"""
