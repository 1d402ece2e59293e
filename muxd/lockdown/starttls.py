# -*- test-case-name: tests.lockdown.test_starttls -*-
"""
TLS from the middle of a conversation on.

Twisted's own transports can do that, as long as they are sockets; ours are
sessions with a phone, too.  So the conversation is had by way of an L{Upgradable},
which is between a transport and a protocol and usually does nothing, until it puts
Twisted's TLS there.

This needs the extra C{pairing}.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import (
    IHandshakeListener,
    IOpenSSLContextFactory,
    IProtocol,
    IReactorTime,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.policies import WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.net.turns import Turns


@implementer(IOpenSSLContextFactory)
class _Contexts:
    """
    Makes connections of one context, as a TLS factory wants it.
    """

    def __init__(self, context: SSL.Context) -> None:
        self._context = context

    def getContext(self) -> SSL.Context:
        """
        The context.
        """
        return self._context


@implementer(IHandshakeListener)
class _Told(Protocol):
    """
    What is beneath TLS talks to this, which passes on all but a second
    C{connectionMade}.
    """

    def __init__(self, upgradable: Upgradable) -> None:
        self._upgradable = upgradable

    def dataReceived(self, data: bytes) -> None:
        """
        Pass it on.
        """
        self._upgradable.inner.dataReceived(data)

    def handshakeCompleted(self) -> None:
        """
        Call back the caller that has asked to be told.
        """
        self._upgradable.secured()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Pass it on.
        """
        self._upgradable.inner.connectionLost(reason)


LONGEST_HANDSHAKE = 1 << 18
"""More bytes than the other side has to say in a handshake, certificates included."""


class Upgradable(Protocol):
    """
    Passes on what comes, through TLS or not.

    Each step of a handshake takes some milliseconds.  With L{turns<muxd.net.turns>}, those of
    several phones are done one after the other, in different turns of the reactor.

    @ivar inner: The protocol that has the conversation.
    """

    def __init__(self, inner: Any, turns: Turns | None = None) -> None:
        """
        @param turns: Those that handshakes have; None if each is done as it comes.
        """
        self.inner = inner
        self._receiver: IProtocol = inner
        self._turns = turns
        self._isSecuring = False
        self._held: list[bytes] = []
        self._lost: Failure | None = None

    @property
    def owner(self) -> Hashable:
        """
        Each phone has its own turns.
        """
        return self

    def connectionMade(self) -> None:
        """
        Connect the protocol, in plain text.
        """
        self.inner.makeConnection(self.transport)

    def startTLS(self, context: SSL.Context, isClient: bool) -> None:
        """
        Speak TLS from the next byte on.  The protocol's transport is another one
        then, and it must not be a producer of the present one.
        """
        factory = TLSMemoryBIOFactory(_Contexts(context), isClient, Factory())
        tls = TLSMemoryBIOProtocol(factory, _Told(self))
        self._receiver = tls
        self._isSecuring = self._turns is not None
        tls.makeConnection(self.transport)
        self.inner.transport = tls

    def peerCertificate(self) -> bytes:
        """
        The certificate whose private key the other side has proved to have, as DER; empty
        if there is none.
        """
        shown = self.inner.transport.getPeerCertificate()
        return b"" if shown is None else crypto.dump_certificate(crypto.FILETYPE_ASN1, shown)

    def secured(self) -> None:
        """
        The handshake is done; tell the protocol if it wants to know.
        """
        self._isSecuring = False
        told = getattr(self.inner, "secured", None)
        if told is not None:
            told()

    def dataReceived(self, data: bytes) -> None:
        """
        Pass it on, a step of a handshake in its turn.
        """
        if not self._isSecuring and not self._held:
            self._receiver.dataReceived(data)
            return
        self._held.append(data)
        if len(self._held) == 1:
            self.takeTurn()
        elif sum(map(len, self._held)) > LONGEST_HANDSHAKE:
            assert self.transport is not None
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Pass it on, after what has come before.
        """
        if self._held:
            self._lost = reason
        else:
            self._receiver.connectionLost(reason)

    def takeTurn(self) -> None:
        """
        Pass on what has come meanwhile.
        """
        turns = self._turns
        assert turns is not None
        if not turns.begin():
            turns.wait(self)
            return
        try:
            held, self._held = self._held, []
            for data in held:
                self._receiver.dataReceived(data)
        finally:
            turns.end()
        lost, self._lost = self._lost, None
        if lost is not None:
            self._receiver.connectionLost(lost)


@implementer(IHandshakeListener)
class _Secured(Protocol):
    """
    Connects a service when the handshake is done.

    What is written earlier waits in TLS, which pauses its writer; and a service that
    is paused may pause what the handshake comes by.
    """

    def __init__(self, service: IProtocol) -> None:
        self._service = service
        self._isConnected = False

    def handshakeCompleted(self) -> None:
        """
        Connect it.
        """
        self._isConnected = True
        assert self.transport is not None
        self._service.makeConnection(self.transport)

    def dataReceived(self, data: bytes) -> None:
        """
        Pass it on.
        """
        self._service.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Pass it on to a service that has had a connection.
        """
        if self._isConnected:
            self._service.connectionLost(reason)


class _SecuredServices(WrappingFactory):
    """
    Makes services that are connected when the handshake is done.
    """

    noisy = False

    def buildProtocol(self, addr: Any) -> Any:
        """
        One of them.
        """
        return _Secured(self.wrappedFactory.buildProtocol(addr))


def securedFactory(
    factory: Any,
    context: SSL.Context,
    clock: IReactorTime,
    isClient: bool = False,
    isBuffered: bool = True,
) -> TLSMemoryBIOFactory:
    """
    A factory whose protocols speak TLS from the first byte on; they are connected when the
    handshake is done, and hear of no end before that.

    @param clock: Small writes go out together in its next turn.
    @param isClient: Whether they are clients, and not servers.
    @param isBuffered: Whether that is so; each is a record of its own otherwise, at once.
    """
    secured = TLSMemoryBIOFactory(_Contexts(context), isClient, _SecuredServices(factory), clock)
    if not isBuffered:
        secured.protocol = TLSMemoryBIOProtocol
    secured.noisy = False
    return secured
