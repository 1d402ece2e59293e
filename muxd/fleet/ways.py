# -*- test-case-name: tests.fleet.test_ways -*-
"""
The ways to a hub and to hosts' doors, and what may be listened on.

An operator describes endpoints in Twisted's way; a host says where its door is in words of its
own, and can choose nothing but that.  What is reached over TLS leads to TLS alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.abstract import isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    HostnameEndpoint,
    UNIXClientEndpoint,
    quoteStringArgument,
)
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from zope.interface import implementer

from muxd.description import Description
from muxd.fleet.attempts import Attempts
from muxd.fleet.patience import inTime
from muxd.fleet.terms import CONNECT, USUAL
from muxd.fleet.values import Door, DoorKind
from muxd.net.listening import ListeningEndpoint
from muxd.net.serverstrings import forOwnerAlone
from muxd.net.tlsendpoints import clientAt
from muxd.net.tlstarget import hostFrom, numberFrom

T = TypeVar("T")

TIMEOUT = 10.0
"""Seconds for a connection."""

INSECURE = "insecure"
MUTUAL = "mutualtls"

_TLS = frozenset({MUTUAL})
_FILES = ("files", "cert", "key", "ca", "crl")

LAST_PORT = 65535

_BRACKETED = re.compile(r"\[([^\[\]]*)\](?::(.*))?", re.DOTALL)
_NAMED = re.compile(r"([^:\[\]]*):([^:]*)", re.DOTALL)


def listeningAt(reactor: Any, description: str, what: str) -> ListeningEndpoint:
    """
    A place that hosts or jobs connect to.

    @param what: The option that says so, for complaints.
    @raise ValueError: It makes no sense, or other machines could read all that is said there.
    """
    try:
        parsed = Description.fromString(description)
        kept = {key: value for key, value in parsed.keywords.items() if key != INSECURE}
        isMeant = parsed.keywords.get(INSECURE) == "yes"
        plain = forOwnerAlone(str(Description(parsed.name, parsed.positional, kept)))
        place = ListeningEndpoint.fromDescription(reactor, plain)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from error
    kind = parsed.name.lower()
    if place.isExposed and kind not in _TLS and not isMeant:
        raise ValueError(
            f"{what} {description!r:.200}: other machines can reach it, and nothing is encrypted"
            f" or proved there; use {MUTUAL}:, or say insecure=yes"
        )
    return place


def isPlain(description: str) -> bool:
    """
    Whether what is said there can be read on the way.
    """
    return Description.fromString(description).name.lower() not in _TLS


def doorOf(description: str, port: int | None, said: str | None) -> Door:
    """
    How others reach a door that is listened on.

    @param description: What is listened on.
    @param port: The port that it is, if it is one.
    @param said: C{HOST} or C{HOST:PORT}, if an operator has said where others find it.
    @raise ValueError: It makes no sense, or an operator has to say it.
    """
    parsed = Description.fromString(description)
    kind = parsed.name.lower()
    if kind == "unix":
        path = (*parsed.positional, parsed.keywords.get("address", ""))[0]
        return Door(kind=DoorKind.UNIX, where=path)
    if kind not in ("tcp", "tcp6", *_TLS):
        raise ValueError(f"a door is unix:, tcp: or {MUTUAL}:, got {kind!r:.80}")
    where = parsed.keywords.get("interface", "127.0.0.1" if kind != "tcp6" else "::1")
    if said is not None:
        where, saidPort = _placeFrom(said)
        port = saidPort or port
    if where in ("", "0.0.0.0", "::"):
        raise ValueError(
            f"{description!r:.200} is every address of this machine: say by which others find it"
        )
    return Door(kind=DoorKind.TLS if kind in _TLS else DoorKind.TCP, where=where, port=port or 0)


def _placeFrom(said: str) -> tuple[str, int | None]:
    """
    A host and perhaps its port; an IPv6 address is in brackets, at least before a port.

    @raise ValueError: It is none.
    """
    found = _BRACKETED.fullmatch(said) or _NAMED.fullmatch(said)
    host, digits = (said, None) if found is None else (found[1], found[2])
    try:
        if not hostFrom(host) or (":" in host and not isIPv6Address(host)):
            raise ValueError("it is no host")
        return host, None if digits is None else _portFrom(digits)
    except ValueError:
        raise ValueError(
            f"--door-address: expected HOST or HOST:PORT, a port from 1 to {LAST_PORT},"
            f" got {said!r:.200}"
        ) from None


def _portFrom(digits: str) -> int:
    port = numberFrom("port", digits, LAST_PORT)
    if not port:
        raise ValueError("port: 0 is none")
    return port


class Ways:
    """
    How something reaches hosts' doors.
    """

    def __init__(self, reactor: Any, description: str) -> None:
        """
        @param description: How the hub is reached, or listened on: with the same files its
            hosts' doors are reached.
        """
        self._reactor = reactor
        first = (description.split() or [description])[0]
        parsed = Description.fromString(first)
        self._kind = parsed.name.lower()
        self._files = {key: parsed.keywords[key] for key in _FILES if key in parsed.keywords}

    def to(self, door: Door) -> IStreamClientEndpoint:
        """
        The way to a door.

        @raise ValueError: It is one that is not to be used.
        """
        if (self._kind in _TLS) != (door.kind is DoorKind.TLS):
            raise ValueError(f"the door {door} is {door.kind.value}, and the hub is {self._kind}")
        if door.kind is DoorKind.TLS:
            words = Description(MUTUAL, (door.where, str(door.port)), self._files)
            return clientAt(self._reactor, str(words))
        if door.kind is DoorKind.UNIX:
            return UNIXClientEndpoint(self._reactor, door.where, timeout=TIMEOUT)
        return HostnameEndpoint(self._reactor, door.where.encode(), door.port, timeout=TIMEOUT)


@implementer(IStreamClientEndpoint)
class Hubs:
    """
    Whichever hub answers first: that one is tried first which did so the last time, and the next
    one beside it a moment later.

    A hub that is frozen, or that has lost its registry, lets connect and is of no use: what finds
    that out says so by L{moveOn}, and of which one, as others may have found it out before.

    @ivar count: How many there are.
    @ivar times: As the term has them that a hub has told of last.
    """

    def __init__(self, reactor: Any, description: str) -> None:
        """
        @param description: Of several hubs, all descriptions with spaces between them.
        @raise ValueError: It makes no sense.
        """
        several = description.split() if " " in description.strip() else [description]
        self._endpoints = [clientTo(reactor, each) for each in several]
        kinds = {Description.fromString(each).name.lower() for each in several}
        if len(kinds) > 1:
            raise ValueError(f"expected hubs that are reached in the same way, got {kinds}")
        self.count = len(several)
        self.times = USUAL
        self._reactor = reactor

    @property
    def first(self) -> IStreamClientEndpoint:
        """
        The one that is tried first.
        """
        return self._endpoints[0]

    def moveOn(self, failed: IStreamClientEndpoint) -> None:
        """
        This one is to be tried last.  Harmless if it is not the first any more.
        """
        if self.first is failed:
            self._endpoints.append(self._endpoints.pop(0))

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect, or fail as the last one does, in a few seconds: what was lost on the way is not
        sent again for long, and a new attempt finds one that is back.
        """

        def attempt(place: IStreamClientEndpoint) -> Deferred[IProtocol]:
            return inTime(place.connect(protocolFactory), CONNECT, self._reactor)

        return self.reach(attempt)

    def reach(self, attempt: Callable[[IStreamClientEndpoint], Deferred[T]]) -> Deferred[T]:
        """
        Do something with the hub that answers first.  It fails as the last one does.

        @param attempt: What is to succeed.  It is cancelled where another hub was faster.
        """
        places, apart = list(self._endpoints), self.times.apart
        attempts = Attempts(self._reactor, places, attempt, apart, self.moveOn)
        return attempts.start().addCallback(self._answered)

    def _answered(self, found: tuple[IStreamClientEndpoint, T]) -> T:
        place, result = found
        self._endpoints.remove(place)
        self._endpoints.insert(0, place)
        return result


def clientTo(reactor: Any, description: str) -> IStreamClientEndpoint:
    """
    The way to one hub.

    @raise ValueError: It makes no sense.
    """
    text = description
    if description.startswith("/"):
        text = f"unix:{quoteStringArgument(description)}"
    try:
        return clientAt(reactor, text)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{description!r:.200} is no client endpoint: {error}") from error
