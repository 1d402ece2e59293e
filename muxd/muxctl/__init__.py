"""
C{muxctl}: a usbmuxd, and the phones it knows, on the command line.

It starts in an instant, since nothing here imports Twisted but L{muxd.muxctl.relay},
and that only when it is used.
"""
