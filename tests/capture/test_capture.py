"""
Tests of L{muxd.capture.capture}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.capture import capture as module
from muxd.capture.capture import Capture, ObservedSession
from muxd.identity import DeviceIdentity
from muxd.testing.packets import Segment
from tests.capture.sink import ListSink
from tests.device.links import ACK

ONE = DeviceIdentity(
    udid="00008030-00000000000000AA",
    serial="0000803000000000000000AA",
    productID=0x12A8,
    locationID=1,
)
OTHER = DeviceIdentity(
    udid="OTHER", serial="OTHER", productID=0x12A8, locationID=2, portPath="3-1.4"
)


class CaptureTests(SynchronousTestCase):
    """
    A capture of two phones.
    """

    def setUp(self) -> None:
        """
        Begin it.
        """
        self.clock = Clock()
        self.clock.advance(1e9)
        self.sink = ListSink()
        self.capture = Capture(self.clock.seconds, self.sink)

    def see(
        self,
        identity: DeviceIdentity = ONE,
        payload: bytes = b"hello",
        session: ObservedSession | None = None,
        port: int = 62078,
    ) -> None:
        """
        A segment for a phone.
        """
        segment = Segment(7, port, 1, 2, ACK, 65536, payload).encode()
        self.capture.packet(identity, port, segment, session, isInbound=False)

    def test_interfaces(self) -> None:
        """
        Each phone has an interface, described once, before its first packet.
        """
        for identity in (ONE, OTHER, ONE, OTHER):
            self.see(identity)
        file = self.sink.file
        self.assertEqual(file.interfaces, [ONE.udid, OTHER.udid])
        self.assertEqual([each.interface for each in file.packets], [0, 1, 0, 1])
        self.assertEqual(file.blocks[1].options[3].decode(), f"phone {ONE.udid}, product 12a8")
        self.assertIn("port 3-1.4", file.blocks[4].options[3].decode())

    def test_time(self) -> None:
        """
        Packets have the time at which they were seen.
        """
        self.see()
        self.clock.advance(1.25)
        self.see()
        self.assertEqual([each.seconds for each in self.sink.file.packets], [1e9, 1e9 + 1.25])

    def test_client(self) -> None:
        """
        A session's first packet says which client it is of; the others do not.
        """
        session = ObservedSession("client: pid 1")
        for _ in range(3):
            self.see(session=session)
        self.assertEqual(
            [each.block.comment for each in self.sink.file.packets], ["client: pid 1", "", ""]
        )

    def test_clientOfEach(self) -> None:
        """
        So it is in each of two captures.
        """
        other = ListSink()
        second = Capture(self.clock.seconds, other)
        session = ObservedSession("client: pid 1")
        self.see(session=session)
        self.capture = second
        self.see(session=session)
        self.assertEqual([each.block.comment for each in other.file.packets], ["client: pid 1"])

    def test_drop(self) -> None:
        """
        What there is no room for is dropped as a whole; the packet after it says how much is
        missing, and so do the statistics.
        """
        self.see()
        self.sink.space = 50
        self.see()
        self.see()
        self.sink.space = 1 << 20
        self.see()
        self.see()
        self.capture.end()
        file = self.sink.file
        self.assertEqual([each.missing for each in file.packets], [0, 2, 0])
        self.assertEqual(file.statistics(0), [(4, 2), (5, 2)])
        self.assertEqual((self.capture.received, self.capture.dropped), (5, 2))

    def test_dropFirst(self) -> None:
        """
        Where even the first packet of a phone is dropped, its interface is described before
        the first that is not, which has the client's name.
        """
        session = ObservedSession("client: pid 1")
        self.sink.space = 50
        self.see(session=session)
        self.sink.space = 1 << 20
        self.see(OTHER)
        self.see(session=session)
        file = self.sink.file
        self.assertEqual(file.interfaces, [OTHER.udid, ONE.udid])
        self.assertEqual([each.missing for each in file.packets], [0, 1])
        self.assertEqual(file.packets[1].block.comment, "client: pid 1")

    def test_dropOften(self) -> None:
        """
        Statistics of what is dropped again and again come once a second.
        """
        for _ in range(50):
            self.sink.space = 50
            self.see()
            self.sink.space = 1 << 20
            self.see()
            self.clock.advance(0.1)
        self.assertEqual(len(self.sink.file.statistics(0)), 5)

    def test_tooLarge(self) -> None:
        """
        A segment that no packet has room for is dropped.
        """
        self.see(payload=bytes(65536))
        self.see()
        [packet] = self.sink.file.packets
        self.assertEqual(packet.missing, 1)

    def test_tooMany(self) -> None:
        """
        Phones beyond a number are not captured, and cost nothing.
        """
        self.patch(module, "MOST_INTERFACES", 1)
        self.see()
        self.see(OTHER)
        self.see()
        self.assertEqual(self.sink.file.interfaces, [ONE.udid])
        self.assertEqual((self.capture.received, self.capture.dropped), (3, 1))

    def test_wanted(self) -> None:
        """
        A capture of one phone wants no other, and one of a port no other port.
        """
        self.sink = ListSink()
        self.capture = Capture(self.clock.seconds, self.sink, ONE.udid.lower(), 7)
        self.assertEqual((self.capture.wants(ONE), self.capture.wants(OTHER)), (True, False))
        self.see(port=7, payload=b"yes")
        self.see(port=8)
        [packet] = self.sink.file.packets
        self.assertEqual((packet.payload, self.capture.received), (b"yes", 1))

    def test_empty(self) -> None:
        """
        A capture of nothing is a file all the same.
        """
        self.capture.end()
        self.assertEqual([each.kind for each in self.sink.file.blocks], [0x0A0D0D0A])
        self.assertTrue(self.sink.hasEnded)
