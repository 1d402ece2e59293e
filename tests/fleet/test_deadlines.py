# -*- test-case-name: tests.fleet.test_deadlines -*-
"""
Tests of L{muxd.fleet.deadlines}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis.strategies import integers, lists, none, tuples
from twisted.trial.unittest import SynchronousTestCase

from muxd.fleet.deadlines import SLACK, Deadlines


class DeadlinesTests(SynchronousTestCase):
    """
    Tests of L{Deadlines}.
    """

    @given(lists(tuples(integers(0, 5), integers(0, 20) | none())), integers(0, 20))
    def test_model(self, steps: list[tuple[int, int | None]], now: int) -> None:
        """
        It is a dictionary in the order of its values.
        """
        deadlines: Deadlines[int] = Deadlines()
        model: dict[int, int] = {}
        for key, when in steps:
            if when is None:
                deadlines.discard(key)
                model.pop(key, None)
            else:
                deadlines.set(key, when)
                model[key] = when
        self.assertEqual(deadlines.first, min(model.values(), default=None))
        due = list(deadlines.due(now))
        self.assertEqual(set(due), {key for key, when in model.items() if when <= now})
        self.assertEqual([model[key] for key in due], sorted(model[key] for key in due))
        self.assertEqual(len(deadlines), len(model) - len(due))

    def test_bounded(self) -> None:
        """
        What is put off again and again takes no more memory for it.
        """
        deadlines: Deadlines[str] = Deadlines()
        for when in range(10 * SLACK):
            deadlines.set("it", when)
        self.assertLessEqual(len(deadlines._heap), SLACK + 2)
        self.assertEqual(deadlines.of("it"), 10 * SLACK - 1)
