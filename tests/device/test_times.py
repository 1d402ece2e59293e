# -*- test-case-name: tests.device.test_times -*-
"""
Tests of L{muxd.device.times}: how long phones and clients take is counted.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muxd.device.times import Histogram
from tests.device.links import SYN_ACK, ScriptedPhone


class HistogramTests(SynchronousTestCase):
    """
    Values and bounds.
    """

    def test_bounds(self) -> None:
        """
        A value belongs to the first bound that it does not exceed, or to none.
        """
        histogram = Histogram((1.0, 2.0))
        for value in (0.5, 1.0, 1.5, 2.0, 9.0):
            histogram.add(value)
        self.assertEqual((histogram.counts, histogram.total), ([2, 2, 1], 14.0))


class SessionTests(SynchronousTestCase):
    """
    What a muxer times.
    """

    def setUp(self) -> None:
        """
        Have a phone.
        """
        self.phone = ScriptedPhone.ready()
        self.clock, self.times = self.phone.clock, self.phone.muxer.times

    def test_connect(self) -> None:
        """
        It is timed how long the phone takes to accept, and since when it has.
        """
        self.clock.advance(100)
        side = self.phone.open()
        self.assertEqual(self.times.connects.counts[0], 1)
        self.assertEqual(side.session.session.since, 100.0)

    def test_slowConnect(self) -> None:
        """
        A phone that takes its time is among the slow ones.
        """
        self.phone.muxer.connect(22, self.phone.open(port=7).factory)
        syn = self.phone.take()[-1]
        self.clock.advance(0.3)
        self.phone.deliver(self.phone.segment(22, syn.sourcePort, 0, 1, SYN_ACK))
        (index,) = [
            index for index, count in enumerate(self.times.connects.counts) if count and index
        ]
        self.assertEqual(self.times.connects.bounds[index], 0.5)

    def test_stall(self) -> None:
        """
        A client that does not take what comes has stalled once, until it has taken all.
        """
        side = self.phone.open()
        session = side.session.session
        side.session.pauseProducing()
        side.say(b"one")
        side.say(b"two")
        self.assertEqual((session.stalls, session.stalledSince), (1, self.clock.seconds()))
        self.clock.advance(5)
        side.session.resumeProducing()
        self.assertEqual(self.times.stalls.total, 5.0)
        self.assertLess(session.stalledSince, 0)
        side.session.pauseProducing()
        side.session.resumeProducing()
        side.say(b"three")
        self.assertEqual((session.stalls, sum(self.times.stalls.counts)), (1, 1))
