"""
Tests of L{muxd.device.acknowledging}, by way of sessions, paused and not.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.device.links import ACK, PhoneSide, ScriptedPhone


class DelayedAcknowledgementsTests(SynchronousTestCase):
    """
    When the phone hears of what was delivered on resumption.
    """

    def setUp(self) -> None:
        """
        A session, paused.
        """
        self.phone = ScriptedPhone.ready(acknowledgeAt=32768)
        self.side = self.phone.open()
        self.side.session.pauseProducing()

    def acknowledged(self, side: PhoneSide) -> list[int]:
        """
        The acknowledgements sent for a session.
        """
        return [one.ack for one in side.take() if one.flags == ACK]

    def test_withheld(self) -> None:
        """
        A paused session acknowledges nothing, however long it takes.
        """
        self.side.say(b"x" * 100)
        self.phone.clock.advance(60)
        self.assertEqual(self.acknowledged(self.side), [])

    def test_many(self) -> None:
        """
        32 KiB are acknowledged at once.
        """
        self.side.say(b"x" * 32768)
        self.side.session.resumeProducing()
        self.assertEqual(self.acknowledged(self.side), [32769])
        self.assertEqual(self.phone.timers(), [])

    def test_few(self) -> None:
        """
        Less waits for 30 ms, and several resumptions share an acknowledgement.
        """
        self.side.say(b"x" * 32767)
        self.side.session.resumeProducing()
        self.phone.clock.advance(0.015)
        self.side.session.resumeProducing()
        self.assertEqual(self.acknowledged(self.side), [])
        self.phone.clock.advance(0.015)
        self.assertEqual(self.acknowledged(self.side), [32768])
        self.assertEqual(self.phone.timers(), [])

    def test_companion(self) -> None:
        """
        Data that goes out in the meantime takes the acknowledgement along.
        """
        self.side.say(b"x" * 10)
        self.side.session.resumeProducing()
        self.side.session.write(b"y")
        self.assertEqual([(s.payload, s.ack) for s in self.side.take()], [(b"y", 11)])
        self.phone.clock.advance(0.030)
        self.assertEqual(self.side.take(), [])

    def test_pausedAgain(self) -> None:
        """
        A session that is paused again by then acknowledges when it is resumed.
        """
        self.side.say(b"x" * 10)
        self.side.session.resumeProducing()
        self.side.session.pauseProducing()
        self.phone.clock.advance(0.030)
        self.assertEqual(self.side.take(), [])
        self.side.session.resumeProducing()
        self.phone.clock.advance(0.030)
        self.assertEqual(self.acknowledged(self.side), [11])

    def test_several(self) -> None:
        """
        The timer serves all sessions of the phone.
        """
        other = self.phone.open(port=22)
        other.session.pauseProducing()
        for side in (self.side, other):
            side.say(b"abc")
            side.session.resumeProducing()
        self.phone.clock.advance(0.030)
        self.assertEqual(
            [(s.destinationPort, s.ack) for s in self.phone.take()], [(62078, 4), (22, 4)]
        )

    def test_stop(self) -> None:
        """
        The end of the phone leaves no timer.
        """
        self.side.say(b"abc")
        self.side.session.resumeProducing()
        self.assertEqual(len(self.phone.muxer.delayed._owing), 1)
        self.phone.muxer.stop()
        self.assertEqual((self.phone.timers(), self.phone.muxer.delayed._owing), ([], {}))


class BatchTests(SynchronousTestCase):
    """
    When the phone hears of what was delivered as it came.
    """

    def setUp(self) -> None:
        """
        A session with the ordinary limits.
        """
        self.phone = ScriptedPhone.ready(acknowledgeAt=32768)
        self.side = self.phone.open()

    def test_few(self) -> None:
        """
        Less than 32 KiB wait for 30 ms from the first byte, in one
        acknowledgement.
        """
        self.side.say(b"x" * 100)
        self.phone.clock.advance(0.020)
        self.side.say(b"x" * 100)
        self.assertEqual(self.side.take(), [])
        self.phone.clock.advance(0.010)
        self.assertEqual([one.ack for one in self.side.take()], [201])
        self.assertEqual(self.phone.timers(), [])

    def test_manyInSeveralBatches(self) -> None:
        """
        The batch that makes it 32 KiB is acknowledged at once.
        """
        self.side.say(b"x" * 20000)
        self.assertEqual(self.side.take(), [])
        self.side.say(b"x" * 12768)
        self.assertEqual([one.ack for one in self.side.take()], [32769])

    def test_answer(self) -> None:
        """
        An answer takes the acknowledgement along, and nothing follows.
        """
        self.side.say(b"request")
        self.side.session.write(b"answer")
        self.assertEqual([(s.payload, s.ack) for s in self.side.take()], [(b"answer", 8)])
        self.phone.clock.advance(1)
        self.assertEqual(self.side.take(), [])

    def test_smallWindow(self) -> None:
        """
        Of a window that is smaller than that, half is acknowledged at once: the phone
        need not stand still until a timer runs.
        """
        phone = ScriptedPhone.ready(acknowledgeAt=32768, receiveWindow=8192)
        side = phone.open()
        side.say(b"x" * 4000)
        self.assertEqual(side.take(), [])
        side.say(b"x" * 96)
        self.assertEqual([one.ack for one in side.take()], [4097])
