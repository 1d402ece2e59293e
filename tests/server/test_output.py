# -*- test-case-name: tests.server.test_output -*-
"""
Tests of L{muxd.server.output}.
"""

from __future__ import annotations

from typing import cast

from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.net.pipe import Joinable
from muxd.server.budget import UnreadBudget
from muxd.server.output import OutputQueue
from muxd.testing import BudgetTransport


class Unread:
    """
    A client, to a budget.
    """

    owner = "a"
    isDropped = False

    def dropUnread(self) -> None:
        """
        Remember.
        """
        self.isDropped = True
        self.queue.stopProducing()

    queue: OutputQueue


class OutputQueueTests(SynchronousTestCase):
    """
    A bounded queue in front of a transport.
    """

    def setUp(self) -> None:
        """
        Make a queue of 100 bytes before a transport that holds 10.
        """
        self.clock = Clock()
        self.transport = BudgetTransport(self.clock, budget=0)
        self.transport.bufferSize = 10
        self.overflows = 0
        self.queue = OutputQueue(cast("Joinable", self.transport), 100, self.overflowed)

    def overflowed(self) -> None:
        """
        Count it.
        """
        self.overflows += 1

    def test_interface(self) -> None:
        """
        To its transport it is a push producer.
        """
        verifyObject(IPushProducer, self.queue)

    def test_straightThrough(self) -> None:
        """
        While the transport keeps up nothing is held.
        """
        self.transport.allow()
        for _ in range(100):
            self.queue.write(b"0123456789")
        self.assertEqual(self.queue.size, 0)
        self.assertEqual(self.transport.value(), b"0123456789" * 100)

    def test_holdsAndResumes(self) -> None:
        """
        What the transport has no room for waits, in its order.
        """
        self.queue.write(b"a" * 11)
        for letter in (b"b", b"c", b"d"):
            self.queue.write(letter * 11)
        self.assertEqual((self.queue.size, self.transport.pending), (33, 11))
        self.assertEqual(self.transport.take(11), b"a" * 11)
        self.assertEqual((self.queue.size, self.transport.pending), (22, 11))
        data = self.transport.take()
        self.assertEqual(data, b"b" * 11 + b"c" * 11 + b"d" * 11)
        self.assertEqual((self.queue.size, self.overflows), (0, 0))

    def test_overflow(self) -> None:
        """
        The limit itself is allowed; one byte more is told, once, and all is
        dropped.
        """
        self.queue.write(b"x" * 11)
        self.queue.write(b"y" * 100)
        self.assertEqual((self.overflows, self.queue.size), (0, 100))
        self.queue.write(b"z")
        self.queue.write(b"z")
        self.assertEqual((self.overflows, self.queue.size), (1, 0))

    def test_finish(self) -> None:
        """
        The connection closes when everything has been taken, not before.
        """
        self.queue.write(b"x" * 11)
        self.queue.write(b"y" * 5)
        self.queue.finish()
        self.queue.finish()
        self.queue.write(b"too late")
        self.assertFalse(self.transport.disconnecting)
        self.assertEqual(self.transport.take(), b"x" * 11 + b"y" * 5)
        self.clock.advance(0)
        self.clock.advance(0)
        self.assertTrue(self.transport.disconnected)

    def test_finishedOnce(self) -> None:
        """
        What the transport says of its room afterwards does not close it again.
        """
        closed: list[None] = []
        self.patch(self.transport, "loseConnection", lambda: closed.append(None))
        self.queue.finish()
        self.queue.resumeProducing()
        self.assertEqual(len(closed), 1)

    def test_finishWhileTheTransportHolds(self) -> None:
        """
        A registered producer that is paused would keep a transport open for
        ever: it is unregistered first.
        """
        self.queue.write(b"x" * 11)
        self.queue.finish()
        self.assertIsNone(self.transport.producer)
        self.clock.advance(0)
        self.assertFalse(self.transport.disconnected)
        self.transport.allow()
        self.clock.advance(0)
        self.assertTrue(self.transport.disconnected)

    def test_lostWhileFinishing(self) -> None:
        """
        A connection that is lost meanwhile is not closed once more.
        """
        self.queue.write(b"x" * 11)
        self.queue.write(b"y" * 11)
        self.queue.finish()
        self.transport.lose()
        self.queue.resumeProducing()
        self.assertFalse(self.transport.disconnecting)
        self.assertEqual(self.queue.size, 0)

    def test_budget(self) -> None:
        """
        What the transport does not take counts, from the first write that it does not take:
        as much as there may be waits, and one byte more is too much.
        """
        for size, isDropped in ((20, False), (21, True)):
            client = Unread()
            transport = BudgetTransport(self.clock, budget=0)
            transport.bufferSize = 10
            queue = client.queue = OutputQueue(
                cast("Joinable", transport),
                100,
                self.overflowed,
                budget=UnreadBudget(100, 20),
                client=client,
            )
            queue.write(b"a" * 11, b"b" * size)
            self.assertIs(client.isDropped, isDropped)
        self.assertEqual(self.overflows, 0)

    def test_release(self) -> None:
        """
        What takes over the transport finds everything written to it, and no
        producer registered.
        """
        self.queue.write(b"x" * 11)
        self.queue.write(b"y" * 11)
        self.queue.release()
        self.assertIsNone(self.transport.producer)
        self.transport.write(b"z")
        self.queue.write(b"not ours any more")
        self.assertEqual(self.transport.take(), b"x" * 11 + b"y" * 11 + b"z")
