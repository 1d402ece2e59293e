# -*- test-case-name: tests.tap.test_logfields -*-
"""
Log events as values: for C{--log-format json}, one object a line, and for the journal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from twisted.logger import FileLogObserver, LogEvent, LogLevel, formatEvent

JSON_OBSERVER = "muxd.tap.logfields.jsonObserver"
"""What C{twistd} calls L{jsonObserver}: it takes names alone."""

LONGEST_VALUE = 1000
"""Characters of a field."""

LONGEST_TEXT = 16384
"""Characters of a message or a traceback."""

_OLDER = frozenset(
    {"message", "format", "time", "system", "isError", "failure", "why", "printed", "logLevel"}
)
"""What Twisted's older log adds to events."""


def textOf(event: LogEvent) -> str:
    """
    What an event says.
    """
    return formatEvent(event)[:LONGEST_TEXT]


def tracebackOf(event: LogEvent) -> str:
    """
    The traceback that an event has; "" if it has none.
    """
    failure = event.get("log_failure")
    if failure is None:
        return ""
    try:
        return str(failure.getTraceback())[:LONGEST_TEXT]
    except Exception as error:
        # An exception of another program's that cannot say what it is.
        return f"(no traceback: {type(error).__name__})"


def fieldsOf(event: LogEvent) -> Mapping[str, Any]:
    """
    What an event has besides: numbers and truth as they are, and all else as text.
    """
    return {
        key: _plain(value)
        for key, value in event.items()
        if not key.startswith("log_") and key not in _OLDER
    }


def _plain(value: object) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    try:
        return str(value)[:LONGEST_VALUE]
    except Exception as error:
        return f"(no text: {type(error).__name__})"


def jsonText(event: LogEvent) -> str | None:
    """
    An event as one object in one line.
    """
    text, traceback = textOf(event), tracebackOf(event)
    if not text and not traceback:
        return None
    time = datetime.fromtimestamp(event.get("log_time", 0.0), UTC)
    values: dict[str, Any] = {
        "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": (event.get("log_level") or LogLevel.info).name,
        "logger": str(event.get("log_namespace") or event.get("log_system") or "-"),
        "message": text,
        "fields": fieldsOf(event),
    }
    if traceback:
        values["traceback"] = traceback
    return json.dumps(values) + "\n"


def jsonObserver() -> FileLogObserver:
    """
    What C{twistd} is to log with: see its option C{--logger}.
    """
    return FileLogObserver(sys.stdout, jsonText)
