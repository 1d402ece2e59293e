# -*- test-case-name: tests.client.test_access -*-
"""
The way to one daemon: its socket's endpoint, and the dialect it speaks.

Each request has a connection of its own, as with all clients.  Property lists
come first.  A daemon that answers them with Result 6 is old, and is spoken to in
binary on another connection; that is remembered, and forgotten again as soon as
binary does not work either, since a daemon may be replaced while we run.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory

from muxd.client.address import Address, daemonAddress
from muxd.client.answers import Answer
from muxd.client.connection import Conversation
from muxd.client.errors import (
    DaemonLost,
    DaemonNonsense,
    DaemonRefused,
    NoDaemon,
    NotSupported,
    Stage,
    TimedOut,
)
from muxd.client.requests import Dialect, Request
from muxd.limits import LIMITS, Limits
from muxd.wire.messages import Result

T = TypeVar("T")

_Speak = Callable[[Conversation, Dialect, float | None], Deferred[T]]
"""Says something in a dialect and awaits what comes of it, for so many seconds."""


class DaemonAccess:
    """
    How one daemon is reached and spoken to.  It holds no connection; whoever
    shares it shares what has been learned of the daemon.

    @ivar clock: The reactor, for time-outs.
    @ivar where: The daemon's address as a person would write it.
    @ivar dialect: What it is believed to speak.
    """

    def __init__(
        self,
        clock: IReactorTime,
        endpoint: IStreamClientEndpoint,
        where: str,
        limits: Limits = LIMITS,
    ) -> None:
        self.clock = clock
        self.where = where
        self.limits = limits
        self.dialect = Dialect.PLIST
        self._endpoint = endpoint

    def ask(self, request: Request, timeout: float | None = None) -> Deferred[Answer]:
        """
        Make a request on a connection of its own.

        @param timeout: Seconds for the connection and the answer together; if
            None, the limits' C{reachTimeout} and C{answerTimeout}.
        @return: fires with an answer that is no refusal.  It fails with
            L{NoDaemon}, L{NotSupported}, or as L{Conversation.ask}.
        """

        def speak(
            conversation: Conversation, dialect: Dialect, left: float | None
        ) -> Deferred[Answer]:
            return conversation.ask(request, dialect, left)

        return Deferred.fromCoroutine(self._converse(request, speak, timeout))

    def become(
        self,
        request: Request,
        factory: IProtocolFactory,
        address: IAddress,
        timeout: float | None = None,
    ) -> Deferred[IProtocol]:
        """
        Open a connection and give it to a protocol.

        @param timeout: As in L{ask}.
        @return: fires with the protocol.  It fails with L{NoDaemon}, or as
            L{Conversation.become}.
        """

        def speak(
            conversation: Conversation, dialect: Dialect, left: float | None
        ) -> Deferred[IProtocol]:
            return conversation.become(request, dialect, factory, address, left)

        return Deferred.fromCoroutine(self._converse(request, speak, timeout))

    async def _converse(self, request: Request, speak: _Speak[T], timeout: float | None) -> T:
        """
        Speak in the dialect that is believed to be right, then in the other.
        """
        dialect = self.dialect if request.binary is not None else Dialect.PLIST
        try:
            result = await self._speakOnce(dialect, speak, timeout)
        except DaemonRefused as refusal:
            if refusal.result != Result.BAD_VERSION:
                raise
            self.dialect = dialect.other
            if request.binary is None:
                raise NotSupported(self.where, request.name) from refusal
            return await self._speakOnce(self.dialect, speak, timeout)
        except (DaemonLost, DaemonNonsense):
            self.dialect = Dialect.PLIST
            raise
        self.dialect = dialect
        return result

    async def _speakOnce(self, dialect: Dialect, speak: _Speak[T], timeout: float | None) -> T:
        begun = self.clock.seconds()
        conversation = await self._open(timeout)
        left = None if timeout is None else max(0.0, timeout - (self.clock.seconds() - begun))
        try:
            return await speak(conversation, dialect, left)
        finally:
            conversation.close()

    async def _open(self, timeout: float | None) -> Conversation:
        limit = self.limits.reachTimeout
        seconds = limit if timeout is None else max(0.0, min(limit, timeout))

        def timedOut(result: object, _: float) -> Conversation:
            raise TimedOut(Stage.REACH, seconds, self.where)

        opening: Deferred[Any] = self._endpoint.connect(_ConversationFactory(self))
        try:
            conversation: Conversation = await opening.addTimeout(seconds, self.clock, timedOut)
        except (CancelledError, ConnectingCancelledError, TimedOut):
            raise
        except Exception as error:
            # A ConnectError's text says once more that it is one.
            bare = isinstance(error, ConnectError) and error.args[0]
            raise NoDaemon(self.where, bare or error) from error
        return conversation


class _ConversationFactory(Factory):
    noisy = False

    def __init__(self, access: DaemonAccess) -> None:
        self._access = access

    def buildProtocol(self, addr: IAddress | None) -> Conversation:
        access = self._access
        return Conversation(access.where, access.clock, access.limits)


def daemonAccess(
    reactor: Any,
    via: DaemonAccess | IStreamClientEndpoint | str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> DaemonAccess:
    """
    The way to a daemon, however it is given.

    @param reactor: Of any kind that the endpoint needs, with its clock.
    @param via: A client endpoint of the daemon's socket, or the description of
        one; None for where C{USBMUXD_SOCKET_ADDRESS} or the platform says.
    @param environ: The process's environment.
    @raise InvalidAddress: C{USBMUXD_SOCKET_ADDRESS} makes no sense.
    @raise ValueError: The description makes no sense.
    """
    if isinstance(via, DaemonAccess):
        return via
    if via is None:
        return accessAt(reactor, daemonAddress(environ))
    if isinstance(via, str):
        return DaemonAccess(reactor, clientFromString(reactor, via), via)
    return DaemonAccess(reactor, via, f"the other end of {via!r}")


def accessAt(reactor: Any, address: Address) -> DaemonAccess:
    """
    The way to the daemon at an address.
    """
    endpoint = clientFromString(reactor, address.endpointDescription())
    return DaemonAccess(reactor, endpoint, str(address))
