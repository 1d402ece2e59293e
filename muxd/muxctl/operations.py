# -*- test-case-name: tests.muxctl.test_operations -*-
"""
C{muxctl release}, C{take} and C{reload}: what an operator has a daemon do.
"""

from __future__ import annotations

from argparse import Namespace

from muxd.muxctl.columns import jsonLine
from muxd.muxctl.status import clientFor
from muxd.muxctl.terminal import Terminal
from muxd.wire.text import printable


def release(options: Namespace, terminal: Terminal) -> int:
    """
    C{muxctl release}.

    @raise UsbmuxError: It has not been done.
    """
    answer = clientFor(options, terminal).post("/api/release", {"udid": options.phone})
    where = "" if answer.get("attached") else ", and is not here at present"
    return _show(terminal, answer, f"{options.phone} is released{where}")


def take(options: Namespace, terminal: Terminal) -> int:
    """
    C{muxctl take}.

    @raise UsbmuxError: It has not been done.
    """
    answer = clientFor(options, terminal).post("/api/take", {"udid": options.phone})
    return _show(terminal, answer, f"{options.phone} is taken back")


def reload(options: Namespace, terminal: Terminal) -> int:
    """
    C{muxctl reload}.

    @raise UsbmuxError: It has not been done.
    """
    answer = clientFor(options, terminal).post("/api/reload", {})
    later = answer.get("later")
    names = ", ".join(map(str, later)) if isinstance(later, list) else ""
    rest = f"; at the next start: {names}" if names else ""
    return _show(terminal, answer, f"listening addresses: {answer.get('listening')}{rest}")


def _show(terminal: Terminal, answer: dict[str, object], text: str) -> int:
    terminal.show([jsonLine(answer) if terminal.json else printable(text)])
    return 0
