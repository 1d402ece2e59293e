# -*- test-case-name: tests.muxctl.test_commandline -*-
"""
What every command of C{muxctl} is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TextIO

from muxd.client.address import UNIX_DEFAULT, Address
from muxd.muxctl.columns import jsonLine


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """
    The surroundings of one run: they are arguments, so that a test can have its
    own.

    @ivar address: Where the daemon is.
    @ivar json: Whether it is a program that reads what is written.
    """

    stdin: TextIO | None
    stdout: TextIO
    stderr: TextIO
    address: Address = UNIX_DEFAULT
    json: bool = False

    def show(self, lines: Iterable[str]) -> None:
        """
        Print lines, so that a pipe has them now.
        """
        encoding = self.stdout.encoding or "utf-8"
        for line in lines:
            # A program's name need not exist in our locale.
            self.stdout.write(line.encode(encoding, "replace").decode(encoding) + "\n")
        self.stdout.flush()

    def remark(self, text: str) -> None:
        """
        Tell the person, not the pipe.
        """
        self._complain(text, {"remark": text})

    def error(self, error: Exception, status: int) -> None:
        """
        Tell what has ended the command.
        """
        kind = type(error).__name__
        self._complain(str(error), {"error": kind, "text": str(error), "status": status})

    def _complain(self, text: str, values: Mapping[str, Any]) -> None:
        self.stderr.write(f"{jsonLine(values)}\n" if self.json else f"muxctl: {text}\n")
        self.stderr.flush()
