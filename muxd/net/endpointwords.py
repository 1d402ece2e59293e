# -*- test-case-name: tests.net.test_endpointwords -*-
"""
The arguments of Twisted's own endpoints, looked at before Twisted does.

Of a wrong one Twisted says what Python says of it: C{invalid literal for int()}, or which
argument a private function got that it did not expect; and of a port that there cannot be,
nothing before it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from muxd.description import Description


@dataclass(frozen=True, slots=True)
class _Kind:
    """
    A kind of endpoint.

    @ivar usage: What to write.
    @ivar order: The arguments by their order; all but the first C{needed} may be left out.
    @ivar others: Those that have no place in it.
    """

    usage: str
    order: tuple[str, ...]
    needed: int = 1
    others: frozenset[str] = frozenset()


_SERVERS: Mapping[str, _Kind] = {
    "unix": _Kind(
        "unix:PATH[:mode=660][:user=NAME][:group=NAME]",
        ("address", "mode", "backlog", "lockfile"),
    ),
    "tcp": _Kind("tcp:PORT[:interface=ADDRESS]", ("port", "interface", "backlog")),
    "tcp6": _Kind("tcp6:PORT[:interface=ADDRESS]", ("port", "backlog", "interface")),
}

_CLIENTS: Mapping[str, _Kind] = {
    "unix": _Kind("unix:PATH", ("path",), 1, frozenset({"timeout", "lockfile"})),
    "tcp": _Kind("tcp:HOST:PORT", ("host", "port"), 2, frozenset({"timeout", "bindAddress"})),
}


def checkServer(parsed: Description) -> None:
    """
    Refuse a description of a place to listen that Twisted could not use.

    @param parsed: Of any kind; those that Twisted does not know are not looked at.
    @raise ValueError: An argument is wrong, missing, or none that there is.
    """
    given = _given(_SERVERS, parsed)
    _checkNumber(given, "port", 0, 65535)
    _checkNumber(given, "backlog", 0, 0x7FFFFFFF)
    if "\0" in given.get("address", "")[1:]:
        raise ValueError(
            "address: expected no NUL but as the first character, for a socket without a file, got"
            f" {given['address']!r:.80}"
        )
    mode = given.get("mode", "0")
    if not (mode.isascii() and mode.isdigit() and set(mode) <= set("01234567") and len(mode) <= 4):
        raise ValueError(f"mode: expected permissions such as 660, got {mode!r:.80}")


def checkClient(description: str) -> None:
    """
    Refuse a description of what to connect to that Twisted could not use.

    @param description: Of any kind; those that Twisted does not know are not looked at.
    @raise ValueError: An argument is wrong, missing, or none that there is.
    """
    given = _given(_CLIENTS, Description.fromString(description))
    _checkNumber(given, "port", 1, 65535)
    _checkNumber(given, "timeout", 0, 0x7FFFFFFF)


def _given(kinds: Mapping[str, _Kind], parsed: Description) -> dict[str, str]:
    """
    The arguments by their names.

    @raise ValueError: One is missing or empty, or none that there is.
    """
    kind = kinds.get(parsed.name.lower())
    if kind is None:
        return {}
    # With a host that is given by its name, what has none is the port.
    free = [name for name in kind.order if name not in parsed.keywords]
    given = {**dict(zip(free, parsed.positional, strict=False)), **parsed.keywords}
    known = kind.others.union(kind.order)
    unknown = [*sorted(given.keys() - known), *parsed.positional[len(free) :]]
    if unknown:
        raise ValueError(f"no such argument: {unknown[0]!r:.80}; expected {kind.usage}")
    for name in kind.order[: kind.needed]:
        if not given.get(name):
            raise ValueError(f"there is no {name} in it; expected {kind.usage}")
    return given


def _checkNumber(given: Mapping[str, str], name: str, least: int, most: int) -> None:
    text = given.get(name, str(least))
    if not (text.isascii() and text.isdigit() and least <= int(text[:20]) <= most):
        raise ValueError(f"{name}: expected a number from {least} to {most}, got {text!r:.80}")
