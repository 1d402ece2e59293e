"""
A reporter for trial that makes one outcome of all that a test has to report.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

from twisted.trial.reporter import Reporter

from tests.running.outcome import Outcome, Verdict
from tests.running.processes import Guard


class Recorder(Reporter):
    """
    Tells when a test starts, and its outcome when it has ended.

    A test may report several errors, and one that was skipped may fail while it
    is tidied up; it has one outcome.  An error outside of any test is an outcome
    of its own, with the name that trial gives to it.  A test that starts a process
    and is not marked has failed, even if it has caught what was raised.

    @ivar started: Called with the id of a test.
    @ivar ended: Called with an L{Outcome}.
    @ivar output: Called for what was written since the test started.
    """

    started: Callable[[str], None]
    ended: Callable[[Outcome], None]
    output: Callable[[], str]

    def __init__(
        self, stream: Any = None, tbformat: str = "default", realtime: bool = True, log: Any = None
    ) -> None:
        # Everything that it would print goes into the outcome.  Errors, at once.
        self._reports = io.StringIO()
        super().__init__(self._reports, tbformat, True, log)
        self._test: str | None = None
        self._guard = Guard()
        self._guard.install()
        self._start = 0.0
        self._verdict = Verdict.PASSED

    def startTest(self, test: Any) -> None:
        """
        A test starts.
        """
        super().startTest(test)
        self._test = test.id()
        self._verdict = Verdict.PASSED
        self._clear()
        self.started(test.id())
        self._guard.startTest(test.id())
        self._start = time.monotonic()

    def stopTest(self, test: Any) -> None:
        """
        It has ended.
        """
        super().stopTest(test)
        self._guard.stopTest()
        if self._guard.offence:
            self._reports.write(f"{self._guard.offence}\n")
            self._verdict = Verdict.FAILED
        self._test = None
        self._tell(test.id(), time.monotonic() - self._start)

    def addError(self, test: Any, error: Any) -> None:
        """
        Something was raised.
        """
        super().addError(test, error)
        self._failed(test)

    def addFailure(self, test: Any, fail: Any) -> None:
        """
        An assertion does not hold.
        """
        super().addFailure(test, fail)
        self._failed(test)

    def addUnexpectedSuccess(self, test: Any, todo: Any = None) -> None:
        """
        A test that is expected to fail has not.
        """
        super().addUnexpectedSuccess(test, todo)
        self._reports.write(f"unexpected success: {todo}\n")
        self._failed(test)

    def addSkip(self, test: Any, reason: Any) -> None:
        """
        It was skipped.
        """
        super().addSkip(test, reason)
        if self._verdict is Verdict.PASSED:
            self._verdict = Verdict.SKIPPED
        self._reports.write(f"{reason}\n")

    def done(self) -> None:
        """
        All were run.  There is nothing to print.
        """

    def _failed(self, test: Any) -> None:
        self._verdict = Verdict.FAILED
        if self._test is None:
            self._tell(test.id(), 0.0)

    def _tell(self, test: str, seconds: float) -> None:
        reason = self._reports.getvalue()
        self._clear()
        self.ended(Outcome(test, self._verdict, seconds, reason, self.output()))

    def _clear(self) -> None:
        self._reports.seek(0)
        self._reports.truncate()


def recording(
    started: Callable[[str], None],
    ended: Callable[[Outcome], None],
    output: Callable[[], str] = str,
) -> type[Recorder]:
    """
    A factory of reporters, as a runner of trial wants it.
    """
    functions = {
        "started": staticmethod(started),
        "ended": staticmethod(ended),
        "output": staticmethod(output),
    }
    return type("Recorder", (Recorder,), functions)
