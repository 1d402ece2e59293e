# -*- test-case-name: tests.bench.test_soakstreams -*-
"""
The pattern of bytes that go up and down: byte C{n} of a stream is byte C{phase + n} of a
pattern, so that none can be lost, doubled, moved, or be another stream's.

It is the pattern of bench/rig/pattern.h, which the phones compare with.
"""

from __future__ import annotations

PERIOD = 65521
"""A prime, so that a block of any usual size does not fit into it."""

LONGEST = 1 << 17
"""Of one piece."""


def _period() -> bytes:
    x, period = 0x2545F491, bytearray()
    for _ in range(PERIOD):
        x ^= x << 13 & 0xFFFFFFFF
        x ^= x >> 17
        x ^= x << 5 & 0xFFFFFFFF
        period.append(x >> 11 & 0xFF)
    return bytes(period)


_PATTERN = _period() * (LONGEST // PERIOD + 2)


def piece(position: int, size: int) -> bytes:
    """
    Return C{size} bytes of the pattern, at most L{LONGEST}.
    """
    start = position % PERIOD
    return _PATTERN[start : start + size]


def pattern(position: int, size: int) -> bytes:
    """
    Return C{size} bytes of the pattern, however many.
    """
    return b"".join(
        piece(position + start, min(LONGEST, size - start)) for start in range(0, size, LONGEST)
    )


def firstDifference(data: bytes, position: int) -> int | None:
    """
    Find where C{data} is not the pattern from C{position} on; None if it is.
    """
    view = memoryview(data)
    for start in range(0, len(data), LONGEST):
        chunk = view[start : start + LONGEST]
        expected = piece(position + start, len(chunk))
        if chunk != expected:
            return start + next(n for n in range(len(chunk)) if chunk[n] != expected[n])
    return None
