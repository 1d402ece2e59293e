"""
usbmuxd as a Twisted service.

C{twistd -n usbmuxd} is the daemon; L{muxd.service} is the same thing for an
application that wants phones of its own.
"""

__version__ = "0.1.0"
