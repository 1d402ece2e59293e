# -*- test-case-name: tests.phone.services.test_fileservice -*-
"""
C{com.apple.coredevice.fileservice}: files of an app, crash reports and what is temporary, in a
tunnel.

Of its two services C{control} is asked by RemoteXPC, and C{data} has the bytes of files: a header,
the bytes, and when they have come a header that says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Any
from uuid import UUID

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import FileSender
from twisted.python.failure import Failure

from muxd.phone.services.afcfiles import Files
from muxd.phone.services.afcpackets import AFCError, Status
from muxd.tunnel.remotexpc import MOST_WAITING, RemoteXPC
from muxd.tunnel.xpc import WANTS_REPLY, Message, Unsigned
from muxd.wire.text import printable

CONTROL = "com.apple.coredevice.fileservice.control"
DATA = "com.apple.coredevice.fileservice.data"

CONTROL_FEATURES = (
    "com.apple.coredevice.feature.listFiles",
    "com.apple.coredevice.feature.transferFiles",
    "com.apple.coredevice.feature.filesystemoperation",
)
"""What it is told to do; these are no names of requests."""

APP, TEMPORARY, CRASHES = 1, 3, 5
"""Domains."""

MOST_SESSIONS = 16
"""Of one connection."""

MOST_NAMES = 10_000
"""Names that are told of one directory."""

LONGEST_LIST = MOST_WAITING // 2
"""Bytes of these names in a message: of more of them waiting, the connection is given up."""

UPLOAD, DOWNLOAD, COMPLETE = 0, 1, 0x63
"""Kinds of headers."""

REFUSED = 3
"""The C{Response} of an error."""

_MAGIC = b"rwb!FILE"
_HEADER = Struct(">8sQQQQ")
_READ, _WRITE = 1, 3
_AROUND = 12
"""Bytes that a message has around a text, at most."""


class Refused(Exception):
    """
    A request cannot be granted.
    """


@dataclass(frozen=True, slots=True)
class Transfer:
    """
    A file that a host may fetch or send.

    @ivar size: Of what it fetches; 0 for what it sends.
    """

    files: Files
    handle: int
    isUpload: bool
    size: int = 0


class FileService:
    """
    What both services of a phone share.

    @ivar transfers: Those that have not begun, by number.
    """

    def __init__(
        self,
        domains: Mapping[int, Callable[[str], Files | None]],
        random: Callable[[int], bytes],
    ) -> None:
        """
        @param domains: By its number, what makes the files of one; it is given an identifier, and
            returns C{None} if there is none of this name.
        @param random: Makes that many random bytes.
        """
        self.domains = domains
        self.random = random
        self.transfers: dict[int, Transfer] = {}
        self._last = 0

    def offer(self, transfer: Transfer) -> int:
        """
        Let a host begin a transfer.

        @return: Its number.
        """
        self._last += 1
        self.transfers[self._last] = transfer
        return self._last

    def forget(self, files: Files) -> None:
        """
        Let nothing of a session begin any more.
        """
        self.transfers = {
            number: one for number, one in self.transfers.items() if one.files is not files
        }


class FileControl(RemoteXPC):
    """
    The phone's end of one connection to C{control}.
    """

    _log = Logger()
    isHost = False

    def __init__(self, service: FileService) -> None:
        super().__init__()
        self._service = service
        self._sessions: dict[str, Files] = {}
        self._commands: Mapping[str, Callable[[Files, dict[str, Any]], dict[str, Any]]] = {
            "FileSystemOperation": self._operate,
            "ProposeEmptyFile": self._proposeEmpty,
            "ProposeFile": self._propose,
            "RetrieveDirectoryList": self._list,
            "RetrieveFile": self._retrieve,
        }
        self._operations: Mapping[str, Callable[[Files, dict[str, Any]], object]] = {
            "CreateDirectory": lambda files, asked: files.makeDirectory(_path(asked)),
            "RemoveDirectory": lambda files, asked: files.remove(_path(asked)),
            "RemoveFile": lambda files, asked: files.remove(_path(asked)),
            "Rename": lambda files, asked: files.rename(
                _path(asked, "OldPath"), _path(asked, "NewPath")
            ),
        }

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Its sessions end.
        """
        for name in tuple(self._sessions):
            self._endSession(name)

    def messageReceived(self, message: Message) -> None:
        """
        Do what is asked for, and answer if an answer is wanted.
        """
        asked = message.body
        if not isinstance(asked, dict):
            self.close("expected a dictionary")
            return
        answer = self._answer(asked)
        if not message.flags & WANTS_REPLY:
            return
        if asked.get("Cmd") == "RetrieveDirectoryList":
            # Of all answers, this one is not in the stream for replies.
            self.send(answer)
        else:
            self.reply(message, answer)

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        name = asked.get("Cmd")
        try:
            if name == "CreateSession":
                return self._createSession(asked)
            session = asked.get("SessionID")
            files = self._sessions.get(session) if isinstance(session, str) else None
            if files is None:
                raise Refused("there is no such session")
            if name == "EndSession":
                self._endSession(str(session))
                return {"Response": Unsigned(0)}
            command = self._commands.get(name) if isinstance(name, str) else None
            if command is None:
                raise Refused(f"there is no command {printable(str(name))[:80]}")
            return command(files, asked)
        except AFCError as problem:
            return _refusal(f"{_path(asked, isWanted=False)}: {problem}")
        except Refused as problem:
            return _refusal(str(problem))

    def _createSession(self, asked: dict[str, Any]) -> dict[str, Any]:
        if len(self._sessions) >= MOST_SESSIONS:
            raise Refused(f"{MOST_SESSIONS} sessions are open already")
        domain, identifier = asked.get("Domain"), asked.get("Identifier")
        opened = self._service.domains.get(domain) if isinstance(domain, int) else None
        files = opened(identifier if isinstance(identifier, str) else "") if opened else None
        if files is None:
            of = printable(f"{domain} {identifier}")[:80]
            raise Refused(f"there are no files of the domain {of}")
        name = str(UUID(bytes=self._service.random(16))).upper()
        self._sessions[name] = files
        return {"Response": Unsigned(0), "NewSessionID": name}

    def _endSession(self, name: str) -> None:
        files = self._sessions.pop(name)
        self._service.forget(files)
        files.close()

    def _list(self, files: Files, asked: dict[str, Any]) -> dict[str, Any]:
        names = files.names(_path(asked))[2:]
        if len(names) > MOST_NAMES:
            raise Refused(f"it has more than {MOST_NAMES} names")
        if sum(len(os.fsencode(name)) + _AROUND for name in names) > LONGEST_LIST:
            raise Refused(f"its names have more than {LONGEST_LIST} bytes")
        return {"Response": Unsigned(0), "FileList": names}

    def _retrieve(self, files: Files, asked: dict[str, Any]) -> dict[str, Any]:
        path = _path(asked)
        if files.info(path)["st_ifmt"] == "S_IFDIR":
            raise AFCError(Status.IS_DIRECTORY)
        handle = files.open(path, _READ)
        size = files.left(handle)
        number = self._service.offer(Transfer(files, handle, False, size))
        told = {"FileSize": Unsigned(size), "NewFileID": Unsigned(number)}
        return {"Response": Unsigned(DOWNLOAD), **told}

    def _propose(self, files: Files, asked: dict[str, Any]) -> dict[str, Any]:
        handle = files.open(_path(asked), _WRITE)
        data = asked.get("FileData")
        if isinstance(data, bytes):
            try:
                files.write(handle, data)
            finally:
                files.closeFile(handle)
            return {"Response": Unsigned(0)}
        number = self._service.offer(Transfer(files, handle, True))
        return {"Response": Unsigned(UPLOAD), "NewFileID": Unsigned(number)}

    def _proposeEmpty(self, files: Files, asked: dict[str, Any]) -> dict[str, Any]:
        files.closeFile(files.open(_path(asked), _WRITE))
        return {"Response": Unsigned(0)}

    def _operate(self, files: Files, asked: dict[str, Any]) -> dict[str, Any]:
        name = asked.get("OperationType")
        operation = self._operations.get(name) if isinstance(name, str) else None
        if operation is None:
            raise Refused(f"there is no operation {printable(str(name))[:80]}")
        operation(files, asked)
        return {"Response": Unsigned(0)}


class _Reading:
    """
    A file that is read for a host, as long as it was when it asked.

    @ivar left: Bytes that have not been read.
    """

    def __init__(self, transfer: Transfer) -> None:
        self._transfer = transfer
        self.left = transfer.size

    def read(self, size: int) -> bytes:
        """
        Some more; nothing if there is no more, or the session has ended.
        """
        transfer = self._transfer
        try:
            data = transfer.files.read(transfer.handle, min(size, self.left))
        except AFCError:
            return b""
        self.left -= len(data)
        return data


class FileData(Protocol):
    """
    The phone's end of one connection to C{data}.
    """

    _log = Logger()

    def __init__(self, service: FileService) -> None:
        self._service = service
        self._held = bytearray()
        self._transfer: Transfer | None = None
        self._number = self._left = 0
        self._sender: FileSender | None = None
        self._isOver = False

    def dataReceived(self, data: bytes) -> None:
        """
        A header, or the bytes of a file.
        """
        if self._isOver:
            return
        if self._transfer is None:
            self._held += data
            if len(self._held) < _HEADER.size:
                return
            header, data = self._held[: _HEADER.size], bytes(self._held[_HEADER.size :])
            self._held.clear()
            self._begin(*_HEADER.unpack(header))
        try:
            if self._transfer is not None and self._transfer.isUpload:
                self._take(self._transfer, data)
        except AFCError as problem:
            self._end(str(problem))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        What has not come by now does not.
        """
        self._isOver = True
        if self._sender is not None:
            self._sender.stopProducing()
        self._close()

    def _begin(self, magic: bytes, kind: int, reserved: int, number: int, size: int) -> None:
        if magic != _MAGIC:
            self._end("expected a header of the file service")
            return
        transfer = self._service.transfers.get(number)
        if transfer is None or kind != (UPLOAD if transfer.isUpload else DOWNLOAD):
            self._end(f"file {number} is not expected")
            return
        del self._service.transfers[number]
        self._transfer, self._number = transfer, number
        if transfer.isUpload:
            self._left = size
            return
        self._say(DOWNLOAD, transfer.size)
        self._sender, reading = FileSender(), _Reading(transfer)
        sent: Deferred[Any] = self._sender.beginFileTransfer(reading, self.transport)
        sent.addCallbacks(lambda last: self._sent(reading.left), lambda failure: None)

    def _sent(self, left: int) -> None:
        self._sender = None
        if left:
            self._end(f"the file has {left} bytes less than it had")
            return
        self._close()
        self._isOver = True
        self._say(COMPLETE)

    def _take(self, transfer: Transfer, data: bytes) -> None:
        data = data[: self._left]
        if data:
            transfer.files.write(transfer.handle, data)
            self._left -= len(data)
        if not self._left:
            self._close()
            self._isOver = True
            self._say(COMPLETE)

    def _say(self, kind: int, size: int = 0) -> None:
        assert self.transport is not None
        self.transport.write(_HEADER.pack(_MAGIC, kind, 0, self._number, size))

    def _end(self, why: str) -> None:
        self._log.info("a host's file: {why}", why=why)
        self._isOver = True
        self._close()
        assert self.transport is not None
        self.transport.loseConnection()

    def _close(self) -> None:
        transfer, self._transfer = self._transfer, None
        if transfer is not None:
            try:
                transfer.files.closeFile(transfer.handle)
            except AFCError:
                # Its session has ended, and closed it.
                pass


def _path(asked: Mapping[str, Any], key: str = "Path", isWanted: bool = True) -> str:
    path = asked.get(key)
    if isinstance(path, str):
        return path
    if isWanted:
        raise Refused(f"expected {key}")
    return ""


def _refusal(text: str) -> dict[str, Any]:
    described = {"LocalizedDescription": text, "NSLocalizedDescription": text}
    return {
        "Response": Unsigned(REFUSED),
        "EncodedError": described,
        "LocalizedDescription": text,
    }
