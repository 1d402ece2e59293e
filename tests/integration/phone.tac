"""
A daemon whose simulated phone has more services than others: a web server on port
80, and on port 22 what listens on the TCP port MUXD_SSHD of this machine.  SIGUSR2
pulls the phone out, or plugs it in again.
"""

import os
import signal

from twisted.application.service import Application
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.static import Data

from muxd.relay import RelayedConnection
from muxd.service import MuxService

HTTP, SSH = 80, 22
PAGE = bytes(range(256)) * 4096


class Through(Factory):
    """
    Leads to a TCP port of this machine.
    """

    noisy = False

    def __init__(self, port):
        self.to = TCP4ClientEndpoint(reactor, "127.0.0.1", port)

    def buildProtocol(self, addr):
        connection = RelayedConnection(
            self.to, "phone", reactor, 15.0, 131072, lambda connection, reason: None
        )
        return connection.first


application = Application("phone")
service = MuxService(
    reactor,
    listen=[os.environ["MUXD_LISTEN"]],
    sources=["simulated"],
    configDir=os.environ["MUXD_RECORDS"],
)
service.setServiceParent(application)

(source,) = service.sources
(phone,) = source.phones
page = Resource()
page.putChild(b"page", Data(PAGE, "application/octet-stream"))
phone.services[HTTP] = Site(page)
if "MUXD_SSHD" in os.environ:
    phone.services[SSH] = Through(int(os.environ["MUXD_SSHD"]))


def pull():
    if source.bus.attachments:
        phone.unplug()
    else:
        phone.plug(source.bus)


reactor.callWhenRunning(
    signal.signal, signal.SIGUSR2, lambda number, frame: reactor.callFromThread(pull)
)
