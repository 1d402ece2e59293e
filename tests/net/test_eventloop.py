"""
Tests of L{muxd.net.eventloop}, nested in a reactor.
"""

from __future__ import annotations

import os
import sys
from errno import ENOSPC
from typing import Any
from unittest import skipUnless
from unittest.mock import patch

from twisted.internet import reactor
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.net.eventloop import READABLE, EventLoop, Watched, WatchedLast, loopOf
from tests.net.eventloops import ReactorAround, closeReactor

LINUX = sys.platform.startswith("linux")


class Reader(Watched):
    """
    The owner of a pipe.

    @ivar heard: What came through it.
    @ivar onHappened: Called as well.
    """

    def __init__(self, loop: EventLoop) -> None:
        self.loop = loop
        self.descriptor, self.other = os.pipe()
        os.set_blocking(self.descriptor, False)
        self.heard = b""
        self.failures: list[Failure] = []
        self.onHappened: Any = lambda: None

    def watch(self) -> None:
        """
        Be told of what comes.
        """
        self.loop.watch(self.descriptor, READABLE, self)

    def say(self, data: bytes) -> None:
        """
        Have something come.
        """
        os.write(self.other, data)

    def close(self) -> None:
        """
        Be gone.
        """
        self.loop.forget(self.descriptor)
        os.close(self.descriptor)
        os.close(self.other)

    def happened(self, events: int) -> None:
        """
        Something has come.
        """
        self.heard += os.read(self.descriptor, 100)
        self.onHappened()

    def failed(self, failure: Failure) -> None:
        """
        C{onHappened} has raised.
        """
        self.failures.append(failure)


@skipUnless(LINUX, "there is no epoll")
class EventLoopTests(SynchronousTestCase):
    """
    Pipes on a loop.
    """

    def setUp(self) -> None:
        """
        Two of them.
        """
        self.around = ReactorAround()
        self.loop = EventLoop(self.around)
        self.first, self.second = Reader(self.loop), Reader(self.loop)
        self.addCleanup(self.first.close)
        self.addCleanup(self.second.close)

    def test_interface(self) -> None:
        """
        It is what a reactor watches.
        """
        verifyObject(IReadDescriptor, self.loop)

    def test_told(self) -> None:
        """
        An owner hears of its own descriptor, and all that are ready have their turn.
        """
        self.first.watch()
        self.second.watch()
        self.first.say(b"one")
        self.loop.doRead()
        self.assertEqual((self.first.heard, self.second.heard), (b"one", b""))
        self.first.say(b"two")
        self.second.say(b"three")
        self.loop.doRead()
        self.assertEqual((self.first.heard, self.second.heard), (b"onetwo", b"three"))

    def test_open(self) -> None:
        """
        The reactor watches the loop as long as the loop watches something, and no
        descriptor is taken before or after.
        """
        before = set(os.listdir("/proc/self/fd"))
        self.first.watch()
        self.assertEqual(self.around.readers, {self.loop})
        self.assertGreaterEqual(self.loop.fileno(), 0)
        self.second.watch()
        self.loop.forget(self.first.descriptor)
        self.assertEqual(self.around.readers, {self.loop})
        self.loop.forget(self.second.descriptor)
        self.assertEqual(self.around.readers, set())
        self.assertEqual(self.loop.fileno(), -1)
        self.assertEqual(set(os.listdir("/proc/self/fd")), before)
        self.loop.doRead()

    def test_forgotten(self) -> None:
        """
        What is forgotten in a turn is not told of what was found in it, also if that closes
        the loop.
        """
        for one, other in ((self.first, self.second), (self.second, self.first)):
            one.onHappened = lambda other=other: self.loop.forget(other.descriptor)
            one.watch()
            one.say(b"x")
        self.loop.doRead()
        self.assertEqual(len(self.first.heard + self.second.heard), 1)

        def forgetBoth() -> None:
            self.loop.forget(self.first.descriptor)
            self.loop.forget(self.second.descriptor)

        for one in (self.first, self.second):
            one.onHappened = forgetBoth
            self.loop.forget(one.descriptor)
            one.watch()
            one.say(b"y")
        self.loop.doRead()
        self.assertEqual(self.loop.owners, [])

    def test_refused(self) -> None:
        """
        What cannot be watched leaves nothing behind.
        """
        self.assertRaises(OSError, self.loop.watch, 999, READABLE, self.first)
        self.assertEqual((self.loop.fileno(), self.around.readers), (-1, set()))
        self.loop.forget(999)

    def test_mistake(self) -> None:
        """
        One that raises is told so, it is logged, and the others have their turn.
        """

        def fail() -> None:
            raise ValueError("a mistake")

        self.first.onHappened = fail
        for one in (self.first, self.second):
            one.watch()
            one.say(b"x")
        with capturedLogs() as events:
            self.loop.doRead()
        self.assertEqual(self.second.heard, b"x")
        (failure,) = self.first.failures
        failure.trap(ValueError)
        self.assertEqual(len(events), 1)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_mistakeInItsEnd(self) -> None:
        """
        So is one that raises when it is told.
        """

        def fail(*_: object) -> None:
            raise ValueError("a mistake")

        self.first.onHappened = fail
        self.patch(self.first, "failed", fail)
        self.first.watch()
        self.first.say(b"x")
        self.loop.doRead()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)

    def test_afterwards(self) -> None:
        """
        What wants to be called afterwards is called once, when all others have been told;
        and if it raises, it is told so.
        """
        order: list[object] = []

        class Last(WatchedLast):
            def finishTurn(self) -> None:
                order.append("last")
                raise ValueError("a mistake")

            def failed(self, failure: Failure) -> None:
                order.append(failure.type)

        last = Last()
        for one in (self.first, self.second):

            def happened(one: Reader = one) -> None:
                order.append(one)
                self.loop.afterwards(last)

            one.onHappened = happened
            one.watch()
            one.say(b"x")
        self.assertEqual(self.loop.turns, 0)
        self.loop.doRead()
        self.assertEqual(self.loop.turns, 1)
        self.assertEqual(set(order[:2]), {self.first, self.second})
        self.assertEqual(order[2:], ["last", ValueError])
        self.flushLoggedErrors(ValueError)

    def test_afterwardsInOrder(self) -> None:
        """
        Those that want to be called afterwards are called in the order in which they asked.
        """
        order: list[str] = []

        class Last(WatchedLast):
            def __init__(self, name: str) -> None:
                self.name = name

            def finishTurn(self) -> None:
                order.append(self.name)

        def happened() -> None:
            for name in "abc":
                self.loop.afterwards(Last(name))

        self.first.onHappened = happened
        self.first.watch()
        self.first.say(b"x")
        self.loop.doRead()
        self.assertEqual(order, ["a", "b", "c"])

    def test_interrupted(self) -> None:
        """
        After an interruption the next turn calls those that were not called, once, and what
        comes behind them.
        """
        called: list[str] = []

        class Last(WatchedLast):
            def __init__(self, name: str, error: BaseException | None = None) -> None:
                self.name = name
                self.error = error

            def finishTurn(self) -> None:
                called.append(self.name)
                if self.error is not None:
                    raise self.error

            def failed(self, failure: Failure) -> None:
                called.append(failure.getErrorMessage())

        lasts = [Last("a"), Last("b", KeyboardInterrupt()), Last("c")]

        def happened() -> None:
            for last in lasts:
                self.loop.afterwards(last)

        self.first.onHappened = happened
        self.first.watch()
        self.first.say(b"x")
        self.assertRaises(KeyboardInterrupt, self.loop.doRead)
        lasts[:] = [Last("d")]
        self.first.say(b"x")
        with capturedLogs() as events:
            self.loop.doRead()
        self.assertEqual((called, events), (["a", "b", "c", "d"], []))

    def test_notJoined(self) -> None:
        """
        If the reactor cannot watch the loop, nothing is left behind, and it is asked again.
        """

        def refuse(reader: object) -> None:
            raise OSError(ENOSPC, "no space left on device")

        before = set(os.listdir("/proc/self/fd"))
        with patch.object(self.around, "addReader", refuse):
            self.assertRaises(OSError, self.first.watch)
        self.assertEqual(self.loop.fileno(), -1)
        self.assertEqual(set(os.listdir("/proc/self/fd")), before)
        self.first.watch()
        self.assertEqual(self.around.readers, {self.loop})
        self.first.say(b"x")
        self.loop.doRead()
        self.assertEqual(self.first.heard, b"x")

    def test_logPrefix(self) -> None:
        """
        The reactor may let go of it, and name it.
        """
        self.assertEqual(self.loop.logPrefix(), "muxd")
        self.loop.connectionLost(Failure(ValueError()))


class LoopOfTests(SynchronousTestCase):
    """
    Which reactors have one.
    """

    @skipUnless(LINUX, "there is no epoll")
    def test_same(self) -> None:
        """
        A reactor for epoll has one, for all that ask.
        """
        from twisted.internet.epollreactor import EPollReactor

        if not isinstance(reactor, EPollReactor):
            self.assertIsNone(loopOf(reactor))
            return
        loop = loopOf(reactor)
        self.assertIsInstance(loop, EventLoop)
        self.assertIs(loopOf(reactor), loop)

    def test_others(self) -> None:
        """
        Others have none.
        """
        other = SelectReactor()
        self.addCleanup(closeReactor, other)
        self.assertIsNone(loopOf(other))
        self.assertIsNone(loopOf(Clock()))
