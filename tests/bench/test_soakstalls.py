"""
Tests for L{bench.soak.stalls} and L{bench.soak.memory}.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from bench.soak import memory
from bench.soak.stalls import EDGES, INTERVAL, MOST_KEPT, Clocks, Stall, Ticker, threadClocks


class TickerTests(SynchronousTestCase):
    """
    Tests of L{Ticker} on a reactor that the test keeps from its work.
    """

    def setUp(self) -> None:
        """
        Watch a clock.
        """
        self.clock = Clock()
        self.clocks = Clocks(0, 0)
        self.ticker = Ticker(self.clock, lambda: self.clocks)
        self.ticker.start()
        self.addCleanup(self.ticker.stop)

    def late(self, seconds: float, worked: float = 0, waited: float = 0) -> None:
        """
        Have the next tick be late.
        """
        self.clocks = Clocks(self.clocks.worked + worked, self.clocks.waited + waited)
        self.clock.advance(INTERVAL + seconds)

    def classes(self, histogram: list[int]) -> dict[float, int]:
        """
        A histogram without its empty classes.
        """
        edges = (*EDGES, float("inf"))
        return {edge: count for edge, count in zip(edges, histogram, strict=True) if count}

    def test_punctual(self) -> None:
        """
        A reactor that has nothing to do is punctual.
        """
        for _ in range(10):
            self.late(0)
        self.assertEqual(self.classes(self.ticker.late), {0.001: 10})
        self.assertEqual(self.ticker.long, [])

    def test_late(self) -> None:
        """
        Each class takes what is not beyond its end.
        """
        for seconds in (0.0015, 0.004, 0.045, 0.3, 7):
            self.late(seconds)
        self.assertEqual(
            self.classes(self.ticker.late),
            {0.002: 1, 0.005: 1, 0.05: 1, 0.5: 1, float("inf"): 1},
        )

    def test_whoseFault(self) -> None:
        """
        What it worked is told from what it waited for a processor, and from what
        it was blocked; work before it was due does not count.
        """
        self.late(0.3, worked=0.105, waited=0.15)
        [stall] = self.ticker.long
        self.assertAlmostEqual(stall.late, 0.3)
        self.assertAlmostEqual(stall.own, 0.105)
        self.assertAlmostEqual(stall.waited, 0.15)
        self.assertAlmostEqual(stall.blocked, 0.045)
        self.assertEqual(self.classes(self.ticker.own), {0.2: 1})

    def test_theWorstAreKept(self) -> None:
        """
        Of many, those are kept that were not for want of a processor.
        """
        for _ in range(MOST_KEPT * 2):
            self.late(0.5, waited=0.5)
        self.late(0.06, worked=0.06)
        self.assertEqual(len(self.ticker.long), MOST_KEPT)
        self.assertAlmostEqual(self.ticker.long[0].own, 0.06)

    def test_clear(self) -> None:
        """
        It can begin anew.
        """
        self.late(1)
        self.ticker.clear()
        self.assertEqual((sum(self.ticker.late), self.ticker.long), (0, []))

    def test_notWhileItIsStopped(self) -> None:
        """
        What happens while it is stopped does not count.
        """
        self.ticker.stop()
        self.clock.advance(10)
        self.ticker.start()
        self.late(0)
        self.assertEqual(self.classes(self.ticker.late), {0.001: 1})

    def test_stack(self) -> None:
        """
        In a process of its own, it says what ran when it had become long, and how
        long Python has looked for garbage.
        """
        before = signal.getsignal(signal.SIGALRM)
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        self.addCleanup(setattr, gc, "callbacks", list(gc.callbacks))
        self.ticker.watchProcess()
        self.addCleanup(gc.callbacks.remove, self.ticker._collector)
        gc.collect()
        os.kill(os.getpid(), signal.SIGALRM)
        self.late(0.2)
        [stall] = self.ticker.long
        self.assertTrue(any("test_stack" in frame for frame in stall.stack), stall.stack)

    def test_stallAddsUp(self) -> None:
        """
        Clocks that do not quite agree never make it negative.
        """
        self.assertEqual(Stall(0.1, 0.08, 0.03, 0, ()).blocked, 0)


class KernelTests(SynchronousTestCase):
    """
    What the kernel and Python say.
    """

    if not Path("/proc/thread-self/schedstat").exists():
        skip = "this kernel does not tell what its scheduler does"

    def test_clocks(self) -> None:
        """
        Work is seen as work.
        """
        descriptor = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        before = threadClocks(descriptor)
        sum(range(3_000_000))
        self.assertGreater(threadClocks(descriptor).worked, before.worked)

    def test_objects(self) -> None:
        """
        What is there is counted by its type; what is garbage is not.
        """

        class Counted:
            """
            A class of this test's own.
            """

        name = f"{__name__}.{Counted.__qualname__}"
        kept = [Counted() for _ in range(7)]
        cycle = Counted()
        cycle.itself = cycle  # type: ignore[attr-defined]
        del cycle
        self.assertEqual(memory.objects()[name], 7)
        del kept
        self.assertNotIn(name, memory.objects())

    def test_memory(self) -> None:
        """
        Memory that is in use is seen, whether Python's own or the C library's.
        """
        blocks, malloc = memory.blocks(), memory.mallocBytes()
        small = [float(number) for number in range(10_000)]
        large = bytearray(3_000_000)
        self.assertGreater(memory.blocks(), blocks + 9000)
        if sys.platform == "linux" and malloc:
            self.assertGreater(memory.mallocBytes(), malloc + 2_000_000)
        del small, large
        memory.giveBack()
