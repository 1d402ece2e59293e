# -*- test-case-name: tests.usb.test_parser -*-
"""
C{usb:...} descriptions (see L{muxd.interfaces.IDeviceSourceParser}).

This module is imported whenever plugins are looked for: it imports no pyusb
and no reactor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from twisted.plugin import IPlugin
from zope.interface import implementer

from muxd.interfaces import IDeviceReceiver, IDeviceSource, IDeviceSourceParser
from muxd.usb.settings import ENGINES, USBSettings, canonicalUDID

SHORTEST_POLL = 0.05
MODES = range(1, 6)
OPTIONS = ("poll", "libusb", "only", "mode", "engine")


@implementer(IPlugin, IDeviceSourceParser)
class USBSourceParser:
    """
    Makes the source of the phones on this machine's USB.
    """

    prefix = "usb"
    usage = (
        "usb[:poll=SECONDS][:libusb=PATH][:only=UDID,UDID...][:mode=N][:engine=auto|threads|async]"
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
        from muxd.usb.libraries import newContext
        from muxd.usb.source import USBSource

        description = ":".join((self.prefix, *(f"{key}={kwargs[key]}" for key in kwargs)))
        return USBSource(
            reactor,
            receiver,
            description,
            loadBackend=partial(newContext, settings.libusb),
            settings=settings,
            makeBus=systemBus,
        )


def parseSettings(args: Sequence[str], kwargs: Mapping[str, str]) -> USBSettings:
    """
    The settings that a description's arguments mean.

    @raise ValueError: One of them is wrong.
    """
    if args:
        raise ValueError(f"expected only arguments with a name, got {args[0]!r}")
    unknown = sorted(kwargs.keys() - OPTIONS)
    if unknown:
        raise ValueError(f"no such argument: {unknown[0]!r}; expected {', '.join(OPTIONS)}")
    only = kwargs.get("only", "").split(",")
    return USBSettings(
        poll=_parsePoll(kwargs.get("poll", "1")),
        only=frozenset(canonicalUDID(udid) for udid in only if udid.strip()),
        mode=_parseMode(kwargs.get("mode", "")),
        engine=_parseEngine(kwargs.get("engine", "auto")),
        libusb=kwargs.get("libusb") or None,
    )


def _parsePoll(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    # Written so that "nan" is refused as well.
    if not SHORTEST_POLL <= seconds <= 3600:
        raise ValueError(f"poll: expected seconds from {SHORTEST_POLL} to 3600, got {text!r}")
    return seconds


def _parseMode(text: str) -> int | None:
    if not text:
        return None
    if not text.isdecimal() or int(text) not in MODES:
        raise ValueError(f"mode: expected a number from {MODES[0]} to {MODES[-1]}, got {text!r}")
    return int(text)


def _parseEngine(text: str) -> str:
    if text not in ENGINES:
        raise ValueError(f"engine: expected {', '.join(ENGINES)}, got {text!r}")
    return text
