"""
The daemon as an application::

    twistd -ny tac/usbmuxd.tac

Settings, from the environment:

 - MUXD_LISTEN: where clients connect, Twisted server endpoints separated by
   spaces; by default unix:/var/run/usbmuxd:mode=666
 - MUXD_SOURCES: where phones come from, separated by spaces; by default usb
 - MUXD_RECORDS: the directory of pair records; by default the system's
"""

import os

from twisted.application.service import Application
from twisted.internet import reactor

from muxd import MuxService

application = Application("usbmuxd")
service = MuxService(
    reactor,
    listen=os.environ.get("MUXD_LISTEN", "unix:/var/run/usbmuxd:mode=666").split(),
    sources=os.environ.get("MUXD_SOURCES", "usb").split(),
    configDir=os.environ.get("MUXD_RECORDS"),
)
service.setServiceParent(application)
