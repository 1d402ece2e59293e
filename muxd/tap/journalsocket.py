# -*- test-case-name: tests.tap.test_journalsocket -*-
"""
systemd's journal, told in its own way: a datagram for each event, with the event's fields
(https://systemd.io/JOURNAL_NATIVE_PROTOCOL).

C{journalctl MUXD_UDID=...} finds what concerns a phone.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Callable, Mapping

from twisted.logger import ILogObserver, LogEvent, LogLevel
from zope.interface import implementer

from muxd.tap.journal import PRIORITIES
from muxd.tap.logfields import fieldsOf, textOf, tracebackOf

SOCKET = "/run/systemd/journal/socket"

OBSERVER = "muxd.tap.journalsocket.journalSocketObserver"
"""What C{twistd} calls L{journalSocketObserver}: it takes names alone."""

IDENTIFIER = "usbmuxd"

PREFIX = "MUXD_"
"""What the names of an event's own fields begin with."""

_LENGTH = struct.Struct("<Q")
_LONGEST_NAME = 64


def encodeFields(fields: Mapping[str, str]) -> bytes:
    """
    Fields as the journal reads them.
    """
    parts = []
    for name, value in fields.items():
        data = value.encode("utf-8", "replace")
        if b"\n" in data:
            parts.append(b"%s\n%s%s\n" % (name.encode(), _LENGTH.pack(len(data)), data))
        else:
            parts.append(b"%s=%s\n" % (name.encode(), data))
    return b"".join(parts)


def fieldName(name: str) -> str:
    """
    The journal's name of a field of ours: C{deviceID} is C{MUXD_DEVICE_ID}.
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper()
    return (PREFIX + re.sub(r"[^A-Z0-9_]", "_", words))[:_LONGEST_NAME]


def journalFields(event: LogEvent) -> dict[str, str]:
    """
    An event as fields; none if it says nothing.
    """
    text, traceback = textOf(event), tracebackOf(event)
    if not text and not traceback:
        return {}
    level = event.get("log_level") or LogLevel.info
    fields = {
        "MESSAGE": text or traceback,
        "PRIORITY": str(PRIORITIES.get(level, 6)),
        "SYSLOG_IDENTIFIER": IDENTIFIER,
        "MUXD_LOGGER": str(event.get("log_namespace") or event.get("log_system") or "-"),
    }
    if traceback:
        fields["MUXD_TRACEBACK"] = traceback
    for name, value in fieldsOf(event).items():
        fields.setdefault(fieldName(name), str(value))
    return fields


@implementer(ILogObserver)
class JournalSocketObserver:
    """
    Sends each event to the journal.

    A journal that does not keep up is not waited for: what it does not take is counted, and
    told when it takes something again.
    """

    def __init__(self, send: Callable[[bytes], object]) -> None:
        """
        @param send: Sends a datagram, or raises an C{OSError} at once.
        """
        self._send = send
        self._lost = 0

    def __call__(self, event: LogEvent) -> None:
        """
        Something is logged.
        """
        fields = journalFields(event)
        if not fields:
            return
        if self._lost:
            fields["MUXD_LOST"] = str(self._lost)
        try:
            self._send(encodeFields(fields))
        except OSError:
            self._lost += 1
        else:
            self._lost = 0


def journalSocket(path: str = SOCKET) -> socket.socket:
    """
    A socket that is connected to the journal.

    @raise OSError: There is none.
    """
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        connected.connect(path)
        connected.setblocking(False)
    except OSError:
        connected.close()
        raise
    return connected


def hasJournal(path: str = SOCKET) -> bool:
    """
    Whether there is a journal to tell.
    """
    try:
        journalSocket(path).close()
    except (OSError, AttributeError):
        # Windows has no UNIX sockets.
        return False
    return True


def journalSocketObserver() -> JournalSocketObserver:
    """
    What C{twistd} is to log with: see its option C{--logger}.

    @raise OSError: There is no journal.
    """
    return JournalSocketObserver(journalSocket().send)
