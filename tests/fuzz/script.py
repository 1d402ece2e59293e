# -*- test-case-name: tests.fuzz.test_script -*-
"""
Decisions made of bytes.

A fuzzer changes bytes; a target wants to know what to do next.  What is read here
has no invalid form and no end: when the bytes are used up, everything is zero or
empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Choice = TypeVar("Choice")

LONG = 0xFF
"""The length of a piece that has two more bytes of length."""


class Script:
    """
    What happens in one execution.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        """
        Whether there is more to come.
        """
        return self._at < len(self._data)

    def byte(self) -> int:
        """
        0 to 255.
        """
        return self._number(1)

    def word(self) -> int:
        """
        16 bits.
        """
        return self._number(2)

    def long(self) -> int:
        """
        32 bits.
        """
        return self._number(4)

    def near(self) -> int:
        """
        A number around zero mostly: one byte, signed, or more after -128.
        """
        small = self._number(1)
        if small == 0x80:
            return self._number(4)
        return small - 256 if small & 0x80 else small

    def choose(self, options: Sequence[Choice]) -> Choice:
        """
        One of them.
        """
        return options[self._number(1) % len(options)]

    def piece(self) -> bytes:
        """
        Some bytes, as many as the script says.
        """
        length = self._number(1)
        if length == LONG:
            length = self._number(2)
        return self.take(length)

    def take(self, count: int) -> bytes:
        """
        So many bytes, or as many as there are.
        """
        taken = self._data[self._at : self._at + count]
        self._at += len(taken)
        return taken

    def rest(self) -> bytes:
        """
        All that is left.
        """
        return self.take(len(self._data))

    def _number(self, size: int) -> int:
        return int.from_bytes(self.take(size).ljust(size, b"\0"), "big")


def piece(data: bytes) -> bytes:
    """
    The bytes that L{Script.piece} reads as C{data}.
    """
    if len(data) < LONG:
        return bytes([len(data)]) + data
    return bytes([LONG]) + len(data).to_bytes(2, "big") + data
