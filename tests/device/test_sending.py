"""
Tests of L{muxd.device.transport}: what is written, and who produces it.
"""

from __future__ import annotations

from io import BytesIO
from typing import cast

from twisted.internet.error import ConnectionDone
from twisted.protocols.basic import FileSender
from twisted.trial.unittest import SynchronousTestCase

from muxd.wire.mux import BULK_PAYLOAD
from tests.device.links import ACK, RST, WINDOW, RecordingProducer, ScriptedPhone

WRAP = 2**32


class WritingTests(SynchronousTestCase):
    """
    Bytes on their way to the phone.
    """

    def setUp(self) -> None:
        """
        A session.
        """
        self.phone = ScriptedPhone.ready()
        self.side = self.phone.open()
        self.session = self.side.session

    def payloads(self) -> list[bytes]:
        """
        What the phone got.
        """
        return [one.payload for one in self.side.take()]

    def test_write(self) -> None:
        """
        A write is a segment with flag ACK, the session's numbers and the
        constant window.
        """
        self.session.write(b"hello")
        self.session.write(b"you")
        one, two = self.side.take()
        self.assertEqual((one.seq, one.ack, one.flags, one.window), (1, 1, ACK, WINDOW))
        self.assertEqual((two.seq, two.payload), (6, b"you"))
        self.assertEqual(self.session.session.bytesSent, 8)
        self.assertEqual(self.phone.muxer.counters.bytesSent, 8)

    def test_wrap(self) -> None:
        """
        Sequence numbers wrap at 2^32, and so do acknowledgements.
        """
        window = self.session.session.send
        window.next = window.acknowledged = self.side.ack = WRAP - 2
        self.session.write(b"abcd")
        self.session.write(b"ef")
        self.assertEqual([one.seq for one in self.side.take()], [WRAP - 2, 2])
        self.side.acknowledge(6)
        self.assertTrue(self.session.session.isQuiet())
        self.assertEqual(self.phone.muxer.counters.badAcknowledgements, 0)

    def test_segments(self) -> None:
        """
        A segment carries no more than we send at the most, and there is none without any.
        """
        self.session.write(b"")
        self.session.writeSequence([b"", b""])
        self.session.write(b"x" * (2 * BULK_PAYLOAD))
        self.assertEqual([len(one) for one in self.payloads()], [BULK_PAYLOAD] * 2)

    def test_window(self) -> None:
        """
        No more is sent than the phone's window allows; what it acknowledges
        makes room.
        """
        data = bytes(range(256)) * 1024
        self.session.write(data)
        first = b"".join(self.payloads())
        self.assertEqual(len(first), WINDOW)
        self.assertEqual(self.session.session.unacknowledged(), len(data))
        self.side.acknowledge(100)
        second = b"".join(self.payloads())
        self.assertEqual(len(second), 100)
        self.side.acknowledge(WINDOW)
        self.assertEqual(first + second + b"".join(self.payloads()), data)

    def test_windowClosed(self) -> None:
        """
        A window of 0 means to wait, without a segment or a timer.
        """
        self.side.say(window=0)
        self.session.write(b"hello")
        self.assertEqual((self.payloads(), self.phone.timers()), ([], []))
        self.side.say(window=256)
        self.assertEqual(self.payloads(), [b"hello"])

    def test_windowShrunk(self) -> None:
        """
        A window that shrinks below what is in flight is no room at all, rather
        than four gigabytes of it.
        """
        self.session.write(b"x" * 100_000)
        self.payloads()
        self.side.say(window=512)
        self.session.write(b"y" * 1000)
        self.assertEqual(self.payloads(), [])
        self.side.acknowledge(99_900)
        self.assertEqual([len(one) for one in self.payloads()], [412])

    def test_writeSequence(self) -> None:
        """
        Several chunks travel in one segment, as far as there is room.
        """
        self.side.say(window=0)
        self.session.writeSequence(iter([b"a", b"", b"bc"]))
        self.session.write(b"d")
        self.side.say(window=256)
        self.assertEqual(self.payloads(), [b"abcd"])

    def test_notBytes(self) -> None:
        """
        Only bytes can be written; a sequence with anything else in it is not
        written in part.
        """
        for wrong in ("text", bytearray(b"x"), memoryview(b"x"), None):
            self.assertRaises(TypeError, self.session.write, cast("bytes", wrong))
            self.assertRaises(TypeError, self.session.writeSequence, [b"ok", wrong])
        self.session.write(b"fine")
        self.assertEqual(self.payloads(), [b"fine"])

    def test_afterwards(self) -> None:
        """
        Writes to a session that has ended or is ending are dropped.
        """
        self.side.say(window=0)
        self.session.write(b"kept")
        self.session.loseConnection()
        self.session.write(b"dropped")
        self.session.writeSequence([b"dropped"])
        self.side.say(window=256)
        self.assertEqual(self.payloads(), [b"kept"])
        self.side.say(flags=RST)
        self.session.write(b"dropped")
        self.assertEqual(self.payloads(), [])


class ProducerTests(SynchronousTestCase):
    """
    Back-pressure on whoever feeds a session.
    """

    def setUp(self) -> None:
        """
        A session with a closed window and a push producer.
        """
        self.phone = ScriptedPhone.ready()
        self.side = self.phone.open()
        self.session = self.side.session
        self.producer = RecordingProducer()

    def test_push(self) -> None:
        """
        A push producer is paused above 64 KiB and resumed at half of it, each
        once.
        """
        self.side.say(window=0)
        self.session.registerProducer(self.producer, True)
        self.session.write(b"x" * 65536)
        self.assertEqual(self.producer.told, [])
        self.session.write(b"x")
        self.session.write(b"y" * 1000)
        self.assertEqual(self.producer.told, ["pause"])
        self.side.say(window=32768)
        self.assertEqual(self.producer.told, ["pause"])
        self.side.acknowledge(32768)
        self.assertEqual(self.producer.told, ["pause", "resume"])

    def test_linkBusy(self) -> None:
        """
        A link without room pauses it as well.
        """
        self.phone.link.room = 0
        self.session.registerProducer(self.producer, True)
        self.session.write(b"x" * 70_000)
        self.phone.link.makeRoom()
        self.assertEqual(self.producer.told, ["pause", "resume"])

    def test_notWithinWrite(self) -> None:
        """
        Two writes in a row stay together, though the first one finds room and
        a paused producer could go on.
        """
        self.side.say(window=0)
        self.session.registerProducer(self.producer, True)
        self.session.write(b"x" * 66_000)
        self.producer.onResume = lambda: self.session.write(b"producer")

        def answer(data: bytes) -> None:
            self.session.write(b"head")
            self.session.write(b"body")

        self.side.recorder.onData = answer
        self.side.say(b"question", window=WINDOW)
        self.phone.clock.advance(0)
        sent = b"".join(one.payload for one in self.side.take())
        self.assertEqual(sent[66_000:], b"headbodyproducer")

    def test_pull(self) -> None:
        """
        A pull producer is asked whenever nothing is left, never from within its
        own writes, and as long as there is room.
        """
        depth: list[int] = []
        deepest: list[int] = []

        def produce() -> None:
            depth.append(1)
            deepest.append(len(depth))
            self.session.write(b"head")
            self.session.write(b"body")
            depth.pop()

        self.producer.onResume = produce
        self.side.say(window=256)
        self.session.registerProducer(self.producer, False)
        self.assertEqual(len(self.producer.told), 1)
        self.phone.clock.advance(0)
        sent = b"".join(one.payload for one in self.side.take())
        self.assertEqual(sent, b"headbody" * 32)
        self.assertEqual(len(self.producer.told), 33)
        self.side.acknowledge(8)
        self.assertEqual(len(self.producer.told), 33)
        self.phone.clock.advance(0)
        self.assertEqual(len(self.producer.told), 34)
        self.assertEqual(max(deepest), 1)

    def test_pullWithManySmallWrites(self) -> None:
        """
        A pull producer can go on for long with very little at a time.
        """
        self.side.say(window=5120)
        self.producer.onResume = lambda: self.session.write(b"x")
        self.session.registerProducer(self.producer, False)
        self.phone.clock.advance(0)
        self.assertEqual(len(self.side.take()), 5120)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_second(self) -> None:
        """
        There is one producer at a time.
        """
        self.session.registerProducer(self.producer, True)
        self.assertRaises(RuntimeError, self.session.registerProducer, object(), True)

    def test_raising(self) -> None:
        """
        A producer that raises when resumed loses its session, and only that.
        """
        other = self.phone.open(port=22)
        self.side.say(window=0)
        self.session.registerProducer(self.producer, True)
        self.session.write(b"x" * 70_000)
        self.producer.onResume = lambda: 1 / 0
        self.phone.deliver(self.side.packet(b"a", window=WINDOW), other.packet(b"hello"))
        self.phone.clock.advance(0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.side.recorder.lost[0].trap(ZeroDivisionError)
        self.assertEqual(self.producer.told, ["pause", "resume", "stop"])
        self.assertEqual(other.recorder.data, b"hello")

    def test_ended(self) -> None:
        """
        The end stops the producer; one that comes later is stopped at once, and
        may unregister as if nothing had been.
        """
        self.session.registerProducer(self.producer, True)
        self.side.say(flags=RST)
        self.assertEqual(self.producer.told, ["stop"])
        late = RecordingProducer()
        self.session.registerProducer(late, False)
        self.session.unregisterProducer()
        self.assertEqual(late.told, ["stop"])

    def test_raisingStop(self) -> None:
        """
        A producer that raises when stopped does not keep the protocol from
        hearing of the end.
        """

        def stop() -> None:
            raise ZeroDivisionError

        self.producer.stopProducing = stop  # type: ignore[method-assign]  # on purpose
        self.session.registerProducer(self.producer, True)
        self.side.say(flags=RST)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.side.recorder.lost[0].trap(ConnectionDone)

    def test_losesWhileProducing(self) -> None:
        """
        C{loseConnection} waits for the producer, whose writes still count,
        until it has unregistered.
        """
        self.session.registerProducer(self.producer, True)
        self.session.loseConnection()
        self.session.write(b"last words")
        self.side.acknowledge(10)
        self.assertEqual([one.payload for one in self.side.take()], [b"last words"])
        self.session.unregisterProducer()
        self.assertEqual([one.flags for one in self.side.take()], [RST])
        self.phone.clock.advance(0)
        self.side.recorder.lost[0].trap(ConnectionDone)

    def test_halfClosesWhileProducing(self) -> None:
        """
        C{loseWriteConnection} does so as well.
        """
        self.session.registerProducer(self.producer, True)
        self.session.loseWriteConnection()
        self.session.write(b"last words")
        self.session.unregisterProducer()
        self.session.write(b"dropped")
        self.assertEqual([one.payload for one in self.side.take()], [b"last words"])

    def test_file(self) -> None:
        """
        Twisted's own pull producer sends a file.
        """
        content = bytes(range(256)) * 300
        done = FileSender().beginFileTransfer(BytesIO(content), self.session)
        for _ in range(20):
            self.phone.clock.advance(0)
        self.assertEqual(self.successResultOf(done), content[-1:])
        self.assertEqual(b"".join(one.payload for one in self.side.take()), content)
