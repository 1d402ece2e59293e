# -*- test-case-name: tests.usbip.test_requests -*-
"""
USB/IP 1.1.1 before a device is imported, bytes to values and back: a connection
begins with one request of a program that wants to know of devices or have one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from struct import error as StructError
from typing import Self

VERSION = 0x0111

OP_HEADER = Struct("!HHI")
BUS_ID_SIZE = 32
DEVICE = Struct("!256s32sIIIHHHBBBBBB")
INTERFACE = Struct("!BBBx")
COUNT = Struct("!I")


class InvalidUsbip(Exception):
    """
    The other side does not speak USB/IP.  The text is one line.
    """


class OpCode(IntEnum):
    """
    Requests, before there are commands.  Replies are without the highest bit.
    """

    IMPORT = 0x8003
    DEVLIST = 0x8005

    @property
    def reply(self) -> int:
        """
        The code of the answer.
        """
        return self & 0x7FFF


class Status(IntEnum):
    """
    How a request has ended.
    """

    OK = 0
    FAILED = 1
    BUSY = 2
    ERROR = 3
    NO_DEVICE = 4


@dataclass(frozen=True, slots=True)
class DevlistRequest:
    """
    Which devices are there?
    """

    def encode(self) -> bytes:
        """
        As on the wire.
        """
        return OP_HEADER.pack(VERSION, OpCode.DEVLIST, 0)


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """
    Give me this device.
    """

    busID: str

    def encode(self) -> bytes:
        """
        As on the wire.
        """
        return OP_HEADER.pack(VERSION, OpCode.IMPORT, 0) + _text(self.busID, BUS_ID_SIZE)


Request = DevlistRequest | ImportRequest


def requestSize(header: bytes) -> int:
    """
    How long the request is that begins with these C{OP_HEADER.size} bytes.

    @raise InvalidUsbip: It is none.
    """
    version, code, _ = OP_HEADER.unpack(header)
    if version != VERSION:
        raise InvalidUsbip(f"version {version:#06x}, expected {VERSION:#06x}")
    if code == OpCode.DEVLIST:
        return OP_HEADER.size
    if code == OpCode.IMPORT:
        return OP_HEADER.size + BUS_ID_SIZE
    raise InvalidUsbip(f"request {code:#06x}, expected DEVLIST or IMPORT")


def decodeRequest(data: bytes) -> Request:
    """
    A whole request.

    @raise InvalidUsbip: It is none.
    """
    if len(data) != requestSize(data[: OP_HEADER.size]):
        raise InvalidUsbip(f"request of {len(data)} bytes")
    if len(data) == OP_HEADER.size:
        return DevlistRequest()
    # What is no ASCII cannot be the name of a device either.
    return ImportRequest(_untext(data[OP_HEADER.size :]))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedDevice:
    """
    What hosts are told of a device that is offered.

    @ivar interfaces: Class, subclass and protocol of each.
    """

    path: str
    busID: str
    bus: int
    address: int
    speed: int
    vendor: int
    product: int
    release: int
    triple: tuple[int, int, int] = (0, 0, 0)
    configuration: int = 0
    configurations: int = 0
    interfaces: tuple[tuple[int, int, int], ...] = ()

    @property
    def deviceID(self) -> int:
        """
        What commands name it by.
        """
        return self.bus << 16 | self.address

    def encode(self) -> bytes:
        """
        As on the wire, without the interfaces.
        """
        return DEVICE.pack(
            _text(self.path, 256),
            _text(self.busID, BUS_ID_SIZE),
            self.bus,
            self.address,
            self.speed,
            self.vendor,
            self.product,
            self.release,
            *self.triple,
            self.configuration,
            self.configurations,
            len(self.interfaces),
        )

    @classmethod
    def decode(cls, data: bytes, interfaces: Iterable[tuple[int, int, int]] = ()) -> Self:
        """
        From the wire; the interfaces follow there in a list, but not in the
        answer to an import.
        """
        path, busID, bus, address, speed, vendor, product, release, *rest = DEVICE.unpack(data)
        return cls(
            path=_untext(path),
            busID=_untext(busID),
            bus=bus,
            address=address,
            speed=speed,
            vendor=vendor,
            product=product,
            release=release,
            triple=(rest[0], rest[1], rest[2]),
            configuration=rest[3],
            configurations=rest[4],
            interfaces=tuple(interfaces),
        )


def encodeDevlistReply(devices: Iterable[ExportedDevice]) -> bytes:
    """
    These devices are there.
    """
    listed = tuple(devices)
    parts = [OP_HEADER.pack(VERSION, OpCode.DEVLIST.reply, Status.OK), COUNT.pack(len(listed))]
    for device in listed:
        parts.append(device.encode())
        parts.extend(INTERFACE.pack(*triple) for triple in device.interfaces)
    return b"".join(parts)


def decodeDevlistReply(data: bytes) -> tuple[ExportedDevice, ...]:
    """
    All devices of a whole answer.

    @raise InvalidUsbip: It is none, or not whole.
    """
    _checkReply(data, OpCode.DEVLIST)
    found = []
    try:
        (count,) = COUNT.unpack_from(data, OP_HEADER.size)
        offset = OP_HEADER.size + COUNT.size
        for _ in range(count):
            record = data[offset : offset + DEVICE.size]
            offset += DEVICE.size
            interfaces = []
            for _ in range(record[DEVICE.size - 1]):
                interfaces.append(INTERFACE.unpack_from(data, offset))
                offset += INTERFACE.size
            found.append(ExportedDevice.decode(record, interfaces))
    except (StructError, IndexError) as error:
        raise InvalidUsbip("the list of devices is cut short") from error
    if offset != len(data):
        raise InvalidUsbip(f"{len(data) - offset} bytes behind the list of devices")
    return tuple(found)


def encodeImportReply(status: Status, device: ExportedDevice | None = None) -> bytes:
    """
    You have it; or why not.
    """
    header = OP_HEADER.pack(VERSION, OpCode.IMPORT.reply, status)
    return header if device is None else header + device.encode()


def decodeImportReply(data: bytes) -> ExportedDevice:
    """
    The device of a whole answer.

    @raise InvalidUsbip: It is none, or not whole, or a refusal.
    """
    _checkReply(data, OpCode.IMPORT)
    if len(data) != OP_HEADER.size + DEVICE.size:
        raise InvalidUsbip(f"answer to an import of {len(data)} bytes")
    return ExportedDevice.decode(data[OP_HEADER.size :])


def _checkReply(data: bytes, request: OpCode) -> None:
    if len(data) < OP_HEADER.size:
        raise InvalidUsbip(f"reply of {len(data)} bytes")
    version, code, status = OP_HEADER.unpack_from(data)
    if (version, code) != (VERSION, request.reply):
        raise InvalidUsbip(f"reply {code:#06x} of version {version:#06x}")
    if status:
        raise InvalidUsbip(f"{request.name} failed with status {status}")


def _text(text: str, size: int) -> bytes:
    return text.encode("ascii", "replace")[: size - 1].ljust(size, b"\0")


def _untext(data: bytes) -> str:
    return data.partition(b"\0")[0].decode("ascii", "replace")
