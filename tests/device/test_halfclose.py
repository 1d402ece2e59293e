"""
Tests of L{muxd.device.session}: half an end, of which the wire knows nothing.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
)
from zope.interface import implementer

from tests.device.links import RST, Recorder, RecordingProducer, ScriptedPhone
from tests.device.test_session import SessionCase


@implementer(IHalfCloseableProtocol)
class HalfCloseable(Recorder):
    """
    Wants to know of half an end.
    """

    def __init__(self) -> None:
        super().__init__()
        self.halves: list[str] = []

    def readConnectionLost(self) -> None:
        """
        Write it down.
        """
        self.halves.append("read")

    def writeConnectionLost(self) -> None:
        """
        Write it down.
        """
        self.halves.append("write")
        self.onLost()


class LoseWriteConnectionTests(SessionCase):
    """
    Half an end, of which the wire knows nothing.
    """

    def makeProtocol(self) -> HalfCloseable:
        """
        One that can be half-closed.
        """
        return HalfCloseable()

    @property
    def halves(self) -> list[str]:
        """
        What the protocol was told.
        """
        assert isinstance(self.side.recorder, HalfCloseable)
        return self.side.recorder.halves

    def test_told(self) -> None:
        """
        The protocol is told when everything was taken, once.
        """
        self.session.write(b"request")
        self.session.loseWriteConnection()
        self.session.loseWriteConnection()
        self.session.write(b"dropped")
        self.clock.advance(0)
        self.assertEqual(self.halves, [])
        self.side.acknowledge(7)
        self.side.say(b"answer")
        self.assertEqual(self.halves, ["write"])
        self.assertEqual([one.payload for one in self.phone.take()], [b"request", b""])
        self.assertFalse(self.session.disconnecting)

    def test_toldLater(self) -> None:
        """
        With nothing on its way it is told afterwards, not from within its call.
        """
        self.session.loseWriteConnection()
        self.assertEqual(self.halves, [])
        self.clock.advance(0)
        self.assertEqual(self.halves, ["write"])

    def test_acknowledges(self) -> None:
        """
        What still goes to the phone acknowledges what has come.
        """
        phone = ScriptedPhone.ready(acknowledgeAt=32768)
        side = phone.open(window=10 << 8)
        side.say(window=10 << 8)
        side.session.write(bytes(30 << 8))
        side.session.loseWriteConnection()
        phone.take()
        side.ack += 10 << 8
        side.say(b"abc")
        self.assertEqual([(len(one.payload), one.ack) for one in side.take()], [(10 << 8, 4)])

    def test_lateAnswer(self) -> None:
        """
        An answer may come as late as the phone likes: how long it is worth waiting for
        is for the protocol to say.
        """
        self.session.write(b"request")
        self.session.loseWriteConnection()
        for _ in range(10):
            self.clock.advance(1000)
        self.side.acknowledge(7)
        self.assertEqual(self.halves, ["write"])
        for _ in range(10):
            self.clock.advance(1000)
        self.assertEqual(self.lost, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.side.say(b"answer")
        self.assertEqual(self.side.recorder.data, b"answer")
        self.session.loseConnection()
        self.assertEqual(self.flags()[-1:], [RST])
        self.assertGone(ConnectionDone)

    def test_producer(self) -> None:
        """
        What a producer still has to say is sent, and it is told when all of that was
        taken.
        """
        self.session.registerProducer(RecordingProducer(), True)
        self.session.loseWriteConnection()
        self.clock.pump([15] * 4)
        self.session.write(b"x")
        self.side.acknowledge(1)
        self.assertEqual((self.lost, self.halves), ([], []))
        self.session.unregisterProducer()
        self.clock.advance(0)
        self.assertEqual(self.halves, ["write"])

    def test_phoneEnds(self) -> None:
        """
        The phone may end the session meanwhile, also before all is taken, and
        what is held is delivered first.
        """
        self.session.write(b"x" * 200_000)
        self.session.loseWriteConnection()
        self.session.pauseProducing()
        self.side.say(b"answer")
        self.side.say(flags=RST)
        self.assertEqual(self.lost, [])
        self.session.resumeProducing()
        self.assertEqual(self.side.recorder.data, b"answer")
        self.assertGone(ConnectionDone)

    def test_thenLost(self) -> None:
        """
        C{loseConnection} afterwards ends it, as soon as all is taken.
        """
        self.session.write(b"x")
        self.session.loseWriteConnection()
        self.session.loseConnection()
        self.assertEqual(self.lost, [])
        self.side.acknowledge(1)
        self.assertGone(ConnectionDone)
        self.assertEqual(self.halves, [])

    def test_lostBeforeTold(self) -> None:
        """
        A protocol that has lost everything is not told of half of it.
        """
        self.session.loseWriteConnection()
        self.session.abortConnection()
        self.assertGone(ConnectionAborted)
        self.assertEqual(self.halves, [])

    def test_raising(self) -> None:
        """
        A protocol that raises loses its session.
        """
        self.side.recorder.onLost = lambda: 1 / 0
        self.session.loseWriteConnection()
        self.clock.advance(0)
        self.side.recorder.onLost = lambda: None
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.assertGone(ZeroDivisionError)

    def test_plainProtocol(self) -> None:
        """
        A protocol that cannot be half-closed has its session half-closed all
        the same.
        """
        side = self.phone.open(port=22)
        side.session.loseWriteConnection()
        self.clock.advance(0)
        side.say(b"answer")
        self.assertEqual(side.recorder.data, b"answer")
