# -*- test-case-name: tests.test_sources -*-
"""
Sources of devices, from their descriptions.

A source is described in the way that Twisted describes endpoints:
C{usb}, C{simulated:2}, C{usb:poll=2}.  What comes before the first colon
selects a plugin, so that a third party can add a source by putting an
L{IDeviceSourceParser} into a module of C{twisted/plugins/}.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from twisted.plugin import getPlugins

from muxd.description import Description, DescriptionError
from muxd.interfaces import (
    IDeviceReceiver,
    IDeviceSource,
    IDeviceSourceParser,
    IDistinguishingParser,
)


class SourceError(DescriptionError):
    """
    The description of a source that cannot be used; the text says why, for the
    person that typed it.
    """


def sourceParsers() -> list[IDeviceSourceParser]:
    """
    The kinds of source that are installed, by name.
    """
    return sorted(getPlugins(IDeviceSourceParser), key=lambda parser: parser.prefix)


def distinctSources(
    descriptions: Sequence[str], parsers: Iterable[IDeviceSourceParser] | None = None
) -> list[str]:
    """
    Descriptions of one service's sources such that no two of them have the same devices,
    where the kinds of source see to that (L{IDistinguishingParser}).

    @raise ValueError: They are given the same devices.
    """
    distinct = list(descriptions)
    for parser in sourceParsers() if parsers is None else parsers:
        if IDistinguishingParser.providedBy(parser):
            distinct = IDistinguishingParser(parser).distinguish(distinct)
    return distinct


def sourceFromString(
    reactor: object,
    receiver: IDeviceReceiver,
    description: str,
    parsers: Iterable[IDeviceSourceParser] | None = None,
) -> IDeviceSource:
    """
    Make the source that C{description} describes.  Nothing is opened yet.

    @param reactor: What the source will live on.
    @param receiver: What it tells of its devices.
    @param description: Such as C{usb} or C{simulated:2}.
    @param parsers: The kinds of source to choose from; C{None} means those that
        are installed as plugins.

    @raise DescriptionError: The text cannot be taken apart.
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
