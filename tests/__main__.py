"""
All tests, or those named, with a closing line of counts.

C{python -m tests} runs them in this process; with C{--jobs}, in several of their
own.  The counts are made of trial's results for the tests that were loaded: one
that was not run has failed.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.python import usage

import muxd
from muxd.build import VARIABLE, description, isPureWanted, staleModules
from tests.running.pool import Pool
from tests.running.report import Report
from tests.running.unit import isUnit, memoryDirectory

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


def runAlone(options: Options, report: Report) -> None:
    """
    Run the tests in this process.
    """
    # What only workers need otherwise: they are to start at once.
    from tests.running.here import runHere
    from tests.running.loading import load
    from tests.running.properties import settle

    settle(few=options["unit"])
    tests = load(options["names"])
    if options["unit"]:
        tests = [test for test in tests if isUnit(test.id())]
    report.expected = [test.id() for test in tests]
    runHere(tests, report.add, options["deadline"])


def runInPool(options: Options, report: Report) -> None:
    """
    Run the tests in workers, one of which says which there are.
    """
    measuring = ("coverage", "run", "-m") if options["coverage"] else ()
    few = ("--few",) if options["unit"] else ()
    command = (sys.executable, "-m", *measuring, "tests.running.worker", *few)
    pool = Pool(command, options["deadline"], report.add)
    tests = pool.find(options["names"], options["jobs"] if options["names"] == ALL else 1)
    if options["unit"]:
        tests = [test for test in tests if test.unit]
    else:
        # Daemons that start at the same time would all write the same cache.
        list(getPlugins(IServiceMaker))
    report.expected = [test.test for test in tests]
    batches = [list(batch) for _, batch in itertools.groupby(tests, key=lambda test: test.case)]
    # What takes longest comes first, so that all workers end at about the same time.
    batches.sort(key=lambda batch: all(test.unit for test in batch))
    pool.run([[test.test for test in batch] for batch in batches], options["jobs"])
    known = set(report.expected)
    again = [[failed.test] for failed in report.failed() if failed.test in known]
    if options["again"] and len(again) <= UNSTEADY:
        Pool(command, options["deadline"], report.addAgain).run(again, 1)


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
    report = Report([], sys.stdout)
    with contextlib.ExitStack() as stack:
        # Workers end with this process, and their directory, also where it is told to end.
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
        if options["unit"] and (memory := memoryDirectory()) is not None:
            # A test that runs into its deadline tidies nothing up.
            os.environ["TMPDIR"] = stack.enter_context(TemporaryDirectory(prefix="t", dir=memory))
        if options["jobs"]:
            runInPool(options, report)
        else:
            runAlone(options, report)
    good = report.finish()
    if options["summary"]:
        Path(options["summary"]).write_text(f"{report.summary}\n")
    else:
        print(report.summary)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
