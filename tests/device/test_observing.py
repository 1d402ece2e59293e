"""
Tests of L{muxd.device.observing}: what an observer of segments is shown.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muxd.net.packetmemory import PacketMemory
from muxd.testing.packets import Packet, Segment
from muxd.wire.mux import encodeVersion
from tests.device.links import (
    ACK,
    LOCKDOWN,
    RST,
    SYN,
    SYN_ACK,
    Recorder,
    RecorderFactory,
    ScriptedPhone,
)


class RecordingObserver:
    """
    An observer that writes down what it is shown.
    """

    def __init__(self) -> None:
        self.opening: list[tuple[int, int]] = []
        self.shown: list[tuple[str, Segment]] = []

    def sessionOpening(self, sourcePort: int, port: int) -> None:
        """
        Write it down.
        """
        self.opening.append((sourcePort, port))

    def segmentReceived(self, memory: PacketMemory, start: int, size: int) -> None:
        """
        Write it down.
        """
        self.shown.append(("received", Segment.decode(memory.read(start, size))))

    def segmentSent(self, memory: PacketMemory, start: int, size: int) -> None:
        """
        Write it down.
        """
        self.shown.append(("sent", Segment.decode(memory.read(start, size))))

    @property
    def summary(self) -> list[tuple[str, int, bytes]]:
        """
        Directions, flags and payloads.
        """
        return [(way, one.flags, one.payload) for way, one in self.shown]


class ObservingTests(SynchronousTestCase):
    """
    A muxer that is observed.
    """

    version = 2

    def setUp(self) -> None:
        """
        One that is active.
        """
        self.phone = ScriptedPhone.ready(self.version)
        self.muxer = self.phone.muxer
        self.observer = RecordingObserver()
        self.muxer.observe(self.observer)

    def test_session(self) -> None:
        """
        A session is shown from its SYN to its RST, in both directions, as it is on the
        bus, and before anything of it that it is about to be asked for.
        """
        asked: list[list[tuple[str, Segment]]] = []
        self.patch(self.observer, "sessionOpening", lambda *_: asked.append([*self.observer.shown]))
        side = self.phone.open()
        side.say(b"hello")
        side.session.write(b"world")
        side.say(flags=RST, payload=b"bye")
        self.assertEqual(asked, [[]])
        self.assertEqual(
            self.observer.summary,
            [
                ("sent", SYN, b""),
                ("received", SYN_ACK, b""),
                ("sent", ACK, b""),
                ("received", ACK, b"hello"),
                ("sent", ACK, b""),
                ("sent", ACK, b"world"),
                ("received", RST, b"bye"),
            ],
        )

    def test_bus(self) -> None:
        """
        What is shown as sent are the packets that the link is given, in their order.
        """
        side = self.phone.open()
        self.observer.shown.clear()
        side.session.write(b"x" * 200_000)
        side.session.abortConnection()
        packets = [Packet.decode(one, self.version) for one in self.phone.link.sent]
        self.assertGreater(len(packets), 2)
        self.assertEqual(
            [one for _, one in self.observer.shown],
            [Segment.decode(one.body) for one in packets],
        )

    def test_opening(self) -> None:
        """
        It is told both ports of a session that is asked for.
        """
        side = self.phone.open()
        self.assertEqual(self.observer.opening, [(side.hostPort, LOCKDOWN)])

    def test_stray(self) -> None:
        """
        Segments of no session are shown, and so are their answers.
        """
        self.phone.deliver(self.phone.segment(1, 2, 3, 4, payload=b"late"))
        self.assertEqual(self.observer.summary, [("received", ACK, b"late"), ("sent", RST, b"")])

    def test_malformed(self) -> None:
        """
        What has no well-formed header of a segment is not.
        """
        wrong = bytearray(self.phone.segment(1, 2, 3, 4, payload=b"options"))
        wrong[-len(b"options") - 8] = 0x60
        self.phone.deliver(bytes(wrong), bytes(wrong[:8]))
        self.assertEqual(self.observer.shown, [])

    def test_notAnyMore(self) -> None:
        """
        One that is taken away is shown nothing more.
        """
        side = self.phone.open()
        self.observer.shown.clear()
        self.muxer.observe(None)
        side.say(b"hello")
        side.session.write(b"world")
        self.phone.open(port=7)
        self.assertEqual((self.observer.shown, len(self.observer.opening)), ([], 1))

    def test_beforeHandshake(self) -> None:
        """
        One that a muxer is given before it is active is shown its first session.
        """
        phone = ScriptedPhone()
        phone.muxer.observe(self.observer)
        phone.muxer.handshake(phone.link)
        phone.deliver(encodeVersion(self.version))
        phone.muxer.connect(LOCKDOWN, RecorderFactory(Recorder()))
        self.assertEqual(self.observer.summary, [("sent", SYN, b"")])


class ObservingV1Tests(ObservingTests):
    """
    The same under the first version of the mux protocol.
    """

    version = 1
