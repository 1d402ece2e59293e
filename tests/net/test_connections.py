"""
Tests of L{muxd.net.connections}.
"""

from __future__ import annotations

from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.net.connections import Answering, Connections
from muxd.testing import BudgetTransport


class ConnectionsTests(SynchronousTestCase):
    """
    Tests of L{Connections}.
    """

    def test_stop(self) -> None:
        """
        Stopping closes all, and is over when the last one is closed.
        """
        connections = Connections[str]()
        for name in ("a", "b"):
            connections.add(name)
        closed: list[str] = []
        stopped = connections.stop(closed.append)
        self.assertEqual(sorted(closed), ["a", "b"])
        connections.discard("a")
        self.assertNoResult(stopped)
        connections.discard("b")
        connections.discard("b")
        self.successResultOf(stopped)
        self.assertEqual(len(connections), 0)

    def test_closedAtOnce(self) -> None:
        """
        One that is closed within the call is, too; so are none.
        """
        connections = Connections[str]()
        connections.add("a")
        self.successResultOf(connections.stop(connections.discard))
        self.successResultOf(connections.stop(connections.discard))


class AnsweringTests(SynchronousTestCase):
    """
    Tests of L{Answering}.
    """

    def test_backPressure(self) -> None:
        """
        A peer that does not read is not read from; after the end nothing is
        resumed.
        """
        answering = Answering()
        verifyObject(IPushProducer, answering)
        answering.transport = transport = BudgetTransport(Clock(), 0)
        answering.beginAnswering()
        transport.write(b"x" * 70000)
        self.assertTrue(transport.paused)
        transport.allow(None)
        transport.take()
        self.assertFalse(transport.paused)
        answering.stopProducing()
        answering.pauseProducing()
        answering.endAnswering()
        answering.endAnswering()
        self.assertIdentical(transport.producer, None)
        answering.resumeProducing()
        self.assertTrue(transport.paused)
