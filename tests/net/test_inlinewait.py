"""
Tests of L{muxd.net.eventloop}, around a reactor that runs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any
from unittest import skipUnless

from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from muxd.net.busypolling import BusyPolling
from muxd.net.eventloop import READY, TIMERS, EventLoop
from tests.net.eventloops import ReactorAround, closeReactor
from tests.net.test_eventloop import Reader

LIMIT = 10.0
"""Seconds after which a reactor that does not stop has failed its test."""


@implementer(IReadDescriptor)
class Ordinary:
    """
    A pipe that the reactor watches by itself.
    """

    def __init__(self, heard: Callable[[], object]) -> None:
        self.descriptor, self.other = os.pipe()
        self._heard = heard

    def fileno(self) -> int:
        """
        Of its reading end.
        """
        return self.descriptor

    def doRead(self) -> None:
        """
        Something has come.
        """
        os.read(self.descriptor, 100)
        self._heard()

    def connectionLost(self, reason: Failure) -> None:
        """
        The reactor has stopped.
        """

    def logPrefix(self) -> str:
        """
        Part of the interface.
        """
        return "ordinary"


class Looking(BusyPolling):
    """
    It is looked before each wait.

    @ivar looks: How long, each time.
    """

    def __init__(self) -> None:
        super().__init__(2)
        self.looks: list[float] = []

    def isDue(self) -> bool:
        """
        Always.
        """
        return True

    def looked(self, seconds: float) -> None:
        """
        Remember it.
        """
        self.looks.append(seconds)


@skipUnless(sys.platform.startswith("linux"), "there is no epoll")
class InlineWaitTests(SynchronousTestCase):
    """
    A reactor of its own that waits in a loop, and a pipe on that.
    """

    def setUp(self) -> None:
        """
        Make them.
        """
        from twisted.internet.epollreactor import EPollReactor

        self.reactor: Any = EPollReactor()
        self.addCleanup(closeReactor, self.reactor)
        self.loop = EventLoop(self.reactor)
        self.assertTrue(self.loop.goAround())
        self.reader = Reader(self.loop)
        self.turns = 0

    def run_(self, begin: Callable[[], object]) -> None:
        """
        Run the reactor until something stops it, and count its turns.
        """
        doPoll = self.reactor.doPoll

        def count(timeout: float | None) -> None:
            self.turns += 1
            doPoll(timeout)

        self.patch(self.loop, "_doPoll", count)
        expired: list[bool] = []

        def expire() -> None:
            expired.append(True)
            self.reactor.stop()

        limit = self.reactor.callLater(LIMIT, expire)
        self.reactor.callWhenRunning(begin)
        self.reactor.run(installSignalHandlers=False)
        if limit.active():
            limit.cancel()
        self.reader.close()
        self.assertEqual(expired, [], "the reactor did not stop")

    def saySomething(self) -> None:
        """
        Watch the pipe, on which something comes.
        """
        self.reader.watch()
        self.reader.say(b"x")

    def stopSoon(self) -> None:
        """
        Stop the reactor by a timer.
        """
        self.reactor.callLater(0.001, self.reactor.stop)

    def runSaying(
        self, times: int, last: Callable[[], object], each: Callable[[], object] = lambda: None
    ) -> list[int]:
        """
        Run while something comes again whenever it has been heard.

        @param last: Called when it has been heard so often.
        @param each: Called each time.
        @return: How many turns the reactor had had, each time.
        """
        before: list[int] = []

        def happened() -> None:
            before.append(self.turns)
            each()
            if len(before) < times:
                self.reader.say(b"x")
            else:
                last()

        self.reader.onHappened = happened
        self.run_(self.saySomething)
        return before

    def test_noTurns(self) -> None:
        """
        What happens on the loop costs no turn of the reactor.
        """
        before = self.runSaying(100, self.reactor.stop)
        self.assertEqual(len(set(before)), 1)

    def test_looking(self) -> None:
        """
        What is found without sleeping is handled like anything else, and a timer has its turn
        although it is looked before each wait.
        """
        self.loop._busy = busy = Looking()
        before = self.runSaying(100, self.stopSoon)
        self.assertEqual(len(set(before)), 1)
        self.assertGreaterEqual(len(busy.looks), len(before))

    def test_notLooking(self) -> None:
        """
        On one processor it is not looked.
        """
        self.loop._busy = busy = BusyPolling(1)
        busy.balance = -1.0
        self.test_noTurns()
        self.assertEqual(busy.balance, -1.0)

    def test_timer(self) -> None:
        """
        A timer that is made on the loop is not forgotten, nor is a long one waited for.
        """
        self.reader.onHappened = lambda: self.reactor.callLater(0, self.reactor.stop)
        self.run_(self.saySomething)

    def test_laterTimer(self) -> None:
        """
        Timers that are not due, or not any more, cost no turn; a shorter one among them is
        not missed.
        """

        def timers() -> None:
            self.addCleanup(self.reactor.callLater(100, lambda: None).cancel)
            self.reactor.callLater(0, lambda: None).cancel()

        before = self.runSaying(50, self.stopSoon, timers)
        self.assertEqual(len(set(before)), 1)

    def test_manyTimers(self) -> None:
        """
        But the reactor does not find thousands of them at once.
        """

        def timer() -> None:
            self.reactor.callLater(100, lambda: None).cancel()

        before = self.runSaying(2 * TIMERS + 1, self.reactor.stop, timer)
        self.assertEqual(len(set(before)), 3)

    def test_timerBefore(self) -> None:
        """
        One that was made before is kept although something happens all the time.
        """

        def begin() -> None:
            self.reader.onHappened = lambda: self.reader.say(b"x")
            self.reader.watch()
            self.reader.say(b"x")
            self.reactor.callLater(0.01, self.reactor.stop)

        self.run_(begin)

    def test_reactorsOwn(self) -> None:
        """
        The reactor's own descriptors have their turn although something happens on the loop
        all the time.
        """
        ordinary = Ordinary(self.reactor.stop)

        def begin() -> None:
            self.reader.onHappened = lambda: self.reader.say(b"x")
            self.reader.watch()
            self.reader.say(b"x")
            self.reactor.addReader(ordinary)
            os.write(ordinary.other, b"x")

        self.run_(begin)
        os.close(ordinary.descriptor)
        os.close(ordinary.other)

    def test_fewAtOnce(self) -> None:
        """
        Of many that are ready at once, some are handled in a turn, and all in the end.
        """
        count = 2 * READY + 10
        turns: list[int] = []

        def heard() -> None:
            turns.append(self.turns)
            if len(turns) == count:
                self.reactor.stop()

        many = [Ordinary(heard) for _ in range(count)]

        def begin() -> None:
            for each in many:
                self.reactor.addReader(each)
                os.write(each.other, b"x")

        self.run_(begin)
        for each in many:
            os.close(each.descriptor)
            os.close(each.other)
        self.assertLessEqual(max(turns.count(turn) for turn in turns), READY)

    def test_fromThread(self) -> None:
        """
        So has what is called from another thread.
        """

        def begin() -> None:
            self.reader.watch()
            self.reactor.callInThread(self.reactor.callFromThread, self.reactor.stop)

        self.run_(begin)

    def test_idle(self) -> None:
        """
        With nothing on the loop it is the reactor that waits, before and after.
        """

        def later() -> None:
            self.reader.watch()
            self.reader.say(b"x")

        def happened() -> None:
            self.loop.forget(self.reader.descriptor)
            self.reactor.callLater(0.001, self.reactor.stop)

        self.reader.onHappened = happened
        self.run_(lambda: self.reactor.callLater(0.001, later))
        self.assertEqual(self.loop.fileno(), -1)


@skipUnless(sys.platform.startswith("linux"), "there is no epoll")
class GoAroundTests(SynchronousTestCase):
    """
    The change from the one way to the other.
    """

    def test_already(self) -> None:
        """
        What is watched already goes on being watched, no longer within the reactor; and
        once is as good as twice.
        """
        from twisted.internet.epollreactor import EPollReactor

        reactor: Any = EPollReactor()
        self.addCleanup(closeReactor, reactor)
        loop = EventLoop(reactor)
        reader = Reader(loop)
        self.addCleanup(reader.close)
        reader.watch()
        self.assertIn(loop, reactor.getReaders())
        self.assertTrue(loop.goAround())
        self.assertTrue(loop.goAround())
        self.assertNotIn(loop, reactor.getReaders())
        reader.say(b"x")
        reactor.doIteration(0)
        self.assertEqual(reader.heard, b"x")

    def test_unknown(self) -> None:
        """
        Around a reactor of unknown build it does not go.
        """
        self.assertFalse(EventLoop(ReactorAround()).goAround())
