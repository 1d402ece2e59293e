# -*- test-case-name: tests.muxctl.test_columns -*-
"""
Tables for people, lines of JSON for programs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from muxd.wire.text import printable


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """
    Lines with aligned columns, two spaces apart; none at all without rows.
    """
    if not rows:
        return
    cells = [list(heading), *([printable(cell, None) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(padded).rstrip()


def jsonLine(values: object) -> str:
    """
    One value, which is an object mostly, in one line.
    """
    # Not needed for tables, and it takes its time to import.
    import json

    return json.dumps(values)
