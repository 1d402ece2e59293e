# -*- test-case-name: tests.tap -*-
"""
What the options of all our commands of C{twistd} have in common.
"""

from __future__ import annotations

import sys
from typing import Any, NoReturn

from twisted.python import usage

import muxd


class CommandOptions(usage.Options):
    """
    Options that build a service, on a reactor that has been chosen by then.

    @cvar examples: How it is used.
    @ivar reactor: What to build the service on; C{None} means the global one,
        once the options of C{twistd} have chosen it.
    """

    examples = ""
    reactor: Any = None

    def __init__(self) -> None:
        super().__init__()
        # usage wraps these, but leaves the indentation of docstrings in them.
        self.docs = {name: " ".join((text or "").split()) for name, text in self.docs.items()}

    def opt_version(self) -> NoReturn:
        """
        Print the version and exit.
        """
        print(f"muxd {muxd.__version__}")
        sys.exit(0)

    def getUsage(self, width: int | None = None) -> str:
        """
        The options, and what is behind them.
        """
        return f"{super().getUsage(width)}\n{self.epilogue()}"

    def epilogue(self) -> str:
        """
        What the usage ends with.
        """
        return self.examples

    def parseArgs(self, *arguments: str) -> None:
        """
        @raise usage.UsageError: There are arguments; none are expected.
        """
        if arguments:
            raise usage.UsageError(
                f"unexpected argument {arguments[0]!r}; a value belongs right behind its option"
            )

    def chooseReactor(self) -> None:
        """
        Use the global one, if nobody has said which.
        """
        if self.reactor is None:
            from twisted.internet import reactor

            self.reactor = reactor

    @property
    def hasLogLevel(self) -> bool:
        """
        Whether what runs us has a log level of its own: C{twist} has, and C{twistd}
        has not.
        """
        runner = self.parent
        return runner is not None and "logLevel" in runner
