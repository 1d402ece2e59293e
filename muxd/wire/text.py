# -*- test-case-name: tests.wire.test_text -*-
"""
Text that strangers gave us, as it may be shown.

A phone's reasons, serial numbers and programs' names go into logs, onto terminals
and into property lists.  None of these is the place for escape sequences, for
further lines, or for a text without end.
"""

from __future__ import annotations

LONGEST_TEXT = 255


def printable(text: str, longest: int | None = LONGEST_TEXT) -> str:
    """
    The same, with question marks for what XML or a terminal cannot show.

    @param longest: Characters after which it is cut; None does not cut.
    """
    text = text[:longest]
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "?" for character in text)
