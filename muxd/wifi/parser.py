# -*- test-case-name: tests.wifi.test_parser -*-
"""
C{wifi:...} descriptions (see L{muxd.interfaces.IDeviceSourceParser}).

This module is imported whenever plugins are looked for: it imports neither zeroconf nor the
reactor.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from twisted.plugin import IPlugin
from zope.interface import implementer

from muxd.description import Description, choiceFrom, expectKnown, udidsFrom
from muxd.importing.extras import installing
from muxd.interfaces import IDeviceReceiver, IDeviceSource, IDeviceSourceParser
from muxd.net.tlstarget import hostFrom
from muxd.wifi.settings import USUAL, AddressLayout, WifiSettings

if TYPE_CHECKING:
    from muxd.wifi.adverts import AdvertObserver

OPTIONS = ("host", "udid", "as", "address", "awake", "only", "deny")
AS_USB = "usb"
AS_NETWORK = "network"


@implementer(IPlugin, IDeviceSourceParser)
class WifiSourceParser:
    """
    Makes the source of the phones on this machine's networks.
    """

    prefix = "wifi"
    usage = (
        "wifi[:HOST][:udid=UDID][:as=usb|network][:address=bsd|linux][:awake=yes|no]"
        "[:only=UDID,...][:deny=UDID,...]"
    )

    def parseDeviceSource(
        self, reactor: object, receiver: IDeviceReceiver, *args: str, **kwargs: str
    ) -> IDeviceSource:
        """
        Make a source; no network is used before it is started.

        @raise ValueError: An argument is wrong, or the extra C{wifi} is not installed.
        """
        expectKnown(kwargs, OPTIONS)
        if len(args) > 1 or (args and "host" in kwargs):
            raise ValueError(f"expected one host, got {args[-1]!r} as well")
        settings = WifiSettings(
            host=args[0] if args else kwargs.get("host", ""),
            udid=kwargs.get("udid", ""),
            layout=AddressLayout(
                choiceFrom("address", kwargs.get("address", USUAL.value), ("bsd", "linux"))
            ),
            asUSB=choiceFrom("as", kwargs.get("as", AS_NETWORK), (AS_USB, AS_NETWORK)) == AS_USB,
            awake=choiceFrom("awake", kwargs.get("awake", "no"), ("yes", "no")) == "yes",
            only=udidsFrom("only", kwargs),
            deny=udidsFrom("deny", kwargs),
        )
        if settings.host:
            hostFrom(settings.host)
        if settings.udid and not settings.host:
            raise ValueError("udid= says which phone a HOST is; for some of those found, only=")
        for package in ("OpenSSL", "cryptography", *(() if settings.host else ("zeroconf",))):
            if find_spec(package) is None:
                raise ValueError(f"there is no {package}; {installing('wifi')}")
        from twisted.internet.endpoints import HostnameEndpoint

        from muxd.wifi.source import Browser, WifiSource

        def makeBrowser(observer: AdvertObserver) -> Any:
            if settings.host:
                return Browser()
            # Its import alone starts processes, to find libraries.
            from muxd.wifi.browser import PhoneBrowser

            return PhoneBrowser(reactor, observer)

        return WifiSource(
            reactor,
            receiver,
            str(Description(self.prefix, args, kwargs)),
            settings,
            lambda address, port: HostnameEndpoint(reactor, address.encode(), port),
            makeBrowser,
        )
