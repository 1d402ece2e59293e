# -*- test-case-name: tests.tap.test_allocator -*-
"""
Tests for L{muxd.tap.process}.
"""

from __future__ import annotations

from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from muxd.tap.process import SETTINGS, keepFreedMemory


class FakeLibrary:
    """
    A C library that records its settings.
    """

    def __init__(self, answer: int) -> None:
        self.settings: list[tuple[int, int]] = []
        self._answer = answer

    def mallopt(self, name: int, value: int) -> int:
        """
        Record one.
        """
        self.settings.append((name, value))
        return self._answer


class KeepFreedMemoryTests(SynchronousTestCase):
    """
    L{keepFreedMemory}.
    """

    def test_glibc(self) -> None:
        """
        All settings are made with glibc.
        """
        library = FakeLibrary(1)
        self.assertTrue(keepFreedMemory(lambda: ("glibc", "2.36"), lambda _: cast("Any", library)))
        self.assertEqual(library.settings, list(SETTINGS))

    def test_refused(self) -> None:
        """
        A setting that is refused is reported, and the others are made.
        """
        library = FakeLibrary(0)
        self.assertFalse(keepFreedMemory(lambda: ("glibc", "2.36"), lambda _: cast("Any", library)))
        self.assertEqual(len(library.settings), 3)

    def test_others(self) -> None:
        """
        Another C library is left alone.
        """
        self.assertFalse(keepFreedMemory(lambda: ("", ""), lambda _: self.fail("loaded")))
