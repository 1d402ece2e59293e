# -*- test-case-name: tests.net.test_tlsparser -*-
"""
The other end of mutual TLS as a person describes it: where it is, and what to show it.

No library is imported in here: blocking programs use it too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from muxd.description import Description
from muxd.net.tlsfiles import OPTIONS, TLSFiles

PREFIX = "mutualtls"

TIMEOUT = 30
"""Seconds that connecting may take."""

_KNOWN = frozenset({"host", "port", "server", "timeout", *OPTIONS})


@dataclass(frozen=True, slots=True)
class TLSTarget:
    """
    A server that wants a certificate, and shows one.

    @ivar server: The name that its certificate has to have.
    @ivar timeout: Seconds that connecting may take.
    """

    host: str
    port: int
    files: TLSFiles
    server: str
    timeout: int = TIMEOUT

    @classmethod
    def fromArguments(cls, args: Sequence[str], kwargs: Mapping[str, str]) -> Self:
        """
        From the arguments of a description.

        @raise ValueError: They make no sense.
        """
        given = namedArguments(("host", "port"), args, kwargs, _KNOWN)
        if not given.get("host"):
            raise ValueError("expected a host")
        return cls(
            hostFrom(given["host"]),
            numberFrom("port", given.get("port", ""), 65535),
            TLSFiles.fromOptions(given),
            given.get("server", given["host"]),
            numberFrom("timeout", given.get("timeout", str(TIMEOUT)), 3600),
        )

    def __str__(self) -> str:
        return f"{PREFIX}:{self.host.replace(':', chr(92) + ':')}:{self.port}"

    def description(self) -> str:
        """
        All of it, as of an endpoint.
        """
        files = self.files
        given = {"cert": files.cert, "key": files.key, "ca": files.ca, "server": self.server}
        if files.crl:
            given["crl"] = files.crl
        return str(Description(PREFIX, (self.host, str(self.port)), given))


def namedArguments(
    names: tuple[str, ...], args: Sequence[str], kwargs: Mapping[str, str], known: frozenset[str]
) -> dict[str, str]:
    """
    All arguments of a description by their names.

    @param names: Those whose names may be left out.
    @raise ValueError: There are others than these and the known ones.
    """
    positional = dict(zip(names, args, strict=False))
    if len(args) > len(names) or positional.keys() & kwargs.keys():
        raise ValueError(f"expected {' and '.join(names)}, and the rest by name")
    given = {**positional, **kwargs}
    if unknown := sorted(given.keys() - known):
        raise ValueError(f"there is no {unknown[0]!r:.80}")
    return given


def hostFrom(text: str) -> str:
    """
    A name or an address of a machine that was typed.

    @raise ValueError: There can be none of that name: Python has no words for it when it is
        looked up, but a C{UnicodeError}.
    """
    try:
        text.encode("idna")
    except UnicodeError:
        isHost = False
    else:
        isHost = text.isprintable() and set(text).isdisjoint("/[] ")
    if not isHost:
        raise ValueError(f"host: expected a name or an address, got {text!r:.80}")
    return text


def numberFrom(name: str, text: str, most: int) -> int:
    """
    A number that was typed.

    @raise ValueError: It is none, or larger than the most.
    """
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else -1
    if not 0 <= number <= most:
        raise ValueError(f"{name}: expected a number up to {most}, got {text!r:.80}")
    return number
