# -*- test-case-name: tests.phone.services.test_afcpackets -*-
"""
The packets of AFC, Apple's file protocol: a header of five 64-bit words, what the
operation needs, and data.

All numbers are little-endian.  The header has two lengths: of the whole packet, and
of the packet without its data.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

MAGIC = b"CFA6LPAA"
HEADER = struct.Struct("<8sQQQQ")
WORD = struct.Struct("<Q")

LONGEST_BODY = 8192
"""Bytes of what an operation needs: some words and two paths."""


class Operation(IntEnum):
    """
    What a packet is.
    """

    STATUS = 1
    DATA = 2
    READ_DIR = 3
    TRUNCATE = 7
    REMOVE = 8
    MAKE_DIR = 9
    FILE_INFO = 10
    DEVICE_INFO = 11
    OPEN = 13
    OPENED = 14
    READ = 15
    WRITE = 16
    SEEK = 17
    TELL = 18
    POSITION = 19
    CLOSE = 20
    SET_SIZE = 21
    RENAME = 24
    LOCK = 27
    MAKE_LINK = 28
    SET_TIME = 30
    REMOVE_ALL = 34


class Status(IntEnum):
    """
    How an operation ended.
    """

    SUCCESS = 0
    UNKNOWN = 1
    BAD_HEADER = 2
    NO_RESOURCES = 3
    READ_ERROR = 4
    UNKNOWN_OPERATION = 6
    INVALID_ARGUMENT = 7
    NOT_FOUND = 8
    IS_DIRECTORY = 9
    PERMISSION_DENIED = 10
    TOO_MUCH_DATA = 13
    NOT_SUPPORTED = 15
    EXISTS = 16
    NO_SPACE = 18
    WOULD_BLOCK = 19
    IO_ERROR = 20
    NOT_EMPTY = 33


class AFCError(Exception):
    """
    An operation failed.

    @ivar status: How.
    """

    def __init__(self, status: Status) -> None:
        super().__init__(status.name)
        self.status = status


class BadPacket(ValueError):
    """
    This is no AFC; the text says why.
    """


@dataclass(frozen=True, slots=True)
class Header:
    """
    What a packet begins with.

    @ivar number: The host's, repeated in the answer.
    @ivar operation: An L{Operation}, or another number.
    @ivar body: How many bytes the operation needs.
    @ivar data: How many follow them.
    """

    number: int
    operation: int
    body: int
    data: int

    @classmethod
    def decode(cls, data: bytes) -> Header:
        """
        Of 40 bytes.

        @raise BadPacket: The magic or a length is wrong.
        """
        magic, entire, this, number, operation = HEADER.unpack(data)
        if magic != MAGIC:
            raise BadPacket(f"expected {MAGIC!r}, got {magic!r}")
        if not HEADER.size <= this <= entire:
            raise BadPacket(f"expected lengths of at least {HEADER.size}, got {this} of {entire}")
        if this - HEADER.size > LONGEST_BODY:
            raise BadPacket(f"expected at most {LONGEST_BODY} bytes of arguments, got {this}")
        return cls(number, operation, this - HEADER.size, entire - this)


def encode(number: int, operation: Operation, body: bytes = b"", data: bytes = b"") -> bytes:
    """
    A whole packet.
    """
    this = HEADER.size + len(body)
    return HEADER.pack(MAGIC, this + len(data), this, number, operation) + body + data


def encodeHead(number: int, operation: Operation, size: int) -> bytes:
    """
    The beginning of a packet that needs nothing but data, of which so many bytes follow.
    """
    return HEADER.pack(MAGIC, HEADER.size + size, HEADER.size, number, operation)


def words(body: bytes, count: int) -> tuple[tuple[int, ...], bytes]:
    """
    The numbers that a body begins with, and the rest of it.

    @raise AFCError: It is shorter.
    """
    size = count * WORD.size
    if len(body) < size:
        raise AFCError(Status.INVALID_ARGUMENT)
    return struct.unpack_from(f"<{count}Q", body), body[size:]


def paths(body: bytes, count: int) -> list[str]:
    """
    The paths in a body, each ended by a zero byte (the last one may lack it).

    @raise AFCError: There are fewer, or one is no UTF-8.
    """
    parts = body.split(b"\0")
    if len(parts) < count:
        raise AFCError(Status.INVALID_ARGUMENT)
    try:
        return [part.decode("utf-8") for part in parts[:count]]
    except UnicodeDecodeError:
        raise AFCError(Status.INVALID_ARGUMENT) from None


def strings(*values: str) -> bytes:
    """
    The body of a list.
    """
    return b"".join(value.encode("utf-8", "surrogateescape") + b"\0" for value in values)
