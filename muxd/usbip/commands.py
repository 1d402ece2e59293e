# -*- test-case-name: tests.usbip.test_commands -*-
"""
USB/IP 1.1.1 after a device was imported, bytes to values and back: the connection
belongs to two kernels, or to one and to us, and carries transfers (URBs) that are
submitted and unlinked, and what has become of them.

All numbers are big-endian but those in a SETUP packet.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field
from enum import IntEnum
from struct import Struct
from typing import ClassVar

from muxd.usbip.requests import InvalidUsbip

COMMAND_SIZE = 48
COMMAND = Struct("!IIIII28s")
SUBMIT = Struct("!IiiiI8s")
UNLINK = Struct("!I24x")
RETURN_SUBMIT = Struct("!iiiiI8x")
RETURN_UNLINK = Struct("!i24x")

SHORT_NOT_OK = 0x0001
"""Flag of a transfer: one that ends early is an error (EREMOTEIO)."""

ZERO_PACKET = 0x0040
"""Flag of a transfer to the device: an empty packet follows whole ones."""

NO_PACKETS = (0, -1)
"""What is said of packets that are not isochronous: Linux' kernel says 0, its
documentation -1."""


class Command(IntEnum):
    """
    What comes after an import.
    """

    SUBMIT = 1
    UNLINK = 2
    RETURN_SUBMIT = 3
    RETURN_UNLINK = 4


class Errno(IntEnum):
    """
    Linux' numbers of errors, which are meant whatever the system is here.
    """

    EIO = 5
    ENODEV = 19
    EPIPE = 32
    EPROTO = 71
    EOVERFLOW = 75
    ECONNRESET = 104
    EREMOTEIO = 121

    @classmethod
    def fromLocal(cls, number: int) -> Errno:
        """
        Of an errno of this system; EPROTO if it is none of these.
        """
        return cls.__members__.get(errno.errorcode.get(number, ""), cls.EPROTO)

    @property
    def local(self) -> int:
        """
        This system's number for it.
        """
        number: int = getattr(errno, self.name, errno.EIO)
        return number


class Direction(IntEnum):
    """
    Of a transfer, as the host sees it.
    """

    OUT = 0
    IN = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit:
    """
    A transfer.

    @ivar seqnum: What it is referred to by.
    @ivar deviceID: Of the device.
    @ivar endpoint: Its number, without the direction.
    @ivar length: How much it brings, or has room for.
    @ivar packets: How many are isochronous, see L{NO_PACKETS}.
    @ivar setup: The SETUP packet if the endpoint is 0.
    @ivar data: What it brings if it goes out.
    """

    command: ClassVar = Command.SUBMIT

    seqnum: int
    deviceID: int
    direction: Direction
    endpoint: int
    length: int
    flags: int = 0
    startFrame: int = 0
    packets: int = 0
    interval: int = 0
    setup: bytes = bytes(8)
    data: bytes = field(default=b"", repr=False)

    def encode(self) -> bytes:
        """
        As on the wire.
        """
        rest = SUBMIT.pack(
            self.flags, self.length, self.startFrame, self.packets, self.interval, self.setup
        )
        return (
            COMMAND.pack(
                self.command, self.seqnum, self.deviceID, self.direction, self.endpoint, rest
            )
            + self.data
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlink:
    """
    Take a transfer back.

    @ivar victim: Its seqnum.
    """

    command: ClassVar = Command.UNLINK

    seqnum: int
    deviceID: int
    victim: int

    def encode(self) -> bytes:
        """
        As on the wire.
        """
        return COMMAND.pack(
            self.command, self.seqnum, self.deviceID, 0, 0, UNLINK.pack(self.victim)
        )


HostCommand = Submit | Unlink
"""What a host's controller sends."""


def hostCommandSize(header: bytes) -> int:
    """
    How long the host's command is that begins with these L{COMMAND_SIZE} bytes.

    @raise InvalidUsbip: It is none.
    """
    command, _, _, direction, _, rest = COMMAND.unpack(header)
    if command == Command.UNLINK:
        return COMMAND_SIZE
    if command != Command.SUBMIT:
        raise InvalidUsbip(f"command {command:#x}, expected SUBMIT or UNLINK")
    _, length, _, packets, _, _ = SUBMIT.unpack(rest)
    if length < 0:
        raise InvalidUsbip(f"transfer of {length} bytes")
    if packets not in NO_PACKETS:
        raise InvalidUsbip(f"isochronous transfer of {packets} packets, which no phone takes")
    return COMMAND_SIZE + (length if direction == Direction.OUT else 0)


def decodeHostCommand(data: bytes) -> HostCommand:
    """
    A whole command of a host.

    @raise InvalidUsbip: It is none.
    """
    header = data[:COMMAND_SIZE]
    if len(header) < COMMAND_SIZE or len(data) != hostCommandSize(header):
        raise InvalidUsbip(f"command of {len(data)} bytes")
    command, seqnum, deviceID, direction, endpoint, rest = COMMAND.unpack(header)
    if command == Command.UNLINK:
        return Unlink(seqnum=seqnum, deviceID=deviceID, victim=UNLINK.unpack(rest)[0])
    if direction > Direction.IN or endpoint > 15:
        raise InvalidUsbip(f"endpoint {endpoint}, direction {direction}")
    flags, length, startFrame, packets, interval, setup = SUBMIT.unpack(rest)
    return Submit(
        seqnum=seqnum,
        deviceID=deviceID,
        direction=Direction(direction),
        endpoint=endpoint,
        length=length,
        flags=flags,
        startFrame=startFrame,
        packets=packets,
        interval=interval,
        setup=setup,
        data=data[COMMAND_SIZE:],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnSubmit:
    """
    What has become of a transfer.

    @ivar status: 0, or an errno, below 0.
    @ivar actual: How many bytes were moved.
    @ivar data: They, if it went in.
    """

    command: ClassVar = Command.RETURN_SUBMIT

    seqnum: int
    status: int = 0
    actual: int = 0
    data: bytes = field(default=b"", repr=False)

    def encode(self) -> bytes:
        """
        As on the wire.
        """
        rest = RETURN_SUBMIT.pack(self.status, self.actual, 0, 0, 0)
        return COMMAND.pack(self.command, self.seqnum, 0, 0, 0, rest) + self.data


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnUnlink:
    """
    What has become of an L{Unlink}.

    @ivar status: -ECONNRESET if the transfer was taken back, and nothing more
        will be heard of it; 0 if it has been, or is, returned by itself.
    """

    command: ClassVar = Command.RETURN_UNLINK

    seqnum: int
    status: int = 0

    def encode(self) -> bytes:
        """
        As on the wire.
        """
        return COMMAND.pack(self.command, self.seqnum, 0, 0, 0, RETURN_UNLINK.pack(self.status))


Reply = ReturnSubmit | ReturnUnlink
"""What a device's side answers."""


def decodeReply(header: bytes) -> Reply:
    """
    An answer without its data, which are C{actual} bytes that follow if the
    transfer went in: only its submitter knows.

    @raise InvalidUsbip: It is none.
    """
    if len(header) != COMMAND_SIZE:
        raise InvalidUsbip(f"reply of {len(header)} bytes")
    command, seqnum, _, _, _, rest = COMMAND.unpack(header)
    if command == Command.RETURN_SUBMIT:
        status, actual, _, _, _ = RETURN_SUBMIT.unpack(rest)
        return ReturnSubmit(seqnum=seqnum, status=status, actual=actual)
    if command == Command.RETURN_UNLINK:
        return ReturnUnlink(seqnum=seqnum, status=RETURN_UNLINK.unpack(rest)[0])
    raise InvalidUsbip(f"reply {command:#x}, expected RETURN_SUBMIT or RETURN_UNLINK")
