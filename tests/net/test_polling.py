"""
Tests for L{muxd.net.polling}, both builds of it.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
from select import EPOLLET, EPOLLHUP, EPOLLIN, EPOLLOUT
from time import monotonic
from types import FrameType
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests import twins


class PollerTests:
    """
    What holds for both.
    """

    build: Any

    def setUp(self: Any) -> None:
        """
        A poller.
        """
        self.module = self.build()["muxd.net.polling"]
        self.poller = self.module.Poller()
        self.addCleanup(self.poller.close)

    def pair(self: Any) -> tuple[socket.socket, socket.socket]:
        """
        Two sockets.
        """
        pair = socket.socketpair()
        for one in pair:
            self.addCleanup(one.close)
        return pair

    def wait(self: Any, seconds: float = 0) -> list[tuple[object, int]]:
        """
        What is ready.
        """
        count = self.poller.wait(seconds)
        self.assertEqual(count, self.poller.count)
        self.assertEqual(self.poller.ready[count:], [None] * (self.module.MOST - count))
        return list(zip(self.poller.ready[:count], self.poller.events[:count], strict=True))

    def test_events(self: Any) -> None:
        """
        Owners are told what has happened, and not of what they do not want to know.
        """
        one, other = self.pair()
        self.poller.add(one.fileno(), EPOLLIN, "one")
        self.assertEqual(self.wait(), [])
        self.assertEqual(self.wait(0.001), [])
        other.send(b"x")
        self.assertEqual(self.wait(-1), [("one", EPOLLIN)])
        self.poller.modify(one.fileno(), EPOLLIN | EPOLLOUT)
        self.assertEqual(self.wait(1e9), [("one", EPOLLIN | EPOLLOUT)])
        self.poller.modify(one.fileno(), 0)
        self.assertEqual(self.wait(), [])
        other.close()
        self.assertEqual(self.wait(), [("one", EPOLLHUP)])
        self.assertTrue(self.poller.remove(one.fileno()))
        self.assertEqual(self.wait(), [])

    def test_edges(self: Any) -> None:
        """
        Who wants to know of changes is told of each once.
        """
        one, other = self.pair()
        self.poller.add(one.fileno(), EPOLLIN | EPOLLET, "one")
        other.send(b"x")
        self.assertEqual(self.wait(), [("one", EPOLLIN)])
        self.assertEqual(self.wait(), [])
        other.send(b"x")
        self.assertEqual(self.wait(), [("one", EPOLLIN)])

    def test_look(self: Any) -> None:
        """
        To look is to wait without sleeping: what is there is told at once, and nothing is
        told when the time is over.
        """
        one, other = self.pair()
        self.poller.add(one.fileno(), EPOLLIN, "one")
        self.assertEqual(self.poller.look(0.001), 0)
        self.assertGreaterEqual(self.poller.looked, 0.001)
        self.assertEqual(self.poller.look(0), 0)
        other.send(b"x")
        self.assertEqual(self.poller.look(0.001), 1)
        self.assertEqual(self.poller.ready[0], "one")
        self.assertEqual(self.poller.events[0], EPOLLIN)
        one.recv(1)
        self.assertEqual(self.poller.look(0.001), 0)
        self.assertEqual(self.poller.ready, [None] * self.module.MOST)

    def test_lookFor(self: Any) -> None:
        """
        It is looked for a moment only, as neither timers nor signals have their turn.
        """
        for seconds in (-0.001, 1, float("nan"), float("inf")):
            with self.assertRaisesRegex(ValueError, r"expected at most 0\.01 seconds, got"):
                self.poller.look(seconds)
        self.assertEqual(self.poller.look(self.module.LONGEST_LOOK / 10), 0)
        self.poller.close()
        with self.assertRaises(ValueError):
            self.poller.look(0)

    def test_removedMeanwhile(self: Any) -> None:
        """
        An owner that is removed before its turn is not told any more, nor is a file
        that gets its number.
        """
        pairs = [self.pair() for _ in range(3)]
        for number, (one, other) in enumerate(pairs):
            self.poller.add(one.fileno(), EPOLLIN, number)
            other.send(b"x")
        self.assertEqual(len(self.wait()), 3)
        place = self.poller.ready.index(1)
        descriptor = pairs[1][0].fileno()
        self.assertTrue(self.poller.remove(descriptor))
        self.assertFalse(self.poller.remove(descriptor))
        self.assertIsNone(self.poller.ready[place])
        self.poller.add(descriptor, EPOLLIN, "again")
        self.assertIsNone(self.poller.ready[place])
        self.assertEqual(self.poller.count, 3)
        self.assertEqual({owner for owner, _ in self.wait()}, {0, 2, "again"})

    def test_many(self: Any) -> None:
        """
        If more are ready than there are places, the others have their turn next.
        """
        one, other = self.pair()
        other.send(b"x")
        descriptors = [os.dup(one.fileno()) for _ in range(self.module.MOST + 10)]
        for descriptor in descriptors:
            self.addCleanup(os.close, descriptor)
            self.poller.add(descriptor, EPOLLIN | EPOLLET, descriptor)
        first = self.wait()
        self.assertEqual(len(first), self.module.MOST)
        second = self.wait()
        self.assertEqual(sorted(owner for owner, _ in first + second), sorted(descriptors))

    def test_refused(self: Any) -> None:
        """
        What cannot be watched is refused, with what the kernel says.
        """
        one, other = self.pair()
        number = one.fileno()
        self.poller.add(number, EPOLLIN, "one")
        regular = os.open(__file__, os.O_RDONLY)
        self.addCleanup(os.close, regular)
        for descriptor, expected in (
            (number, errno.EEXIST),
            (regular, errno.EPERM),
            (0x7FFFFFFF, errno.EBADF),
        ):
            error = self.assertRaises(OSError, self.poller.add, descriptor, EPOLLIN, "two")
            self.assertEqual(error.errno, expected)
        error = self.assertRaises(OSError, self.poller.modify, other.fileno(), EPOLLIN)
        self.assertEqual(error.errno, errno.ENOENT)
        self.assertFalse(self.poller.remove(regular))
        for descriptor, events, owner in (
            (-1, EPOLLIN, "two"),
            (1 << 31, EPOLLIN, "two"),
            (regular, -1, "two"),
            (regular, 1 << 32, "two"),
            (regular, EPOLLIN, None),
        ):
            self.assertRaises(ValueError, self.poller.add, descriptor, events, owner)
        self.assertRaises(ValueError, self.poller.remove, -1)
        self.assertRaises(ValueError, self.poller.modify, -1, 0)
        self.assertRaises(TypeError, self.poller.add, "1", EPOLLIN, "two")
        self.assertRaises(TypeError, self.poller.wait, "1")
        self.assertRaises(ValueError, self.poller.wait, float("nan"))
        self.assertEqual(self.wait(), [])

    def test_closedBefore(self: Any) -> None:
        """
        A descriptor that was closed too early can be removed all the same.
        """
        one, other = self.pair()
        self.poller.add(one.fileno(), EPOLLIN, "one")
        number = one.fileno()
        one.close()
        self.assertTrue(self.poller.remove(number))
        again = os.dup(other.fileno())
        self.addCleanup(os.close, again)
        self.assertEqual(again, number)
        self.poller.add(again, EPOLLOUT, "again")
        self.assertEqual([owner for owner, _ in self.wait()], ["again"])

    def test_nested(self: Any) -> None:
        """
        A poller is readable when something is ready.
        """
        outer = self.module.Poller()
        self.addCleanup(outer.close)
        outer.add(self.poller.fileno(), EPOLLIN, self.poller)
        self.assertEqual(outer.wait(0), 0)
        one, _ = self.pair()
        self.poller.add(one.fileno(), EPOLLOUT, "one")
        self.assertEqual(outer.wait(-1), 1)
        self.assertIs(outer.ready[0], self.poller)

    def test_closed(self: Any) -> None:
        """
        A closed poller refuses everything, but to be closed.
        """
        one, _ = self.pair()
        self.poller.add(one.fileno(), EPOLLOUT, "one")
        self.poller.wait(0)
        self.poller.close()
        self.poller.close()
        self.assertEqual((self.poller.count, set(self.poller.ready)), (0, {None}))
        self.assertRaises(ValueError, self.poller.fileno)
        self.assertRaises(ValueError, self.poller.add, one.fileno(), EPOLLIN, "one")
        self.assertRaises(ValueError, self.poller.modify, one.fileno(), EPOLLIN)
        self.assertRaises(ValueError, self.poller.remove, one.fileno())
        self.assertRaises(ValueError, self.poller.wait, 0)

    def test_signal(self: Any) -> None:
        """
        A signal's handler runs while nothing is ready, and what it does is noticed;
        without that, waiting goes on for as long as it was to.
        """
        one, other = self.pair()
        self.poller.add(one.fileno(), EPOLLIN, "one")
        times: list[float] = []

        def handle(number: int, frame: FrameType | None) -> None:
            times.append(monotonic())
            if len(times) == 2:
                other.send(b"x")

        before = signal.signal(signal.SIGALRM, handle)
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        self.addCleanup(signal.setitimer, signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        self.assertEqual(self.wait(-1), [("one", EPOLLIN)])
        self.assertGreaterEqual(len(times), 2)
        one.recv(1)
        began = monotonic()
        self.assertEqual(self.wait(0.035), [])
        self.assertGreaterEqual(monotonic() - began, 0.035)

    def test_signalRaises(self: Any) -> None:
        """
        What a signal's handler raises comes out.
        """

        def handle(number: int, frame: FrameType | None) -> None:
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGALRM, handle)
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        self.assertRaises(KeyboardInterrupt, self.poller.wait, -1)


class PurePollerTests(PollerTests, SynchronousTestCase):
    """
    The build in Python.
    """

    build = staticmethod(twins.pure)


class CompiledPollerTests(PollerTests, SynchronousTestCase):
    """
    The compiled build.
    """

    build = staticmethod(twins.compiled)
