# -*- test-case-name: tests.wire.test_measure -*-
"""
How large a property list is once it is looked at.

In a binary one an array may contain the same array twice, which contains the same
one twice, and so on: a few hundred bytes, and no memory for all of it; but who
writes it down, compares it or shows it in a log has to go through all of it.  So
what strangers send is measured as what it would be on paper.  That is never much
more than was sent, unless its sender means harm.
"""

from __future__ import annotations

from typing import Any

DEEPEST = 64
"""Levels of arrays and dictionaries.  Those of lockdownd and of clients have five."""

GROWTH = 16
"""
Characters for each byte of the property list.  A binary one says once what it says
often, the keys of its dictionaries most of all.
"""

SMALLEST_INTEGER = -(1 << 63)
LARGEST_INTEGER = (1 << 64) - 1
"""What can be said in XML; in a binary property list an integer has any size."""


def measure(values: Any, size: int) -> None:
    """
    See that a property list is what it seems.

    @param size: Of it in bytes, as it was read.
    @raise ValueError: It is more.
    """
    # Each value was a byte, at least, where it was first mentioned and a reference
    # of a byte wherever else.
    left = size
    letters = GROWTH * size
    level = [values]
    depth = 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise ValueError(f"expected at most {DEEPEST} levels of arrays and dictionaries")
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inside = len(value)
                letters -= sum(map(len, value))
            elif isinstance(value, list):
                inside = len(value)
            else:
                letters -= _letters(value)
                continue
            left -= inside
            if left < 0 or letters < 0:
                break
            below += value.values() if isinstance(value, dict) else value
        if left < 0 or letters < 0:
            raise ValueError(f"{size} bytes that are far more when they are written down")
        level = below


def _letters(value: Any) -> int:
    if isinstance(value, (str, bytes)):
        return len(value)
    if isinstance(value, int) and not SMALLEST_INTEGER <= value <= LARGEST_INTEGER:
        raise ValueError(f"expected integers of 64 bits, got one of {value.bit_length()}")
    return 0
