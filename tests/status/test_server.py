# -*- test-case-name: tests.status.test_server -*-
"""
Tests of L{muxd.status.server}.
"""

from __future__ import annotations

import errno

from twisted.application.service import IService
from zope.interface.verify import verifyObject

from muxd.service import MuxService
from muxd.status.server import StatusServer, beside
from tests.status.asking import TINY, StatusTestCase


class PlaceTests(StatusTestCase):
    """
    Where a status socket is.
    """

    def test_wrong(self) -> None:
        """
        A place that makes no sense is known before anything is opened.
        """
        for place in ("nothing", "unix", "tcp:x", ""):
            self.assertRaises(ValueError, StatusServer, self.reactor, self.service, place)

    def test_beside(self) -> None:
        """
        It is beside the socket for clients.
        """
        self.assertEqual(beside("/var/run/usbmuxd"), "/var/run/usbmuxd.status")

    def test_unix(self) -> None:
        """
        The socket that is made has mode 600.
        """
        verifyObject(IService, self.server)
        path = self.mktemp()
        server = StatusServer(self.reactor, self.service, f"unix:{path}")
        server.startService()
        ((address, _, _, mode, _),) = self.reactor.unixServers
        self.assertEqual((address, mode), (path, 0o600))

    def test_tcp(self) -> None:
        """
        TCP is for this machine alone, unless it is said where to listen; then it is
        warned of.
        """
        for place, interface, warnings in (
            ("tcp:27016", "127.0.0.1", 0),
            ("tcp:27016:interface=192.0.2.1", "192.0.2.1", 1),
        ):
            server = StatusServer(self.reactor, self.service, place)
            server.startService()
            port, factory, _, used = self.reactor.tcpServers[-1]
            self.assertEqual((port, factory, used), (27016, server.site, interface))
            told = [event for event in self.log if "other machines" in event["log_format"]]
            self.assertEqual(len(told), warnings)
            self.successResultOf(server.stopService())

    def test_stop(self) -> None:
        """
        A stop closes the socket and all connections, and leaves no timer.
        """
        self.server = StatusServer(self.reactor, self.service, "tcp:27016")
        self.server.startService()
        clients = [self.client() for _ in range(3)]
        self.successResultOf(self.server.stopService())
        self.reactor.advance(0)
        self.assertEqual([client.disconnected for client in clients], [True] * 3)
        self.assertFalse(self.server.isOpen)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_shortage(self) -> None:
        """
        A client that cannot be let in waits; the daemon does not run in circles.
        """
        server = StatusServer(self.reactor, self.service, "tcp:27016")
        server.startService()
        for _ in range(3):
            server._acceptFailed(OSError(errno.EMFILE, "too many"))
        # One, and the heartbeat's.
        self.assertEqual(len(self.reactor.getDelayedCalls()), 2)
        self.reactor.advance(TINY.admissionRetry)
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
        server._acceptFailed(OSError(errno.EMFILE, "too many"))
        self.successResultOf(server.stopService())
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class OverviewTests(StatusTestCase):
    """
    What C{/api/status} tells.
    """

    def test_empty(self) -> None:
        """
        A daemon without a phone says what it is.
        """
        values = self.get("/api/status").values
        self.assertEqual(values["phones"], [])
        self.assertEqual(values["time"], 1e9)
        (source,) = values["sources"]
        self.assertEqual((source["description"], source["running"]), ("shelf", False))
        self.assertEqual(values["counters"]["connections"], 0)

    def test_phone(self) -> None:
        """
        A phone that is there is told.
        """
        self.service.startService()
        values = self.get("/api/status").values
        (phone,) = values["phones"]
        self.assertEqual(phone["udid"], self.source.device.identity.udid)
        self.assertIsInstance(self.service, MuxService)
