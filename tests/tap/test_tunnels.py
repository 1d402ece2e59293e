# -*- test-case-name: tests.tap.test_tunnels -*-
"""
Tests of L{muxd.tap.tunnels}.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectError
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.protocols.wire import Echo
from twisted.trial.unittest import SkipTest, SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest

if find_spec("hyperframe") is None or find_spec("wsproto") is None:
    raise SkipTest("these tests need the extra tunnel")

from muxd.limits import LIMITS
from muxd.tap.tunnels import TunnelDoors, TunnelList, Visitor
from muxd.tunnel.cdtunnel import TunnelParameters
from muxd.tunnel.opening import SharedTunnel
from muxd.tunnel.rsd import RemoteService
from muxd.tunnel.stack import TunnelEndpoint
from tests.tunnel.ends import HOST, PHONE, PORT, Ends


class Wire(StringTransport):
    """
    A program's connection.
    """

    isHalfClosed = False

    def loseWriteConnection(self) -> None:
        """
        Note it.
        """
        self.isHalfClosed = True

    def unregisterProducer(self) -> None:
        """
        As sockets do, which do not mind.
        """
        self.producer = None


class NearTunnel:
    """
    A tunnel whose other end is near.
    """

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        self.parameters = TunnelParameters(HOST, PHONE, 1280, 58783)
        self.properties = {"UniqueDeviceID": "0000"}
        self.services = {"a": RemoteService("a", 1)}
        self.whenLost: Deferred[None] = Deferred()

    def endpoint(self, port: int) -> TunnelEndpoint:
        """
        The way to a port.
        """
        return TunnelEndpoint(self._ends.host, port)

    def close(self) -> Deferred[None]:
        """
        Nothing to do.
        """
        return succeed(None)


class DoorCase(SynchronousTestCase):
    """
    A tunnel with a list and a door.
    """

    def setUp(self) -> None:
        """
        Open it.
        """
        self.ends = Ends(Echo)
        self.near: Any = NearTunnel(self.ends)
        self.reactor = MemoryReactorClock()
        self.doors = TunnelDoors(self.reactor, SharedTunnel(lambda: succeed(self.near)), 49151)
        self.doors.doorPort = 7777


class ListTests(DoorCase):
    """
    The list.
    """

    def get(self, *path: bytes) -> tuple[int, Any]:
        """
        What is answered.
        """
        request: Any = DummyRequest(list(path))
        request.getRequestHostname = lambda: b"127.0.0.1"
        TunnelList(self.doors).render_GET(request)
        return request.responseCode, json.loads(b"".join(request.written))

    def test_forms(self) -> None:
        """
        Each program finds the form that it knows.
        """
        own = {
            "address": "fd00::1",
            "rsdPort": 58783,
            "udid": "0000",
            "userspaceTun": True,
            "userspaceTunPort": 7777,
        }
        status, (entry,) = self.get(b"")[0], self.get(b"")[1]["0000"]
        self.assertEqual((status, entry["tunnel-address"]), (200, "fd00::1"))
        self.assertEqual(self.get(b"tunnels"), (200, [own]))
        self.assertEqual(self.get(b"tunnel", b"0000"), (200, own))
        self.assertEqual(self.get(b"services"), (200, {"a": 1}))
        self.assertEqual(self.get(b"else"), (404, {}))

    def test_elsewhere(self) -> None:
        """
        A page that calls this machine by another name is told nothing.
        """
        request: Any = DummyRequest([b"tunnels"])
        request.getRequestHostname = lambda: b"example.org"
        TunnelList(self.doors).render_GET(request)
        self.assertEqual((request.responseCode, request.written), (403, []))

    def test_none(self) -> None:
        """
        Without a tunnel the answer says why.
        """
        self.doors.tunnel = SharedTunnel(lambda: fail(ConnectError(string="no phone")))
        status, answer = self.get(b"")
        self.assertEqual(status, 503)
        self.assertIn("no phone", answer["error"])


class VisitorTests(DoorCase):
    """
    Programs at the door.
    """

    def visit(self, data: bytes) -> tuple[Visitor, Any]:
        """
        One that says something.
        """
        visitor, wire = Visitor(self.doors), Wire()
        visitor.makeConnection(wire)
        for byte in data:
            visitor.dataReceived(bytes((byte,)))
        self.ends.run()
        return visitor, wire

    def test_through(self) -> None:
        """
        One that asks for a port has a stream, whose end is passed on.
        """
        visitor, wire = self.visit(PHONE.packed + PORT.to_bytes(4, "little"))
        visitor.dataReceived(b"hello")
        self.ends.run()
        self.assertEqual(wire.value(), b"hello")
        self.assertEqual(self.doors.visitors, 1)
        visitor.readConnectionLost()
        self.ends.run(5.0)
        self.assertTrue(wire.isHalfClosed)
        self.assertTrue(wire.disconnecting)
        visitor.connectionLost()
        self.assertEqual(self.doors.visitors, 0)
        self.assertTrue(self.ends.isEmpty())

    def test_refused(self) -> None:
        """
        One that asks for another address, or for a port where nothing is, is sent away.
        """
        for asked in (
            HOST.packed + PORT.to_bytes(4, "little"),
            PHONE.packed + (9).to_bytes(4, "little"),
            PHONE.packed + (1 << 20).to_bytes(4, "little"),
        ):
            _, wire = self.visit(asked)
            self.assertTrue(wire.disconnecting, asked)

    def test_silent(self) -> None:
        """
        One that does not say what it wants is sent away in time.
        """
        visitor, wire = self.visit(b"")
        self.reactor.advance(LIMITS.tunnelTimeout)
        self.assertTrue(wire.disconnecting)
        visitor.connectionLost()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_gone(self) -> None:
        """
        One that goes while it is being connected leaves nothing.
        """
        self.ends.lose = lambda: True
        visitor, _ = self.visit(PHONE.packed + PORT.to_bytes(4, "little"))
        visitor.connectionLost()
        self.assertTrue(self.ends.isEmpty())

    def test_service(self) -> None:
        """
        Both listen on this machine alone, and no more in the end.
        """
        reactor = MemoryReactorClock()
        doors = TunnelDoors(reactor, self.doors.tunnel, 49151)
        doors.startService()
        self.assertEqual([server[0] for server in reactor.tcpServers], [49151, 0])
        self.assertEqual({server[3] for server in reactor.tcpServers}, {"127.0.0.1"})
        self.successResultOf(doors.stopService())
