# -*- test-case-name: tests.net.test_tlsparser -*-
"""
C{mutualtls:} in descriptions of endpoints, of servers and of clients::

    mutualtls:27016:interface=0.0.0.0:files=/etc/muxd/tls:names=ci.example.org
    mutualtls:rack1.example.org:27016:files=/etc/muxd/tls

Every program that looks for any endpoint imports this: what is heavy is imported when it is
used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import (
    IStreamClientEndpointStringParserWithReactor,
    IStreamServerEndpointStringParser,
)
from twisted.plugin import IPlugin
from zope.interface import implementer

from muxd.net.tlsfiles import OPTIONS, TLSFiles
from muxd.net.tlstarget import PREFIX, TLSTarget, namedArguments, numberFrom

if TYPE_CHECKING:
    from muxd.net.tlsendpoints import MutualClientEndpoint, MutualServerEndpoint

LOOPBACK = "127.0.0.1"

FILES = "files=DIRECTORY or :cert=FILE:key=FILE:ca=FILE[:crl=FILE]"

SERVER_USAGE = f"mutualtls:PORT:{FILES}[:interface=ADDRESS][:names=NAME,NAME...][:backlog=N]"

CLIENT_USAGE = f"mutualtls:HOST:PORT:{FILES}[:server=NAME][:timeout=SECONDS]"

_OF_SERVER = frozenset({"port", "interface", "names", "backlog", *OPTIONS})


@implementer(IPlugin, IStreamServerEndpointStringParser)
class MutualServerParser:
    """
    Understands descriptions of places where clients with a certificate are let in.

     - C{port}: on which to listen; the name may be left out.
     - C{files}: the directory with the certificate and key that are shown, the authority's
       certificate, and its list of revoked ones; or each file by itself.
     - C{names}: whom to let in, by the names in their certificates; all whom the authority
       has signed, if left out.
     - C{interface}: the address to listen on, this machine's loopback by default.
    """

    prefix = PREFIX

    def parseStreamServer(self, reactor: Any, *args: Any, **kwargs: Any) -> MutualServerEndpoint:
        """
        Make an endpoint.

        @raise ValueError: The description makes no sense.
        """
        try:
            given = namedArguments(("port",), args, kwargs, _OF_SERVER)
            names = [name.strip() for name in given.get("names", "").split(",")]
            allowed = frozenset(filter(None, names))
            if "names" in given and not allowed:
                raise ValueError("names: expected names; leave it out to let in all")
            port = numberFrom("port", given.get("port", ""), 65535)
            backlog = numberFrom("backlog", given.get("backlog", "256"), 65535)
            files = TLSFiles.fromOptions(given)
        except ValueError as error:
            raise ValueError(f"{error}; usage: {SERVER_USAGE}") from error
        from muxd.net.tlsendpoints import MutualServerEndpoint

        interface = given.get("interface", LOOPBACK)
        return MutualServerEndpoint(reactor, port, files, allowed, interface, backlog)


@implementer(IPlugin, IStreamClientEndpointStringParserWithReactor)
class MutualClientParser:
    """
    Understands descriptions of servers that want a certificate, and show one.

     - C{host} and C{port}: where to connect; the names may be left out.
     - C{files}: as of a server.
     - C{server}: the name that the server's certificate has to have; its host, if left out.
     - C{timeout}: seconds that connecting may take.
    """

    prefix = PREFIX

    def parseStreamClient(self, reactor: Any, *args: Any, **kwargs: Any) -> MutualClientEndpoint:
        """
        Make an endpoint.

        @raise ValueError: The description makes no sense.
        """
        try:
            target = TLSTarget.fromArguments(args, kwargs)
        except ValueError as error:
            raise ValueError(f"{error}; usage: {CLIENT_USAGE}") from error
        from muxd.net.tlsendpoints import MutualClientEndpoint

        return MutualClientEndpoint(reactor, target)
