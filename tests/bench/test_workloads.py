"""
Tests for L{bench.workloads} and L{bench.bus}.
"""

from __future__ import annotations

from itertools import groupby

from twisted.trial.unittest import SynchronousTestCase

from bench.bus import SUPER, UNPACED, USB2
from bench.workloads import workloads


class WorkloadTests(SynchronousTestCase):
    """
    Tests for L{workloads}.
    """

    def test_keysAreUnique(self) -> None:
        """
        No two rows share a name, and each begins with its bus.
        """
        keys = [row.key for workload in workloads() for row in workload.rows]
        self.assertEqual(len(keys), len(set(keys)))
        for workload in workloads():
            for row in workload.rows:
                self.assertEqual(row.key.partition(".")[0], workload.bus.key)

    def test_daemonsAreSharedByNeighbours(self) -> None:
        """
        Workloads that share a bus and its phones are measured one after another,
        so that few daemons are started.
        """
        places = [key for key, _ in groupby((w.bus.key, w.phones) for w in workloads())]
        self.assertEqual(len(places), len(set(places)))

    def test_quick(self) -> None:
        """
        A quick run has rows on every bus, and is much shorter.
        """
        quick = [workload for workload in workloads() if workload.quick]
        self.assertEqual({workload.bus for workload in quick}, {UNPACED, USB2, SUPER})
        self.assertLess(len(quick), 0.7 * len(workloads()))


class BusTests(SynchronousTestCase):
    """
    Tests for L{bench.bus.Bus}.
    """

    def test_environment(self) -> None:
        """
        A bus is described to the stand-in library in its environment.
        """
        self.assertEqual(
            SUPER.environment(),
            {"FAKEUSB_SPEED": "super", "FAKEUSB_MBPS": "400", "FAKEUSB_LAT_US": "30"},
        )
        self.assertEqual(UNPACED.environment()["FAKEUSB_MBPS"], "0")
