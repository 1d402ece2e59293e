# -*- test-case-name: tests.phone.services.test_afc -*-
"""
C{com.apple.afc}: a host that reads and writes the phone's files.

Requests are performed one after the other.  Data that is written goes to the file
as it comes, however long the packet is, and what is read comes from it as the host takes it,
however much was asked for; answers wait until the host reads them, and
no further request is looked at meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.interfaces import IConsumer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from muxd.net.connections import Answering
from muxd.phone.services.afcfiles import Files
from muxd.phone.services.afcpackets import (
    HEADER,
    WORD,
    AFCError,
    BadPacket,
    Header,
    Operation,
    Status,
    encode,
    encodeHead,
    paths,
    strings,
    words,
)

Answer = tuple[Operation, bytes, bytes]
"""Of a request: operation, body and data."""

PIECE = 1 << 16
"""Bytes of a file that are read at once."""


class AFC(Answering, Protocol):
    """
    One host.
    """

    _log = Logger()

    def __init__(self, files: Files) -> None:
        """
        @param files: This host's view of the files.
        """
        self._files = files
        self._buffer = bytearray()
        self._header: Header | None = None
        self._number = 0
        self._writing: tuple[int, int] | None = None
        self._reading: tuple[int, int] | None = None
        self._failed: Status | None = None
        self._isPaused = False
        self._isClosed = False
        self._requests: dict[int, Callable[[bytes], Answer | None]] = {
            Operation.READ_DIR: self._readDirectory,
            Operation.FILE_INFO: lambda body: _list(files.info(*paths(body, 1))),
            Operation.DEVICE_INFO: lambda body: _list(files.deviceInfo()),
            Operation.MAKE_DIR: lambda body: files.makeDirectory(*paths(body, 1)),
            Operation.REMOVE: lambda body: files.remove(*paths(body, 1)),
            Operation.REMOVE_ALL: lambda body: files.removeAll(*paths(body, 1)),
            Operation.RENAME: lambda body: files.rename(*paths(body, 2)),
            Operation.MAKE_LINK: self._makeLink,
            Operation.SET_TIME: self._setTime,
            Operation.TRUNCATE: self._truncate,
            Operation.OPEN: self._open,
            Operation.SEEK: self._seek,
            Operation.TELL: self._tell,
            Operation.SET_SIZE: lambda body: files.setSize(*words(body, 2)[0]),
            Operation.LOCK: lambda body: files.lock(*words(body, 2)[0]),
            Operation.CLOSE: lambda body: files.closeFile(*words(body, 1)[0]),
        }

    # The connection

    def connectionMade(self) -> None:
        """
        Agree with the transport on a measure.
        """
        self.beginAnswering()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The host is gone, and its files are closed.
        """
        self._isClosed = True
        self._buffer.clear()
        self._files.close()

    def dataReceived(self, data: bytes) -> None:
        """
        Perform what has come completely.
        """
        if not self._isClosed:
            self._buffer += data
            self._work()

    def pauseProducing(self) -> None:
        """
        The host does not read its answers.
        """
        self._isPaused = True
        super().pauseProducing()

    def resumeProducing(self) -> None:
        """
        It reads again.
        """
        self._isPaused = False
        super().resumeProducing()
        self._work()

    def stopProducing(self) -> None:
        """
        The host is gone.
        """
        self._isPaused = True

    # Packets

    def _work(self) -> None:
        try:
            while not self._isPaused and not self._isClosed and self._step():
                pass
        except BadPacket as error:
            self._log.info("AFC closes: {error}", error=str(error))
            self._isClosed = True
            self._buffer.clear()
            cast(IConsumer, self.transport).unregisterProducer()
            cast(Any, self.transport).loseConnection()

    def _step(self) -> bool:
        """
        Take the next piece of a packet.

        @return: Whether there was one.
        """
        if self._writing is not None:
            return self._takeData(*self._writing)
        if self._reading is not None:
            return self._giveData(*self._reading)
        if self._header is None:
            if len(self._buffer) < HEADER.size:
                return False
            self._header = Header.decode(self._take(HEADER.size))
        header = self._header
        if len(self._buffer) < header.body:
            return False
        self._header = None
        self._perform(header, self._take(header.body))
        return True

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _perform(self, header: Header, body: bytes) -> None:
        """
        Answer a request.  Its data, which only a write should have, follows.
        """
        self._failed = None
        answer: Answer | None = None
        handle = 0
        try:
            if header.operation == Operation.WRITE:
                handle = words(body, 1)[0][0]
                self._files.file(handle)
            elif header.operation == Operation.READ and not header.data:
                self._read(header.number, *words(body, 2)[0])
                return
            else:
                request = self._requests.get(header.operation)
                if request is None:
                    raise AFCError(Status.UNKNOWN_OPERATION)
                answer = request(body)
        except AFCError as error:
            self._failed = error.status
        if header.operation == Operation.WRITE:
            self._number = header.number
            self._writing = (handle, header.data)
            return
        if header.data:
            raise BadPacket(f"expected no data with operation {header.operation}")
        self._answer(header.number, answer)

    def _takeData(self, handle: int, left: int) -> bool:
        """
        Write what has come of the data; what cannot be written is passed over.
        """
        if left and not self._buffer:
            return False
        data = self._take(min(left, len(self._buffer)))
        if self._failed is None and data:
            try:
                self._files.write(handle, data)
            except AFCError as error:
                self._failed = error.status
        left -= len(data)
        self._writing = (handle, left) if left else None
        if not left:
            self._answer(self._number, None)
        return True

    def _read(self, number: int, handle: int, size: int) -> None:
        """
        Begin to give what was asked for, or all that there is.  A file that cannot be read is
        found out before anything is promised.
        """
        size = min(size, self._files.left(handle))
        first = self._files.read(handle, min(size, PIECE))
        cast(Any, self.transport).write(encodeHead(number, Operation.DATA, size) + first)
        self._given(handle, size - len(first))

    def _giveData(self, handle: int, left: int) -> bool:
        """
        Give the next piece of a file.
        """
        try:
            piece = self._files.read(handle, min(left, PIECE))
        except AFCError as error:
            raise BadPacket(f"a file cannot be read to its end: {error}") from error
        if not piece:
            raise BadPacket(f"a file was cut while it was read, {left} bytes before its end")
        cast(Any, self.transport).write(piece)
        self._given(handle, left - len(piece))
        return True

    def _given(self, handle: int, left: int) -> None:
        self._reading = (handle, left) if left else None

    def _answer(self, number: int, answer: Answer | None) -> None:
        if answer is None or self._failed is not None:
            status = Status.SUCCESS if self._failed is None else self._failed
            answer = (Operation.STATUS, WORD.pack(status), b"")
        cast(Any, self.transport).write(encode(number, *answer))

    # Requests

    def _readDirectory(self, body: bytes) -> Answer:
        return Operation.DATA, b"", strings(*self._files.names(*paths(body, 1)))

    def _makeLink(self, body: bytes) -> None:
        (kind,), rest = words(body, 1)
        self._files.link(kind, *paths(rest, 2))

    def _setTime(self, body: bytes) -> None:
        (moment,), rest = words(body, 1)
        self._files.setTime(paths(rest, 1)[0], moment)

    def _truncate(self, body: bytes) -> None:
        (size,), rest = words(body, 1)
        self._files.truncate(paths(rest, 1)[0], size)

    def _open(self, body: bytes) -> Answer:
        (mode,), rest = words(body, 1)
        return Operation.OPENED, WORD.pack(self._files.open(paths(rest, 1)[0], mode)), b""

    def _seek(self, body: bytes) -> None:
        (handle, whence, offset), _ = words(body, 3)
        signed = offset - (1 << 64) if offset >> 63 else offset
        if whence > 2:
            raise AFCError(Status.INVALID_ARGUMENT)
        self._files.seek(handle, signed, whence)

    def _tell(self, body: bytes) -> Answer:
        (handle,), _ = words(body, 1)
        return Operation.POSITION, WORD.pack(self._files.tell(handle)), b""


def _list(values: dict[str, str]) -> Answer:
    pairs = [text for pair in values.items() for text in pair]
    return Operation.DATA, b"", strings(*pairs)
