"""
Tests for L{bench.results} and L{bench.report}.
"""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from bench.goals import Verdict
from bench.machine import describe
from bench.report import BEGIN, END, inserted, markdown, number, text, toJSON
from bench.results import Comparison, Series, lines
from bench.workloads import Workload, workloads
from tests.running.processes import startsProcesses


def workload(key: str) -> Workload:
    """
    The workload that has this row.
    """
    return next(w for w in workloads() if any(row.key == key for row in w.rows))


def download(ours: list[float], theirs: list[float]) -> Comparison:
    """
    Downloads that went at these rates.
    """

    def series(rates: list[float]) -> Series:
        return Series([{"MBps": r, "cpu_ms_per_MB": 1.0, "peak_MB": 40.0} for r in rates])

    return Comparison(workload("unpaced.download-1"), series(ours), series(theirs))


class SeriesTests(SynchronousTestCase):
    """
    Tests for L{Series}.
    """

    def test_median(self) -> None:
        """
        One bad round does not count.
        """
        series = Series([{"MBps": rate} for rate in (1.0, 500.0, 510.0)])
        self.assertEqual(series.median("MBps"), 500)
        self.assertIsNone(series.median("p50_us"))


class LinesTests(SynchronousTestCase):
    """
    Tests for L{lines}.
    """

    def test_goals(self) -> None:
        """
        A row comes with the verdicts of its goals, by the medians.
        """
        (line,) = lines([download([500, 600, 700], [100, 100, 100])])
        self.assertEqual([verdict for _, verdict in line.verdicts], [Verdict.MET])
        self.assertFalse(line.missed)
        (line,) = lines([download([100], [100])])
        self.assertTrue(line.missed)

    def test_failure(self) -> None:
        """
        A daemon that failed once has missed, however fast it was otherwise.
        """
        comparison = download([900], [100])
        comparison.ours.failures.append("wrong data")
        (line,) = lines([comparison])
        self.assertTrue(line.missed)


class ReportTests(SynchronousTestCase):
    """
    Tests for the three forms of the table.
    """

    def test_text(self) -> None:
        """
        A row shows both figures, their ratio, the goal and whether it is met.
        """
        table = text([download([500], [100])], "muxd", "C usbmuxd")
        (row,) = [each for each in table.splitlines() if each.startswith("download, 1 session")]
        for part in (
            "500.0 MB/s",
            "100.0 MB/s",
            "5.00x",
            "1.00 ms/MB",
            "40.0 / 40.0",
            ">= 5x: met",
        ):
            self.assertIn(part, row)
        self.assertIn("goals: 1 met", table)
        self.assertIn("0 violations", table)

    def test_failure(self) -> None:
        """
        What failed is said, once, and nothing is said to be right.
        """
        comparison = download([], [100])
        comparison.ours.failures += ["the phones counted 3 protocol violations"] * 2
        table = text([comparison], "muxd", "C usbmuxd")
        self.assertEqual(table.count("3 protocol violations"), 1)
        self.assertIn("FAILED", table)
        self.assertNotIn("every byte was right", table)

    @startsProcesses
    def test_markdown(self) -> None:
        """
        Each bus has a table whose rows are as wide as its head.
        """
        about = dict.fromkeys(describe(), "?")
        made = markdown(
            [download([500], [100])], "muxd", "C usbmuxd", {**about, "rounds": 3, "seconds": 1.0}
        )
        rows = [line for line in made.splitlines() if line.startswith("|")]
        self.assertEqual({row.count("|") for row in rows}, {10})
        self.assertIn("### Unpaced bus", made)

    def test_inserted(self) -> None:
        """
        The table of a document is replaced, and nothing else of it.
        """
        document = f"before\n{BEGIN}\nold\n{END}\nafter\n"
        self.assertEqual(inserted(document, "new"), f"before\n{BEGIN}\n\nnew\n{END}\nafter\n")
        self.assertEqual(inserted("", "new"), "new")

    def test_json(self) -> None:
        """
        The file for programs has the medians and every round.
        """
        made = json.loads(toJSON([download([500, 520], [100, 110])], {"date": "today"}))
        self.assertEqual(made["date"], "today")
        self.assertEqual(made["rows"][0]["ours"], 510)
        self.assertEqual(len(made["measured"][0]["theirs"]["rounds"]), 2)

    def test_numbers(self) -> None:
        """
        No more digits are shown than are worth reading.
        """
        self.assertEqual(
            [number(value) for value in (None, 0.5, 12.345, 123.4, 12345.6)],
            ["-", "0.50", "12.3", "123.4", "12,346"],
        )
