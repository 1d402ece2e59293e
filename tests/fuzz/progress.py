# -*- test-case-name: tests.fuzz.test_main -*-
"""
What libFuzzer says of its work.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

_LINE = re.compile(r"#(\d+)\s+(\w+)\s.*?cov: (\d+) ft: (\d+) corp: (\d+)/")
_ARTIFACT = re.compile(r"Test unit written to (\S+)")
_COSTLY = ("timeout-", "oom-", "slow-unit-")
_EXPENSES = ("Expense: ", "tests.fuzz.metering.Expense: ")
_BEGIN = "Uncaught Python exception"
_END = re.compile(r"==\d+== ")


@dataclass(slots=True)
class Progress:
    """
    Of one target.

    @ivar executions: How many inputs were tried.
    @ivar coverage: How many edges of the code were reached.
    @ivar features: The same, and how often.
    @ivar corpus: How many inputs reach something that no other does.
    @ivar crashes: The files of those that failed.
    @ivar traceback: What the last of them raised.
    """

    executions: int = 0
    coverage: int = 0
    features: int = 0
    corpus: int = 0
    crashes: list[str] = field(default_factory=list)
    traceback: list[str] = field(default_factory=list)
    _isTraceback: bool = False

    @property
    def isOfCost(self) -> bool:
        """
        Whether what failed has cost too much time or memory, and done nothing wrong.
        """
        names = [os.path.basename(name) for name in self.crashes]
        raised = any(line.startswith(_EXPENSES) for line in self.traceback)
        return bool(names) and (raised or all(name.startswith(_COSTLY) for name in names))

    def forgive(self) -> None:
        """
        What failed is no failure.
        """
        self.crashes.clear()
        self.traceback.clear()

    def see(self, line: str) -> bool:
        """
        Take a line into account.

        @return: Whether there was something about progress in it.
        """
        if _BEGIN in line:
            self._isTraceback = True
            self.traceback.clear()
        elif self._isTraceback:
            self._isTraceback = _END.match(line) is None
            if self._isTraceback:
                self.traceback.append(line)
        artifact = _ARTIFACT.search(line)
        if artifact is not None:
            self.crashes.append(artifact[1])
        found = _LINE.match(line)
        if found is None:
            return False
        self.executions = int(found[1])
        self.coverage, self.features, self.corpus = (int(found[at]) for at in (3, 4, 5))
        return True
