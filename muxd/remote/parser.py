# -*- test-case-name: tests.remote.test_parser -*-
"""
C{remote:...} descriptions (see L{muxd.interfaces.IDeviceSourceParser}).

This module is imported whenever plugins are looked for: it imports no reactor.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from twisted.plugin import IPlugin
from zope.interface import implementer

from muxd.description import Description, choiceFrom, expectKnown, secondsFrom, udidsFrom
from muxd.importing.extras import installing
from muxd.interfaces import IDeviceReceiver, IDeviceSource, IDeviceSourceParser
from muxd.remote.settings import GRACE, RemoteSettings

OPTIONS = ("name", "only", "deny", "grace")
"""Ours; all other arguments are the endpoint's."""

LONGEST_GRACE = 3600.0

DISCOVERED = "mdns"
"""In the place of an endpoint: all hosts that announce themselves."""

INSECURE = "insecure"


@implementer(IPlugin, IDeviceSourceParser)
class RemoteSourceParser:
    """
    Makes the source of another daemon's phones.
    """

    prefix = "remote"
    usage = (
        "remote:ENDPOINT[:name=NAME][:only=UDID,UDID...][:deny=UDID,...][:grace=SECONDS], the"
        " ENDPOINT being a client endpoint such as unix:path=/run/hostA.sock or tcp:HOST:PORT; or"
        " remote:mdns:insecure=yes, all hosts that announce _remote-mobdev._tcp, in plain text"
    )

    def parseDeviceSource(
        self, reactor: object, receiver: IDeviceReceiver, *args: str, **kwargs: str
    ) -> IDeviceSource:
        """
        Make a source; nothing is connected before it is started.

        @raise ValueError: An argument is wrong.
        """
        if args == (DISCOVERED,):
            return self._discovered(reactor, receiver, kwargs)
        given = {key: value for key, value in kwargs.items() if key not in OPTIONS}
        if not args or not args[0]:
            raise ValueError("expected a client endpoint, such as unix:path=/run/hostA.sock")
        kind, *rest = args
        if kind.startswith("/") and not rest and not given:
            kind, given = "unix", {"path": kind}
        endpoint = str(Description(kind, tuple(rest), given))
        settings = RemoteSettings(
            name=_parseName(kwargs.get("name", _nameOf(rest, given, endpoint))),
            only=udidsFrom("only", kwargs),
            deny=udidsFrom("deny", kwargs),
            grace=secondsFrom("grace", kwargs.get("grace", str(GRACE)), 0, LONGEST_GRACE),
        )
        from muxd.client.client import UsbmuxClient
        from muxd.remote.source import RemoteSource

        named = {key: value for key, value in kwargs.items() if key in OPTIONS}
        description = str(Description(self.prefix, (kind, *rest), {**given, **named}))
        try:
            client = UsbmuxClient(reactor, endpoint)
        except TypeError as error:
            raise ValueError(f"{endpoint!r} is no client endpoint: {error}") from error
        return RemoteSource(reactor, receiver, description, client, settings)

    def _discovered(
        self, reactor: Any, receiver: IDeviceReceiver, kwargs: dict[str, str]
    ) -> IDeviceSource:
        """
        The source of the phones of all hosts that announce themselves.

        @raise ValueError: An argument is wrong, or the extra C{wifi} is not installed.
        """
        expectKnown(kwargs, ("only", "deny", "grace", INSECURE))
        if choiceFrom(INSECURE, kwargs.get(INSECURE, "no"), ("yes", "no")) == "no":
            raise ValueError(
                "any host of the network may announce itself, and what is said to it is plain text,"
                " keys to phones included; use remote:mutualtls:HOST:PORT, or add insecure=yes"
            )
        if find_spec("zeroconf") is None:
            raise ValueError(f"there is no zeroconf; {installing('wifi')}")
        from twisted.internet.endpoints import HostnameEndpoint

        from muxd.net.announcing import SERVICE, processMark
        from muxd.remote.discovered import DiscoveredHosts

        def makeBrowser(source: DiscoveredHosts) -> Any:
            # Its import alone starts processes, to find libraries.
            from muxd.net.multicast import MulticastBrowser

            return MulticastBrowser(reactor, SERVICE, source)

        settings = RemoteSettings(
            name=DISCOVERED,
            only=udidsFrom("only", kwargs),
            deny=udidsFrom("deny", kwargs),
            grace=secondsFrom("grace", kwargs.get("grace", str(GRACE)), 0, LONGEST_GRACE),
        )
        return DiscoveredHosts(
            reactor,
            receiver,
            str(Description(self.prefix, (DISCOVERED,), kwargs)),
            settings,
            lambda address, port: HostnameEndpoint(reactor, address.encode(), port),
            makeBrowser,
            processMark(),
        )


def _nameOf(rest: list[str], given: dict[str, str], endpoint: str) -> str:
    """
    What a host is called that was given no name: by its address.
    """
    return given.get("host") or given.get("path") or (rest[0] if rest else endpoint)


def _parseName(text: str) -> str:
    if not text.strip() or len(text) > 64 or not text.isprintable():
        raise ValueError(f"name: expected up to 64 printable characters, got {text!r:.80}")
    return text
