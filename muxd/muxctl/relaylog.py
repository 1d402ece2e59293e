# -*- test-case-name: tests.muxctl.test_relay -*-
"""
The log of C{muxctl relay}.
"""

from __future__ import annotations

from twisted.logger import ILogObserver, LogEvent
from zope.interface import implementer

from muxd.muxctl.terminal import Terminal
from muxd.tap.logtext import eventText, textObserver
from muxd.tap.master import CANNOT_START


@implementer(ILogObserver)
class RelayLog:
    """
    Shows the log: lines as of any daemon, and for programs remarks.  A start that fails is left
    out, as it is told as the error that it is.
    """

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._lines = textObserver(terminal.stderr)

    def __call__(self, event: LogEvent) -> None:
        """
        Something is logged.
        """
        if event.get("log_format") == CANNOT_START:
            return
        if self._terminal.json:
            self._terminal.remark(eventText(event))
        else:
            self._lines(event)
