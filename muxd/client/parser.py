# -*- test-case-name: tests.client.test_parser -*-
"""
C{clientFromString(reactor, "usbmux:port=22")}.

Every program that looks for any endpoint imports this: what is heavy is
imported when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IStreamClientEndpointStringParserWithReactor
from twisted.plugin import IPlugin
from zope.interface import implementer

if TYPE_CHECKING:
    from muxd.client.endpoint import UsbmuxClientEndpoint

USAGE = (
    "usbmux:port=PORT[:udid=UDID][:via=DAEMON'S ENDPOINT][:network=yes|no|prefer]"
    "[:wait=SECONDS][:timeout=SECONDS]"
)


@implementer(IPlugin, IStreamClientEndpointStringParserWithReactor)
class UsbmuxClientParser:
    """
    Understands descriptions of a phone's port.

     - C{port}: on the phone; the name may be left out, C{usbmux:22}.
     - C{udid}: of the phone, with or without its dash; the only phone if left
       out.
     - C{via}: the description of a client endpoint of the daemon's socket, its
       colons escaped with backslashes.
     - C{network}: whether a phone on the network counts: C{no}, which is the
       default, C{yes} if it is not there by cable as well, or C{prefer}.
     - C{wait}: how long to wait for the phone to be plugged in.
     - C{timeout}: how long all the rest may take.
    """

    prefix = "usbmux"

    def parseStreamClient(self, reactor: Any, *args: Any, **kwargs: Any) -> UsbmuxClientEndpoint:
        """
        Make an endpoint.

        @raise ValueError: The description makes no sense.
        """
        from muxd.client.endpoint import endpointFromOptions

        if len(args) > 1 or (args and "port" in kwargs):
            raise ValueError(f"usbmux: expected one port, got {args}; usage: {USAGE}")
        options = {"port": args[0], **kwargs} if args else kwargs
        try:
            return endpointFromOptions(reactor, options)
        except ValueError as error:
            raise ValueError(f"usbmux: {error}; usage: {USAGE}") from error
