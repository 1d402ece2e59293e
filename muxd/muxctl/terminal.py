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
from muxd.wire.text import printable


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

        On a terminal they are words, and no commands to it, whatever a phone, a daemon or
        a record says.
        """
        if self.stdout.isatty():
            lines = map(_harmless, lines)
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

    def error(self, error: BaseException, status: int, text: str | None = None) -> None:
        """
        Tell what has ended the command.

        @param text: What to say, if it is not what the error says.
        """
        kind, text = type(error).__name__, _textOf(error) if text is None else text
        self._complain(text, {"error": kind, "text": text, "status": status})

    def _complain(self, text: str, values: Mapping[str, Any]) -> None:
        line = jsonLine(values) if self.json else f"muxctl: {printable(text, None)}"
        self.stderr.write(f"{line}\n")
        self.stderr.flush()


def _textOf(error: BaseException) -> str:
    """
    What an error says; of one of the system's, the file and the reason without its number.
    """
    text = str(error)
    if not isinstance(error, OSError) or not text.startswith("[Errno"):
        return text
    reason = str(error.strerror)
    return reason if error.filename is None else f"{error.filename}: {reason}"


def _harmless(line: str) -> str:
    return "\t".join(printable(part, None) for part in line.split("\t"))
