"""
All tests, or those named, with a closing line of counts.

C{python -m tests} runs them in this process; with C{--jobs}, in several of their
own.  The counts are made of trial's results for the tests that were loaded: one
that was not run has failed.
"""

from __future__ import annotations

import faulthandler
import gc
import itertools
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import TestCase

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.python import usage
from twisted.trial.runner import TestLoader, TrialRunner

import muxd
from muxd.build import VARIABLE, description, isPureWanted, staleModules
from tests.running.batches import Batches
from tests.running.pool import Pool
from tests.running.properties import settle
from tests.running.recorder import recording
from tests.running.report import Report
from tests.running.unit import isUnit

ALL = ("tests",)

UNSTEADY = 10
"""Where more tests than that have failed, it is not for a want of time."""


class Options(usage.Options):
    """
    Which tests, how, and where to put the counts.
    """

    synopsis = "[options] [names of tests, such as tests.wire]"
    longdesc = "Run the tests."
    optFlags = [
        ["coverage", None, "Have the jobs measure coverage."],
        [
            "unit",
            None,
            "Leave out the tests that start processes or take seconds, and most examples.",
        ],
        ["again", None, "With jobs: try what failed once more, alone; that counts, and is told."],
    ]
    optParameters = [
        [
            "jobs",
            "j",
            0,
            "Run so many processes; auto is one for each CPU, and one more without --unit.",
            str,
        ],
        ["summary", None, None, "Write the closing line here, and do not print it."],
        ["deadline", None, 600, "Seconds after which to give up a test and show what hangs.", int],
    ]

    def parseArgs(self, *names: str) -> None:
        """
        What to run, if not everything.
        """
        self["names"] = names or ALL

    def postOptions(self) -> None:
        """
        How many CPUs there are for us.  Tests that wait for a process leave some of that to one
        worker more; where there are none, it would only import everything once more.
        """
        if self["jobs"] == "auto":
            self["jobs"] = len(os.sched_getaffinity(0)) + (not self["unit"])
        try:
            self["jobs"] = int(self["jobs"])
        except ValueError as error:
            raise usage.UsageError(f"--jobs: expected a number, got {self['jobs']!r}") from error


def cases(suite: Any) -> Iterator[Any]:
    """
    All tests of a suite.
    """
    try:
        parts = iter(suite)
    except TypeError:
        yield suite
    else:
        yield from itertools.chain.from_iterable(map(cases, parts))


def modules() -> list[str]:
    """
    The names of all modules with tests, none of which has to be imported for that.
    """
    here = Path(__file__).parent
    paths = sorted(here.rglob("test_*.py"))
    return [".".join(path.relative_to(here.parent).with_suffix("").parts) for path in paths]


def runHere(tests: list[Any], report: Report, deadline: float) -> None:
    """
    Run tests in this process.
    """

    def started(test: str) -> None:
        # A test without a reactor has no timeout of its own.
        faulthandler.dump_traceback_later(deadline, exit=True)

    with tempfile.TemporaryDirectory(prefix="trial-") as directory:
        TrialRunner(
            recording(started, report.add),
            workingDirectory=str(Path(directory, "trial")),
            uncleanWarnings=False,
        ).run(Batches(list(batch) for _, batch in itertools.groupby(tests, key=type)))
    faulthandler.cancel_dump_traceback_later()


def main(arguments: list[str]) -> int:
    """
    Run the tests.

    @return: the exit status.
    """
    options = Options()
    try:
        options.parseOptions(arguments)
    except usage.UsageError as error:
        print(f"{options}\n{error}", file=sys.stderr)
        return 2
    stale = staleModules(str(Path(muxd.__file__).parent))
    if stale and not isPureWanted(os.environ):
        print(
            f"missing or older than its source: {stale[0]}: make builds it anew;"
            " running the pure build"
        )
        sys.stdout.flush()
        os.environ[VARIABLE] = "1"
        os.execv(sys.executable, [sys.executable, "-m", "tests", *arguments])
    print(f"the {description()} build", flush=True)
    settle(few=options["unit"])
    report = Report([], sys.stdout)
    measuring = ("coverage", "run", "-m") if options["coverage"] else ()
    few = ("--few",) if options["unit"] else ()
    command = (sys.executable, "-m", *measuring, "tests.running.worker", *few)
    pool = Pool(command, options["deadline"], report.add)
    if options["jobs"] and options["names"] == ALL:
        pool.start(modules(), options["jobs"])
    # All that is in modules stays, so that no garbage is to be looked for there.
    gc.disable()
    tests = list(cases(TestLoader().loadByNames(options["names"], recurse=True)))
    gc.freeze()
    gc.enable()
    # What could not be loaded is told by this process.
    broken = [test for test in tests if not isinstance(test, TestCase)]
    if options["unit"]:
        tests = [test for test in tests if isUnit(test.id())]
    report.expected = [test.id() for test in tests]
    if options["jobs"] == 0:
        runHere(tests, report, options["deadline"])
    else:
        # Daemons that start at the same time would all write the same cache.
        list(getPlugins(IServiceMaker))
        runHere(broken, report, options["deadline"])
        groups = itertools.groupby((test for test in tests if test not in broken), key=type)
        batches = [[test.id() for test in group] for _, group in groups]
        # What takes longest comes first, so that all workers end at about the same time.
        batches.sort(key=lambda batch: all(map(isUnit, batch)))
        pool.run(batches, options["jobs"])
        known = set(itertools.chain.from_iterable(batches))
        again = [[failed.test] for failed in report.failed() if failed.test in known]
        if options["again"] and len(again) <= UNSTEADY:
            Pool(command, options["deadline"], report.addAgain).run(again, 1)
    good = report.finish()
    if options["summary"]:
        Path(options["summary"]).write_text(f"{report.summary}\n")
    else:
        print(report.summary)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
