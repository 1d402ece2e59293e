# -*- test-case-name: tests.usb.test_retries -*-
"""
Tests for L{muxd.usb.retries}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.limits import Limits
from muxd.usb.hotplug import Location
from muxd.usb.opening import OpenToken
from muxd.usb.retries import Retries

HERE = (1, 2)
THERE = (1, 3)
LIMITS = Limits(handshakeRetry=5.0, longestHandshakeRetry=60.0)


class RetriesTests(SynchronousTestCase):
    """
    Tests for L{Retries}.
    """

    def setUp(self) -> None:
        """
        Nothing has failed yet.
        """
        self.clock = Clock()
        self.released: list[OpenToken] = []
        self.retries = Retries(self.clock, self.released.append, LIMITS)

    def failAndEnd(self, location: Location = HERE) -> None:
        """
        A phone does not answer, and is let go of.
        """
        self.retries.failed(location)
        self.retries.ended(OpenToken(location, 1))

    def wait(self) -> float:
        """
        Wait until a phone is released.

        @return: How long that took.
        """
        if self.released:
            waited = 0.0
        else:
            [call] = self.clock.getDelayedCalls()
            waited = call.getTime() - self.clock.seconds()
            self.clock.advance(waited)
        [_] = self.released
        self.released.clear()
        return waited

    def test_withoutFailure(self) -> None:
        """
        A phone that has not failed can be opened again at once.
        """
        self.retries.ended(OpenToken(HERE, 1))
        self.assertEqual(self.released, [OpenToken(HERE, 1)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_delays(self) -> None:
        """
        One that has is opened again at once the first time, then after 5 seconds, and twice
        as many each time, up to a minute, for ever.
        """
        told, waited = [], []
        for _ in range(2000):
            told.append(self.retries.failed(HERE).delay)
            self.retries.ended(OpenToken(HERE, 1))
            waited.append(self.wait())
        self.assertEqual(waited[:8], [0, 5, 10, 20, 40, 60, 60, 60])
        self.assertEqual(waited[-1], 60)
        self.assertEqual(told, waited)

    def test_count(self) -> None:
        """
        What tells of a failure hears which one it is.
        """
        self.assertEqual([self.retries.failed(HERE).failures for _ in range(3)], [1, 2, 3])
        self.assertEqual(self.retries.failed(THERE).failures, 1)

    def test_afterTheEnd(self) -> None:
        """
        The time is counted from when the phone was let go of.
        """
        self.failAndEnd()
        self.wait()
        self.retries.failed(HERE)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(100)
        self.assertEqual(self.released, [])
        self.retries.ended(OpenToken(HERE, 1))
        self.assertEqual(self.wait(), 5)

    def test_isWaiting(self) -> None:
        """
        A phone waits from its end until it is released.
        """
        self.failAndEnd()
        self.assertFalse(self.retries.isWaiting(HERE))
        self.failAndEnd()
        self.assertTrue(self.retries.isWaiting(HERE))
        self.assertFalse(self.retries.isWaiting(THERE))
        self.clock.advance(5)
        self.assertFalse(self.retries.isWaiting(HERE))

    def test_endedTwice(self) -> None:
        """
        Two links of one place that end are one phone to be opened.
        """
        self.failAndEnd()
        self.failAndEnd()
        self.released.clear()
        self.retries.ended(OpenToken(HERE, 1))
        self.assertEqual(self.wait(), 5)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_eachPhoneItsOwn(self) -> None:
        """
        The failures of one phone delay no other.
        """
        self.failAndEnd()
        self.failAndEnd()
        self.released.clear()
        self.failAndEnd(THERE)
        self.assertEqual(self.released, [OpenToken(THERE, 1)])

    def test_forget(self) -> None:
        """
        A phone that is gone is not waited for, and one that has answered starts anew.
        """
        for _ in range(3):
            self.failAndEnd()
        self.retries.forget(HERE)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.released.clear()
        self.assertEqual(self.retries.failed(HERE).failures, 1)
        self.retries.ended(OpenToken(HERE, 1))
        self.assertEqual(self.released, [OpenToken(HERE, 1)])
        self.retries.forget(THERE)

    def test_stop(self) -> None:
        """
        No timer is left, and nobody is released any more.
        """
        for location in (HERE, THERE):
            self.failAndEnd(location)
            self.failAndEnd(location)
        self.released.clear()
        self.retries.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(100)
        self.assertEqual(self.released, [])
