# -*- test-case-name: tests.tunnel.test_codecs -*-
"""
XPC objects and the messages that carry them, as bytes and as values.

Objects are dictionaries, lists, texts, bytes, truth values, C{None}, C{float}, C{UUID}, and whole
numbers, of which the unsigned ones are L{Unsigned}.  All is little-endian, and on a boundary of
four bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from struct import Struct, error
from typing import Any
from uuid import UUID

MESSAGE_MAGIC = 0x29B00B92
OBJECT_MAGIC = 0x42133742
OBJECT_VERSION = 5

ALWAYS = 0x1
HAS_DATA = 0x100
WANTS_REPLY = 0x10000
IS_REPLY = 0x20000
INIT_HANDSHAKE = 0x400000
ROOT_TERMINATOR = 0x201
"""Flags of messages."""

DEEPEST = 32
"""Objects within objects."""

MOST_OBJECTS = 65536
"""Objects of one message."""

_NULL, _BOOL, _INT, _UINT, _DOUBLE = 0x1000, 0x2000, 0x3000, 0x4000, 0x5000
_DATE, _DATA, _STRING, _UUID = 0x7000, 0x8000, 0x9000, 0xA000
_ARRAY, _DICTIONARY, _FILE = 0xE000, 0xF000, 0x1A000

_U32, _U64, _I64, _F64 = Struct("<I"), Struct("<Q"), Struct("<q"), Struct("<d")
_HEADER = Struct("<IIQQ")
_PREFIX = Struct("<II")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class MalformedXPC(ValueError):
    """
    Bytes are no XPC, or a value cannot be said in it.
    """


class Unsigned(int):
    """
    A whole number that is not negative, of 64 bits.
    """


@dataclass(frozen=True, slots=True)
class Message:
    """
    A message.

    @ivar body: Its object; C{None} for none.
    """

    flags: int
    number: int = 0
    body: Any = None


def writeMessage(message: Message) -> bytes:
    """
    A message as bytes.

    @raise MalformedXPC: It cannot be said.
    """
    payload = b""
    flags = message.flags
    if message.body is not None:
        payload = _PREFIX.pack(OBJECT_MAGIC, OBJECT_VERSION) + writeObject(message.body)
        if message.body:
            flags |= HAS_DATA
    return _HEADER.pack(MESSAGE_MAGIC, flags, len(payload), message.number) + payload


class MessageReader:
    """
    Reads messages from a stream.
    """

    def __init__(self, longest: int) -> None:
        """
        @param longest: Bytes of a message.
        """
        self._longest = longest
        self._held = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """
        Take bytes.

        @return: The messages that are whole now.
        @raise MalformedXPC: They are none.
        """
        held = self._held
        held += data
        found: list[Message] = []
        while len(held) >= _HEADER.size:
            magic, flags, size, number = _HEADER.unpack_from(held)
            if magic != MESSAGE_MAGIC:
                raise MalformedXPC(f"expected a message, got {magic:#010x}")
            if size > self._longest:
                raise MalformedXPC(f"message of {size} bytes, expected at most {self._longest}")
            if len(held) < _HEADER.size + size:
                break
            payload = bytes(held[_HEADER.size : _HEADER.size + size])
            del held[: _HEADER.size + size]
            found.append(Message(flags, number, _body(payload) if payload else None))
        return found


def _body(payload: bytes) -> Any:
    if len(payload) < _PREFIX.size:
        raise MalformedXPC(f"an object of {len(payload)} bytes")
    magic, version = _PREFIX.unpack_from(payload)
    if magic != OBJECT_MAGIC or version != OBJECT_VERSION:
        raise MalformedXPC(f"expected an object of version 5, got {magic:#010x}, {version}")
    return readObject(payload[_PREFIX.size :])


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _text(text: str) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    if b"\0" in data:
        raise MalformedXPC("a text with a NUL in it")
    return data + b"\0"


def _whole(value: int) -> bytes:
    isUnsigned = isinstance(value, Unsigned)
    return _U32.pack(_UINT if isUnsigned else _INT) + (_U64 if isUnsigned else _I64).pack(value)


def writeObject(value: Any, depth: int = 0) -> bytes:
    """
    An object as bytes.

    @raise MalformedXPC: It cannot be said.
    """
    if depth > DEEPEST:
        raise MalformedXPC(f"more than {DEEPEST} objects within each other")
    if value is None:
        return _U32.pack(_NULL)
    if isinstance(value, bool):
        return _PREFIX.pack(_BOOL, value)
    try:
        if isinstance(value, int):
            return _whole(value)
        if isinstance(value, float):
            return _U32.pack(_DOUBLE) + _F64.pack(value)
    except error as problem:
        raise MalformedXPC(f"{value!r:.40}: {problem}") from problem
    if isinstance(value, str):
        data = _text(value)
        return _PREFIX.pack(_STRING, len(data)) + _padded(data)
    if isinstance(value, bytes):
        return _PREFIX.pack(_DATA, len(value)) + _padded(value)
    if isinstance(value, UUID):
        return _U32.pack(_UUID) + value.bytes
    if isinstance(value, datetime):
        nanoseconds = round((value - _EPOCH) / timedelta(microseconds=1)) * 1000
        return _U32.pack(_DATE) + _I64.pack(nanoseconds)
    if isinstance(value, list | tuple):
        kind, parts = _ARRAY, [writeObject(each, depth + 1) for each in value]
    elif isinstance(value, dict):
        kind = _DICTIONARY
        parts = [_padded(_text(str(k))) + writeObject(v, depth + 1) for k, v in value.items()]
    else:
        raise MalformedXPC(f"{type(value).__name__} cannot be said in XPC")
    content = _U32.pack(len(parts)) + b"".join(parts)
    return _PREFIX.pack(kind, len(content)) + content


def readObject(data: bytes) -> Any:
    """
    The object that bytes are.

    @raise MalformedXPC: They are none, or of a kind that no host or phone says here.
    """
    reader = _ObjectReader(data)
    try:
        value = reader.object(0)
    except (error, UnicodeDecodeError, OverflowError) as problem:
        raise MalformedXPC(f"at byte {reader.at}: {problem}") from problem
    if reader.at != len(data):
        raise MalformedXPC(f"{len(data) - reader.at} bytes behind an object")
    return value


class _ObjectReader:
    """
    Reads objects.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0
        self._count = 0

    def object(self, depth: int) -> Any:
        """
        The next one.
        """
        self._count += 1
        if depth > DEEPEST or self._count > MOST_OBJECTS:
            raise MalformedXPC("too many objects")
        kind = self._number(_U32)
        if kind == _NULL:
            return None
        if kind == _BOOL:
            return bool(self._number(_U32) & 0xFF)
        if kind == _INT:
            return self._number(_I64)
        if kind == _UINT:
            return Unsigned(self._number(_U64))
        if kind == _DOUBLE:
            return self._number(_F64)
        if kind == _DATE:
            return _EPOCH + timedelta(microseconds=self._number(_I64) // 1000)
        if kind == _UUID:
            return UUID(bytes=self._bytes(16))
        if kind == _DATA:
            return self._sized()
        if kind == _STRING:
            return self._sized().rstrip(b"\0").decode("utf-8")
        if kind == _FILE:
            # What it announces follows in a stream of its own.
            return {"number": self._number(_U64), "file": self.object(depth + 1)}
        if kind in (_ARRAY, _DICTIONARY):
            return self._many(kind, depth)
        raise MalformedXPC(f"an object of kind {kind:#x}")

    def _many(self, kind: int, depth: int) -> Any:
        # The size has the number of objects in it, but for go-ios, whose hosts phones understand.
        size = self._number(_U32)
        end = self.at + size
        if end > len(self._data):
            raise MalformedXPC(f"objects of {size} bytes")
        count = self._number(_U32)
        if kind == _ARRAY:
            found: Any = [self._within(end, depth) for _ in range(count)]
        else:
            found = {}
            for _ in range(count):
                key = self._key()
                found[key] = self._within(end, depth)
        if self.at not in (end, end + _U32.size):
            raise MalformedXPC(f"objects end at {self.at}, expected {end}")
        return found

    def _within(self, end: int, depth: int) -> Any:
        if self.at >= end + _U32.size:
            raise MalformedXPC("fewer objects than were announced")
        return self.object(depth + 1)

    def _key(self) -> str:
        end = self._data.find(b"\0", self.at)
        if end < 0:
            raise MalformedXPC("a key without an end")
        size = end + 1 - self.at
        return self._bytes(size + -size % 4)[: size - 1].decode("utf-8")

    def _sized(self) -> bytes:
        size = self._number(_U32)
        return self._bytes(size + -size % 4)[:size]

    def _bytes(self, size: int) -> bytes:
        found = self._data[self.at : self.at + size]
        if len(found) != size:
            raise MalformedXPC(f"{len(found)} bytes, expected {size}")
        self.at += size
        return found

    def _number(self, kind: Struct) -> Any:
        (value,) = kind.unpack_from(self._data, self.at)
        self.at += kind.size
        return value
