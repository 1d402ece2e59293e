# -*- test-case-name: tests.tap.test_phoneports -*-
"""
Tests of L{muxd.tap.phoneports}, with a daemon in memory.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import CannotListenError
from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.client.selection import Network
from muxd.client.watcher import IDeviceObserver
from muxd.net.localport import LOOPBACKS
from muxd.net.serverstrings import LOOPBACK
from muxd.relay import RelayService, Route
from muxd.tap.phoneports import PhonePorts
from muxd.testing import BudgetTransport, FakeAddress
from tests.client.daemons import BinaryOnlyConnection, DaemonConnection
from tests.client.hosts import Host, logOf

ONE, TWO, THREE = "00008030-1", "00008030-2", "00008030-3"


class PhonePortsTests(SynchronousTestCase):
    """
    A local port for every phone.
    """

    def start(
        self, connection: type[DaemonConnection] = DaemonConnection, last: int = 65535, **more: Any
    ) -> None:
        """
        Begin with a daemon that has the phones two and one, in this order.
        """
        self.log = logOf(self)
        self.host = Host(connection)
        self.host.daemon.attach(1, TWO)
        self.host.daemon.attach(2, ONE)
        self.begin(last, **more)

    def begin(self, last: int = 65535, **more: Any) -> None:
        """
        Start a relay.
        """
        self.relay = RelayService(self.host.reactor, [])
        self.relay.startService()
        more.setdefault("addresses", (LOOPBACK,))
        self.ports = PhonePorts(self.relay, 8100, range(9000, last + 1), self.host.access(), **more)
        self.ports.startService()
        self.host.settle()

    def listening(self) -> list[int]:
        """
        The ports that are listened on, in the order in which that began.
        """
        return [server[0] for server in self.host.reactor.tcpServers]

    def told(self, level: object) -> list[str]:
        """
        What was logged.
        """
        return [
            event["log_format"].format(**event)
            for event in self.log
            if event["log_level"] is level
            and event["log_namespace"].startswith("muxd.tap.phoneports")
        ]

    def test_interface(self) -> None:
        """
        It is told of phones.
        """
        self.start()
        verifyObject(IDeviceObserver, self.ports)

    def test_there(self) -> None:
        """
        Phones that are there have theirs in the order of their UDIDs.
        """
        for connection in (DaemonConnection, BinaryOnlyConnection):
            self.start(connection)
            self.host.advance(1)
            self.assertEqual(self.ports.ports, {ONE: 9000, TWO: 9001})
            self.assertEqual(self.listening(), [9000, 9001])

    def test_coming(self) -> None:
        """
        One that comes has the next, and what has gone and comes back its own.
        """
        self.start()
        self.host.daemon.attach(3, THREE)
        self.host.settle()
        self.host.daemon.detach(2)
        self.host.daemon.attach(4, ONE)
        self.host.settle()
        self.assertEqual(self.ports.ports, {ONE: 9000, TWO: 9001, THREE: 9002})
        self.assertEqual(self.listening(), [9000, 9001, 9002])

    def test_leads(self) -> None:
        """
        A port leads to that phone's port.
        """
        asked: list[tuple[int, int]] = []
        connect = DaemonConnection._connect

        def noted(connection: DaemonConnection, deviceID: int, port: int, tag: int) -> None:
            asked.append((deviceID, port))
            connect(connection, deviceID, port, tag)

        self.patch(DaemonConnection, "_connect", noted)
        self.start()
        factory = self.host.reactor.tcpServers[1][1]
        protocol = factory.buildProtocol(FakeAddress())
        assert protocol is not None
        protocol.makeConnection(BudgetTransport(self.host.reactor, None, protocol))
        self.host.settle()
        self.assertEqual(asked, [(1, 8100)])

    def test_told(self) -> None:
        """
        The relay is told which phone's port it is that has been opened.
        """
        opened: list[tuple[object, object, list[int | None]]] = []

        def routeOpened(relay: RelayService, route: Route, endpoints: Any) -> None:
            ports = [endpoint.portNumber for endpoint in endpoints]
            opened.append((route.udid, route.remote, ports))

        self.patch(RelayService, "routeOpened", routeOpened)
        self.start(addresses=LOOPBACKS)
        self.assertEqual(opened, [(ONE, 8100, [9000] * 2), (TWO, 8100, [9001] * 2)])

    def test_taken(self) -> None:
        """
        A port that is taken is left out, which is told.
        """
        self.log = logOf(self)
        self.host = Host()
        self.host.daemon.attach(1, ONE)
        listen = self.host.reactor.listenTCP

        def listenTCP(port: int, *rest: Any, **more: Any) -> Any:
            if port < 9002:
                taken = OSError(98, "Address already in use")
                raise CannotListenError(LOOPBACK, port, taken)
            return listen(port, *rest, **more)

        self.patch(self.host.reactor, "listenTCP", listenTCP)
        self.begin()
        self.assertEqual(self.ports.ports, {ONE: 9002})
        self.assertEqual(
            self.told(LogLevel.warn),
            [
                f"127.0.0.1:{port}: Address already in use; the next port is tried"
                for port in (9000, 9001)
            ],
        )

    def test_noneLeft(self) -> None:
        """
        When there are no more, this is told, and the others go on.
        """
        self.start(last=9000)
        self.assertEqual(self.ports.ports, {ONE: 9000})
        (text,) = self.told(LogLevel.error)
        self.assertIn(f"no port is left for {TWO}", text)

    def test_network(self) -> None:
        """
        Phones on the network have one if they count; one that is reached in two ways has
        one port.
        """
        for network, expected in (
            (Network.NO, {ONE: 9000, TWO: 9001}),
            (Network.YES, {ONE: 9000, TWO: 9001, THREE: 9002}),
        ):
            self.host = Host()
            self.log = []
            for number, (udid, kind) in enumerate(
                ((TWO, "USB"), (ONE, "USB"), (ONE, "Network"), (THREE, "Network")), 1
            ):
                self.host.daemon.attach(number, udid, kind=kind)
            self.begin(network=network)
            self.assertEqual(self.ports.ports, expected)

    def test_daemonLater(self) -> None:
        """
        Without a daemon there are no phones yet, and with one they have their ports.
        """
        self.log = logOf(self)
        self.host = Host()
        self.host.running = False
        self.begin()
        self.assertEqual(self.ports.ports, {})
        self.host.running = True
        self.host.daemon.attach(1, ONE)
        self.host.advance(10)
        self.assertEqual(self.ports.ports, {ONE: 9000})

    def test_daemonRestarted(self) -> None:
        """
        A daemon that is exchanged changes no port.
        """
        self.start()
        self.host.killDaemon()
        self.host.daemon.devices.clear()
        self.host.running = True
        self.host.daemon.attach(7, THREE)
        self.host.daemon.attach(8, TWO)
        self.host.advance(10)
        self.assertEqual(self.ports.ports, {ONE: 9000, TWO: 9001, THREE: 9002})
        self.assertEqual(self.listening(), [9000, 9001, 9002])

    def test_stop(self) -> None:
        """
        It can be stopped, also while it asks for the first time; nothing is left.
        """
        for settled in (False, True):
            self.host = Host()
            self.log = logOf(self)
            self.relay = RelayService(self.host.reactor, [])
            self.ports = PhonePorts(self.relay, 8100, range(9000, 9010), self.host.access())
            self.ports.startService()
            if settled:
                self.host.settle()
            stopped = self.ports.stopService()
            self.host.settle()
            self.successResultOf(stopped)
            self.host.advance(100)
            self.assertEqual(self.host.openSockets(), [])
            self.assertEqual(self.host.reactor.getDelayedCalls(), [])
