# -*- test-case-name: tests.test_sources -*-
"""
From what a person types to a source of devices.

A source is described in the way that Twisted describes endpoints:
C{usb}, C{simulated:2}, C{usb:poll=2}.  What comes before the first colon
selects a plugin, so that anybody can add a source by putting an
L{IDeviceSourceParser} into a module of C{twisted/plugins/}.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from twisted.plugin import getPlugins

from muxd.interfaces import IDeviceReceiver, IDeviceSource, IDeviceSourceParser


class SourceError(ValueError):
    """
    A source description that cannot be used; the text says why, for the person
    who typed it.
    """


@dataclass(frozen=True, slots=True)
class Description:
    """
    The parts of an endpoint-like description.

    @ivar name: What comes before the first colon.
    @ivar positional: The arguments without an equals sign, in order.
    @ivar keywords: The arguments of the form C{key=value}.
    """

    name: str
    positional: tuple[str, ...] = ()
    keywords: dict[str, str] = field(default_factory=dict)

    @classmethod
    def fromString(cls, text: str) -> Description:
        r"""
        Take a description apart: arguments are separated by colons, the first
        equals sign of an argument separates its name from its value, and a
        backslash takes the meaning from the character behind it (as
        L{twisted.internet.endpoints.quoteStringArgument} writes it).

        Twisted's own parser of this grammar is private.

        @raise SourceError: There is no name, a backslash is the last character,
            or an argument is given twice.
        """
        positional: list[str] = []
        keywords: dict[str, str] = {}
        for parts in _arguments(text):
            if len(parts) == 1:
                positional.append(parts[0])
                continue
            key, value = parts
            if key in keywords:
                raise SourceError(f"{text!r}: {key!r} is given twice")
            keywords[key] = value
        if not positional or not positional[0]:
            raise SourceError(f"{text!r}: there is no name before the first colon")
        name, *rest = positional
        return cls(name, tuple(rest), keywords)


def _arguments(text: str) -> Iterator[list[str]]:
    """
    The arguments of a description, each as C{[value]} or C{[key, value]} with
    the backslashes taken out.
    """
    parts = [""]
    characters = iter(text)
    for character in characters:
        if character == "\\":
            escaped = next(characters, None)
            if escaped is None:
                raise SourceError(f"{text!r}: nothing follows the last backslash")
            parts[-1] += escaped
        elif character == ":":
            yield parts
            parts = [""]
        elif character == "=" and len(parts) == 1:
            parts.append("")
        else:
            parts[-1] += character
    yield parts


def sourceParsers() -> list[IDeviceSourceParser]:
    """
    The kinds of source that are installed, by name.
    """
    return sorted(getPlugins(IDeviceSourceParser), key=lambda parser: parser.prefix)


def sourceFromString(
    reactor: object,
    receiver: IDeviceReceiver,
    description: str,
    parsers: Iterable[IDeviceSourceParser] | None = None,
) -> IDeviceSource:
    """
    Make the source that C{description} describes.  Nothing is opened yet.

    @param reactor: What the source will live on.
    @param receiver: Whom it tells of its devices.
    @param description: Such as C{usb} or C{simulated:2}.
    @param parsers: The kinds of source to choose from; C{None} means those that
        are installed as plugins.

    @raise SourceError: There is no such kind of source, or it does not accept
        these arguments.
    """
    parsed = Description.fromString(description)
    known = sourceParsers() if parsers is None else list(parsers)
    for parser in known:
        if parser.prefix.lower() == parsed.name.lower():
            break
    else:
        names = ", ".join(parser.prefix for parser in known) or "none"
        raise SourceError(f"unknown source {parsed.name!r} in {description!r} (known: {names})")
    try:
        return parser.parseDeviceSource(reactor, receiver, *parsed.positional, **parsed.keywords)
    except (ValueError, TypeError) as error:
        # A TypeError is Python's own word for an argument too many or too few.
        raise SourceError(f"{description!r}: {error}; usage: {parser.usage}") from error
