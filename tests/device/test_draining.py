"""
Tests of L{muxd.device.session}: the end that has to wait for held bytes.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from muxd.device.chunks import SMALL
from muxd.device.states import SessionState
from tests.device.links import RST, ScriptedPhone

ONE = b"1" * SMALL
TWO = b"2" * SMALL


class DrainingTests(SynchronousTestCase):
    """
    The phone ends a session, or is gone, while bytes are held.
    """

    def setUp(self) -> None:
        """
        A paused session that holds bytes.
        """
        self.phone = ScriptedPhone.ready()
        self.side = self.phone.open()
        self.recorder = self.side.recorder
        self.session = self.side.session
        self.session.pauseProducing()
        self.side.say(ONE)
        self.side.say(TWO)

    def test_reset(self) -> None:
        """
        The end is told when the bytes have been delivered.
        """
        self.side.say(flags=RST)
        self.assertEqual(self.recorder.lost, [])
        self.assertEqual(list(self.phone.muxer.sessions), [])
        self.session.resumeProducing()
        self.assertEqual(self.recorder.data, ONE + TWO)
        self.recorder.lost[0].trap(ConnectionDone)
        self.assertEqual(self.side.factory.stops, 1)
        self.assertEqual(self.phone.take(), [])
        self.assertEqual(self.phone.timers(), [])

    def test_linkLost(self) -> None:
        """
        So it is when the phone is unplugged.
        """
        self.phone.muxer.linkLost(Failure(ConnectionLost("unplugged")))
        self.session.resumeProducing()
        self.assertEqual(self.recorder.data, ONE + TWO)
        self.assertIn("unplugged", self.recorder.lost[0].getErrorMessage())

    def test_stop(self) -> None:
        """
        And when the muxer stops; the phone is told of that at once.
        """
        self.phone.muxer.stop()
        self.assertEqual([one.flags for one in self.side.take()], [RST])
        self.session.resumeProducing()
        self.assertEqual(self.recorder.data, ONE + TWO)

    def test_slowly(self) -> None:
        """
        A slow reader has the flush time-out for each of its steps.
        """
        self.side.say(flags=RST)
        self.recorder.onData = lambda data: self.session.pauseProducing()
        self.phone.clock.advance(14)
        self.session.resumeProducing()
        self.phone.clock.advance(14)
        self.assertEqual(self.recorder.lost, [])
        self.session.resumeProducing()
        self.assertEqual(self.recorder.data, ONE + TWO)
        self.assertEqual(self.recorder.lost, [])
        self.session.resumeProducing()
        self.assertEqual(len(self.recorder.lost), 1)

    def test_deadline(self) -> None:
        """
        One that does not read at all does not keep the bytes for ever.
        """
        self.side.say(flags=RST)
        self.phone.clock.advance(15)
        self.assertEqual(len(self.recorder.lost), 1)
        self.session.resumeProducing()
        self.assertEqual(self.recorder.data, b"")

    def test_closed(self) -> None:
        """
        A protocol that closes meanwhile is not given the rest, and hears of the
        end afterwards; the phone has nothing to hear.
        """
        self.side.say(flags=RST)
        self.session.loseConnection()
        self.assertEqual(self.recorder.lost, [])
        self.phone.clock.advance(0)
        self.recorder.lost[0].trap(ConnectionDone)
        self.assertEqual(self.phone.take(), [])
        self.assertEqual(self.recorder.data, b"")

    def test_closedWhileDelivering(self) -> None:
        """
        Nor is one that closes in the middle of it.
        """
        self.side.say(flags=RST)
        self.recorder.onData = lambda data: self.session.loseConnection()
        self.session.resumeProducing()
        self.phone.clock.advance(0)
        self.assertEqual(self.recorder.chunks, [ONE])
        self.assertEqual(len(self.recorder.lost), 1)

    def test_sendsNothing(self) -> None:
        """
        Nothing can be sent any more: writes are dropped, producers stopped, and
        what is left of the methods does no harm.
        """
        self.session.write(b"x" * 200_000)
        self.phone.take()
        self.side.say(flags=RST)
        self.session.write(b"more")
        stopped: list[str] = []

        class Producer:
            def stopProducing(self) -> None:
                stopped.append("stop")

        self.session.registerProducer(Producer(), True)
        self.session.unregisterProducer()
        self.session.loseWriteConnection()
        self.assertEqual(stopped, ["stop"])
        self.assertEqual(self.phone.take(), [])
        self.assertIs(self.session.state, SessionState.DRAINING)
        self.session.abortConnection()
        self.phone.clock.advance(0)
        self.assertEqual(self.phone.take(), [])
        self.recorder.lost[0].trap(ConnectionAborted)
