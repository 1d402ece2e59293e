# -*- test-case-name: tests.usbip.test_parser -*-
"""
C{usbip:...} descriptions (see L{muxd.interfaces.IDeviceSourceParser}).

This module is imported whenever plugins are looked for: it imports no pyusb
and no reactor.
"""

from __future__ import annotations

import re

from twisted.plugin import IPlugin
from zope.interface import implementer

from muxd.description import Description, expectKnown
from muxd.interfaces import IDeviceReceiver, IDeviceSource, IDeviceSourceParser
from muxd.net.tlstarget import hostFrom
from muxd.usb.parser import parseSettings

PORT = 3240
"""The port that usbipd listens on."""

OWN = ("host", "port", "busid", "unix")
SHARED = ("only", "deny", "products", "mode", "poll")
"""Arguments that mean what they mean to the source C{usb}."""

POLL = "2"
_BUS_ID = re.compile(r"[0-9A-Za-z._:-]{1,31}")


@implementer(IPlugin, IDeviceSourceParser)
class UsbipSourceParser:
    """
    Makes the source of the phones that another machine exports.
    """

    prefix = "usbip"
    usage = (
        "usbip:HOST[:PORT][:busid=PLACE,PLACE...][:only=PHONE,...][:deny=PHONE,...]"
        "[:products=ID,...][:mode=N][:poll=SECONDS], or usbip:unix=PATH in place of HOST"
    )

    def parseDeviceSource(
        self, reactor: object, receiver: IDeviceReceiver, *args: str, **kwargs: str
    ) -> IDeviceSource:
        """
        Make a source; nothing is connected before it is started.

        @raise ValueError: An argument is wrong.
        """
        own = {key: kwargs[key] for key in kwargs if key in OWN}
        shared = {key: kwargs[key] for key in kwargs if key in SHARED}
        expectKnown(kwargs, (*OWN, *SHARED))
        places = list(args)
        # The colon of port:3-1.4 has made one argument more of it.
        rest = [places.pop() for _ in range(_lostPorts(shared)) if places]
        for key, name in zip(("host", "port"), places, strict=False):
            if key in own:
                raise ValueError(f"{key} is given twice")
            own[key] = name
        if len(places) > 2:
            raise ValueError(f"expected a host and a port, got {places[2]!r} as well")
        settings = parseSettings(rest[::-1], {"poll": POLL, **shared})
        busIDs = _parseBusIDs(own.get("busid"))
        endpoint, name = _endpoint(own)
        from twisted.internet.endpoints import clientFromString

        from muxd.usbip.source import UsbipSource

        return UsbipSource(
            reactor,
            receiver,
            str(Description(self.prefix, args, kwargs)),
            endpoint=clientFromString(reactor, endpoint),
            name=name,
            busIDs=busIDs,
            settings=settings,
        )


def _lostPorts(shared: dict[str, str]) -> int:
    """
    How many of the arguments without a name belong to C{only} and C{deny}.
    """
    return sum(shared.get(key, "").rpartition(",")[2].strip() == "port" for key in ("only", "deny"))


def _endpoint(own: dict[str, str]) -> tuple[str, str]:
    """
    The client endpoint of a machine, and what to call the machine.
    """
    if "unix" in own:
        if "host" in own or "port" in own:
            raise ValueError("expected a host or unix=PATH, got both")
        return str(Description("unix", (), {"path": own["unix"]})), own["unix"]
    host, port = own.get("host", ""), own.get("port", str(PORT))
    if not host:
        raise ValueError("expected a host, such as usbip:192.0.2.1")
    hostFrom(host)
    if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError(f"port: expected a number from 1 to 65535, got {port!r}")
    return str(Description("tcp", (), {"host": host, "port": port})), f"{host} port {port}"


def _parseBusIDs(text: str | None) -> frozenset[str]:
    if text is None:
        return frozenset()
    found = frozenset(each.strip() for each in text.split(","))
    for each in sorted(found):
        if not _BUS_ID.fullmatch(each):
            raise ValueError(f"busid: expected places such as 1-1.2, got {each!r}")
    return found
