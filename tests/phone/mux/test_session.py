"""
Tests of L{muxd.phone.mux.session}: a pseudo-TCP session as a transport.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IAddress, IConsumer, IPushProducer, ITransport
from zope.interface.verify import verifyObject

from muxd.phone.mux.behaviour import Expectations
from muxd.phone.mux.flow import SEND_BUFFER
from muxd.phone.mux.session import PhoneAddress
from muxd.wire.mux import Flags
from tests.phone.mux.host import ManualSession
from tests.phone.mux.onsession import Producer, SessionTestCase


class ReceivingTests(SessionTestCase):
    """
    From the host to the service.
    """

    def test_interfaces(self) -> None:
        """
        A session is what Twisted calls a transport.
        """
        for interface in (ITransport, IConsumer, IPushProducer):
            verifyObject(interface, self.service.session)
        verifyObject(IAddress, self.service.session.getHost())

    def test_addresses(self) -> None:
        """
        The two ends are told apart.
        """
        self.assertEqual(self.service.session.getHost(), PhoneAddress("u", 1))
        self.session = self.host.connect(1, 9)
        self.assertEqual(self.services[1].session.getPeer(), PhoneAddress("u", 9))

    def test_delivered(self) -> None:
        """
        What the service has been given is acknowledged at once.
        """
        self.session.send(payload=b"hello")
        self.session.poll()
        self.assertEqual(self.service.received, b"hello")
        self.assertEqual(self.session.acknowledged, 6)

    def test_answerAcknowledges(self) -> None:
        """
        An answer takes the acknowledgement along: there is one segment.
        """
        self.service.onData = self.service.session.write
        self.session.send(payload=b"hello")
        (answer,) = self.host.segments()
        self.assertEqual((answer.payload, answer.ack), (b"hello", 6))

    def test_paused(self) -> None:
        """
        A paused service is given nothing, and nothing is acknowledged, until it
        goes on.
        """
        self.service.session.pauseProducing()
        self.session.send(payload=b"hel")
        self.session.send(payload=b"lo")
        self.assertEqual((self.service.received, self.host.segments()), (b"", []))
        self.service.session.resumeProducing()
        self.service.session.resumeProducing()
        self.assertEqual(self.service.received, b"hello")
        (answer,) = self.host.segments()
        self.assertEqual(answer.ack, 6)

    def test_pausedInTheMiddle(self) -> None:
        """
        A service that pauses while it is being given data gets no more.
        """
        self.service.session.pauseProducing()
        for letter in (b"a", b"b"):
            self.session.send(payload=letter)
        self.service.onData = lambda data: self.service.session.pauseProducing()
        self.service.session.resumeProducing()
        self.assertEqual(self.service.received, b"a")

    def test_exactWindow(self) -> None:
        """
        The host may fill the window of a paused service, and not a byte more:
        that is amnesia.
        """
        self.service.session.pauseProducing()
        for _ in range(4):
            self.session.send(payload=bytes(self.window // 4))
        self.assertEqual(self.host.violations, [])
        self.session.send(payload=b"x")
        self.session.poll()
        assert self.session.reset is not None
        self.assertTrue(self.session.reset.payload.startswith(b"amnesia"))
        self.assertEqual(
            self.host.violations, ["session 1->1: window overrun: 1 bytes, room for 0"]
        )
        self.assertIdentical(self.ended(), ConnectionLost)

    def test_ownOutputHoldsBackInput(self) -> None:
        """
        A service that writes without measure is given nothing more while the
        host does not read, so that it holds a window each way and no more.
        """
        self.service.onData = self.service.session.write
        for _ in range(8):
            self.session.send(payload=bytes(32768))
            if self.host.muxer.sessions[1, 1]._inflow.room < 32768:
                break
            self.host.seen = (self.host.seen + len(self.host.raw)) & 0xFFFF
            self.host.raw.clear()
        self.assertLessEqual(len(self.service.session._outflow), SEND_BUFFER + 32768)

    def test_smallerWindow(self) -> None:
        """
        A window can be made smaller; what was offered before stays so.
        """
        self.service.session.window = 1000
        self.session.send(payload=b"x")
        (answer,) = self.host.segments()
        self.assertEqual(answer.window, 768)
        self.session.send(payload=bytes(40000))
        self.assertEqual(self.host.violations, [])

    def test_sequenceGap(self) -> None:
        """
        A byte left out, or sent twice, ends the session.
        """
        for skew, text in ((1, "seq 2, expected 1"), (-1, "seq 0, expected 1")):
            self.setUp()
            self.session.send(payload=b"x", skew=skew)
            self.session.poll()
            self.assertEqual(self.host.violations, [f"session 1->1: {text}"])
            self.assertIdentical(self.ended(), ConnectionLost)

    def test_acknowledgementOutOfRange(self) -> None:
        """
        An acknowledgement of what was not sent, or one that goes back, ends the
        session.
        """
        self.service.session.write(b"hello")
        self.session.poll()
        self.session.send()
        self.session.ack = 3
        self.session.send()
        self.assertEqual(self.host.violations, ["session 1->1: ack 3, expected 6 to 6"])
        self.assertIdentical(self.ended(), ConnectionLost)

    def test_flags(self) -> None:
        """
        Flags that a phone does not know end the session.
        """
        for flags in (Flags.ACK | Flags.PSH, Flags.ACK | Flags.FIN, Flags.SYN | Flags.ACK, 0):
            self.setUp()
            self.session.send(flags)
            self.assertEqual(
                self.host.violations, [f"session 1->1: flags {int(flags):#04x}, expected 0x10"]
            )
            self.assertIdentical(self.ended(), ConnectionLost)

    def test_windowChanges(self) -> None:
        """
        A host's window never changes; that is written down, and does no harm.
        """
        self.session.window = 65536
        self.session.send()
        self.assertEqual(
            self.host.violations, ["session 1->1: window 65536, expected 131072 as before"]
        )
        self.session.send(payload=b"x")
        self.assertEqual(self.service.received, b"x")

    def test_handshakeAcknowledgesSYN(self) -> None:
        """
        The handshake's ACK must be of the SYN|ACK.
        """
        wrong = ManualSession(self.host, 5, 1, 131072)
        wrong.send(Flags.SYN)
        wrong.seq = 1
        wrong.send()
        self.assertEqual(self.host.violations, ["session 5->1: ack 0, expected 1 to 1"])
        self.assertEqual(len(self.services), 1)


class TolerantTests(SessionTestCase):
    """
    A phone that puts up with hosts whose window changes.
    """

    expectations = Expectations(constantWindow=False)

    def test_windowChanges(self) -> None:
        """
        The window that came last is kept to, also one smaller than what is on
        its way.
        """
        self.service.session.write(bytes(2000))
        self.session.poll()
        self.session.window = 256
        self.session.ack -= 1000
        self.session.send()
        self.service.session.write(b"x")
        self.assertEqual(self.host.segments(), [])
        self.session.ack += 1000
        self.session.send()
        self.assertEqual(self.session.poll(), b"x")
        self.assertEqual(self.host.violations, [])


class SendingTests(SessionTestCase):
    """
    From the service to the host.
    """

    def test_window(self) -> None:
        """
        No more than the host's window is on its way.
        """
        self.service.session.write(bytes(200000))
        self.assertEqual(len(self.session.poll()), 131072)
        self.session.send()
        self.assertEqual(len(self.session.poll()), 200000 - 131072)

    def test_segmentSize(self) -> None:
        """
        A packet has at most 32000 bytes with its headers.
        """
        self.service.session.write(bytes(70000))
        self.assertEqual(max(map(len, self.host.raw)), 32000)

    def test_writeSequence(self) -> None:
        """
        A sequence is one write.
        """
        self.service.session.writeSequence([b"a", b"b"])
        self.assertEqual(self.session.poll(), b"ab")

    def test_onlyBytes(self) -> None:
        """
        Bytes are written and nothing else.
        """
        for data in ("text", bytearray(b"x"), memoryview(b"x")):
            self.assertRaises(TypeError, self.service.session.write, data)

    def test_pushProducer(self) -> None:
        """
        A producer is paused when the buffer is full and resumed when it is half
        empty, once each.
        """
        session = self.service.session
        producer = Producer(session)
        session.registerProducer(producer, True)
        session.write(bytes(131072))
        self.assertEqual(producer.calls, [])
        session.write(bytes(SEND_BUFFER))
        session.write(b"more")
        self.assertEqual(producer.calls, ["pause"])
        self.session.poll()
        self.session.send()
        self.assertEqual(producer.calls, ["pause", "resume"])

    def test_secondProducer(self) -> None:
        """
        There is one producer at a time.
        """
        session = self.service.session
        session.registerProducer(Producer(session), True)
        self.assertRaises(RuntimeError, session.registerProducer, Producer(session), True)
        session.unregisterProducer()
        session.registerProducer(Producer(session), True)

    def test_producerOfFullBuffer(self) -> None:
        """
        A producer that comes to a full buffer is paused at once.
        """
        session = self.service.session
        session.write(bytes(131072 + SEND_BUFFER))
        producer = Producer(session)
        session.registerProducer(producer, True)
        self.assertEqual(producer.calls, ["pause"])

    def test_pullProducer(self) -> None:
        """
        A pull producer is asked until the buffer is full, in a turn of its own,
        and again when there is room.
        """
        session = self.service.session
        producer = Producer(session, bytes(10000))
        session.registerProducer(producer, False)
        self.assertEqual(producer.calls, [])
        self.host.clock.advance(0)
        # A window on its way, and a buffer full behind it.
        self.assertEqual(len(producer.calls), 20)
        self.assertEqual(len(self.session.poll()), 131072)
        self.host.clock.advance(0)
        self.assertEqual(len(producer.calls), 20)
        self.session.send()
        self.host.clock.advance(0)
        self.assertGreater(len(producer.calls), 20)

    def test_lazyPullProducer(self) -> None:
        """
        One that writes nothing does not hold anybody up.
        """
        session = self.service.session
        producer = Producer(session)
        session.registerProducer(producer, False)
        self.host.clock.advance(0)
        self.assertEqual(producer.calls, ["resume"])

    def test_producerFails(self) -> None:
        """
        A producer that fails costs its own session.
        """
        session = self.service.session
        session.write(bytes(131072))

        class Failing(Producer):
            def resumeProducing(self) -> None:
                raise RuntimeError("no more")

            def stopProducing(self) -> None:
                raise RuntimeError("no end")

        session.registerProducer(Failing(session), True)
        session.write(bytes(SEND_BUFFER))
        self.session.poll()
        self.session.send()
        self.assertIdentical(self.ended(), RuntimeError)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)
