# -*- test-case-name: tests.wire.test_sequence -*-
"""
Arithmetic on 32-bit sequence numbers, which wrap (protocol 3.6).
"""

from __future__ import annotations

MODULUS = 1 << 32
MASK = MODULUS - 1


def advance(number: int, count: int) -> int:
    """
    The sequence number C{count} bytes after C{number}.
    """
    return (number + count) & MASK


def distance(start: int, end: int) -> int:
    """
    How many bytes lie from C{start} forward to C{end}: 0 to 2^32 - 1.
    """
    return (end - start) & MASK


def between(low: int, number: int, high: int) -> bool:
    """
    Whether C{number} is met when counting from C{low} to C{high}, both
    included.
    """
    return (number - low) & MASK <= (high - low) & MASK
