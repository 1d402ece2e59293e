"""
Tests of L{muxd.device.producing}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.device.producing import ProducerGate
from tests.device.links import RecordingProducer


class ProducerGateTests(SynchronousTestCase):
    """
    What a producer is told, and when.
    """

    def setUp(self) -> None:
        """
        A gate that pauses above 100 bytes.
        """
        self.clock = Clock()
        self.failures: list[str] = []
        self.gate = ProducerGate(100, self.clock, lambda: self.failures.append("failed"))
        self.producer = RecordingProducer()

    def test_marks(self) -> None:
        """
        A push producer is paused above the mark and resumed at half of it,
        and told each only once.
        """
        self.gate.register(self.producer, True, 0)
        for buffered in (100, 101, 200):
            self.gate.filled(buffered)
        for buffered in (101, 51, 50, 0):
            self.gate.drained(buffered)
        self.assertEqual(self.producer.told, ["pause", "resume"])

    def test_smallMark(self) -> None:
        """
        A producer is resumed by an empty buffer however low the mark is.
        """
        gate = ProducerGate(1, self.clock, self.fail)
        gate.register(self.producer, True, 2)
        gate.drained(0)
        self.assertEqual(self.producer.told, ["pause", "resume"])

    def test_fullAtOnce(self) -> None:
        """
        A push producer that registers when too much is waiting already is
        paused at once.
        """
        self.gate.register(self.producer, True, 101)
        self.assertEqual(self.producer.told, ["pause"])

    def test_second(self) -> None:
        """
        There is one producer at a time.
        """
        self.gate.register(self.producer, True, 0)
        self.assertRaises(RuntimeError, self.gate.register, RecordingProducer(), True, 0)

    def test_successor(self) -> None:
        """
        Another producer after the first starts unpaused.
        """
        self.gate.register(self.producer, True, 101)
        self.assertIs(self.gate.unregister(), self.producer)
        self.assertIsNone(self.gate.unregister())
        successor = RecordingProducer()
        self.gate.register(successor, True, 0)
        self.gate.drained(0)
        self.gate.filled(101)
        self.assertEqual(successor.told, ["pause"])
        self.assertEqual(self.producer.told, ["pause"])

    def test_nobody(self) -> None:
        """
        Without a producer nobody is told.
        """
        self.gate.filled(1000)
        self.gate.drained(0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_gone(self) -> None:
        """
        Nor is one that has gone while it was paused, and the gate is not paused by what it
        has left.
        """
        self.gate.register(self.producer, True, 101)
        self.gate.unregister()
        self.assertIs(self.gate.paused, False)
        self.gate.filled(1000)
        self.assertIs(self.gate.paused, False)
        self.assertEqual(self.producer.told, ["pause"])

    def test_pull(self) -> None:
        """
        A pull producer is asked on registration, and once each time that
        nothing is left, from the reactor.
        """
        self.gate.register(self.producer, False, 0)
        self.assertEqual(self.producer.told, ["resume"])
        self.gate.filled(1000)
        self.gate.drained(10)
        self.clock.advance(0)
        self.assertEqual(self.producer.told, ["resume"])
        self.gate.drained(0)
        self.gate.drained(0)
        self.assertEqual(self.producer.told, ["resume"])
        self.clock.advance(0)
        self.assertEqual(self.producer.told, ["resume"] * 2)

    def test_pullGone(self) -> None:
        """
        A producer that has unregistered is not asked any more.
        """
        self.gate.register(self.producer, False, 0)
        self.gate.drained(0)
        self.gate.unregister()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(0)
        self.assertEqual((self.producer.told, self.failures), (["resume"], []))

    def test_withinWrite(self) -> None:
        """
        What drains while somebody writes resumes the producer later, so that
        its bytes do not get in between.
        """
        self.gate.register(self.producer, True, 101)
        self.gate.writing(lambda: self.gate.drained(10))
        self.gate.drained(0)
        self.assertEqual(self.producer.told, ["pause"])
        self.clock.advance(0)
        self.assertEqual(self.producer.told, ["pause", "resume"])
        self.assertFalse(self.gate.paused)

    def test_raising(self) -> None:
        """
        What C{resumeProducing} raises is reported.
        """
        self.producer.onResume = lambda: 1 / 0
        self.gate.register(self.producer, True, 101)
        self.gate.drained(0)
        self.assertEqual(self.failures, ["failed"])
