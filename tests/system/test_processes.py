# -*- test-case-name: tests.system.test_processes -*-
"""
Tests for L{tests.system.guest.processes}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.system.guest.processes import Footprint


class FootprintTests(SynchronousTestCase):
    """
    Tests for L{Footprint}.
    """

    def test_isWithin(self) -> None:
        """
        Less is within, and more of any kind is not, whatever there is less of.
        """
        before = Footprint(("pipe:", "socket:", "socket:"), threads=2, resident=1)
        self.assertTrue(before.isWithin(before))
        self.assertTrue(Footprint(("socket:",), threads=1, resident=9).isWithin(before))
        self.assertFalse(Footprint(("pipe:", "pipe:"), threads=2, resident=1).isWithin(before))
        self.assertFalse(Footprint((), threads=3, resident=1).isWithin(before))

    def test_isLike(self) -> None:
        """
        As many of each kind is alike, whatever the memory; less or more is not.
        """
        before = Footprint(("pipe:", "socket:", "socket:"), threads=2, resident=1)
        self.assertTrue(Footprint(("pipe:", "socket:", "socket:"), 2, 9).isLike(before))
        self.assertFalse(Footprint(("pipe:", "socket:"), 2, 1).isLike(before))
        self.assertFalse(before.isLike(Footprint(("pipe:", "socket:"), 2, 1)))
        self.assertFalse(Footprint(("pipe:", "socket:", "socket:"), 1, 1).isLike(before))
