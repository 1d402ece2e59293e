"""
Tests for L{bench.workloads} and L{bench.bus}.
"""

from __future__ import annotations

from itertools import groupby

from twisted.trial.unittest import SynchronousTestCase

from bench.bus import SIMULATED, SUPER, UNPACED, USB2
from bench.workloads import OVER_RELAY, OVER_TCP, workloads


class WorkloadTests(SynchronousTestCase):
    """
    Tests for L{workloads}.
    """

    def test_keysAreUnique(self) -> None:
        """
        No two rows share a name, and each begins with its section.
        """
        keys = [row.key for workload in workloads() for row in workload.rows]
        self.assertEqual(len(keys), len(set(keys)))
        for workload in workloads():
            for row in workload.rows:
                self.assertEqual(row.key.partition(".")[0], workload.section.key)

    def test_daemonsAreSharedByNeighbours(self) -> None:
        """
        Workloads that share a section and its phones are measured one after another,
        so that few daemons are started.
        """
        places = [key for key, _ in groupby((w.section.key, w.phones) for w in workloads())]
        self.assertEqual(len(places), len(set(places)))

    def test_quick(self) -> None:
        """
        A quick run has rows on every bus, and is much shorter.
        """
        quick = [workload for workload in workloads() if workload.quick]
        self.assertEqual({workload.section.bus for workload in quick}, {UNPACED, USB2, SUPER})
        self.assertLess(len(quick), 0.7 * len(workloads()))

    def test_tcpHasNoCosts(self) -> None:
        """
        The CPU of a daemon is not put beside that of a relay: only rows of relays have costs.
        """
        costs = {
            workload.section
            for workload in workloads()
            for row in workload.rows
            if row.cost and workload.section in (OVER_TCP, OVER_RELAY)
        }
        self.assertEqual(costs, {OVER_RELAY})


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

    def test_source(self) -> None:
        """
        The daemon finds the rig's phones on the USB, and makes simulated ones itself.
        """
        self.assertEqual(USB2.source(30), "usb")
        self.assertEqual(SIMULATED.source(60), "simulated:count=60")
