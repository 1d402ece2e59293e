# -*- test-case-name: tests.server.test_input -*-
"""
Tests of L{muxd.server.input}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.limits import Limits
from muxd.server.input import InputQueue
from muxd.testing import BudgetTransport
from muxd.wire.messages import MalformedMessage, Message

LIMITS = Limits(pendingInput=50, messageSize=100, messageTimeout=30)
MESSAGE = Message(0, 99, 1, b"body")
DATA = MESSAGE.encode()


class InputQueueTests(SynchronousTestCase):
    """
    Tests of L{InputQueue}.
    """

    def setUp(self) -> None:
        """
        Nothing has come yet.
        """
        self.clock = Clock()
        self.transport = BudgetTransport(self.clock)
        self.expired = 0
        self.input = InputQueue(self.transport, self.clock, LIMITS, self.expire)

    def expire(self) -> None:
        """
        Count it.
        """
        self.expired += 1

    def test_messages(self) -> None:
        """
        Messages come out as they were sent, and then what is none.
        """
        self.input.add(DATA + DATA[:5])
        self.input.add(DATA[5:] + b"rest")
        self.assertEqual([self.input.next() for _ in range(3)], [MESSAGE, MESSAGE, None])
        self.assertEqual(len(self.input), 4)
        self.assertEqual((self.input.take(), len(self.input)), (b"rest", 0))

    def test_malformed(self) -> None:
        """
        What is longer than the limit cannot be a message.
        """
        self.input.add(Message(0, 99, 1, bytes(85)).encode())
        self.assertRaises(MalformedMessage, self.input.next)

    def test_hold(self) -> None:
        """
        Much that has to wait pauses the client, which is resumed when there is little.
        """
        self.input.add(bytes(50))
        self.input.hold()
        self.assertFalse(self.transport.paused)
        self.input.add(b"x")
        for _ in range(2):
            self.input.hold()
            self.assertTrue(self.transport.paused)
        self.input.take()
        self.assertTrue(self.transport.paused)
        self.input.hold()
        self.assertFalse(self.transport.paused)

    def test_flow(self) -> None:
        """
        When nothing has to wait the client is read from, however much there is.
        """
        self.input.add(bytes(80))
        self.input.hold()
        self.input.flow()
        self.assertFalse(self.transport.paused)
        self.input.take()

    def test_eachHasItsTime(self) -> None:
        """
        A message's time begins with its own first byte, and not with that of the one before.
        """
        self.input.add(DATA[:5])
        self.input.flow()
        self.clock.advance(20)
        self.input.add(DATA[5:] + DATA[:5])
        self.assertEqual(self.input.next(), MESSAGE)
        self.assertIsNone(self.input.next())
        self.input.flow()
        self.clock.advance(29)
        self.assertEqual(self.expired, 0)
        self.clock.advance(1)
        self.assertEqual(self.expired, 1)

    def test_resume(self) -> None:
        """
        Whoever wants to know of the end reads on; only if reading is paused, as it may
        be somebody else who has paused it.
        """
        self.transport.pauseProducing()
        self.input.resume()
        self.assertTrue(self.transport.paused)
        self.input.add(bytes(51))
        self.input.hold()
        self.input.resume()
        self.assertFalse(self.transport.paused)

    def test_timeout(self) -> None:
        """
        An incomplete message has its time from its first byte on.
        """
        self.input.flow()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        for each in DATA[:10]:
            self.input.add(bytes([each]))
            self.input.flow()
            self.clock.advance(2.75)
        self.assertEqual(self.expired, 0)
        self.clock.advance(2.5)
        self.assertEqual(self.expired, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nextHasItsOwnTime(self) -> None:
        """
        What begins behind a whole message has not waited as long as that.
        """
        self.input.add(DATA[:10])
        self.input.flow()
        self.clock.advance(29)
        self.input.add(DATA[10:] + DATA[:10])
        self.assertEqual([self.input.next(), self.input.next()], [MESSAGE, None])
        self.input.flow()
        self.clock.advance(29)
        self.assertEqual(self.expired, 0)
        self.clock.advance(1)
        self.assertEqual(self.expired, 1)

    def test_noTimeLeft(self) -> None:
        """
        When everything is taken, nothing is waited for.
        """
        self.input.add(DATA[:10])
        self.input.flow()
        self.input.take()
        self.assertEqual(self.clock.getDelayedCalls(), [])
