"""
All tests, or those named, with a closing line of counts.

C{python -m tests} is C{python -m twisted.trial tests} but for that line, which
is made of trial's own result and not of what trial prints.
"""

from __future__ import annotations

import faulthandler
import sys
import tempfile
from pathlib import Path
from typing import cast

from twisted.python import usage
from twisted.trial.reporter import Reporter, VerboseTextReporter
from twisted.trial.runner import TestLoader, TrialRunner


class Options(usage.Options):
    """
    Which tests, and where to put the counts.
    """

    synopsis = "[options] [names of tests, such as tests.wire]"
    longdesc = "Run the tests."
    optParameters = [
        ["summary", None, None, "Write the closing line here, and do not print it."],
        ["deadline", None, 2400, "Seconds after which to give up and show what hangs.", int],
    ]

    def parseArgs(self, *names: str) -> None:
        """
        What to run, if not everything.
        """
        self["names"] = names or ("tests",)


def summary(result: Reporter) -> str:
    """
    The closing line.
    """
    passed = result.successes + len(result.expectedFailures)
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    return f"{passed} passed, {failed} failed, {len(result.skips)} skipped"


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
    # A test without a reactor has no timeout of its own.
    faulthandler.dump_traceback_later(options["deadline"], exit=True)
    suite = TestLoader().loadByNames(options["names"], recurse=True)
    with tempfile.TemporaryDirectory(prefix="trial-") as directory:
        runner = TrialRunner(
            VerboseTextReporter,
            workingDirectory=str(Path(directory, "trial")),
            uncleanWarnings=False,
        )
        result = cast(Reporter, runner.run(suite))
    faulthandler.cancel_dump_traceback_later()
    line = summary(result)
    if options["summary"]:
        Path(options["summary"]).write_text(f"{line}\n")
    else:
        print(line)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
