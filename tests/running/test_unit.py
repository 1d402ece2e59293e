# -*- test-case-name: tests.running.test_unit -*-
"""
Tests for what C{make unit} does otherwise.
"""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from tests.running.unit import environment


class EnvironmentTests(SynchronousTestCase):
    """
    Tests for L{environment}.
    """

    def test_memory(self) -> None:
        """
        Where there is a place in memory, it is where temporary files are.
        """
        there = os.getcwd()
        self.assertEqual({"TMPDIR": there}, environment({}, there, 1))

    def test_asked(self) -> None:
        """
        What is asked for is left alone.
        """
        self.assertEqual({}, environment({"TMPDIR": "/elsewhere"}, os.getcwd(), 1))

    def test_noRoom(self) -> None:
        """
        A place that is small is left alone.
        """
        self.assertEqual({}, environment({}, os.getcwd(), 2**80))

    def test_absent(self) -> None:
        """
        There need not be any.
        """
        self.assertEqual({}, environment({}, os.path.join(os.getcwd(), "none"), 1))
