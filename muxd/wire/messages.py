# -*- test-case-name: tests.wire.test_messages -*-
"""
Messages between a client and a daemon (protocol 4.2 to 4.9).

A message is a 16-byte header, little-endian, and a body: binary (header version
0) or an XML property list (version 1).  Both sides of the protocol, server and
client, read and write with what is here.
"""

from __future__ import annotations

import plistlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Any

from muxd.wire.looseplist import parseLoosely
from muxd.wire.measure import measure
from muxd.wire.text import printable

HEADER = Struct("<IIII")
"""Length (header included), version, message, tag."""

RESULT_BODY = Struct("<I")
CONNECT_BODY = Struct("<I2sH")
SHORT_CONNECT_BODY = Struct("<I2s")
"""What of it says anything: without the two reserved bytes at its end."""
DEVICE_ID_BODY = Struct("<I")
DEVICE_BODY = Struct("<IH256sHI")

_BINARY = b"bplist"
_NO_XML = ("\ufffe".encode(), "\uffff".encode())

BINARY_VERSION = 0
PLIST_VERSION = 1


class MessageType(IntEnum):
    """
    The header's third word (protocol 4.2).
    """

    RESULT = 1
    CONNECT = 2
    LISTEN = 3
    DEVICE_ADD = 4
    DEVICE_REMOVE = 5
    DEVICE_PAIRED = 6
    PLIST = 8


class Result(IntEnum):
    """
    Result numbers (protocol 4.4).  Pair record commands use errno values as
    well: interpret by request.
    """

    OK = 0
    BAD_COMMAND = 1
    BAD_DEVICE = 2
    CONNECTION_REFUSED = 3
    MALFORMED = 5
    """What Apple's daemon answers to a command that it does not like."""
    BAD_VERSION = 6


class MalformedMessage(ValueError):
    """
    Bytes that are no message; the text says what was expected.
    """


@dataclass(frozen=True, slots=True)
class Message:
    """
    One message as it was on the wire.
    """

    version: int
    type: int
    tag: int
    body: bytes = b""

    def encode(self) -> bytes:
        """
        Header and body.
        """
        return HEADER.pack(HEADER.size + len(self.body), self.version, self.type, self.tag) + (
            self.body
        )


class MessageReader:
    """
    Cuts a byte stream into messages, and never takes a byte past the one it
    returns: what follows a Connect belongs to the phone.

    @ivar maximum: The longest message accepted, header included.
    """

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """
        Add bytes as they came.
        """
        self._buffer += data

    def next(self, longestBinary: int | None = None) -> Message | None:
        """
        Take one message out, or None while it is incomplete.

        @param longestBinary: The longest body of a message that is no property list; None
            if only L{maximum} counts.
        @raise MalformedMessage: The length field is less than a header or more
            than is accepted; there is no way to go on.
        """
        buffer = self._buffer
        if len(buffer) < HEADER.size:
            return None
        length, version, kind, tag = HEADER.unpack_from(buffer)
        if not HEADER.size <= length <= self.maximum:
            raise MalformedMessage(
                f"message length: expected {HEADER.size} to {self.maximum}, got {length}"
            )
        if (
            longestBinary is not None
            and length - HEADER.size > longestBinary
            and (version != PLIST_VERSION or kind != MessageType.PLIST)
        ):
            raise MalformedMessage(
                f"message length: expected at most {HEADER.size + longestBinary} of what is"
                f" no property list, got {length}"
            )
        if len(buffer) < length:
            return None
        body = bytes(buffer[HEADER.size : length])
        del buffer[:length]
        return Message(version, kind, tag, body)

    def __iter__(self) -> Iterator[Message]:
        while (message := self.next()) is not None:
            yield message

    def __len__(self) -> int:
        """
        How many bytes are held.
        """
        return len(self._buffer)

    @property
    def missing(self) -> int:
        """
        How many bytes the message that is held in part lacks: of its header first,
        then of its body.  After as many, L{next} has something to say.
        """
        held = len(self._buffer)
        if held < HEADER.size:
            return HEADER.size - held
        length: int = HEADER.unpack_from(self._buffer)[0]
        return max(0, length - held)

    def takeRest(self) -> bytes:
        """
        Take out everything that is left: from here on it is no message.
        """
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """
    The binary form of an attached device (protocol 4.2).

    @ivar serial: At most 255 ASCII characters.
    """

    deviceID: int
    productID: int
    serial: str
    location: int

    def encode(self) -> bytes:
        """
        The 268-byte body of a DEVICE_ADD message.
        """
        serial = self.serial.encode("ascii", "replace")[:255]
        return DEVICE_BODY.pack(self.deviceID, self.productID, serial, 0, self.location)

    @classmethod
    def decode(cls, body: bytes) -> DeviceRecord:
        """
        Parse the body of a DEVICE_ADD message; old daemons send shorter ones
        (at least 32 bytes, protocol 4.2).

        @raise MalformedMessage: It is shorter than that.
        """
        if len(body) < 32:
            raise MalformedMessage(f"device record: expected 32 bytes or more, got {len(body)}")
        deviceID, productID, serial, _, location = DEVICE_BODY.unpack(
            body[: DEVICE_BODY.size].ljust(DEVICE_BODY.size, b"\0")
        )
        text = serial.split(b"\0", 1)[0].decode("ascii", "replace")
        return cls(deviceID, productID, text, location)


def swapPort(port: int) -> int:
    """
    The port number of a plist Connect, from or to the real one (protocol 4.8).

    Some clients write the swapped value as a signed 16-bit integer.
    """
    port &= 0xFFFF
    return (port & 0xFF) << 8 | port >> 8


def plistMessage(values: Mapping[str, Any], tag: int) -> Message:
    """
    A whole plist message.

    @raise ValueError: XML cannot hold it.
    """
    return Message(PLIST_VERSION, MessageType.PLIST, tag, writePlist(values))


def connectMessage(deviceID: int, port: int, tag: int) -> Message:
    """
    A binary Connect.
    """
    body = CONNECT_BODY.pack(deviceID, port.to_bytes(2, "big"), 0)
    return Message(BINARY_VERSION, MessageType.CONNECT, tag, body)


def writePlist(values: Mapping[str, Any]) -> bytes:
    """
    A property list as XML, the only form that every client reads
    (protocol 4.2).

    @raise ValueError: XML cannot hold it.  A binary property list that a client
        sent may contain what has no place there.
    @raise TypeError: No property list can.
    """
    body = plistlib.dumps(dict(values))
    # plistlib looks for control characters, but not for these.
    if any(letter in body for letter in _NO_XML):
        raise ValueError("strings cannot contain U+FFFE and U+FFFF in XML")
    return body


def parsePlist(body: bytes) -> dict[str, Any]:
    """
    Read the body of a plist message, XML or binary, or nearly XML
    (L{muxd.wire.looseplist}).

    @raise MalformedMessage: It is no property list, or no dictionary, or far more
        than it seems.
    """
    try:
        try:
            values = plistlib.loads(body)
            measure(values, len(body))
        except Exception:
            if body.startswith(_BINARY):
                raise
            values = parseLoosely(body)
            measure(values, len(body))
    except Exception as error:
        # plistlib raises what its parsers raise: expat errors, ValueError,
        # struct.error, RecursionError, KeyError and more, and some of them repeat
        # all that they were given.
        text = printable(str(error.__context__ or error))
        raise MalformedMessage(f"expected a property list, got {body[:40]!r}: {text}") from error
    if not isinstance(values, dict):
        raise MalformedMessage(f"expected a dictionary, got {type(values).__name__}")
    return values
