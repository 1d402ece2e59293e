"""
The tests that a mutant is shown to: those that start no process, until one fails::

    python -m tests.mutation.running tests.device.test_window tests.wire
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from twisted.trial.reporter import MinimalReporter
from twisted.trial.runner import TestLoader, TestSuite, TrialRunner

from tests.__main__ import cases
from tests.running.processes import mayStartProcesses
from tests.running.properties import settle


def main(names: list[str]) -> int:
    """
    Run them.

    @return: 0 if all passed.
    """
    settle()
    found = cases(TestLoader().loadByNames(names, recurse=True))
    suite = TestSuite([test for test in found if not mayStartProcesses(test.id())])
    with tempfile.TemporaryDirectory(prefix="trial-") as directory:
        runner = TrialRunner(
            MinimalReporter, workingDirectory=str(Path(directory, "trial")), exitFirst=True
        )
        return int(not runner.run(suite).wasSuccessful())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
