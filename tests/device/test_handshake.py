"""
Tests of L{muxd.device.muxer}: its handshake, with the vectors of protocol 2.5.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.device.errors import HandshakeTimeout, UnsupportedVersion
from muxd.device.muxer import MuxerState
from muxd.interfaces import Buffer, IPacketReceiver
from muxd.wire.mux import MuxProtocol, encodePacketV1, encodeVersion
from tests.device.links import (
    LOCKDOWN,
    SYN_ACK,
    Recorder,
    RecorderFactory,
    ScriptedPhone,
)

VERSION = "0000000000000014000000020000000000000000"
SETUP = "0000000200000011feedface0000ffff07"
SYN_1 = "0000000600000024feedface0001ffff0001f27e00000000000000005002020000000000"
SYN_ACK_1 = "0000000600000024faceface00010001f27e000100000000000000015012020000000000"
ACK_1 = "0000000600000024feedface000200010001f27e00000001000000015010020000000000"
RST_1 = "0000000600000024feedface000300010001f27e00000001000000015004020000000000"


class HandshakeTests(SynchronousTestCase):
    """
    From VERSION to ACTIVE.
    """

    def setUp(self) -> None:
        """
        A muxer that has just said VERSION.
        """
        self.phone = ScriptedPhone()
        self.muxer = self.phone.muxer
        self.ready = self.muxer.handshake(self.phone.link)

    def test_interface(self) -> None:
        """
        A muxer receives packets.
        """
        verifyObject(IPacketReceiver, self.muxer)

    def test_lostWithSetup(self) -> None:
        """
        A link that is lost with the packet that ends the handshake is lost in the
        handshake, and stays so.
        """
        send = self.phone.link.send

        def lose(parts: Sequence[Buffer]) -> None:
            send(parts)
            self.muxer.linkLost(Failure(ConnectionLost("unplugged")))

        self.phone.link.send = lose  # type: ignore[method-assign]
        self.phone.deliver(encodeVersion(2))
        self.failureResultOf(self.ready, ConnectionLost)
        self.assertIs(self.muxer.state, MuxerState.ENDED)
        self.assertEqual(self.phone.clock.getDelayedCalls(), [])

    def test_vectors(self) -> None:
        """
        Handshake, session and its end are the bytes of protocol 2.5.
        """
        sent = self.phone.link.sent
        self.assertEqual([one.hex() for one in sent], [VERSION])
        self.assertNoResult(self.ready)
        self.phone.deliver(encodeVersion(2))
        self.successResultOf(self.ready)
        recorder = Recorder()
        self.muxer.connect(LOCKDOWN, RecorderFactory(recorder))
        self.phone.deliver(bytes.fromhex(SYN_ACK_1))
        recorder.session.abortConnection()
        self.assertEqual([one.hex() for one in sent], [VERSION, SETUP, SYN_1, ACK_1, RST_1])
        self.assertEqual(self.muxer.counters.packetsSent, 5)
        self.assertEqual(self.muxer.counters.packetsReceived, 2)

    def test_v1(self) -> None:
        """
        A phone that chooses v1 is sent no SETUP, and framing stays at 8 bytes.
        """
        self.phone.version = 1
        self.phone.deliver(encodeVersion(1))
        self.assertEqual(self.muxer.version, 1)
        self.assertEqual([one.hex() for one in self.phone.link.sent], [VERSION])
        side = self.phone.open()
        side.say(b"hello")
        self.assertEqual(side.recorder.data, b"hello")
        side.session.write(b"world")
        (data,) = side.take()
        self.assertEqual((data.seq, data.ack, data.payload), (1, 6, b"world"))

    def test_unsupported(self) -> None:
        """
        Any other version is refused, and the muxer ends.
        """
        lost = self.muxer.whenLost()
        self.phone.deliver(encodeVersion(3))
        self.failureResultOf(self.ready, UnsupportedVersion)
        self.failureResultOf(lost, UnsupportedVersion)
        self.assertEqual(self.phone.clock.getDelayedCalls(), [])

    def test_timeout(self) -> None:
        """
        A phone that does not answer is given up after five seconds.
        """
        self.phone.clock.advance(4.9)
        self.assertNoResult(self.ready)
        self.phone.clock.advance(0.1)
        self.failureResultOf(self.ready, HandshakeTimeout)
        self.phone.deliver(encodeVersion(2))
        self.assertIs(self.muxer.state, MuxerState.ENDED)
        self.assertEqual(self.muxer.version, 0)

    def test_lost(self) -> None:
        """
        A phone that is lost meanwhile fails the handshake.
        """
        self.muxer.linkLost(Failure(ConnectionLost("unplugged")))
        self.failureResultOf(self.ready, ConnectionLost)
        self.assertEqual(self.phone.clock.getDelayedCalls(), [])

    def test_stop(self) -> None:
        """
        So does a stop; both can happen.
        """
        self.muxer.stop()
        self.muxer.linkLost(Failure(ConnectionLost("unplugged")))
        self.failureResultOf(self.ready, ConnectionLost)

    def test_tooEarly(self) -> None:
        """
        What comes before VERSION is discarded: segments, short VERSIONs, room.
        """
        self.phone.version = 1
        self.phone.deliver(
            self.phone.segment(LOCKDOWN, 1, 0, 1, SYN_ACK),
            encodePacketV1(MuxProtocol.VERSION, bytes(11)),
        )
        self.muxer.roomAvailable()
        self.assertEqual(self.muxer.counters.malformed, 2)
        self.assertEqual(len(self.phone.link.sent), 1)
        self.assertNoResult(self.ready)

    def test_controlFirst(self) -> None:
        """
        CONTROL may come at any time, also before VERSION.
        """
        self.phone.deliver(encodePacketV1(MuxProtocol.CONTROL, b"\x07hello"))
        self.assertEqual(self.muxer.counters.malformed, 0)
        self.phone.deliver(encodeVersion(2))
        self.successResultOf(self.ready)

    def test_connectTooEarly(self) -> None:
        """
        There are no sessions before the handshake.
        """
        factory = RecorderFactory()
        failure = self.failureResultOf(self.muxer.connect(22, factory), ConnectionLost)
        self.assertIn("has not answered yet", failure.getErrorMessage())
        self.assertEqual(factory.starts, 0)
