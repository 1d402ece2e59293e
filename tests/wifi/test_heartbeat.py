# -*- test-case-name: tests.wifi.test_heartbeat -*-
"""
Tests of L{muxd.wifi.heartbeat}, L{muxd.wifi.racing} and L{muxd.wifi.sockaddr}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionDone, TimeoutError
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from muxd.client.answers import networkAddressText
from muxd.wifi.heartbeat import FIRST_WAIT, MARGIN, HeartbeatClient
from muxd.wifi.racing import HEAD_START, PATIENCE, AddressRace, preferred
from muxd.wifi.settings import AddressLayout
from muxd.wifi.sockaddr import SIZE, networkAddress, scopeOf
from muxd.wire.messages import parsePlist, writePlist


class HeartbeatTests(SynchronousTestCase):
    """
    Tests of L{HeartbeatClient}.
    """

    def setUp(self) -> None:
        """
        Connect.
        """
        self.clock = Clock()
        self.told: list[str] = []
        self.heart = HeartbeatClient(
            self.clock,
            lambda: self.told.append("beat"),
            lambda: self.told.append("sleep"),
            self.told.append,
        )
        self.transport = StringTransport()
        self.heart.makeConnection(self.transport)

    def say(self, **message: object) -> None:
        """
        The phone says something.
        """
        data = writePlist(message)
        self.heart.dataReceived(len(data).to_bytes(4, "big") + data)

    def test_answers(self) -> None:
        """
        A question is answered at once.
        """
        self.successResultOf(self.heart.begun)
        self.say(Command="Marco", Interval=10)
        sent = self.transport.value()
        self.assertEqual(parsePlist(sent[4:]), {"Command": "Polo"})
        self.assertEqual(self.told, ["beat"])

    def test_late(self) -> None:
        """
        The next question may be some seconds later than announced, and no more.
        """
        self.say(Command="Marco", Interval=30)
        self.clock.advance(30 + MARGIN - 1)
        self.assertEqual(self.told, ["beat"])
        self.clock.advance(1)
        self.assertEqual(self.told, ["beat", "it has not asked for 35 s"])
        self.assertTrue(self.transport.disconnecting)

    def test_neverAsks(self) -> None:
        """
        The first one has a time as well.
        """
        self.clock.advance(FIRST_WAIT)
        self.assertEqual(len(self.told), 1)

    def test_oddInterval(self) -> None:
        """
        An interval that makes no sense is not waited for.
        """
        for interval in ("x", -1, 0, 1e9, float("nan")):
            self.setUp()
            self.say(Command="Marco", Interval=interval)
            self.clock.advance(FIRST_WAIT)
            self.assertEqual(len(self.told), 2, interval)

    def test_sleeps(self) -> None:
        """
        A phone says that it is about to sleep.
        """
        self.say(Command="SleepyTime")
        self.assertEqual(self.told, ["sleep"])

    def test_nonsense(self) -> None:
        """
        Anything else ends the conversation.
        """
        self.say(Command="Hello")
        self.assertTrue(self.transport.disconnecting)
        self.heart.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(len(self.told), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped(self) -> None:
        """
        One that we end tells of nothing.
        """
        self.heart.stop()
        self.heart.connectionLost(Failure(ConnectionDone()))
        self.assertEqual((self.told, self.clock.getDelayedCalls()), ([], []))


@implementer(IStreamClientEndpoint)
class HeldEndpoint:
    """
    An address that answers when the test says so.
    """

    def __init__(self) -> None:
        self.cancelled = False
        self.factory: IProtocolFactory | None = None
        self.result: Deferred[Any] = Deferred(self._cancel)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        """
        Wait.
        """
        self.factory = protocolFactory
        return self.result

    def accept(self) -> StringTransport:
        """
        Answer.
        """
        assert self.factory is not None
        protocol = self.factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 62078))
        transport = StringTransport()
        assert protocol is not None
        protocol.makeConnection(transport)
        self.result.callback(protocol)
        return transport

    def _cancel(self, _: object) -> None:
        self.cancelled = True


class RaceTests(SynchronousTestCase):
    """
    Tests of L{AddressRace}.
    """

    def race(self, *addresses: str) -> Deferred[str]:
        """
        Begin one.
        """
        self.clock = Clock()
        self.endpoints: dict[str, HeldEndpoint] = {}

        def endpoint(address: str) -> HeldEndpoint:
            return self.endpoints.setdefault(address, HeldEndpoint())

        return AddressRace(self.clock, addresses, endpoint).run()

    def test_order(self) -> None:
        """
        IPv4 comes before IPv6, and that before what needs a scope; what is no address is none.
        """
        self.assertEqual(
            preferred(["fe80::1%3", "2001:db8::1", "nonsense", "192.0.2.1", "192.0.2.1"]),
            ["192.0.2.1", "2001:db8::1", "fe80::1%3"],
        )

    def test_headStart(self) -> None:
        """
        The next address is tried a quarter of a second later; the first that answers wins,
        its connection is closed, and the others are given up.
        """
        race = self.race("192.0.2.1", "192.0.2.2", "192.0.2.3")
        self.assertEqual(list(self.endpoints), ["192.0.2.1"])
        self.clock.advance(HEAD_START)
        self.assertEqual(list(self.endpoints), ["192.0.2.1", "192.0.2.2"])
        transport = self.endpoints["192.0.2.2"].accept()
        self.assertEqual(self.successResultOf(race), "192.0.2.2")
        self.assertTrue(transport.disconnecting)
        self.assertTrue(self.endpoints["192.0.2.1"].cancelled)
        self.assertNotIn("192.0.2.3", self.endpoints)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_refused(self) -> None:
        """
        One that refuses makes way at once; when all have, that is it.
        """
        race = self.race("192.0.2.1", "192.0.2.2")
        self.endpoints["192.0.2.1"].result.errback(ConnectError(string="no"))
        self.assertIn("192.0.2.2", self.endpoints)
        self.endpoints["192.0.2.2"].result.errback(ConnectError(string="no"))
        self.failureResultOf(race, ConnectError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_none(self) -> None:
        """
        Without an address there is nothing to wait for.
        """
        self.failureResultOf(self.race(), ConnectError)

    def test_silence(self) -> None:
        """
        Addresses that say nothing are not waited for.
        """
        race = self.race("192.0.2.1")
        self.clock.advance(PATIENCE)
        self.failureResultOf(race, TimeoutError)
        self.assertTrue(self.endpoints["192.0.2.1"].cancelled)

    def test_cancelled(self) -> None:
        """
        A race that is given up leaves nothing.
        """
        race = self.race("192.0.2.1", "192.0.2.2")
        race.cancel()
        self.failureResultOf(race)
        self.assertTrue(self.endpoints["192.0.2.1"].cancelled)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class AddressTests(SynchronousTestCase):
    """
    Tests of L{muxd.wifi.sockaddr}.
    """

    def test_vectors(self) -> None:
        """
        Addresses are laid out as programs read them.
        """
        link = "fe80::1c9a:52ff:fe10:7d01%3"
        v6 = "00000000fe800000000000001c9a52fffe107d0103000000"
        for layout, address, head in (
            (AddressLayout.BSD, "192.168.1.23", "10020000c0a80117"),
            (AddressLayout.LINUX, "192.168.1.23", "02000000c0a80117"),
            (AddressLayout.BSD, link, "1c1e0000" + v6),
            (AddressLayout.LINUX, link, "0a000000" + v6),
        ):
            data = networkAddress(address, layout)
            self.assertEqual(data, bytes.fromhex(head).ljust(SIZE, b"\0"), (layout, address))
            self.assertEqual(networkAddressText(data), address)
        self.assertEqual((scopeOf(link), scopeOf("192.0.2.1")), (3, 0))

    def test_none(self) -> None:
        """
        What is no address has no layout.
        """
        self.assertRaises(ValueError, networkAddress, "phone", AddressLayout.BSD)
