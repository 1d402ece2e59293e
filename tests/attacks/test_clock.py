"""
The machine's clock is set back by an hour: what was about to happen happened an hour
later, so that a mute phone stayed hidden and time-outs did not come.
"""

from __future__ import annotations

from unittest.mock import patch

from twisted.internet.selectreactor import SelectReactor
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.tap.process import useSteadyTime
from tests.net.eventloops import closeReactor


class Times:
    """
    A machine's two clocks.

    @ivar day: The time of day, which anything may set.
    @ivar steady: Seconds since the machine was started.
    """

    def __init__(self) -> None:
        self.day = 1_800_000_000.0
        self.steady = 5000.0

    def advance(self, seconds: float) -> None:
        """
        Let time pass.
        """
        self.day += seconds
        self.steady += seconds


class SteadyTimeTests(SynchronousTestCase):
    """
    A reactor of a process of ours.
    """

    def setUp(self) -> None:
        """
        Have one that goes by the time of day, as Twisted makes them.
        """
        self.times = Times()
        self.enterContext(
            patch.object(SelectReactor, "seconds", staticmethod(lambda: self.times.day))
        )
        self.reactor = SelectReactor()
        self.addCleanup(closeReactor, self.reactor)
        self.fired: list[str] = []

    def test_setBack(self) -> None:
        """
        What is to happen in five seconds does, also if it was asked for before the
        process was set up.
        """
        self.reactor.callLater(5, self.fired.append, "early")
        late = self.reactor.callLater(3, self.fired.append, "put off")
        late.delay(4)
        useSteadyTime(self.reactor, lambda: self.times.steady)
        self.reactor.callLater(6, self.fired.append, "later")
        self.times.day -= 3600
        self.times.advance(4.9)
        self.reactor.runUntilCurrent()
        self.assertEqual(self.fired, [])
        for name in ("early", "later", "put off"):
            self.times.advance(1)
            self.reactor.runUntilCurrent()
            self.assertEqual(self.fired[-1], name)
        self.assertIsNone(self.reactor.timeout())

    def test_onceOnly(self) -> None:
        """
        A second service in the process changes nothing.
        """
        useSteadyTime(self.reactor, steady := lambda: self.times.steady)
        call = self.reactor.callLater(5, self.fired.append, "once")
        useSteadyTime(self.reactor, steady)
        self.assertEqual(call.getTime(), self.times.steady + 5)
        call.cancel()

    def test_clockOfTests(self) -> None:
        """
        A clock that a test advances is left alone.
        """
        clock = Clock()
        clock.advance(3)
        useSteadyTime(clock)
        self.assertEqual(clock.seconds(), 3)
