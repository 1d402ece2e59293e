# -*- test-case-name: tests.phone.services.test_backup -*-
"""
C{com.apple.mobilebackup2}: a backup of the phone's files, and one that is put back.

It is the phone that leads: the host says what is wanted, and then makes directories, takes files
and gives them as the phone asks it to.  A backup is always a full one, and never encrypted.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Coroutine
from io import BytesIO
from typing import Any, BinaryIO

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from muxd.lockdown.plists import Message
from muxd.phone.lockdown.values import PhoneValues
from muxd.phone.services.apps import Apps
from muxd.phone.services.backupfiles import (
    DATABASE,
    LARGEST_LIST,
    MANIFEST,
    STATUS,
    Entry,
    Places,
    TooMuch,
    makeDatabase,
    makeManifest,
    makeStatus,
    readDatabase,
)
from muxd.phone.services.devicelink import EMPTY, DeviceLink
from muxd.phone.services.trees import makeDirectories

PROTOCOL = 2.1

SUCCESS, REMOTE_ERROR, LOCAL_ERROR, DATA = 0x00, 0x0B, 0x06, 0x0C
"""What a block of a file is."""

PIECE = 1 << 15

AT_ONCE = 500
"""Files that are asked for, or sent, with one message."""

MOST_HELD = 1 << 20
"""Bytes of a host's that are held; a block of a file is shorter."""

_LENGTH = struct.Struct(">I")


class _Kept(BytesIO):
    """
    A list that a host gives, in memory.
    """

    def write(self, data: Any) -> int:
        """
        Keep it.
        """
        if self.tell() + len(data) > LARGEST_LIST:
            raise ValueError(f"expected a list of at most {LARGEST_LIST} bytes")
        return super().write(data)

    def close(self) -> None:
        """
        It is still to be read.
        """


class Refused(Exception):
    """
    What the host wants is not possible.

    @ivar code: Of the answer.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Incoming:
    """
    Files that a host gives: names, blocks, and a zero at the end.
    """

    def __init__(self, opened: Callable[[str], BinaryIO | None]) -> None:
        """
        @param opened: Opens the file with a name, as the host says it; C{None} for one that is not
            wanted.
        """
        self._opened = opened
        self._buffer = bytearray()
        self._name: str | None = None
        self._file: BinaryIO | None = None
        self.isComplete = False
        self.failed: list[str] = []

    def feed(self, data: bytes) -> bytes:
        """
        Take what the host sends.

        @return: What comes behind the last file.
        @raise ValueError: It makes no sense.
        """
        self._buffer += data
        while not self.isComplete and self._step():
            pass
        rest = bytes(self._buffer) if self.isComplete else b""
        return rest

    def close(self) -> None:
        """
        Close what is open.
        """
        if self._file is not None:
            self._file.close()
            self._file = None

    def _step(self) -> bool:
        if len(self._buffer) < _LENGTH.size:
            return False
        (size,) = _LENGTH.unpack_from(self._buffer)
        if size > MOST_HELD:
            raise ValueError(f"expected blocks of at most {MOST_HELD} bytes, got {size}")
        if len(self._buffer) < _LENGTH.size + size:
            return False
        block = bytes(self._buffer[_LENGTH.size : _LENGTH.size + size])
        del self._buffer[: _LENGTH.size + size]
        if self._name is None:
            if not block:
                self.isComplete = True
            else:
                self._name = block.decode("utf-8", "replace")
                self._file = self._opened(self._name)
            return True
        code = block[0] if block else SUCCESS
        if code == DATA:
            if self._file is not None:
                self._file.write(block[1:])
            return True
        if code != SUCCESS:
            self.failed.append(self._name)
        self.close()
        self._name = None
        return True


class MobileBackup(DeviceLink):
    """
    One host.
    """

    MAX_LENGTH = 64 << 20

    def __init__(
        self,
        places: Places,
        apps: Apps,
        values: PhoneValues,
        restart: Callable[[], object],
        timeOfDay: Callable[[], float] = time.time,
    ) -> None:
        """
        @param restart: Restarts the phone, after it has been restored.
        """
        self._places = places
        self._apps = apps
        self._values = values
        self._restart = restart
        self._timeOfDay = timeOfDay
        self._isPaused = False
        self._isOver = False
        self._room: Deferred[None] | None = None
        self._status: Deferred[list[Any]] | None = None
        self._incoming: Incoming | None = None
        self._running: Deferred[None] | None = None

    # The connection

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
        room, self._room = self._room, None
        if room is not None:
            room.callback(None)

    def dataReceived(self, data: bytes) -> None:
        """
        A message, or files that were asked for.
        """
        if self._incoming is not None and not self._isClosed:
            try:
                data = self._incoming.feed(data)
            except (ValueError, OSError) as error:
                self.malformed(str(error))
                return
            if not self._incoming.isComplete:
                return
            self._incoming = None
        super().dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The host is gone, and what was being done ends.
        """
        self._isOver = True
        if self._incoming is not None:
            self._incoming.close()
        room, self._room = self._room, None
        status, self._status = self._status, None
        for waiting in (room, status):
            if waiting is not None:
                waiting.errback(ConnectionLost())

    # What the host wants

    def processReceived(self, message: Message) -> None:
        """
        The host says what it wants.
        """
        name = message.get("MessageName")
        if name == "Hello":
            self._respond(0, ProtocolVersion=PROTOCOL)
        elif self._running is not None:
            self.malformed("expected one request at a time")
        elif name == "Backup":
            self._run(self._backup())
        elif name == "Restore":
            self._run(self._restore(message))
        elif name == "Info":
            self._run(self._info())
        else:
            self._respond(1, f"{name!r:.80} is not done by this simulated phone")
            self.say("DLMessageDisconnect", EMPTY)

    def linkReceived(self, name: str, values: list[Any]) -> None:
        """
        The host has done what it was asked to.
        """
        status, self._status = self._status, None
        if name != "DLMessageStatusResponse" or status is None:
            self.malformed(f"expected DLMessageStatusResponse, got {name!r:.80}")
        else:
            status.callback(values)

    def _run(self, work: Coroutine[Deferred[Any], Any, None]) -> None:
        self._running = Deferred.fromCoroutine(work)
        self._running.addErrback(self._failed).addErrback(
            lambda failure: self._log.failure("A simulated phone's backup", failure)
        )

    def _failed(self, failure: Failure) -> None:
        """
        Tell the host, if it is there.
        """
        failure.trap(Refused, TooMuch, ConnectionLost, OSError)
        if not self._isOver:
            error = failure.value
            self._finish(error.code if isinstance(error, Refused) else 1, str(error))

    def _respond(self, code: int, text: str = "", **more: Any) -> None:
        described = {"ErrorDescription": text} if text else {}
        message = {"MessageName": "Response", "ErrorCode": code, **described, **more}
        self.say("DLMessageProcessMessage", message)

    def _finish(self, code: int, text: str = "", **more: Any) -> None:
        self._running = None
        self._respond(code, text, **more)
        self.say("DLMessageDisconnect", EMPTY)

    async def _info(self) -> None:
        self._finish(0, Content="A backup of a simulated phone\n")

    # A backup

    async def _backup(self) -> None:
        udid = str(self._values.get("UniqueDeviceID"))
        entries = list(self._places.entries())
        files = [entry for entry in entries if not entry.isDirectory]
        total = sum(entry.size for entry in files)
        free = await self._ask("DLMessageGetFreeDiskSpace")
        room = free[2] if len(free) > 2 and type(free[2]) is int else total
        if room < total:
            raise Refused(105, f"the host has room for {room} bytes, and {total} are needed")
        for name in sorted({f"{udid}/{entry.identifier[:2]}" for entry in files}):
            await self._ask("DLMessageCreateDirectory", name, 0, 0.0)
        done = 0
        for start in range(0, len(files), AT_ONCE):
            batch = files[start : start + AT_ONCE]
            self._say("DLMessageUploadFiles", {}, _percent(done, total), total)
            for entry in batch:
                await self._upload(udid, entry)
                done += entry.size
            await self._uploaded()
        self._say("DLMessageUploadFiles", {}, 100.0, total)
        moment = self._timeOfDay()
        values = self._values.domain("", isTrusted=True)
        for name, content in (
            (DATABASE, makeDatabase(entries)),
            (MANIFEST, makeManifest(values, self._apps, moment)),
            (STATUS, makeStatus(moment)),
        ):
            self._begin(f"/{name}", f"{udid}/{name}")
            for start in range(0, len(content), PIECE):
                await self._block(DATA, content[start : start + PIECE])
            await self._block(SUCCESS)
        await self._uploaded()
        self._finish(0)

    async def _upload(self, udid: str, entry: Entry) -> None:
        identifier = entry.identifier
        self._begin(f"/{entry.domain}/{entry.path}", f"{udid}/{identifier[:2]}/{identifier}")
        try:
            with open(entry.place, "rb", buffering=0) as file:
                while piece := file.read(PIECE):
                    await self._block(DATA, piece)
        except OSError as error:
            await self._block(REMOTE_ERROR, str(error).encode())
        else:
            await self._block(SUCCESS)

    def _begin(self, name: str, kept: str) -> None:
        for text in (name, kept):
            data = text.encode("utf-8", "surrogateescape")
            self._write(_LENGTH.pack(len(data)) + data)

    async def _block(self, code: int, data: bytes = b"") -> None:
        self._write(_LENGTH.pack(len(data) + 1) + bytes((code,)) + data)
        await self._whenRoom()

    def _uploaded(self) -> Deferred[list[Any]]:
        self._write(_LENGTH.pack(0))
        return self._answer()

    # Putting one back

    async def _restore(self, message: Message) -> None:
        source = message.get("SourceIdentifier", message.get("TargetIdentifier"))
        options = message.get("Options")
        if not isinstance(source, str) or not source or "/" in source or source in (".", ".."):
            raise Refused(205, "expected SourceIdentifier")
        kept = _Kept()
        failed = await self._download([f"{source}/{DATABASE}"], lambda _: kept, 0.0)
        try:
            if failed:
                raise ValueError("it could not be read")
            rows = readDatabase(kept.getvalue())
        except ValueError as error:
            raise Refused(205, f"the backup has no {DATABASE}: {error}") from error
        wanted: dict[str, str] = {}
        for identifier, domain, path, isDirectory in rows:
            place = self._places.placeOf(domain, path)
            if place is None:
                continue
            if isDirectory:
                makeDirectories(place)
            else:
                wanted[f"{source}/{identifier[:2]}/{identifier}"] = place
        names = list(wanted)
        for start in range(0, len(names), AT_ONCE):
            batch = names[start : start + AT_ONCE]
            done = _percent(start, len(names))
            await self._download(batch, lambda name: _opened(wanted.get(name)), done)
        self._finish(0)
        if not isinstance(options, dict) or options.get("RestoreShouldReboot", True):
            self._restart()

    async def _download(
        self, names: list[str], opened: Callable[[str], BinaryIO | None], done: float
    ) -> list[str]:
        """
        Have the host give files.

        @return: The names of those that it could not.
        """
        incoming = self._incoming = Incoming(opened)
        await self._ask("DLMessageDownloadFiles", names, 0, done)
        return incoming.failed

    # What the host does

    def _ask(self, name: str, *values: Any) -> Deferred[list[Any]]:
        """
        Have the host do something.
        """
        answer = self._answer()
        self._say(name, *values)
        return answer

    def _answer(self) -> Deferred[list[Any]]:
        self._status = Deferred()
        return self._status

    def _say(self, name: str, *values: Any) -> None:
        if self._isOver:
            raise ConnectionLost
        self.say(name, *values)

    def _write(self, data: bytes) -> None:
        if self._isOver:
            raise ConnectionLost
        transport: Any = self.transport
        transport.write(data)

    def _whenRoom(self) -> Deferred[None]:
        """
        Wait until the host reads.
        """
        if not self._isPaused:
            return succeed(None)
        self._room = Deferred()
        return self._room


def _percent(done: int, total: int) -> float:
    return 100.0 * done / total if total else 100.0


def _opened(place: str | None) -> BinaryIO | None:
    """
    Open a file that is put back, and nothing else that may be there.
    """
    if place is None or os.path.isdir(place):
        return None
    makeDirectories(os.path.dirname(place))
    if os.path.lexists(place) and not os.path.isfile(place):
        return None
    return open(place, "wb", buffering=0)
