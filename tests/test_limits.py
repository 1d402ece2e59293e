# -*- test-case-name: tests.test_limits -*-
"""
Tests of L{muxd.limits}.
"""

from __future__ import annotations

import inspect
from dataclasses import fields

from twisted.trial.unittest import SynchronousTestCase

from muxd.limits import LIMITS, Limits


class LimitsTests(SynchronousTestCase):
    """
    Tests of the default L{Limits}.
    """

    def test_documented(self) -> None:
        """
        Each limit is explained, and nothing is explained that is not a limit.
        """
        text = inspect.getdoc(Limits) or ""
        explained = {
            line.split()[1].rstrip(":") for line in text.splitlines() if line.startswith("@ivar")
        }
        self.assertEqual(explained, {field.name for field in fields(Limits)})

    def test_positive(self) -> None:
        """
        Nothing is without a limit, and nothing is forbidden altogether.
        """
        for field in fields(Limits):
            self.assertGreater(getattr(LIMITS, field.name), 0, field.name)

    def test_window(self) -> None:
        """
        The window that is offered can be expressed in a segment (protocol 3.2),
        and is not used up before it is acknowledged.
        """
        self.assertEqual(LIMITS.receiveWindow % 256, 0)
        self.assertLessEqual(LIMITS.receiveWindow, 65535 * 256)
        self.assertLess(LIMITS.acknowledgeAt, LIMITS.receiveWindow)

    def test_patience(self) -> None:
        """
        The time for a segment that nothing else sends is far below anybody's
        patience.
        """
        self.assertLess(LIMITS.acknowledgeDelay, 0.1)
