# -*- test-case-name: tests.fleet.test_patience -*-
"""
Tests of L{muxd.fleet.patience}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.fleet.patience import LATE, inTime


class PatienceTests(SynchronousTestCase):
    """
    Tests of waiting.
    """

    def setUp(self) -> None:
        """
        Something is waited for.
        """
        self.clock = Clock()
        self.awaited: Deferred[Any] = Deferred()
        self.waiting = inTime(self.awaited, 5, self.clock)

    def test_comes(self) -> None:
        """
        What comes in time is passed on.
        """
        self.awaited.callback(1)
        self.assertEqual(self.successResultOf(self.waiting), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_tooLate(self) -> None:
        """
        What does not come is cancelled then, and not before.
        """
        self.clock.advance(4.9)
        self.assertNoResult(self.waiting)
        self.clock.advance(0.1)
        self.failureResultOf(self.waiting, TimeoutError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancelled(self) -> None:
        """
        What is cancelled by something else was not too late.
        """
        self.waiting.cancel()
        self.failureResultOf(self.waiting, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stalled(self) -> None:
        """
        After a while in which nothing was done here, what has come meanwhile can still be read.
        """
        self.clock.advance(60)
        self.assertNoResult(self.waiting)
        self.awaited.callback(1)
        self.assertEqual(self.successResultOf(self.waiting), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stalledInVain(self) -> None:
        """
        If nothing has come, it is too late a moment later.
        """
        self.clock.advance(60)
        self.clock.advance(LATE)
        self.failureResultOf(self.waiting, TimeoutError)
