# -*- test-case-name: tests.remote.test_source -*-
"""
Tests of L{muxd.remote.source}.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.protocol import Factory, Protocol
from twisted.logger import LogLevel, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.identity import udidKey
from muxd.interfaces import IDeviceSource, IFirstLook, IForeignDevice, ISourceHealth, SourceHealth
from muxd.remote.settings import RemoteSettings
from muxd.remote.source import MOST_PHONES, PROBE_INTERVAL, PROBE_TIMEOUT
from tests.client.daemons import (
    OTHER_UDID,
    UDID,
    BinaryOnlyConnection,
    DaemonConnection,
    PlistOnlyConnection,
    SilentConnection,
)
from tests.client.hosts import logOf
from tests.remote.hosts import RemoteHost


class SlowListConnection(DaemonConnection):
    """
    Of a daemon that tells of phones and does not get to listing them.
    """

    def requestReceived(self, name: str, values: Mapping[str, Any], tag: int) -> None:
        """
        Answer everything but that.
        """
        if name != "ListDevices":
            super().requestReceived(name, values, tag)


def netmuxdProperties(udid: str) -> dict[str, Any]:
    """
    The Properties of a phone that netmuxd has found on the network (docs/protocol.md).
    """
    return {
        "ConnectionType": "Network",
        "EscapedFullServiceName": "_apple-mobdev2._tcp.local",
        "InterfaceIndex": 1,
        "NetworkAddress": b"\x02\0\0\0\xc0\xa8\x01\x17" + bytes(120),
        "SerialNumber": udid,
    }


class SourceTests(SynchronousTestCase):
    """
    Tests of L{RemoteSource}.
    """

    def start(self, connection: type[DaemonConnection] = DaemonConnection, **more: Any) -> None:
        """
        Another host with one phone, and a source of it.
        """
        self.host = RemoteHost(connection, RemoteSettings(name="test", **more))
        self.host.daemon.attach(7)
        self.host.start()

    def take(self) -> list[tuple[str, str]]:
        """
        What was told since the last time.
        """
        return self.host.receiver.take()

    def test_interfaces(self) -> None:
        """
        A source is one, that can tell when it has looked; its phones are foreign ones.
        """
        self.start()
        verifyObject(IDeviceSource, self.host.source)
        verifyObject(IFirstLook, self.host.source)
        verifyObject(ISourceHealth, self.host.source)
        verifyObject(IForeignDevice, self.host.receiver.present[UDID])

    def test_events(self) -> None:
        """
        What is there is attached, then events are told as they come, by daemons of every
        kind.
        """
        for kind in (DaemonConnection, PlistOnlyConnection, BinaryOnlyConnection):
            self.start(kind)
            self.host.advance(2)
            self.host.advance(2)
            self.host.daemon.attach(9, OTHER_UDID)
            self.host.daemon.pair(9)
            self.host.daemon.detach(7)
            self.host.settle()
            self.assertEqual(
                self.take(),
                [
                    ("attached", UDID),
                    ("attached", OTHER_UDID),
                    ("paired", OTHER_UDID),
                    ("detached", UDID),
                ],
                kind,
            )

    def test_identity(self) -> None:
        """
        A phone is seen as one on a cable, however its host reaches it, with what is true of
        it here; where it is plugged in is another machine's.
        """
        self.host = RemoteHost()
        self.host.daemon.attach(
            7, kind="Network", NetworkAddress=b"\x10\x02" + bytes(14), MuxdPortPath="3-1"
        )
        self.host.start()
        identity = self.host.receiver.present[UDID].identity
        self.assertEqual(identity.connectionType, "USB")
        self.assertEqual((identity.productID, identity.locationID), (0x12A8, 0x10004))
        self.assertEqual((identity.serial, identity.portPath), (UDID.replace("-", ""), ""))
        self.assertEqual(identity.host, "test")

    def test_netmuxd(self) -> None:
        """
        netmuxd, before another daemon, has phones on the network under numbers of its own, above
        2**28, with the type of a service for a name and without all that only a cable has; they
        are used by Connect, with the number that it has for them.
        """
        self.host = RemoteHost()
        self.host.daemon.attach(3)
        self.host.daemon.devices[0x10000000] = netmuxdProperties(OTHER_UDID)
        self.host.start()
        self.assertEqual(self.take(), [("attached", UDID), ("attached", OTHER_UDID)])
        phone = self.host.receiver.present[OTHER_UDID]
        identity = phone.identity
        self.assertEqual((identity.connectionType, identity.udid), ("USB", OTHER_UDID))
        self.assertEqual((identity.productID, identity.locationID), (0, 0))
        connecting = phone.endpoint(62078).connect(Factory.forProtocol(Protocol))
        self.host.settle()
        self.assertIsInstance(self.successResultOf(connecting), Protocol)
        self.assertEqual(len(self.host.daemon.streams()), 1)
        # The phone has gone from the network: it comes back under another number.
        self.host.daemon.detach(0x10000000)
        self.host.daemon.devices[0x10000001] = netmuxdProperties(OTHER_UDID)
        for connection in self.host.daemon.listeners():
            connection.sendAttached(0x10000001)
        self.host.settle()
        self.assertEqual(self.take(), [("detached", OTHER_UDID), ("attached", OTHER_UDID)])
        self.assertEqual(self.host.receiver.present[OTHER_UDID].device.deviceID, 0x10000001)

    def test_thirdHost(self) -> None:
        """
        A phone that the other daemon has of yet another host is not passed on.
        """
        self.host = RemoteHost()
        self.host.daemon.attach(7, MuxdHost="third")
        self.host.start()
        self.host.daemon.attach(8, OTHER_UDID, MuxdHost="third")
        self.host.settle()
        self.assertEqual(self.take(), [])

    def test_replugged(self) -> None:
        """
        A phone that its daemon sees go and come is another attachment here as well.
        """
        self.start()
        self.take()
        self.host.daemon.detach(7)
        self.host.daemon.attach(8)
        self.host.settle()
        self.assertEqual(self.take(), [("detached", UDID), ("attached", UDID)])

    def test_bothWays(self) -> None:
        """
        A phone that its host has on a cable and on the network is one phone, reached by the
        cable, and by the network when the cable is pulled out.
        """
        self.host = RemoteHost()
        self.host.daemon.attach(7)
        self.host.daemon.attach(8, kind="Network")
        self.host.start()
        self.assertEqual(self.take(), [("attached", UDID)])
        self.assertEqual(self.host.receiver.present[UDID].device.deviceID, 7)
        self.host.daemon.detach(7)
        self.host.settle()
        self.assertEqual(self.take(), [("detached", UDID), ("attached", UDID)])
        self.assertEqual(self.host.receiver.present[UDID].device.deviceID, 8)

    def test_selection(self) -> None:
        """
        Phones that are not wanted are not used; C{deny} outweighs C{only}.
        """
        self.start(only=frozenset({udidKey(OTHER_UDID)}))
        self.host.daemon.attach(8, OTHER_UDID)
        self.host.settle()
        self.assertEqual(self.take(), [("attached", OTHER_UDID)])
        self.start(only=frozenset({udidKey(UDID)}), deny=frozenset({udidKey(UDID)}))
        self.assertEqual(self.take(), [])

    def test_shortLoss(self) -> None:
        """
        A phone that is still there when a lost daemon is back within the grace period was
        never gone, although the daemon may have another number for it.
        """
        self.start()
        self.take()
        self.host.killDaemon()
        self.host.daemon.devices[31] = self.host.daemon.devices.pop(7)
        self.host.running = True
        self.host.advance(2)
        self.assertEqual(self.take(), [])
        self.assertEqual(self.host.receiver.present[UDID].device.deviceID, 31)

    def test_goneMeanwhile(self) -> None:
        """
        A phone that is not there any more when its daemon is back is detached then, and one
        that has come is attached.
        """
        self.start()
        self.take()
        self.host.killDaemon()
        self.host.daemon.detach(7)
        self.host.daemon.attach(1, OTHER_UDID)
        self.host.running = True
        self.host.advance(2)
        self.assertEqual(sorted(self.take()), [("attached", OTHER_UDID), ("detached", UDID)])

    def test_longLoss(self) -> None:
        """
        When the grace period is over all phones are detached, with one line; when the daemon
        is back they are attached again.
        """
        logged = logOf(self)
        self.start(grace=30.0)
        self.take()
        self.host.killDaemon()
        for _ in range(14):
            self.host.advance(2)
        self.assertEqual(self.take(), [])
        self.host.advance(2)
        self.assertEqual(self.take(), [("detached", UDID)])
        lines = [formatEvent(event) for event in logged if event["log_level"] is LogLevel.warn]
        self.assertEqual(len(lines), 2)
        self.assertEqual(lines[1], "test has been lost for 30.0 s: its 1 phones are gone")
        self.host.running = True
        self.host.advance(2)
        self.assertEqual(self.take(), [("attached", UDID)])

    def test_health(self) -> None:
        """
        While the daemon is not reached operators are told so, and of nothing else: our own
        daemon does its work.
        """
        self.start()
        self.assertEqual(self.host.source.health(), SourceHealth())
        self.host.killDaemon()
        self.host.advance(2)
        health = self.host.source.health()
        self.assertEqual(health.problem, "")
        (trouble,) = health.troubles
        self.assertTrue(trouble.startswith("not told of phones by test: "), trouble)
        self.assertIn(self.host.source.trouble, trouble)
        self.host.running = True
        self.host.advance(2)
        self.assertEqual(self.host.source.health(), SourceHealth())

    def test_lostWhileComparing(self) -> None:
        """
        A daemon that is lost before it has listed its phones leaves nothing behind, nor does
        one that takes too long for it.
        """
        self.start(SlowListConnection)
        self.host.advance(30)
        self.assertEqual(self.host.openSockets(), [])
        self.start(SlowListConnection)
        self.assertEqual(self.take(), [])
        self.host.killDaemon()
        self.host.daemon.connection = DaemonConnection
        self.host.running = True
        self.host.advance(2)
        self.host.advance(2)
        self.assertEqual(self.take(), [("attached", UDID)])

    def test_silentNetwork(self) -> None:
        """
        A daemon that does not answer any more, because a network has swallowed it, is lost
        within half a minute, although its connection still stands.
        """
        self.start()
        self.take()
        self.host.daemon.connection = SilentConnection
        self.host.advance(PROBE_INTERVAL)
        self.host.advance(PROBE_TIMEOUT)
        self.host.advance(5)
        self.assertEqual(self.take(), [("detached", UDID)])

    def test_probed(self) -> None:
        """
        A daemon that answers is kept.
        """
        self.start()
        feed = self.host.daemon.listeners()
        for _ in range(4):
            self.host.advance(PROBE_INTERVAL)
        self.assertEqual(self.host.daemon.listeners(), feed)
        self.assertEqual(self.take(), [("attached", UDID)])

    def test_tooMany(self) -> None:
        """
        A daemon that tells of more phones than there can be is not believed without end; it
        is worth one line.
        """
        logged = logOf(self)
        self.start()
        for number in range(MOST_PHONES + 20):
            self.host.daemon.attach(100 + number, f"{number:040x}")
        self.host.settle()
        self.assertEqual(len(self.host.receiver.present), MOST_PHONES)
        lines = [formatEvent(event) for event in logged if event["log_level"] is LogLevel.warn]
        self.assertEqual(len(lines), 1)

    def test_tooManyListed(self) -> None:
        """
        That holds for a daemon's first list as well.
        """
        self.host = RemoteHost()
        for number in range(MOST_PHONES + 20):
            self.host.daemon.attach(100 + number, f"{number:040x}")
        self.host.start()
        self.assertEqual(len(self.host.receiver.present), MOST_PHONES)

    def test_firstLook(self) -> None:
        """
        A source has looked when its daemon has listed its phones.
        """
        self.host = RemoteHost()
        self.host.running = False
        self.host.start()
        looked = self.host.source.whenLooked()
        self.assertNoResult(looked)
        self.host.running = True
        self.host.advance(2)
        self.successResultOf(looked)
        self.successResultOf(self.host.source.whenLooked())

    def test_stop(self) -> None:
        """
        A source that is stopped detaches its phones, and leaves no socket and no timer.
        """
        self.start()
        self.take()
        stopping = self.host.source.stopService()
        self.host.settle()
        self.successResultOf(stopping)
        self.assertEqual(self.take(), [("detached", UDID)])
        self.assertEqual(self.host.openSockets(), [])
        self.assertEqual(self.host.reactor.getDelayedCalls(), [])

    def test_stoppedWhileLost(self) -> None:
        """
        That holds in the grace period, too.
        """
        self.start()
        self.host.killDaemon()
        self.take()
        stopping = self.host.source.stopService()
        self.host.settle()
        self.successResultOf(stopping)
        self.assertEqual(self.take(), [("detached", UDID)])
        self.assertEqual(self.host.reactor.getDelayedCalls(), [])
