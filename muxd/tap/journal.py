# -*- test-case-name: tests.tap.test_journal -*-
"""
Log lines for systemd's journal.

The journal has a time for each line, and takes a priority from C{<N>} at its beginning
(sd-daemon(3)).  It says in C{$JOURNAL_STREAM} which stream leads to it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TextIO

from twisted.logger import FileLogObserver, LogEvent, LogLevel, eventAsText

VARIABLE = "JOURNAL_STREAM"

OBSERVER_NAME = "muxd.tap.journal.journalObserver"
"""What C{twistd} calls L{journalObserver}: it takes names alone."""

PRIORITIES = {
    LogLevel.debug: 7,
    LogLevel.info: 6,
    LogLevel.warn: 4,
    LogLevel.error: 3,
    LogLevel.critical: 2,
}
"""The priorities of syslog(3)."""


def leadsToJournal(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """
    Whether what is written to a stream gets into the journal.
    """
    wanted = environ.get(VARIABLE, "")
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return wanted == f"{status.st_dev}:{status.st_ino}"


def journalText(event: LogEvent) -> str | None:
    """
    An event as lines for the journal, each with the event's priority.
    """
    text = eventAsText(event, includeTimestamp=False, includeSystem=False)
    if not text:
        return None
    priority = PRIORITIES.get(event.get("log_level", LogLevel.info), 6)
    return "".join(f"<{priority}>{line}\n" for line in text.splitlines() if line)


def journalObserver() -> FileLogObserver:
    """
    What C{twistd} is to log with: see its option C{--logger}.
    """
    return FileLogObserver(sys.stdout, journalText)
