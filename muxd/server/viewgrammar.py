# -*- test-case-name: tests.server.test_viewgrammar -*-
"""
Views as operators write them: behind the description of a listening address, such as
C{unix:/run/a.sock:only=UDID:commands=list,connect}, and in a configuration file.

Both have the same options, of which each has a list of words.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from muxd.description import Description
from muxd.identity import Selection, canonicalUDID, joinPorts, nearest
from muxd.net.serverstrings import gidOf, uidOf
from muxd.server.view import ALL_COMMANDS, ALL_PORTS, COMMANDS, EVERYTHING, Peers, View

Labels = Mapping[str, Selection]

LONGEST_SHOWN = 200
"""Characters of what an operator has written that a complaint about it repeats."""

VIEW = "view"
"""The option that names a view of the configuration file."""

_TCP = frozenset({"tcp", "tcp6", "ssl", "tls", "mutualtls"})
_TLS = frozenset({"ssl", "tls", "mutualtls"})
_LOCAL_OPTIONS = ("uid", "gid", "program")

_OF_ENDPOINTS = frozenset(
    {"address", "backlog", "caCertsDir", "certKey", "clients", "dhParameters", "domain", "fileno"}
    | {"extraCertChain", "group", "index", "interface", "lockfile", "mode", "name", "port"}
    | {"privateKey", "sslmethod", "user", "wantPID"}
    | {"files", "cert", "key", "ca", "crl", "names", "insecure", "announce"}
)
"""Arguments of descriptions that are none of a view's."""


@dataclass(frozen=True, slots=True)
class NamedView:
    """
    A view and what it is called.

    @ivar name: In the log.
    @ivar isOfPlace: Whether it is that of one listening address, and has no name of its own.
    """

    view: View
    name: str
    isOfPlace: bool = False


def _ports(words: Sequence[str]) -> tuple[range, ...]:
    found = []
    for word in words:
        first, dash, last = word.partition("-")
        ends = (first, last if dash else first)
        if not all(end.isascii() and end.isdecimal() and int(end) < 1 << 16 for end in ends):
            raise ValueError(f"expected ports such as 62078 or 1024-2047, got {word!r:.200}")
        lowest, highest = map(int, ends)
        if lowest > highest:
            raise ValueError(f"{word!r} ends before it begins")
        found.append(range(lowest, highest + 1))
    return _joined(found)


def _joined(ports: Iterable[range]) -> tuple[range, ...]:
    """
    The same ports in order, each once.
    """
    joined: list[range] = []
    for each in sorted(ports, key=lambda one: one.start):
        if joined and each.start <= joined[-1].stop:
            joined[-1] = range(joined[-1].start, max(joined[-1].stop, each.stop))
        else:
            joined.append(each)
    return tuple(joined)


def _commands(words: Sequence[str]) -> frozenset[str]:
    for word in words:
        if word not in COMMANDS:
            hint = nearest(word, COMMANDS) or f"; known are {', '.join(COMMANDS)}"
            raise ValueError(f"there is no command {word!r:.{LONGEST_SHOWN}}{hint}")
    return frozenset(COMMANDS[word] for word in words)


def _programs(words: Sequence[str]) -> frozenset[str]:
    for word in words:
        if not os.path.isabs(word):
            raise ValueError(f"expected the whole path of a program, got {word!r:.{LONGEST_SHOWN}}")
    # The kernel has the names of files, and not of links to them.
    return frozenset(map(os.path.realpath, words))


_PARSERS: dict[str, Callable[[Sequence[str], Labels], Any]] = {
    "only": Selection.fromWords,
    "deny": Selection.fromWords,
    "commands": lambda words, labels: _commands(words),
    "ports": lambda words, labels: _ports(words),
    "uid": lambda words, labels: frozenset(map(uidOf, words)),
    "gid": lambda words, labels: frozenset(map(gidOf, words)),
    "program": lambda words, labels: _programs(words),
    "certificate": lambda words, labels: frozenset(words),
}

OPTIONS = tuple(_PARSERS)
"""What can be said about a view."""


def viewFromWords(given: Mapping[str, Iterable[str]], labels: Labels) -> View:
    """
    The view that options mean.

    @param given: Words, by option.
    @param labels: The names there are for phones.
    @raise ValueError: An option or a word is wrong; the text names it.
    """
    values: dict[str, Any] = {}
    for option, words in given.items():
        parse = _PARSERS.get(option)
        if parse is None:
            hint = nearest(option, OPTIONS) or f"; known are {', '.join(OPTIONS)}"
            raise ValueError(f"a view has no {option!r:.{LONGEST_SHOWN}}{hint}")
        kept = [word.strip() for word in words if word.strip()]
        if not kept:
            raise ValueError(f"{option}: nothing is named; leave {option} out to restrict nothing")
        try:
            values[option] = parse(kept, labels)
        except ValueError as error:
            raise ValueError(f"{option}: {error}") from None
    return View(
        only=values.get("only", EVERYTHING.only),
        deny=values.get("deny", EVERYTHING.deny),
        commands=values.get("commands", EVERYTHING.commands),
        ports=values.get("ports", ALL_PORTS),
        peers=Peers(
            uids=values.get("uid", frozenset()),
            gids=values.get("gid", frozenset()),
            programs=values.get("program", frozenset()),
            certificates=values.get("certificate", frozenset()),
        ),
    )


def splitView(
    description: str, labels: Labels | None = None, views: Mapping[str, View] | None = None
) -> tuple[str, NamedView | None]:
    """
    Take a listening address and its view apart.

    @param description: A server endpoint's, with options of a view among its arguments.
    @param labels: The names there are for phones.
    @param views: Those that C{view=} may name.
    @return: The endpoint's own description, and the view; None if nothing is said of one.
    @raise ValueError: What is said of a view is wrong, or no clients could be told by it.
    """
    parsed = Description.fromString(description)
    positional, keywords = joinPorts(parsed.positional, parsed.keywords, ("only", "deny"))
    given = {key: value.split(",") for key, value in keywords.items() if key in (*_PARSERS, VIEW)}
    rest = {key: value for key, value in keywords.items() if key not in given}
    try:
        for key in rest.keys() - _OF_ENDPOINTS:
            if hint := nearest(key, (*OPTIONS, VIEW)):
                raise ValueError(f"there is no {key!r:.{LONGEST_SHOWN}}{hint}")
        if not given:
            return description, None
        plain = str(Description(parsed.name, positional, rest))
        return plain, viewAt(plain, given, labels or {}, views or {})
    except ValueError as error:
        raise ValueError(f"cannot listen on {description!r:.{LONGEST_SHOWN}}: {error}") from None


def viewAt(
    place: str, given: Mapping[str, Sequence[str]], labels: Labels, views: Mapping[str, View]
) -> NamedView:
    """
    The view of a listening address.

    @param place: The description of its endpoint alone.
    @param given: Words, by option; C{view} names a whole view.
    @raise ValueError: What is said of a view is wrong, or no clients could be told by it.
    """
    if VIEW not in given:
        named = NamedView(viewFromWords(given, labels), f"of {place}", True)
    elif len(given) > 1:
        other = next(option for option in given if option != VIEW)
        raise ValueError(f"{VIEW}= names a whole view: put {other}= there")
    else:
        named = _viewNamed(",".join(given[VIEW]), views)
    return _fit(Description.fromString(place).name.lower(), named)


def _viewNamed(name: str, views: Mapping[str, View]) -> NamedView:
    if name not in views:
        raise ValueError(f"there is no view {name!r:.{LONGEST_SHOWN}}{nearest(name, views)}")
    return NamedView(views[name], name)


def _fit(kind: str, named: NamedView) -> NamedView:
    """
    Refuse a view for clients of which nothing is known at an address of this kind.
    """
    peers = named.view.peers
    if peers.isLocal and kind in _TCP:
        raise ValueError(
            f"the users, groups and programs of clients ({', '.join(_LOCAL_OPTIONS)}) are known"
            " on UNIX sockets only; use unix:"
        )
    if peers.certificates and kind not in _TLS:
        raise ValueError("certificate: only clients of mutualtls: and ssl: show certificates")
    return named


def describeView(view: View) -> str:
    """
    A view in the words of its options, for people.
    """
    names = {message: name for name, message in COMMANDS.items()}
    peers = view.peers
    words: dict[str, Iterable[object]] = {
        "only": _phones(view.only),
        "deny": _phones(view.deny),
        "commands": [] if view.commands == ALL_COMMANDS else map(names.__getitem__, view.commands),
        "ports": [] if view.ports == ALL_PORTS else map(_range, view.ports),
        "uid": peers.uids,
        "gid": peers.gids,
        "program": peers.programs,
        "certificate": peers.certificates,
    }
    said = {
        option: list(map(str, each)) if option == "ports" else sorted(map(str, each))
        for option, each in words.items()
    }
    parts = [f"{option} {', '.join(each)}" for option, each in said.items() if each]
    return "; ".join(parts) or "everything"


def _phones(selection: Selection) -> list[str]:
    return [
        *map(canonicalUDID, selection.udids),
        *(f"port:{port}" for port in selection.ports),
        *(f"port:{hub}.*" for hub in selection.hubs),
        *map(str.lower, selection.types),
    ]


def _range(ports: range) -> str:
    return str(ports[0]) if len(ports) == 1 else f"{ports[0]}-{ports[-1]}"
