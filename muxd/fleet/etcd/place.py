# -*- test-case-name: tests.fleet.etcd.test_place -*-
"""
Where etcd is, as an operator describes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IProtocol, IStreamClientEndpoint
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from muxd.description import Description, expectKnown
from muxd.fleet.etcd.gateway import Account, Gateway
from muxd.fleet.etcd.keys import Keys
from muxd.fleet.etcd.registry import EtcdRegistry
from muxd.fleet.terms import USUAL, Times
from muxd.importing.extras import needing
from muxd.net.tlsfiles import OPTIONS, TLSFiles, certificatesIn
from muxd.net.tlstarget import numberFrom

NAME = "etcd"
PREFIX = "/muxd/"

MOST_PASSWORD = 1024
"""Bytes of the file with it."""

_KNOWN = ("prefix", "user", "passwordfile", "insecure", *OPTIONS)
_LOOPBACK = frozenset({"localhost", "::1"})


@dataclass(frozen=True, slots=True)
class EtcdPlace:
    """
    Where it is.

    @ivar nodes: Names or addresses, with ports.
    @ivar prefix: Of all keys.
    @ivar user: Empty for none.
    @ivar passwordFile: In which its password is.
    @ivar files: For TLS, if a certificate is shown.
    @ivar ca: For TLS without one: the certificates of the authorities that sign the nodes'.
        Without both there is no TLS.
    """

    nodes: tuple[tuple[str, int], ...]
    prefix: str = PREFIX
    user: str = ""
    passwordFile: str = ""
    files: TLSFiles | None = None
    ca: str = ""

    @classmethod
    def fromString(cls, text: str) -> Self:
        """
        From a description such as C{etcd:127.0.0.1:2379} or
        C{etcd:a.example:2379:b.example:2379:files=/etc/muxd/etcd:user=hub1:passwordfile=FILE}.

        @raise ValueError: It makes no sense.
        """
        said = Description.fromString(text)
        if said.name != NAME:
            raise ValueError(f"expected {NAME}:HOST:PORT, got {text!r:.200}")
        given = said.keywords
        expectKnown(given, _KNOWN)
        hosts, ports = said.positional[::2], said.positional[1::2]
        if not hosts or len(hosts) != len(ports) or not all(hosts):
            raise ValueError(f"expected {NAME}:HOST:PORT, perhaps of several, got {text!r:.200}")
        nodes = tuple(
            (host, numberFrom("port", port, 65535)) for host, port in zip(hosts, ports, strict=True)
        )
        user, password = given.get("user", ""), given.get("passwordfile", "")
        if bool(user) != bool(password):
            raise ValueError("user= and passwordfile= belong together")
        prefix = given.get("prefix", PREFIX)
        if not prefix.startswith("/") or not prefix.isascii() or not prefix.isprintable():
            raise ValueError(f"prefix: expected one such as {PREFIX}, got {prefix!r:.80}")
        shown = [each for each in OPTIONS if given.get(each)]
        ca = given["ca"] if shown == ["ca"] else ""
        files = TLSFiles.fromOptions(given) if shown and not ca else None
        isFar = any(not _isHere(host) for host, _ in nodes)
        if not shown and isFar and given.get("insecure") != "yes":
            raise ValueError(
                f"{text!r:.200}: nothing is encrypted or proved on the way there; give the files"
                " of a certificate with files=, or say insecure=yes"
            )
        return cls(nodes, prefix, user, password, files, ca)

    def check(self) -> None:
        """
        Look whether the files can be used.

        @raise OSError: One cannot be read.
        @raise ValueError: One makes no sense.
        """
        if self.user:
            self.password()
        if self.isSecure:
            _Nodes(None, self).client("localhost")

    @property
    def isSecure(self) -> bool:
        """
        Whether there is TLS.
        """
        return self.files is not None or bool(self.ca)

    def password(self) -> str:
        """
        What is in the file with it.

        @raise OSError: It cannot be read.
        @raise ValueError: It makes no sense.
        """
        with open(self.passwordFile, "rb") as file:
            content = file.read(MOST_PASSWORD + 1)
        try:
            text = content.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            text = ""
        if not text or len(content) > MOST_PASSWORD:
            raise ValueError(f"{self.passwordFile}: expected a password")
        return text

    def registry(self, reactor: Any, times: Times = USUAL) -> EtcdRegistry:
        """
        The registry that is there.

        @param times: What follows from the term of hosts' leases.
        """
        pool = HTTPConnectionPool(reactor, persistent=True)
        pool.maxPersistentPerHost = 16
        # What may be asked again, the gateway knows.
        pool.retryAutomatically = False
        scheme = "https" if self.isSecure else "http"
        agent = Agent.usingEndpointFactory(reactor, _Nodes(reactor, self, times), pool)
        places = [
            f"{scheme}://{f'[{host}]' if isIPv6Address(host) else host}:{port}"
            for host, port in self.nodes
        ]
        account = Account(self.user, self.password) if self.user else None
        gateway = Gateway(reactor, agent, places, account, times)
        return EtcdRegistry(
            reactor,
            gateway,
            Keys(self.prefix),
            closing=pool.closeCachedConnections,
            times=times,
        )


@implementer(IStreamClientEndpoint)
class _Quiet:
    """
    The way to a node, of which the log has no line for each connection.
    """

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def connect(self, protocolFactory: Any) -> Deferred[IProtocol]:
        """
        Connect.
        """
        protocolFactory.noisy = False
        connecting: Deferred[IProtocol] = self._endpoint.connect(protocolFactory)
        return connecting


@implementer(IAgentEndpointFactory)
class _Nodes:
    """
    The ways to nodes, how they prove themselves, and what is shown to them.
    """

    def __init__(self, reactor: Any, place: EtcdPlace, times: Times = USUAL) -> None:
        self._patience = times.engineConnect
        self._reactor = reactor
        self._place = place
        self._clients: dict[str, Any] = {}

    def client(self, name: str) -> Any:
        """
        For a node of this name.

        @raise OSError: A file cannot be read.
        @raise ValueError: There is no TLS here, or what is in a file makes no sense.
        """
        if name not in self._clients:
            self._clients[name] = self._makeClient(name)
        return self._clients[name]

    def _makeClient(self, name: str) -> Any:
        with needing("pairing", "etcd"):
            from twisted.internet.ssl import (
                Certificate,
                optionsForClientTLS,
                trustRootFromCertificates,
            )

            from muxd.net.mutualtls import MutualClient
        files = self._place.files
        if files is not None:
            client = MutualClient(files, name, self._reactor)
            client.check()
            return client
        ca = self._place.ca
        try:
            roots = [Certificate.loadPEM(each) for each in certificatesIn(ca)]
        except Exception as error:
            raise ValueError(f"{ca}: expected certificates in PEM: {error}") from error
        return optionsForClientTLS(name, trustRoot=trustRootFromCertificates(roots))

    def endpointForURI(self, uri: Any) -> IStreamClientEndpoint:
        """
        See C{IAgentEndpointFactory}.
        """
        reached = HostnameEndpoint(self._reactor, uri.host, uri.port, timeout=self._patience)
        if not self._place.isSecure:
            return _Quiet(reached)
        return _Quiet(wrapClientTLS(self.client(uri.host.decode("ascii")), reached))


def _isHere(host: str) -> bool:
    """
    Whether nothing that is said to it leaves this machine.
    """
    return host in _LOOPBACK or (isIPAddress(host) and host.startswith("127."))
