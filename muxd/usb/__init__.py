"""
How packets reach a phone over USB: discovery, the choice of a configuration,
and the engines that move transfers.

A thread finds phones and opens them, because both block; an engine moves
packets; the reactor owns everything else.  Importing this package, or its
C{parser} and C{settings}, loads neither pyusb nor libusb.
"""
