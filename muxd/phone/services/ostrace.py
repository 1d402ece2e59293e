# -*- test-case-name: tests.phone.services.test_ostrace -*-
"""
C{com.apple.os_trace_relay}: the phone's log in binary records, its processes, and an archive.

A request is a property list as everywhere.  What comes back are chunks: a byte that says which
kind, a length of four bytes (big-endian for an answer, else little-endian), and that many bytes.
The answer to C{StartActivity} is binary and short: clients are known that take only the last byte
of its length.
"""

from __future__ import annotations

import io
import plistlib
import struct
import tarfile
import uuid
from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from muxd.lockdown.plists import AnsweringProtocol, Message
from muxd.phone.services.logbook import LogLine, SyslogBook

ANSWER, RECORD, DATA = 1, 2, 3
"""Kinds of chunks."""

RECORD_HEAD = struct.Struct("<BIIIQ16sHQQQIBB6xQI4x16sHIIIII")
"""What a record begins with: 129 bytes."""

MARKER, LOG_MESSAGE = 2, 8

LEVELS = {"Notice": 0x00, "Info": 0x01, "Debug": 0x02, "Error": 0x10, "Fault": 0x11}

EVERY_PROCESS = (-1, 0xFFFFFFFF)


def encodeRecord(line: LogLine) -> bytes:
    """
    A line as a record.
    """
    path = f"/usr/libexec/{line.process}"
    texts = [text.encode("utf-8", "replace") + b"\0" for text in (path, line.process, line.text)]
    label = [line.subsystem, line.category] if line.subsystem and line.category else ["", ""]
    labels = [text.encode("utf-8", "replace") + b"\0" if text else b"" for text in label]
    seconds, fraction = divmod(line.moment, 1)
    image = uuid.uuid5(uuid.NAMESPACE_URL, path).bytes
    head = RECORD_HEAD.pack(
        *(MARKER, LOG_MESSAGE, RECORD_HEAD.size, line.pid, line.pid, image, len(texts[0]), 0, 0),
        *(int(seconds), int(fraction * 1_000_000), 0, LEVELS.get(line.level, 0)),
        *(int(line.moment * 24_000_000), line.pid, image, len(texts[1]), len(texts[2])),
        *(0, len(labels[0]), len(labels[1]), 0),
    )
    return head + b"".join((*texts, *labels))


class OsTraceRelay(AnsweringProtocol):
    """
    One host.  Records that it does not take in time are skipped, and one says how many.
    """

    def __init__(self, book: SyslogBook) -> None:
        self._book = book
        self._pid: int | None = None
        self._isPaused = False
        self._skipped = 0
        self._last = LogLine(0, "logd", "")

    def plistReceived(self, message: Message) -> None:
        """
        The host wants one of three things.
        """
        request = message.get("Request")
        if request == "StartActivity":
            pid = message.get("Pid", EVERY_PROCESS[0])
            self._pid = pid if type(pid) is int and pid not in EVERY_PROCESS else None
            self._answer({"Status": "RequestSuccessful"})
            self._book.read(self._wrote)
        elif request == "PidList":
            names = self._book.processes.items()
            payload = {str(pid): {"ProcessName": name} for pid, name in names}
            self._answer({"Status": "RequestSuccessful", "Payload": payload})
        elif request == "CreateArchive":
            self._answer({"Status": "RequestSuccessful"})
            self._chunk(DATA, emptyArchive())
            self.close()
        else:
            self._answer({"Status": "RequestFailed"})

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The host is gone.
        """
        self._book.close(self._wrote)

    def pauseProducing(self) -> None:
        """
        The host does not read.
        """
        self._isPaused = True
        super().pauseProducing()

    def resumeProducing(self) -> None:
        """
        It reads again.
        """
        self._isPaused = False
        super().resumeProducing()
        skipped, self._skipped = self._skipped, 0
        if skipped:
            text = f"{skipped} lines were skipped"
            self._chunk(RECORD, encodeRecord(LogLine(self._last.moment, "logd", text)))

    def _wrote(self, line: LogLine) -> None:
        if self._pid is not None and line.pid != self._pid:
            return
        self._last = line
        if self._isPaused:
            self._skipped += 1
        else:
            self._chunk(RECORD, encodeRecord(line))

    def _answer(self, values: dict[str, Any]) -> None:
        self._chunk(ANSWER, plistlib.dumps(values, fmt=plistlib.FMT_BINARY))

    def _chunk(self, kind: int, data: bytes) -> None:
        order = ">I" if kind == ANSWER else "<I"
        transport: Any = self.transport
        transport.write(bytes((kind,)) + struct.pack(order, len(data)) + data)


def emptyArchive() -> bytes:
    """
    An archive of a log without lines: the format of what would be in it is Apple's own.
    """
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("Persist", "Special", "timesync"):
            entry = tarfile.TarInfo(name)
            entry.type = tarfile.DIRTYPE
            entry.mode = 0o755
            tar.addfile(entry)
    return archive.getvalue()
