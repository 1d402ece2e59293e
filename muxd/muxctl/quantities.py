# -*- test-case-name: tests.muxctl.test_quantities -*-
"""
Numbers as people read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def byteCount(count: float) -> str:
    """
    A number of bytes, with three digits at the most.
    """
    unit = 0
    while count >= 999.5 and unit < len(_UNITS) - 1:
        count /= 1000
        unit += 1
    digits = f"{count:.1f}" if unit and count < 9.95 else f"{count:.0f}"
    return f"{digits} {_UNITS[unit]}"


def counted(number: int, noun: str) -> str:
    """
    So many things: C{1 phone}, C{2 phones}.
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def duration(seconds: float) -> str:
    """
    A time, in its two largest units.
    """
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def nameOf(phone: Mapping[str, Any]) -> str:
    """
    What a phone is called: its labels, and its own name; "" if it has neither.
    """
    labels = ", ".join(map(str, phone.get("labels") or ()))
    return ": ".join(filter(None, (labels, str(phone.get("name") or ""))))


def programOf(peer: object) -> str:
    """
    The program at the other end of a session, as a status socket tells it.
    """
    if not isinstance(peer, dict):
        return "?"
    if "pid" in peer:
        return f"{peer.get('program') or '?'} ({peer['pid']})"
    return str(peer.get("program") or peer.get("address") or "?")
