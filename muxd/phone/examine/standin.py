# -*- test-case-name: tests.phone.examine.test_standin -*-
"""
A bus for programs that load the stand-in for libusb of C{bench/rig}: its phones are simulated
in this process, and transfers are messages on UNIX sockets (C{bench/rig/wire.h}).

The library answers control transfers itself, so descriptors and modes are its own; what is the
phone's is everything on its two bulk endpoints.
"""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from pathlib import Path
from struct import Struct
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReadDescriptor, IWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.phone.bus.attachment import Attachment
from muxd.phone.bus.descriptors import MUX_IN, SERIAL_INDEX
from muxd.phone.bus.interfaces import CannotPlug, IBus, IGadget
from muxd.phone.bus.pipes import Transfer

HEADER = Struct("=BBBBIQII")
"""Type, endpoint, status, flags, length, id, how many OUT transfers have ended, 0."""

HELLO = Struct("=8I")
MAGIC = 0x46555342
VERSION = 1

CONFIGURATION = 4
"""The last one, which has the muxer; which one the host sets does not come this way."""

LARGEST = HEADER.size + 65536
SOCKET_BUFFER = 8 << 20
MESSAGES_PER_TURN = 64
EVENT_SIZE = 8
BUS = 1
LAST_ADDRESS = 127


class Kind(IntEnum):
    """
    What a message is.
    """

    HELLO = 1
    CLAIM = 2
    RELEASE = 3
    OUT = 4
    IN = 5
    CANCEL = 6
    RESET = 7
    IN_DATA = 64
    OUT_DONE = 65
    CANCELLED = 66


class Flag(IntFlag):
    """
    What else is to be known of a message.
    """

    MORE = 1
    ZERO_PACKET = 2


class Status(IntEnum):
    """
    How a transfer has ended, in libusb's numbers.
    """

    COMPLETED = 0
    ERROR = 1
    STALL = 4
    NO_DEVICE = 5
    OVERFLOW = 6

    @classmethod
    def of(cls, number: int) -> Status:
        """
        What an errno is.
        """
        return _STATUSES.get(number, cls.ERROR)


_STATUSES = {
    0: Status.COMPLETED,
    errno.EPIPE: Status.STALL,
    errno.ENODEV: Status.NO_DEVICE,
    errno.EOVERFLOW: Status.OVERFLOW,
}


@dataclass(frozen=True, slots=True)
class Message:
    """
    One message.

    @ivar kind: See L{Kind}; a number that is none is kept as it is.
    @ivar length: How many bytes are asked for, of L{Kind.IN}.
    @ivar number: What the library knows the transfer by.
    @ivar done: How many OUT transfers have ended.
    """

    kind: int
    data: bytes = b""
    endpoint: int = 0
    status: int = 0
    flags: int = 0
    length: int = 0
    number: int = 0
    done: int = 0

    def encode(self) -> bytes:
        """
        Header and data.
        """
        length = self.length or len(self.data)
        return (
            HEADER.pack(
                *(self.kind, self.endpoint, self.status, self.flags),
                *(length, self.number, self.done, 0),
            )
            + self.data
        )

    @classmethod
    def decode(cls, data: bytes) -> Message:
        """
        Parse one.

        @raise ValueError: It is shorter than a header.
        """
        if len(data) < HEADER.size:
            raise ValueError(f"expected a header of {HEADER.size} bytes, got {len(data)}")
        kind, endpoint, status, flags, length, number, done, _ = HEADER.unpack_from(data)
        rest = data[HEADER.size :]
        return cls(kind, rest, endpoint, status, flags, length, number, done)


class LibraryTransfer(Transfer):
    """
    A transfer of a program, which is told when it has ended.

    @ivar number: What the library knows it by.
    @ivar endpoint: The address of its endpoint.
    """

    __slots__ = ("_ended", "endpoint", "number")

    def __init__(
        self,
        message: Message,
        buffer: memoryview,
        owner: object,
        ended: Callable[[LibraryTransfer], None],
    ) -> None:
        super().__init__(buffer, owner)
        self.number = message.number
        self.endpoint = message.endpoint
        self.padded = bool(message.flags & Flag.ZERO_PACKET)
        self._ended = ended

    def finish(self, error: int = 0) -> None:
        """
        Complete it.
        """
        super().finish(error)
        self._ended(self)


@implementer(IReadDescriptor)
class _Door:
    """
    The socket of one phone that is plugged in, where programs open it.
    """

    def __init__(self, reactor: Any, path: Path, attachment: Attachment) -> None:
        self.path = path
        self.attachment = attachment
        self._reactor = reactor
        self._programs: set[Program] = set()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setblocking(False)
        try:
            # The library takes a socket that is not listened on for a dead one: it may see it
            # only when it is.
            early = path.with_suffix(".new")
            self._socket.bind(str(early))
            self._socket.listen(16)
            early.chmod(0o666)
            early.rename(path)
        except OSError as error:
            self._socket.close()
            raise CannotPlug(f"{path}: {error.strerror}") from error
        reactor.addReader(self)

    def fileno(self) -> int:
        """
        See C{IReadDescriptor}.
        """
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """
        See C{IReadDescriptor}.
        """
        return "stand-in bus"

    def doRead(self) -> None:
        """
        Let a program in.
        """
        with suppress(BlockingIOError):
            connection, _ = self._socket.accept()
            program = Program(self._reactor, connection, self.attachment, self._programs.discard)
            self._programs.add(program)

    def connectionLost(self, reason: Failure) -> None:
        """
        Called by the reactor, at its own end.
        """

    def close(self) -> None:
        """
        Cut all programs off.
        """
        self._reactor.removeReader(self)
        self._socket.close()
        self.path.unlink(missing_ok=True)
        for program in tuple(self._programs):
            program.close()


@implementer(IReadDescriptor, IWriteDescriptor)
class Program:
    """
    A program that has opened a phone.
    """

    def __init__(
        self,
        reactor: Any,
        connection: socket.socket,
        attachment: Attachment,
        closed: Callable[[Program], object],
    ) -> None:
        """
        @param closed: Called when it has gone.
        """
        self._reactor = reactor
        self._socket = connection
        self._attachment = attachment
        self._closed = closed
        self._event = -1
        self._isOpen = True
        self._unsent: deque[bytes] = deque()
        self._transfers: dict[int, LibraryTransfer] = {}
        connection.setblocking(False)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            connection.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)
        reactor.addReader(self)

    def fileno(self) -> int:
        """
        See C{IReadDescriptor}.
        """
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """
        See C{IReadDescriptor}.
        """
        return "stand-in bus"

    def connectionLost(self, reason: Failure) -> None:
        """
        Called by the reactor, at its own end.
        """
        self.close()

    def doRead(self) -> Failure | None:
        """
        Carry out what the program asks for.
        """
        for _ in range(MESSAGES_PER_TURN):
            if not self._isOpen:
                return None
            try:
                data, descriptors, _, _ = socket.recv_fds(self._socket, LARGEST, 1)
            except BlockingIOError:
                return None
            except OSError:
                data, descriptors = b"", []
            try:
                # Nothing at all is a program that has hung up.
                self._received(Message.decode(data), descriptors)
            except ValueError:
                for each in descriptors:
                    os.close(each)
                return Failure(ConnectionDone())
        return None

    def doWrite(self) -> None:
        """
        Send what did not go at once.
        """
        while self._unsent and self._sendNow(self._unsent[0]):
            self._unsent.popleft()
        if not self._unsent:
            self._reactor.removeWriter(self)

    def close(self) -> None:
        """
        Hang up, and forget what it has submitted.
        """
        if not self._isOpen:
            return
        self._isOpen = False
        self._reactor.removeReader(self)
        self._reactor.removeWriter(self)
        transfers, self._transfers = self._transfers, {}
        for transfer in transfers.values():
            with suppress(OSError):
                self._attachment.withdraw(transfer.endpoint, transfer)
        self._wake()
        self._socket.close()
        if self._event >= 0:
            os.close(self._event)
        self._closed(self)

    def _received(self, message: Message, descriptors: list[int]) -> None:
        """
        @raise ValueError: It makes no sense.
        """
        if message.kind == Kind.HELLO:
            self._greeted(message, descriptors)
        elif self._event < 0:
            raise ValueError(f"expected a greeting, got message {message.kind}")
        elif message.kind in (Kind.CLAIM, Kind.RESET):
            # A host sets the configuration before it claims, which empties the endpoints.
            self._attachment.reset()
        elif message.kind == Kind.IN:
            self._submit(message, memoryview(bytearray(message.length)))
        elif message.kind == Kind.OUT:
            if message.flags & Flag.MORE:
                raise ValueError("a transfer of more than 65536 bytes is no host's")
            self._submit(message, memoryview(message.data))
        elif message.kind == Kind.CANCEL:
            self._withdraw(message.number)

    def _greeted(self, message: Message, descriptors: list[int]) -> None:
        if len(message.data) != HELLO.size or len(descriptors) != 1 or self._event >= 0:
            raise ValueError("expected one greeting, with a descriptor")
        magic, version, *_ = HELLO.unpack(message.data)
        if (magic, version) != (MAGIC, VERSION):
            raise ValueError(f"expected version {VERSION} of the stand-in, got {version}")
        self._event = descriptors[0]

    def _submit(self, message: Message, buffer: memoryview) -> None:
        transfer = LibraryTransfer(message, buffer, self, self._ended)
        self._transfers[message.number] = transfer
        try:
            self._attachment.submit(message.endpoint, transfer)
        except OSError as error:
            transfer.finish(error.errno or errno.EIO)

    def _withdraw(self, number: int) -> None:
        transfer = self._transfers.get(number)
        if transfer is None:
            return
        if transfer.count:
            # Something has come: it ends with that, and nothing is lost.
            self._attachment.withdraw(transfer.endpoint, transfer)
            return
        del self._transfers[number]
        self._attachment.withdraw(transfer.endpoint, transfer)
        self._send(Message(Kind.CANCELLED, number=number))

    def _ended(self, transfer: LibraryTransfer) -> None:
        if self._transfers.get(transfer.number) is not transfer:
            return
        del self._transfers[transfer.number]
        if transfer.endpoint == MUX_IN:
            self._send(
                Message(
                    Kind.IN_DATA,
                    bytes(transfer.buffer[: transfer.count]),
                    endpoint=MUX_IN,
                    status=Status.of(transfer.error),
                    number=transfer.number,
                )
            )
        else:
            # The library has no word for a write that fails.
            self._send(Message(Kind.OUT_DONE, done=1))

    def _send(self, message: Message) -> None:
        data = message.encode()
        if self._isOpen and (self._unsent or not self._sendNow(data)):
            self._unsent.append(data)
            self._reactor.addWriter(self)

    def _sendNow(self, data: bytes) -> bool:
        try:
            self._socket.send(data, socket.MSG_NOSIGNAL)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            # It is gone, which reading will find.
            return True
        self._wake()
        return True

    def _wake(self) -> None:
        """
        Make the descriptor that the program polls writable, as one of usbfs is when a
        transfer has ended: the library keeps its counter full.
        """
        if self._event >= 0:
            with suppress(OSError):
                os.read(self._event, EVENT_SIZE)


@implementer(IBus)
class StandInBus:
    """
    Phones on a bus that the stand-in for libusb finds in a directory.
    """

    def __init__(self, reactor: Any, directory: Path) -> None:
        """
        @param reactor: Provides C{IReactorFDSet}.
        @param directory: What C{FAKEUSB_DIR} names.
        """
        self._reactor = reactor
        self._directory = directory
        self._doors: dict[IGadget, _Door] = {}
        self._plugged = 0

    def plug(self, gadget: IGadget) -> Path:
        """
        Plug a device in.

        @return: Its socket.
        """
        if gadget in self._doors:
            raise CannotPlug("it is plugged in already")
        address = self._plugged % (LAST_ADDRESS - 1) + 2
        self._plugged += 1
        attachment = Attachment(gadget, BUS, address, 1, CONFIGURATION)
        descriptor = gadget.descriptor
        serial = descriptor.strings[SERIAL_INDEX]
        path = self._directory / f"{BUS}-{address}-{descriptor.idProduct:x}-{serial}.sock"
        gadget.plugged(attachment)
        self._doors[gadget] = _Door(self._reactor, path, attachment)
        return path

    def unplug(self, gadget: IGadget, error: int = 0) -> None:
        """
        Pull it out.
        """
        door = self._doors.pop(gadget, None)
        if door is not None:
            door.attachment.unplug(error)
            door.close()
            gadget.unplugged(door.attachment)
