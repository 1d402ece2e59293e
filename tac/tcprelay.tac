"""
Ports of phones as ports of this machine, by way of whichever daemon there is::

    twistd -ny tac/tcprelay.tac

Settings, from the environment:

 - MUXD_ROUTES: pairs FROM=>TO of a Twisted server and a client endpoint,
   separated by spaces; by default this machine's port 2222 leads to port 22 of the
   only phone
 - USBMUXD_SOCKET_ADDRESS: where the daemon is
"""

import os

from twisted.application.service import Application
from twisted.internet import reactor

from muxd import RelayService, Route

DEFAULT = "tcp:2222:interface=127.0.0.1=>usbmux:port=22"

application = Application("tcprelay")
routes = [Route(*pair.split("=>")) for pair in os.environ.get("MUXD_ROUTES", DEFAULT).split()]
RelayService(reactor, routes).setServiceParent(application)
