# -*- test-case-name: tests.muxctl.test_status -*-
"""
C{muxctl status}: what a daemon is doing.
"""

from __future__ import annotations

from argparse import Namespace

from muxd.muxctl.columns import jsonLine
from muxd.muxctl.statusclient import StatusClient, statusAddress
from muxd.muxctl.terminal import Terminal
from muxd.wire.text import printable


def clientFor(options: Namespace, terminal: Terminal) -> StatusClient:
    """
    The client of the status socket that a command line means.

    @raise UsbmuxError: It means none.
    """
    return StatusClient(statusAddress(options.status, terminal.address), options.timeout)


def showStatus(options: Namespace, terminal: Terminal) -> int:
    """
    C{muxctl status}.
    """
    values = clientFor(options, terminal).get("/api/status")
    if terminal.json:
        terminal.show([jsonLine(values)])
        return 0
    terminal.show(_lines(values))
    return 0


def _lines(values: dict[str, object]) -> list[str]:
    phones = values["phones"]
    assert isinstance(phones, list)
    return [printable(f"usbmuxd {values['version']}, {len(phones)} phones")]
