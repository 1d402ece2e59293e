# -*- test-case-name: tests.bench.test_results -*-
"""
Tests of L{bench.results}.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from bench.goals import Verdict
from bench.results import Column, Comparison, Results, ResultsError, Series, Setting
from bench.subjects import Build
from bench.workloads import Workload, workloads

COMPILED = Column("compiled", "muxd, compiled", Build.COMPILED)
PURE = Column("pure", "muxd, pure", Build.PURE)
C = Column("c", "C usbmuxd")
ABOUT = {
    "date": "2026-01-01",
    "processor": "fast",
    "cores": 2,
    "kernel": "6",
    "python": "3.11",
    "twisted": "26",
    "revision": "abc",
    "load": 0.1,
    "priority": "ordinary",
    "rounds": 3,
    "seconds": 1.0,
}
TWO, ONE = Setting("all", (0, 1)), Setting("1", (1,))


def workload(key: str) -> Workload:
    """
    Return the workload that has this row.
    """
    return next(w for w in workloads() if any(row.key == key for row in w.rows))


def series(rates: Sequence[float | None]) -> Series:
    """
    Make the answers to a download; None: a round that failed.
    """
    made = Series()
    for rate in rates:
        if rate is None:
            made.rounds.append(None)
            made.failures.append("a byte was wrong")
        else:
            made.rounds.append({"MBps": rate, "cpu_ms_per_MB": 1000 / rate, "peak_MB": 40.0})
    return made


def download(
    pure: Sequence[float | None],
    c: Sequence[float | None],
    compiled: Sequence[float | None] | None = None,
    setting: Setting = TWO,
) -> Comparison:
    """
    Make downloads that went at these rates.
    """
    made = {} if compiled is None else {"compiled": series(compiled)}
    made |= {"pure": series(pure), "c": series(c)}
    return Comparison(workload("unpaced.download-1"), setting, made)


def results(*comparisons: Comparison, notes: Sequence[str] = ()) -> Results:
    """
    Make results of comparisons that have the same subjects.
    """
    columns = [one for one in (COMPILED, PURE, C) if one.key in comparisons[0].series]
    return Results(
        about=ABOUT,
        columns=columns,
        settings=list(dict.fromkeys(each.setting for each in comparisons)),
        comparisons=list(comparisons),
        notes=list(notes),
    )


class SeriesTests(SynchronousTestCase):
    """
    Tests of L{Series}.
    """

    def test_median(self) -> None:
        """
        One bad round does not count, nor does one that failed.
        """
        self.assertEqual(series([1.0, 500.0, 510.0]).median("MBps"), 500)
        self.assertEqual(series([None, 500.0, None]).median("MBps"), 500)
        self.assertIsNone(series([1.0]).median("p50_us"))


class LinesTests(SynchronousTestCase):
    """
    Tests of L{Results.lines}.
    """

    def test_ratios(self) -> None:
        """
        A ratio is the median of the rounds' ratios, of figure and cost: on a machine that is
        slow in one round and fast in another, that of medians would be another.
        """
        (line,) = results(download([20, 300, 1000], [10, 100, 1000])).lines(TWO)
        standing = line.standings["pure"]
        self.assertEqual(standing.figure.ours, 300)
        self.assertEqual(standing.figure.theirs, 100)
        self.assertEqual(standing.figure.ratio, 2)
        self.assertAlmostEqual(standing.cost.ratio or 0, 0.5)

    def test_failedRound(self) -> None:
        """
        A round that failed on one of the subjects has no ratio.
        """
        (line,) = results(download([None, 300], [10, 100])).lines(TWO)
        self.assertEqual(line.standings["pure"].figure.ratio, 3)
        self.assertTrue(line.failed("pure"))
        self.assertFalse(line.failed("c"))

    def test_goals(self) -> None:
        """
        Each build is judged by its own goals, and the reference by none.
        """
        (line,) = results(download([150], [100], compiled=[150])).lines(TWO)
        verdicts = {key: [verdict for _, verdict in found] for key, found in line.verdicts.items()}
        self.assertEqual(verdicts, {"compiled": [Verdict.FLOOR], "pure": [Verdict.MET], "c": []})

    def test_settings(self) -> None:
        """
        Each setting has a table of its own.
        """
        both = results(download([200], [100]), download([50], [100], setting=ONE))
        self.assertEqual(both.lines(TWO)[0].standings["pure"].figure.ratio, 2)
        self.assertEqual(both.lines(ONE)[0].standings["pure"].figure.ratio, 0.5)


class VerdictTests(SynchronousTestCase):
    """
    Tests of L{Results.missed} and L{Results.failures}.
    """

    def test_met(self) -> None:
        """
        A run has missed if any goal was missed in any setting.
        """
        good = download([200], [100])
        self.assertFalse(results(good).missed)
        self.assertTrue(results(good, download([50], [100], setting=ONE)).missed)

    def test_failed(self) -> None:
        """
        A build that failed once has missed, however fast it was otherwise; the reference may.
        """
        self.assertTrue(results(download([900, None], [100, 100])).missed)
        self.assertFalse(results(download([900, 900], [100, None])).missed)

    def test_words(self) -> None:
        """
        What failed is told once for each subject, with its setting.
        """
        (told,) = results(download([None, None], [100, 100])).failures()
        for part in ("download, 1 session", "2 CPUs", "muxd, pure", "a byte was wrong"):
            self.assertIn(part, told)


class FileTests(SynchronousTestCase):
    """
    Tests of the file that results are kept in.
    """

    def test_readAgain(self) -> None:
        """
        What was written can be read again, whole.
        """
        before = results(
            download([500, None], [100, 110], [900, 910]),
            download([50, 60], [10, 11], [90, 91], ONE),
            notes=["a note"],
        )
        after = Results.fromJSON(before.toJSON())
        self.assertEqual(after, before)

    def test_medians(self) -> None:
        """
        The file has what each row comes to, for other programs.
        """
        made = json.loads(results(download([500, 520], [100, 104])).toJSON())
        (row,) = made["rows"]
        self.assertEqual(row["key"], "unpaced.download-1")
        self.assertEqual(row["subjects"]["pure"]["median"], 510)
        self.assertEqual(row["subjects"]["pure"]["ratio"], 5)
        self.assertEqual(row["subjects"]["pure"]["goals"], {">= 1x": "MET"})

    def test_forgotten(self) -> None:
        """
        A workload that this program no longer has is left out.
        """
        values = json.loads(results(download([500], [100])).toJSON())
        values["measured"][0]["workload"] = "unpaced.of-old"
        self.assertEqual(Results.fromJSON(json.dumps(values)).comparisons, [])

    def test_wrong(self) -> None:
        """
        A file that is something else is refused.
        """
        for text in ("", "[]", "{}", '{"format": 1}', '{"format": 2}'):
            self.assertRaises(ResultsError, Results.fromJSON, text)
