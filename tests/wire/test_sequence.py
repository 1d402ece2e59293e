# -*- test-case-name: tests.wire.test_sequence -*-
"""
Tests of L{muxd.wire.sequence}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muxd.wire.sequence import MASK, MODULUS, advance, between, distance
from tests.running.properties import examples

numbers = st.integers(0, MASK)


class SequenceTests(SynchronousTestCase):
    """
    Numbers that wrap at 2^32.
    """

    def test_advanceWraps(self) -> None:
        """
        Behind the last number comes 0.
        """
        self.assertEqual(advance(MASK, 1), 0)
        self.assertEqual(advance(MASK - 1, 4), 2)
        self.assertEqual(advance(5, 0), 5)

    def test_distanceAcrossTheWrap(self) -> None:
        """
        The distance counts forward, across the wrap if need be.
        """
        self.assertEqual(distance(MASK, 1), 2)
        self.assertEqual(distance(1, MASK), MASK - 1)
        self.assertEqual(distance(7, 7), 0)

    def test_betweenIncludesItsEnds(self) -> None:
        """
        Both ends belong to the range; one before and one behind do not.
        """
        for low, high in ((10, 20), (MASK - 3, 5)):
            self.assertTrue(between(low, low, high))
            self.assertTrue(between(low, high, high))
            self.assertFalse(between(low, advance(low, MASK), high))
            self.assertFalse(between(low, advance(high, 1), high))

    def test_betweenOfOne(self) -> None:
        """
        A range of a single number has just that.
        """
        self.assertTrue(between(3, 3, 3))
        self.assertFalse(between(3, 4, 3))

    @settings(deadline=None, max_examples=examples(100))
    @given(numbers, st.integers(0, 4 * MODULUS))
    def test_distanceUndoesAdvance(self, start: int, count: int) -> None:
        """
        A number that is advanced has gone that far, modulo 2^32.
        """
        end = advance(start, count)
        self.assertEqual(distance(start, end), count % MODULUS)
        self.assertTrue(0 <= end < MODULUS)

    @settings(deadline=None, max_examples=examples(100))
    @given(numbers, numbers, numbers)
    def test_betweenAgreesWithCounting(self, low: int, number: int, high: int) -> None:
        """
        A number is in between if it is no further from the low end than the
        high end is.
        """
        unwrapped = high if high >= low else high + MODULUS
        candidates = (number, number + MODULUS)
        expected = any(low <= candidate <= unwrapped for candidate in candidates)
        self.assertEqual(between(low, number, high), expected)
