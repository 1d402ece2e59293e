"""
The phone's end of usbmux: framing, sessions, and what it insists on.
"""
