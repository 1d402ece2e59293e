"""
Tests for L{tests.fuzz.__main__} and L{tests.fuzz.progress}.
"""

from __future__ import annotations

import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz import __main__ as fuzz
from tests.fuzz.progress import Progress
from tests.fuzz.target import TARGETS, targetNamed
from tests.running.processes import startsProcesses
from tests.sanitized import SanitizedTree

SAID = """\
INFO: Loaded 1 modules
#2	INITED cov: 12 ft: 13 corp: 1/1b exec/s: 0 rss: 48Mb
#1024	pulse  cov: 88 ft: 305 corp: 41/3345b lim: 44 exec/s: 512 rss: 51Mb
#1999	REDUCE cov: 90 ft: 314 corp: 42/3400b lim: 44 exec/s: 500 rss: 51Mb L: 20/100 MS: 1

 === Uncaught Python exception: ===
Violation: something
Traceback (most recent call last):
  File "tests/fuzz/packets.py", line 1, in run

==77== ERROR: libFuzzer: fuzz target exited
    #0 0x7f in something
artifact_prefix='out/'; Test unit written to out/crash-da39a3
"""

REPEATS = "import os, sys; print(sys.argv[1], os.environ['WHERE'], len(sys.argv) - 2);"
"""Instead of L{tests.fuzz.repeat}: says what it was told."""


class ProgressTests(SynchronousTestCase):
    """
    Reading what libFuzzer says.
    """

    def setUp(self) -> None:
        """
        Read all of it.
        """
        self.progress = Progress()
        self.seen = [self.progress.see(line) for line in SAID.splitlines()]

    def test_numbers(self) -> None:
        """
        The last numbers count.
        """
        progress = self.progress
        numbers = (progress.executions, progress.coverage, progress.features, progress.corpus)
        self.assertEqual(numbers, (1999, 90, 314, 42))
        self.assertEqual(self.seen.count(True), 3)

    def test_crash(self) -> None:
        """
        The traceback is kept, and where the input is; not what libFuzzer knows of
        its own stack.
        """
        self.assertEqual(self.progress.crashes, ["out/crash-da39a3"])
        self.assertEqual(self.progress.traceback[0], "Violation: something")
        self.assertNotIn("something", " ".join(self.progress.traceback[1:]))


class Script:
    """
    A target's process that is none.
    """

    def __init__(self, text: str, status: int) -> None:
        self.text = text
        self.status = status

    def command(self, *options: str) -> list[str]:
        """
        Say it, and end with the status.
        """
        said = f"import sys; print({self.text!r}); sys.exit({self.status})"
        return [sys.executable, "-c", said]


class MainTests(SynchronousTestCase):
    """
    All of it, but for atheris.
    """

    def setUp(self) -> None:
        """
        Pretend that it is there, and that no compiler is.
        """
        self.directory = self.mktemp()
        self.patch(fuzz, "find_spec", lambda name: self)
        self.patch(fuzz, "sanitizedTree", self.notBuilt)

    def notBuilt(self) -> SanitizedTree:
        """
        There are no compiled modules that notice accesses.
        """
        raise SkipTest("no compiler")

    def run_(self, text: str, status: int, *arguments: str) -> tuple[int, str]:
        """
        What is said by everything when each target says C{text}.
        """
        script = Script(text, status)
        self.patch(fuzz.Work, "command", script.command)
        said = StringIO()
        with redirect_stdout(said):
            status = fuzz.main(["--output", self.directory, *arguments])
        return status, said.getvalue()

    @startsProcesses
    def test_quiet(self) -> None:
        """
        Nothing found: a table, and status 0.
        """
        status, said = self.run_(SAID.split("\n\n")[0], 0, "--jobs", "3")
        self.assertEqual(status, 0)
        for target in TARGETS:
            self.assertRegex(said, rf"(?m)^{target.name} +1999 +\d+ +90 +314 +42 +0$")
        self.assertIn("calls: without AddressSanitizer: no compiler\n", said)

    @startsProcesses
    def test_sanitized(self) -> None:
        """
        All inputs of a target that is about memory are tried once more in the other tree, with
        its environment; what goes wrong there is a failure.
        """
        for script, status, words in (
            (REPEATS, 0, r"calls, with AddressSanitizer: calls there \d+\n"),
            (REPEATS + "sys.exit(1)", 1, r"(?s)\ncalls failed:\n.*calls there \d+"),
        ):
            place = Path(self.mktemp())
            (place / "tests" / "fuzz").mkdir(parents=True)
            (place / "tests" / "__init__.py").touch()
            (place / "tests" / "fuzz" / "__init__.py").touch()
            (place / "tests" / "fuzz" / "repeat.py").write_text(script)
            tree = SanitizedTree(place, {"WHERE": "there"})
            self.patch(fuzz, "sanitizedTree", lambda tree=tree: tree)
            ended, said = self.run_(SAID.split("\n\n")[0], 0, "calls")
            self.assertEqual(ended, status)
            self.assertRegex(said, words)

    @startsProcesses
    def test_crash(self) -> None:
        """
        Something found: its traceback, how to see it again, and status 1.
        """
        status, said = self.run_(SAID, 77, "packets")
        self.assertEqual(status, 1)
        self.assertRegex(said, r"(?m)^packets +1999 .* 1$")
        self.assertIn("Violation: something", said)
        self.assertRegex(said, "repeat it with: .* -m tests.fuzz.repeat packets out/crash-da39a3")

    @startsProcesses
    def test_costs(self) -> None:
        """
        What was too expensive in a fuzzer is a failure if it is so without one; what was wrong
        is one anyway.
        """
        expense = SAID.replace("Violation:", "Expense:")
        timeout = SAID.split("\n\n")[0] + "\nTest unit written to out/timeout-da39a3\n"
        for text, repeated, status in (
            (expense, 0, 0),
            (expense, 1, 1),
            (timeout, 0, 0),
            (timeout, 1, 1),
            (SAID, 0, 1),
        ):
            tried = [sys.executable, "-c", f"print('tried'); raise SystemExit({repeated})"]
            self.patch(fuzz.Work, "repeating", lambda work, tried=tried: tried)
            # There is no time for another fuzzer.
            ended, said = self.run_(text, 77, "--seconds", "1", "packets")
            self.assertEqual(ended, status, said)
            self.assertRegex(said, rf"(?m)^packets +1999 .* {status}$")
            self.assertEqual("packets, without a fuzzer: tried\n" in said, text != SAID)

    @startsProcesses
    def test_restOfTheTime(self) -> None:
        """
        The rest of a target's time is for other inputs.
        """
        seeds = Path(self.mktemp()).absolute()
        script = (
            f"import sys; said = open({str(seeds)!r}, 'a+');"
            "said.write(sys.argv[2] + ' '); said.seek(0);"
            "first = len(said.read().split()) == 1;"
            f"print({SAID.replace('Violation:', 'Expense:')!r}) if first else None;"
            "sys.exit(77 * first)"
        )
        self.patch(
            fuzz.Work, "command", lambda work, *options: [sys.executable, "-c", script, *options]
        )
        self.patch(fuzz.Work, "repeating", lambda work: [sys.executable, "-c", ""])
        with redirect_stdout(StringIO()):
            status = fuzz.main(
                ["--output", self.directory, "--seconds", "60", "--seed", "4", "packets"]
            )
        self.assertEqual(status, 0)
        self.assertEqual(seeds.read_text(), "-seed=4 -seed=5 ")

    @startsProcesses
    def test_cannotStart(self) -> None:
        """
        A target that does not even begin is no success.
        """
        status, said = self.run_("ImportError: no such thing", 1, "packets")
        self.assertEqual(status, 1)
        self.assertIn("ImportError: no such thing", said)

    def test_noAtheris(self) -> None:
        """
        Without atheris nothing is tried, which is said and is no success.
        """
        self.patch(fuzz, "find_spec", lambda name: None)
        said = StringIO()
        with redirect_stderr(said):
            self.assertEqual(fuzz.main([]), 2)
        self.assertIn("atheris, which is not installed", said.getvalue())

    def test_usage(self) -> None:
        """
        A target that there is not is named, with those that there are.
        """
        said = StringIO()
        with redirect_stderr(said):
            self.assertEqual(fuzz.main(["nothing"]), 2)
        self.assertIn("expected one of clients, phones", said.getvalue())

    def test_command(self) -> None:
        """
        A target's process is a fuzzer with its options.
        """
        work = fuzz.Work(targetNamed("packets"), Path(self.directory))
        self.assertEqual(work.command("-x")[1:], ["-m", "tests.fuzz.fuzzer", "packets", "-x"])
