# -*- test-case-name: tests.running.test_unit -*-
"""
Tests for what C{make unit} does otherwise.
"""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from tests.running.unit import memoryDirectory


class MemoryDirectoryTests(SynchronousTestCase):
    """
    Tests for L{memoryDirectory}.
    """

    def test_memory(self) -> None:
        """
        Where there is a place in memory, it is where temporary files are.
        """
        there = os.getcwd()
        self.assertEqual(there, memoryDirectory({}, there, 1))

    def test_asked(self) -> None:
        """
        What is asked for is left alone.
        """
        self.assertIsNone(memoryDirectory({"TMPDIR": "/elsewhere"}, os.getcwd(), 1))

    def test_noRoom(self) -> None:
        """
        A place that is small is left alone.
        """
        self.assertIsNone(memoryDirectory({}, os.getcwd(), 2**80))

    def test_absent(self) -> None:
        """
        There need not be any.
        """
        self.assertIsNone(memoryDirectory({}, os.path.join(os.getcwd(), "none"), 1))
