# -*- test-case-name: tests.bench.test_commandline -*-
"""
Tests of L{bench.commandline}.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
from pathlib import Path
from shutil import rmtree

from twisted.trial.unittest import SynchronousTestCase

from bench.commandline import chosen, main, settings
from bench.results import Setting
from bench.workloads import workloads
from tests.bench.test_results import download, results


class ListTests(SynchronousTestCase):
    """
    Tests of C{--list}.
    """

    def test_rows(self) -> None:
        """
        Every row's name is a line.
        """
        self.patch(sys, "stdout", output := io.StringIO())
        self.assertEqual(main(["--list"]), 0)
        rows = [row.key for workload in workloads() for row in workload.rows]
        self.assertEqual(output.getvalue().splitlines(), rows)

    def test_readerGone(self) -> None:
        """
        A reader that has read enough of it, as C{head} does, gets no complaint, not
        even when the interpreter flushes what is left.
        """
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "w") as output:
            self.patch(sys, "stdout", output)
            self.assertEqual(main(["--list"]), 0)


class ChosenTests(SynchronousTestCase):
    """
    Tests of L{chosen}.
    """

    def test_all(self) -> None:
        """
        Without a choice everything is measured.
        """
        self.assertEqual(chosen(None, quick=False), list(workloads()))

    def test_pattern(self) -> None:
        """
        A workload is measured if one of its rows is asked for, even one that a
        quick run would leave out.
        """
        (found,) = chosen(["*.idle-4000-echo"], quick=True)
        self.assertIn("4000", found.arguments)

    def test_unknown(self) -> None:
        """
        No row is no workload.
        """
        self.assertEqual(chosen(["nonsense"], quick=False), [])


class SettingsTests(SynchronousTestCase):
    """
    Tests of L{settings}, on a machine with three CPUs.
    """

    def setUp(self) -> None:
        """
        Have three CPUs.
        """
        self.patch(os, "sched_getaffinity", lambda pid: {0, 2, 1})

    def test_default(self) -> None:
        """
        Unless told otherwise, a run is on all CPUs.
        """
        self.assertEqual(settings(None), [Setting("all", (0, 1, 2))])

    def test_both(self) -> None:
        """
        Several settings are measured in their order, each once.
        """
        self.assertEqual(
            settings(["all", "1", "all"]), [Setting("all", (0, 1, 2)), Setting("1", (1,))]
        )

    def test_none(self) -> None:
        """
        A CPU that is not there is refused, with those that are.
        """
        for text in ("3", "x", "-1"):
            error = self.assertRaises(ValueError, settings, [text])
            self.assertIn("all or 0, 1, 2", str(error))


class RenderTests(SynchronousTestCase):
    """
    Tests of C{--render}.
    """

    def setUp(self) -> None:
        """
        Have a file of results.
        """
        self.directory = Path(tempfile.mkdtemp())
        self.addCleanup(rmtree, self.directory)
        self.complaints = io.StringIO()
        self.patch(sys, "stdout", io.StringIO())
        self.patch(sys, "stderr", self.complaints)
        self.file = self.directory / "bench.json"

    def test_render(self) -> None:
        """
        Table and pictures are made of a file; the status says whether goals are met.
        """
        document, pictures = self.directory / "page.md", self.directory / "pictures"
        document.write_text("before\n<!-- table -->\n<!-- end of table -->\nafter\n")
        for rate, status in ((500, 0), (50, 1)):
            self.file.write_text(results(download([rate], [100])).toJSON())
            arguments = ["--render", str(self.file), "--markdown", str(document)]
            self.assertEqual(main([*arguments, "--pictures", str(pictures)]), status)
            text = document.read_text()
            self.assertTrue(text.startswith("before\n") and text.endswith("\nafter\n"))
            self.assertIn(f"| {rate}.0 |" if rate > 99 else "| 50.0 |", text)
        self.assertEqual([one.name for one in pictures.iterdir()], ["throughput.svg"])

    def test_wrong(self) -> None:
        """
        A file that is something else, or is not there, is refused in a line.
        """
        self.file.write_text("{}")
        for name in ("bench.json", "missing.json"):
            self.assertEqual(main(["--render", str(self.directory / name)]), 2)
        self.assertEqual(len(self.complaints.getvalue().splitlines()), 2)
