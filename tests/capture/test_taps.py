"""
Tests of L{muxd.capture.taps}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from muxd.capture.capture import Capture
from muxd.capture.taps import CaptureTaps
from muxd.device.device import MuxedDevice
from muxd.identity import DeviceIdentity
from muxd.interfaces import IDevice, IDeviceReceiver
from muxd.limits import LIMITS
from tests.capture.sink import ListSink
from tests.device.links import ACK, LOCKDOWN, RST, SYN, SYN_ACK, ScriptedPhone


@implementer(IDeviceReceiver)
class Attendance:
    """
    What a receiver was told.
    """

    def __init__(self) -> None:
        self.told: list[tuple[str, IDevice]] = []

    def deviceAttached(self, device: IDevice) -> None:
        """
        Write it down.
        """
        self.told.append(("attached", device))

    def devicePaired(self, device: IDevice) -> None:
        """
        Write it down.
        """
        self.told.append(("paired", device))

    def deviceDetached(self, device: IDevice) -> None:
        """
        Write it down.
        """
        self.told.append(("detached", device))


class TapsTests(SynchronousTestCase):
    """
    Two phones, of which captures are made.
    """

    def setUp(self) -> None:
        """
        Attach them.
        """
        self.clock = Clock()
        self.receiver = Attendance()
        self.changes: list[bool] = []
        self.taps = CaptureTaps(self.clock, self.receiver, self.changes.append)
        self.phones = [ScriptedPhone.ready(), ScriptedPhone.ready()]
        self.devices = [
            MuxedDevice(
                DeviceIdentity(udid=udid, serial=udid, productID=1, locationID=number), one.muxer
            )
            for number, (udid, one) in enumerate(zip("AB", self.phones, strict=True))
        ]
        for device in self.devices:
            self.taps.deviceAttached(device)
        self.sink = ListSink()

    def test_interface(self) -> None:
        """
        They are a receiver of devices, and another one is told of all of them.
        """
        verifyObject(IDeviceReceiver, self.taps)
        self.taps.devicePaired(self.devices[1])
        self.taps.deviceDetached(self.devices[0])
        self.assertEqual(
            self.receiver.told,
            [
                ("attached", self.devices[0]),
                ("attached", self.devices[1]),
                ("paired", self.devices[1]),
                ("detached", self.devices[0]),
            ],
        )

    def test_nothing(self) -> None:
        """
        While nothing is captured, no muxer is observed; nor is one afterwards.
        """
        observers = [one.muxer.observer for one in self.phones]
        self.assertEqual(observers, [None, None])
        capture = self.taps.begin(self.sink)
        self.assertNotIn(None, [one.muxer.observer for one in self.phones])
        self.successResultOf(self.taps.end(capture))
        self.assertEqual([one.muxer.observer for one in self.phones], [None, None])
        self.assertEqual(self.changes, [True, False])

    def test_session(self) -> None:
        """
        A session is captured from its SYN to its RST, with its client.
        """
        self.taps.begin(self.sink)
        self.taps.clientConnecting("A", LOCKDOWN, "pid 1")
        side = self.phones[0].open()
        side.say(b"hello")
        side.session.write(b"world")
        side.say(flags=RST, payload=b"bye")
        packets = self.sink.file.packets
        self.assertEqual(
            [(each.isInbound, each.flags, each.payload) for each in packets],
            [
                (False, SYN, b""),
                (True, SYN_ACK, b""),
                (False, ACK, b""),
                (True, ACK, b"hello"),
                (False, ACK, b""),
                (False, ACK, b"world"),
                (True, RST, b"bye"),
            ],
        )
        self.assertEqual([each.block.comment for each in packets], ["client: pid 1"] + 6 * [""])
        self.assertEqual(
            self.sink.file.streams(), {(0, side.hostPort, LOCKDOWN): (b"world", b"hello")}
        )

    def test_time(self) -> None:
        """
        Packets are dated with the time of day, whatever the timers go by.
        """
        taps = CaptureTaps(self.clock, self.receiver, self.changes.append, lambda: 1.5e9)
        taps.deviceAttached(self.devices[0])
        taps.begin(self.sink)
        self.phones[0].open()
        self.assertEqual({each.seconds for each in self.sink.file.packets}, {1.5e9})

    def test_otherClient(self) -> None:
        """
        A client that has asked for something else, or in another turn of the reactor, is not
        taken for this session's.
        """
        self.taps.begin(self.sink)
        self.taps.clientConnecting("B", LOCKDOWN, "pid 1")
        self.phones[0].open()
        self.phones[1].open()
        self.taps.clientConnecting("A", LOCKDOWN, "pid 2")
        self.clock.advance(0)
        self.phones[0].open()
        comments = [each.block.comment for each in self.sink.file.packets if each.flags == SYN]
        self.assertEqual(comments, ["client: the daemon's own"] * 3)

    def test_portsAgain(self) -> None:
        """
        A session on the ports of one that has ended is another one, with another client.
        """
        self.taps.begin(self.sink)
        ports = self.phones[0].muxer._ports
        for client in ("pid 1", "pid 2"):
            # As when all others have been used since.
            ports._last = 76
            self.clock.advance(LIMITS.portReuseDelay)
            self.taps.clientConnecting("A", LOCKDOWN, client)
            self.phones[0].open().say(flags=RST)
        comments = [each.block.comment for each in self.sink.file.packets if each.flags == SYN]
        self.assertEqual(comments, ["client: pid 1", "client: pid 2"])

    def test_midway(self) -> None:
        """
        Of a session that was there before, what is still said is captured.
        """
        side = self.phones[0].open()
        self.taps.begin(self.sink)
        side.say(b"hello")
        packet = self.sink.file.packets[0]
        self.assertEqual((packet.payload, packet.block.comment), (b"hello", ""))

    def test_filters(self) -> None:
        """
        A capture of one phone does not observe the others, and one of a port sees no other;
        two captures do not mind each other.
        """
        other = ListSink()
        capture = self.taps.begin(self.sink, udid="a")
        self.assertIsNone(self.phones[1].muxer.observer)
        second = self.taps.begin(other, port=7)
        for phone in self.phones:
            phone.open(port=7)
            phone.open(port=8)
        self.taps.end(capture)
        self.phones[0].open(port=7)
        self.taps.end(second)
        file, otherFile = self.sink.file, other.file
        self.assertEqual((file.interfaces, otherFile.interfaces), (["A"], ["A", "B"]))
        ports = [each.ports[1] for each in file.packets if each.flags == SYN]
        self.assertEqual(ports, [7, 8])
        ports = [each.ports[1] for each in otherFile.packets if each.flags == SYN]
        self.assertEqual(ports, [7, 7, 7])
        self.assertEqual(self.changes, [True, False])

    def test_comes(self) -> None:
        """
        A phone that comes later is captured, and one that comes again is the same interface.
        """
        self.taps.deviceDetached(self.devices[0])
        self.taps.begin(self.sink)
        for _ in range(2):
            self.taps.deviceAttached(self.devices[0])
            self.phones[0].open()
            self.taps.deviceDetached(self.devices[0])
        self.assertEqual(self.sink.file.interfaces, ["A"])

    def test_defect(self) -> None:
        """
        What goes wrong in a capture ends it, and no stream.
        """
        self.taps.begin(self.sink)
        self.patch(Capture, "packet", lambda *_, **__: 1 / 0)
        side = self.phones[0].open()
        side.say(b"hello")
        self.assertEqual(side.recorder.data, b"hello")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIsNone(self.phones[0].muxer.observer)

    def test_endTwice(self) -> None:
        """
        A capture that has ended can be ended again.
        """
        capture = self.taps.begin(self.sink)
        self.successResultOf(self.taps.end(capture))
        self.successResultOf(self.taps.end(capture))
        self.assertEqual(self.changes, [True, False])

    def test_bounded(self) -> None:
        """
        What is known of sessions goes with them.
        """
        self.taps.begin(self.sink)
        for _ in range(50):
            self.phones[0].open().say(flags=RST)
            self.phones[0].open().session.abortConnection()
        observer = self.phones[0].muxer.observer
        self.assertEqual(vars(observer)["_sessions"], {})
