# -*- test-case-name: tests.tap.test_freedmemory -*-
"""
Tests of L{muxd.tap.freedmemory}.
"""

from __future__ import annotations

import ctypes
import sys
from types import SimpleNamespace
from typing import Any, cast
from unittest import skipUnless

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.tap.freedmemory import EVERY, KEPT, LONGEST, SPARE, FreedMemory, giveBack, residentSize

START = 60 << 20


class FreedMemoryTests(SynchronousTestCase):
    """
    Tests of L{FreedMemory}.
    """

    def setUp(self) -> None:
        """
        A process.
        """
        self.clock = Clock()
        self.size: int | None = START
        self.worked = 0.0
        self.free = 0
        self.memory = FreedMemory(self.clock, lambda: self.size, lambda: self.worked, self.giveBack)

    def giveBack(self) -> None:
        """
        What is free is the system's.
        """
        assert self.size is not None
        self.size, self.free = self.size - self.free, 0

    def grow(self, used: int, free: int) -> None:
        """
        It is larger than at the start by this.
        """
        self.size, self.free = START + used + free, free

    def wait(self, looks: int = 1, work: float = 0.0) -> None:
        """
        Let so many looks go by, with some work between them.
        """
        for _ in range(looks):
            self.worked += work
            self.clock.advance(EVERY)

    def test_peak(self) -> None:
        """
        What a peak has left is given back at the next look, once.
        """
        self.memory.start()
        self.grow(1 << 20, 100 << 20)
        self.wait()
        self.assertEqual((self.size, self.memory.given), (START + (1 << 20), 1))
        self.wait(100)
        self.assertEqual(self.memory.given, 1)

    def test_little(self) -> None:
        """
        A little is left as it is.
        """
        self.memory.start()
        self.grow(0, SPARE)
        self.wait(100)
        self.assertEqual(self.memory.given, 0)

    def test_busy(self) -> None:
        """
        As long as there is much to do it is kept, but not for longer than a minute.
        """
        self.memory.start()
        self.grow(0, 100 << 20)
        self.wait(round(LONGEST / EVERY) - 1, work=EVERY / 2)
        self.assertEqual(self.memory.given, 0)
        self.wait(work=EVERY / 2)
        self.assertEqual(self.memory.given, 1)

    def test_inUse(self) -> None:
        """
        What is in use cannot be given back, and is not tried to be all the time; when it has
        become free, it is.
        """
        self.memory.start()
        self.grow(200 << 20, 0)
        self.wait(300)
        self.assertLess(self.memory.given, 20)
        self.grow(0, 200 << 20)
        self.wait(round(LONGEST / EVERY))
        self.assertEqual(self.size, START)

    def test_smaller(self) -> None:
        """
        The size that counts is the smallest that there has been.
        """
        self.memory.start()
        self.size = START - (10 << 20)
        self.wait()
        self.grow(0, SPARE - (1 << 20))
        self.wait()
        self.assertEqual(self.memory.given, 1)

    def test_unknownOnce(self) -> None:
        """
        A look that has failed, as no file could be opened, tells nothing.
        """
        self.memory.start()
        self.size = None
        self.wait()
        self.grow(0, SPARE)
        self.wait(100)
        self.assertEqual(self.memory.given, 0)

    def test_unknownAfterwards(self) -> None:
        """
        Neither does one that has failed when something was given back.
        """
        self.memory = FreedMemory(
            self.clock, lambda: self.size, lambda: self.worked, lambda: setattr(self, "size", None)
        )
        self.memory.start()
        self.grow(0, 100 << 20)
        self.wait()
        self.assertEqual(self.memory.given, 1)
        self.grow(0, SPARE)
        self.wait(100)
        self.assertEqual(self.memory.given, 1)

    def test_once(self) -> None:
        """
        A service that is started again does not have it look twice as often.
        """
        self.memory.start()
        self.memory.start()
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_unknown(self) -> None:
        """
        Where the system does not tell the size, nothing is done.
        """
        self.size = None
        self.memory.start()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class SystemTests(SynchronousTestCase):
    """
    What is asked of the system.
    """

    @skipUnless(sys.platform.startswith("linux"), "there is no /proc")
    def test_size(self) -> None:
        """
        A Python has some megabytes.
        """
        size = residentSize()
        assert size is not None
        self.assertGreater(size, 1 << 20)

    def test_sizeUnknown(self) -> None:
        """
        Other systems do not tell.
        """
        self.assertIsNone(residentSize(self.mktemp()))

    def test_giveBack(self) -> None:
        """
        The C library is asked to keep what it is told to keep anyway.
        """
        asked: list[Any] = []
        giveBack(lambda _: cast("Any", SimpleNamespace(malloc_trim=asked.append)))
        self.assertEqual([each.value for each in asked], [KEPT])
        self.assertIsInstance(asked[0], ctypes.c_size_t)

    def test_others(self) -> None:
        """
        A C library that has no such function is left alone.
        """
        giveBack(lambda _: cast("Any", SimpleNamespace()))
