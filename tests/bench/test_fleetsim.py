# -*- test-case-name: tests.bench.test_fleetsim -*-
"""
Tests of L{bench.fleetsim}.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bench.fleetsim import _delays, _spread


class FiguresTests(SynchronousTestCase):
    """
    Tests of how figures are made.
    """

    def test_delays(self) -> None:
        """
        An event's delay is until the first time that it was seen afterwards; what was before
        the beginning, or never seen, or is no event, does not count.
        """
        log = Path(self.mktemp())
        log.write_text("gone A 1.0\nthere A 5.0\nnoise\ngone A 7.0\ngone B 8.0\n")
        seen = {("gone", "A"): [1.5, 7.25], ("there", "A"): [4.0, 5.5]}
        self.assertEqual(_delays(log, seen, 2.0), [0.5, 0.25])

    def test_spread(self) -> None:
        """
        Half of them took less than the first, nearly all less than the second.
        """
        low, high = _spread([each / 1000 for each in range(1, 101)])
        self.assertAlmostEqual(low, 50.5)
        self.assertGreater(high, 99)
