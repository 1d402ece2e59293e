# -*- test-case-name: tests.muxctl.test_operations -*-
"""
C{muxctl release}, C{take}, C{reload} and C{phone}: what an operator has a daemon do.
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


def phone(options: Namespace, terminal: Terminal) -> int:
    """
    C{muxctl phone}.

    @raise UsbmuxError: It has not been done.
    """
    command = " ".join(options.words)
    answer = clientFor(options, terminal).post("/api/phone", {"command": command}).get("answer")
    if answer == "ok" and not terminal.json:
        return 0
    isList = isinstance(answer, list) and not terminal.json
    lines = [printable(one) if isinstance(one, str) else jsonLine(one) for one in _all(answer)]
    terminal.show(lines if isList else [jsonLine(answer)])
    return 0


def _all(answer: object) -> list[object]:
    return answer if isinstance(answer, list) else [answer]


def _show(terminal: Terminal, answer: dict[str, object], text: str) -> int:
    terminal.show([jsonLine(answer) if terminal.json else printable(text)])
    return 0
