# -*- test-case-name: tests.net.test_mutualtls -*-
"""
Endpoints of mutual TLS (L{muxd.net.mutualtls}), and what Twisted's own with TLS need.

Their files are read when they are used first: what is wrong with them is wrong with listening
and connecting, and not with a description.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import (
    HostnameEndpoint,
    SSL4ServerEndpoint,
    clientFromString,
    wrapClientTLS,
)
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from zope.interface import implementer

from muxd.importing.extras import needing
from muxd.net.endpointwords import checkClient
from muxd.net.tlsfiles import TLSFiles
from muxd.net.tlstarget import TLSTarget

_TLS = frozenset({"ssl", "tls"})
"""The kinds of Twisted's own endpoints, servers' and clients', that need pyOpenSSL."""


def checkTLS(description: str) -> None:
    """
    See that what an endpoint of Twisted's needs is there, if it is one with TLS: without it
    Twisted fails in ways that say nothing, by the name of a module or of a class.

    @raise ValueError: It is not; the text says what to install.
    """
    kind = description.partition(":")[0].lower()
    if kind in _TLS:
        with needing("pairing", kind):
            import OpenSSL.SSL  # noqa: F401


def clientAt(reactor: Any, description: str) -> IStreamClientEndpoint:
    """
    A client endpoint from its description, as Twisted's C{clientFromString} makes it.

    @raise ValueError: The description makes no sense, or needs what is not installed.
    @raise TypeError: It has other arguments than such an endpoint takes.
    @raise LookupError: The same.
    """
    checkTLS(description)
    checkClient(description)
    endpoint: IStreamClientEndpoint = clientFromString(reactor, description)
    return endpoint


@implementer(IStreamServerEndpoint)
class MutualServerEndpoint:
    """
    A place where clients with a certificate are let in.
    """

    def __init__(
        self,
        reactor: Any,
        port: int,
        files: TLSFiles,
        names: frozenset[str],
        interface: str,
        backlog: int,
    ) -> None:
        with needing("pairing", "mutualtls"):
            from muxd.net.mutualtls import MutualServer
        self._server = MutualServer(reactor, files, names)
        self._endpoint = SSL4ServerEndpoint(
            reactor, port, self._server, backlog=backlog, interface=interface
        )

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        Let clients in.  It fails with C{OSError} or C{ValueError} if the files cannot be used.
        """
        try:
            self._server.check()
        except (OSError, ValueError):
            return fail()
        listening: Deferred[IListeningPort] = self._endpoint.listen(protocolFactory)
        return listening


@implementer(IStreamClientEndpoint)
class MutualClientEndpoint:
    """
    A server that wants a certificate, and shows one.
    """

    def __init__(self, reactor: Any, target: TLSTarget) -> None:
        with needing("pairing", "mutualtls"):
            from muxd.net.mutualtls import MutualClient
        self._client = MutualClient(target.files, target.server, reactor)
        self._target = target
        reached = HostnameEndpoint(reactor, target.host, target.port, timeout=target.timeout)
        self._endpoint = wrapClientTLS(self._client, reached)

    def __repr__(self) -> str:
        return f"<{self._target}>"

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect.  It fails with C{OSError} or C{ValueError} if the files cannot be used.
        """
        try:
            self._client.check()
        except (OSError, ValueError):
            return fail()
        connecting: Deferred[IProtocol] = self._endpoint.connect(protocolFactory)
        return connecting
