# -*- test-case-name: tests.tap.test_forwards -*-
"""
Ports of phones and the ports of this machine that lead to them, as they are typed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

FORWARD = "REMOTE[:LOCAL]"
EACH = "REMOTE:FIRST+"

RSD = "rsd:"
SERVICE = f"{RSD}NAME[:LOCAL]"

LAST_PORT = 65535

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,255}")


@dataclass(frozen=True, slots=True)
class Forward:
    """
    A phone's port and the one of this machine that leads to it.

    @ivar local: 0 for any that is free.
    """

    remote: int
    local: int


@dataclass(frozen=True, slots=True)
class EachForward:
    """
    A port of every phone, and the ports of this machine that there are for them.
    """

    remote: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class ServiceForward:
    """
    A service in a phone's tunnel, and the port of this machine that leads to it.

    @ivar local: 0 for any that is free.
    """

    name: str
    local: int


def serviceForward(word: str) -> ServiceForward:
    """
    Understand C{rsd:NAME[:LOCAL]}.

    @raise ValueError: It is none; the text says what was expected.
    """
    name, colon, local = word.removeprefix(RSD).partition(":")
    ours = _ports(local) if colon else range(1)
    if not _NAME.fullmatch(name) or ours is None or len(ours) > 1:
        raise ValueError(
            f"expected {SERVICE}, such as rsd:com.apple.afc:9000, ports up to {LAST_PORT}, "
            f"got {word!r}"
        )
    return ServiceForward(name, ours[0])


def forwards(word: str) -> list[Forward]:
    """
    Understand C{REMOTE[:LOCAL]}.  Either may be a range, C{9000-9010}: of both ranges the
    ports belong together one by one; a single C{REMOTE} is reached by all of a range.

    @raise ValueError: It is none; the text says what was expected.
    """
    remote, colon, local = word.partition(":")
    theirs = _ports(remote)
    ours = _ports(local) if colon else theirs
    if theirs is None or ours is None or theirs[0] == 0 or (ours[0] == 0 and len(ours) > 1):
        _refuse(word)
    if len(theirs) == 1 or ours[0] == 0:
        return [Forward(port, number) for port in theirs for number in ours]
    if len(theirs) != len(ours):
        raise ValueError(
            f"expected as many ports of this machine as of the phone, {len(theirs)}, "
            f"got {len(ours)} in {word!r}"
        )
    return [Forward(port, number) for port, number in zip(theirs, ours, strict=True)]


def eachForward(word: str) -> EachForward:
    """
    Understand C{REMOTE:FIRST+} or C{REMOTE:FIRST-LAST}.

    @raise ValueError: It is none; the text says what was expected.
    """
    remote, _, local = word.partition(":")
    isOpen = local.endswith("+")
    theirs, ours = _ports(remote), _ports(local.removesuffix("+"))
    if theirs is None or ours is None or len(theirs) > 1 or not theirs[0] or not ours[0]:
        ours = None
    elif isOpen and len(ours) == 1:
        ours = range(ours[0], LAST_PORT + 1)
    elif isOpen or "-" not in local:
        ours = None
    if theirs is None or ours is None:
        raise ValueError(
            f"expected {EACH} or REMOTE:FIRST-LAST, such as 8100:9000+, ports from 1 to "
            f"{LAST_PORT}, got {word!r}"
        )
    return EachForward(theirs[0], ours[0], ours[-1])


def _refuse(word: str) -> NoReturn:
    raise ValueError(
        f"expected {FORWARD}, ports from 1 to {LAST_PORT} or ranges of them (LOCAL may be 0), "
        f"got {word!r}"
    )


def _ports(text: str) -> range | None:
    """
    A port, or a range of them.
    """
    first, dash, last = text.partition("-")
    low = _port(first)
    high = _port(last) if dash else low
    if low is None or high is None or high < low:
        return None
    return range(low, high + 1)


def _port(text: str) -> int | None:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else -1
    return number if 0 <= number <= LAST_PORT else None
