# -*- test-case-name: tests.tap.test_configuration -*-
"""
The configuration file of the daemon: TOML, in which every option of the command line has its
key, and which has tables for what does not fit there::

    source = ["usb"]
    config-dir = "/var/lib/lockdown"

    [[listen]]
    endpoint = "unix:/run/mux/ci/usbmuxd:mode=660:group=ci"
    view = "ci"

    [view.ci]
    only = ["bench"]

    [labels]
    bench = ["port:3-1.4", "port:3-1.5"]

    [limits]
    receiveWindow = 262144

The options' own methods are told what the file says of them, so their rules are those of the
command line.  A mistake is one line, with the file and the key.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from typing import Any

from twisted.python import usage

from muxd.identity import CONNECTION_TYPES, PORT, Selection, nearest
from muxd.limits import LIMITS, Limits
from muxd.server.places import ListeningAddress
from muxd.server.view import View
from muxd.server.viewgrammar import splitView, viewAt, viewFromWords

LARGEST_FILE = 1 << 20
LONGEST_ERROR = 800
"""Characters, however long the words are that are wrong."""

LISTEN = "listen"
TABLES = ("view", "labels", "limits")
_ENDPOINT = "endpoint"

_LARGEST = 1 << 40
_LONGEST = 86400.0
_STEPS = {"receiveWindow": (256, 256 * 65535)}
"""Limits that are multiples of something, and how large they may be (protocol 3.2)."""

_MAY_BE_ZERO = frozenset({"halfCloseGrace", "acknowledgeDelay", "bulkQueueTime", "portReuseDelay"})


class ConfigurationError(usage.UsageError):
    """
    A mistake in a configuration file; the text is one line.
    """

    def __init__(self, path: str, text: str) -> None:
        shown = text if text.isprintable() else repr(text)[1:-1]
        super().__init__(f"{path}: {shown[:LONGEST_ERROR]}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """
    What a file says.

    @ivar options: What it says of each option of the command line.
    @ivar listen: Where clients connect; None if nothing is said of it.
    @ivar limits: The limits that it changes.
    """

    path: str
    options: Mapping[str, Any] = field(default_factory=dict)
    listen: Sequence[ListeningAddress] | None = None
    views: Mapping[str, View] = field(default_factory=dict)
    labels: Mapping[str, Selection] = field(default_factory=dict)
    limits: Mapping[str, int | float] = field(default_factory=dict)

    @classmethod
    def load(cls, path: str, known: Sequence[str]) -> Configuration:
        """
        Read a file.

        @param known: The options that it may have keys for.
        @raise ConfigurationError: It cannot be read, or is wrong.
        """
        try:
            with open(path, "rb") as file:
                content = file.read(LARGEST_FILE + 1)
        except OSError as error:
            raise ConfigurationError(path, error.strerror or str(error)) from error
        if len(content) > LARGEST_FILE:
            raise ConfigurationError(path, f"expected at most {LARGEST_FILE} bytes")
        return cls.parse(path, content, known)

    @classmethod
    def parse(cls, path: str, content: bytes, known: Sequence[str]) -> Configuration:
        """
        What the content of a file says.

        @raise ConfigurationError: It is wrong.
        """
        try:
            values = tomllib.loads(content.decode())
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(path, f"it is no TOML: {str(error)[:200]}") from None
        keys = (*known, LISTEN, *TABLES)
        for key in values:
            if key not in keys:
                raise ConfigurationError(path, f"there is no {key!r}{nearest(key, keys)}")
            if key in known and key not in _ENDPOINTS:
                with _naming(path, key):
                    _expectNoNUL(values[key])
        labels: dict[str, Selection] = {}
        for name, words in _table(path, values, "labels").items():
            with _naming(path, "labels", name):
                labels[_label(name)] = Selection.fromWords(_words(words), labels)
        views: dict[str, View] = {}
        for name, options in _table(path, values, "view").items():
            with _naming(path, "view", name):
                views[name] = viewFromWords(_wordLists(options), labels)
        limits: dict[str, int | float] = {}
        for name, value in _table(path, values, "limits").items():
            with _naming(path, "limits", name):
                limits[name] = _limit(name, value)
        listen = None
        if LISTEN in values:
            with _naming(path, LISTEN):
                listen = tuple(_addresses(values[LISTEN], labels, views))
        options = {key: value for key, value in values.items() if key in known}
        return cls(
            path=path, options=options, listen=listen, views=views, labels=labels, limits=limits
        )

    def address(self, description: str) -> ListeningAddress:
        """
        A listening address that was typed, with the labels and views of this file.

        @raise ValueError: It is wrong.
        """
        return ListeningAddress(*splitView(description, self.labels, self.views))

    def tell(self, options: usage.Options, given: frozenset[str]) -> None:
        """
        Tell options what this file says of them.

        @param given: Those that the command line has said something of, which counts.
        @raise ConfigurationError: A value is wrong.
        """
        for key, value in self.options.items():
            if key not in given:
                with _naming(self.path, key):
                    _tell(options, key, value)

    def limited(self, limits: Limits) -> Limits:
        """
        Limits as this file changes them.
        """
        changes: dict[str, Any] = dict(self.limits)
        return replace(limits, **changes)


NO_FILE = Configuration(path="")


@contextmanager
def _naming(path: str, *key: str) -> Iterator[None]:
    """
    Say which key of which file a mistake is in.
    """
    try:
        yield
    except ConfigurationError:
        raise
    except (ValueError, usage.UsageError) as error:
        raise ConfigurationError(path, f"{'.'.join(key)}: {error}") from error


_ENDPOINTS = frozenset({LISTEN, "status", "hub", "door"})
"""Those whose texts may have a NUL, as a UNIX socket's name without a file begins with one."""


def _expectNoNUL(value: object) -> None:
    """
    Refuse what no file can be called, and a command line cannot say.

    @raise ValueError: It is there.
    """
    for text in value if isinstance(value, list) else [value]:
        if isinstance(text, str) and "\0" in text:
            raise ValueError(f"expected a text without NUL characters, got {text!r:.80}")


def _table(path: str, values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = values.get(name, {})
    if not isinstance(table, dict):
        raise ConfigurationError(path, f"expected a table [{name}], got {_kind(table)}")
    return table


def _kind(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return f"the text {value[:80]!r}"
        case list():
            return "a list"
        case dict():
            return "a table"
        case _:
            return f"the {'number' if isinstance(value, int | float) else 'time'} {value}"


def _words(value: object) -> list[str]:
    """
    The words of an option: a text, a number, or a list of those.
    """
    values = value if isinstance(value, list) else [value]
    for each in values:
        if isinstance(each, bool) or not isinstance(each, str | int):
            raise ValueError(f"expected texts or whole numbers, got {_kind(each)}")
    return list(map(str, values))


def _wordLists(options: object) -> dict[str, list[str]]:
    if not isinstance(options, dict):
        raise ValueError(f"expected a table, got {_kind(options)}")
    words = {}
    for key, value in options.items():
        try:
            words[key] = _words(value)
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from None
    return words


def _label(name: str) -> str:
    """
    A name for phones, which must not be taken for something else.
    """
    try:
        Selection.fromWords([name], {})
    except ValueError:
        if name and name != PORT and "," not in name and ":" not in name:
            return name
    taken = ", ".join(CONNECTION_TYPES)
    raise ValueError(f"a label is no UDID, no port, not port, none of {taken}, and without , and :")


def _addresses(
    value: object, labels: Mapping[str, Selection], views: Mapping[str, View]
) -> Iterator[ListeningAddress]:
    if not isinstance(value, list):
        raise ValueError(f"expected a list, or tables [[{LISTEN}]], got {_kind(value)}")
    for each in value:
        if isinstance(each, str):
            yield ListeningAddress(*splitView(each, labels, views))
            continue
        given = _wordLists(each)
        place = given.pop(_ENDPOINT, None)
        if place is None or len(place) != 1:
            raise ValueError(f"each needs one {_ENDPOINT}, such as 'unix:/run/usbmuxd:mode=660'")
        if not given:
            yield ListeningAddress(*splitView(place[0], labels, views))
            continue
        plain, named = splitView(place[0], labels, views)
        if named is not None:
            raise ValueError(f"{place[0]!r} has a view already: {next(iter(given))} belongs there")
        try:
            yield ListeningAddress(plain, viewAt(plain, given, labels, views))
        except ValueError as error:
            raise ValueError(f"{plain}: {error}") from None


def _limit(name: str, value: object) -> int | float:
    known = {one.name: one for one in fields(Limits)}
    if name not in known:
        raise ValueError(f"there is no such limit{nearest(name, known)}")
    isWhole = isinstance(getattr(LIMITS, name), int)
    expected = int if isWhole else int | float
    if isinstance(value, bool) or not isinstance(value, expected):
        wanted = "a whole number" if isWhole else "seconds"
        raise ValueError(f"expected {wanted}, got {_kind(value)}")
    step, most = _STEPS.get(name, (1, _LARGEST if isWhole else _LONGEST))
    least = step if isWhole else 0
    # Written so that "nan" is refused as well.
    if not least <= value <= most or (not value and name not in _MAY_BE_ZERO):
        above = "" if isWhole or name in _MAY_BE_ZERO else "more than "
        raise ValueError(f"expected {above}{least} to {most:g}, got {value}")
    if isWhole and value % step:
        raise ValueError(f"expected a multiple of {step}, got {value}")
    return value


def _tell(options: usage.Options, key: str, value: object) -> None:
    """
    Tell one option, by its own method.
    """
    method: Callable[..., object] = getattr(options, "opt_" + key.replace("-", "_"))
    if f"{key}=" not in options.longOpt:
        if not isinstance(value, bool):
            raise ValueError(f"expected true or false, got {_kind(value)}")
        if value:
            method()
        return
    isList = isinstance(options.get(key, []), list)
    if isinstance(value, list) and not isList:
        raise ValueError(f"expected one value, got {_kind(value)}")
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, bool) or not isinstance(each, str | int | float):
            raise ValueError(f"expected a text, got {_kind(each)}")
        method(str(each))
