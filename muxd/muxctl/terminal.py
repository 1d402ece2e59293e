# -*- test-case-name: tests.muxctl.test_commandline -*-
"""
What every command of C{muxctl} is given.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TextIO

from muxd.client.address import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """
    The surroundings of one run: they are arguments, so that a test can have its
    own.

    @ivar address: Where the daemon is.
    """

    stdin: TextIO | None
    stdout: TextIO
    stderr: TextIO
    address: Address

    def show(self, lines: Iterable[str]) -> None:
        """
        Print lines, so that a pipe has them now.
        """
        encoding = self.stdout.encoding or "utf-8"
        for line in lines:
            # Somebody's name for a program need not exist in our locale.
            self.stdout.write(line.encode(encoding, "replace").decode(encoding) + "\n")
        self.stdout.flush()

    def remark(self, text: str) -> None:
        """
        Tell the person, not the pipe.
        """
        self.stderr.write(f"muxctl: {text}\n")
        self.stderr.flush()
