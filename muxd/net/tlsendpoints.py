# -*- test-case-name: tests.net.test_mutualtls -*-
"""
Endpoints of mutual TLS (L{muxd.net.mutualtls}).

Their files are read when they are used first: what is wrong with them is wrong with listening
and connecting, and not with a description.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import HostnameEndpoint, SSL4ServerEndpoint, wrapClientTLS
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from zope.interface import implementer

from muxd.importing.extras import installing
from muxd.net.tlsfiles import TLSFiles
from muxd.net.tlstarget import TLSTarget


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
        try:
            from muxd.net.mutualtls import MutualServer
        except ImportError as error:
            raise ValueError(f"mutualtls: {error}; {installing('pairing')}") from error
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
        try:
            from muxd.net.mutualtls import MutualClient
        except ImportError as error:
            raise ValueError(f"mutualtls: {error}; {installing('pairing')}") from error
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
