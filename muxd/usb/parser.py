# -*- test-case-name: tests.usb.test_parser -*-
"""
C{usb:...} descriptions (see L{muxd.interfaces.IDeviceSourceParser}).

This module is imported whenever plugins are looked for: it imports no pyusb
and no reactor.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial

from twisted.plugin import IPlugin
from zope.interface import implementer

from muxd.description import choiceFrom, expectKnown, nothingNamed, secondsFrom
from muxd.identity import Selection, joinPorts
from muxd.interfaces import IDeviceReceiver, IDeviceSource, IDeviceSourceParser
from muxd.usb.settings import ENGINES, USBSettings

SHORTEST_POLL = 0.05
LONGEST_POLL = 3600.0
MODES = range(1, 6)
OPTIONS = ("poll", "libusb", "only", "deny", "products", "mode", "engine")

_PRODUCTS = re.compile(r"(?:0x)?([0-9a-f]{1,4})(?:-(?:0x)?([0-9a-f]{1,4}))?", re.IGNORECASE)


@implementer(IPlugin, IDeviceSourceParser)
class USBSourceParser:
    """
    Makes the source of the phones on this machine's USB.
    """

    prefix = "usb"
    usage = (
        "usb[:poll=SECONDS][:libusb=PATH][:only=PHONE,PHONE...][:deny=PHONE,...]"
        "[:products=ID,ID-ID...][:mode=N][:engine=auto|threads|async], "
        "a PHONE being a UDID or port:3-1.4"
    )

    def parseDeviceSource(
        self, reactor: object, receiver: IDeviceReceiver, *args: str, **kwargs: str
    ) -> IDeviceSource:
        """
        Make a source; pyusb is imported here, libusb is loaded when it starts.

        @raise ValueError: An argument is wrong.
        """
        settings = parseSettings(args, kwargs)
        from muxd.usb.hotplug import systemBus
        from muxd.usb.libraries import describeLibrary, newContext
        from muxd.usb.source import USBSource

        description = ":".join((self.prefix, *(f"{key}={kwargs[key]}" for key in kwargs)))
        return USBSource(
            reactor,
            receiver,
            description,
            loadBackend=partial(newContext, settings.libusb),
            settings=settings,
            makeBus=partial(systemBus, settings.products),
            describe=partial(describeLibrary, settings.libusb),
        )


def parseSettings(args: Sequence[str], kwargs: Mapping[str, str]) -> USBSettings:
    """
    The settings that a description's arguments mean.

    @raise ValueError: One of them is wrong.
    """
    args, kwargs = joinPorts(args, kwargs, ("only", "deny"))
    if args:
        raise ValueError(f"expected only arguments with a name, got {args[0]!r}")
    expectKnown(kwargs, OPTIONS)
    return USBSettings(
        poll=secondsFrom("poll", kwargs.get("poll", "1"), SHORTEST_POLL, LONGEST_POLL),
        only=_parseSelection("only", kwargs),
        deny=_parseSelection("deny", kwargs),
        products=_parseProducts(kwargs.get("products")),
        mode=_parseMode(kwargs.get("mode", "")),
        engine=choiceFrom("engine", kwargs.get("engine", "auto"), ENGINES),
        libusb=kwargs.get("libusb") or None,
    )


def _parseSelection(name: str, kwargs: Mapping[str, str]) -> Selection:
    if name not in kwargs:
        return Selection()
    words = [word for word in kwargs[name].split(",") if word.strip()]
    if not words:
        raise ValueError(nothingNamed(name, "UDIDs or port:BUS-PORT.PORT"))
    try:
        return Selection.fromWords(words)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _parseProducts(text: str | None) -> tuple[range, ...]:
    if text is None:
        return ()
    found = []
    for each in text.split(","):
        match = _PRODUCTS.fullmatch(each.strip())
        if match is None:
            raise ValueError(f"products: expected ids such as 12a8 or 1290-12af, got {each!r}")
        first, last = (int(group, 16) for group in (match[1], match[2] or match[1]))
        if first > last:
            raise ValueError(f"products: {each!r} ends before it begins")
        found.append(range(first, last + 1))
    return tuple(found)


def _parseMode(text: str) -> int | None:
    if not text:
        return None
    if not text.isdecimal() or int(text) not in MODES:
        raise ValueError(f"mode: expected a number from {MODES[0]} to {MODES[-1]}, got {text!r}")
    return int(text)
