# -*- test-case-name: tests.client.test_access -*-
"""
The way to one daemon: its socket's endpoint, and the dialect it speaks.

Each request has a connection of its own, as with all clients.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, ConnectingCancelledError, ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from muxd.client import errors
from muxd.client.address import Address, UnixAddress, daemonAddress
from muxd.client.answers import Answer
from muxd.client.connection import Conversation
from muxd.client.errors import NoDaemon, Stage, TimedOut
from muxd.client.exchange import DialectChoice, Exchange
from muxd.client.problems import CERTIFY, START, THERE
from muxd.client.requests import Dialect, Request, programName
from muxd.client.socketio import BACKLOG_PAUSE
from muxd.limits import LIMITS, Limits
from muxd.net.eventloop import EventLoop
from muxd.net.loopreactor import loopBeneath
from muxd.net.streams import LONGEST_PATH
from muxd.net.tlsendpoints import clientAt

if TYPE_CHECKING:
    from muxd.client.rememberedlist import RememberedList

T = TypeVar("T")

_Speak = Callable[[Conversation, Dialect], Awaitable[T]]
"""Says something in a dialect and awaits what comes of it."""


class DaemonAccess:
    """
    How one daemon is reached and spoken to.  Those that share it share what has been
    learned of the daemon; it holds no connection but that of L{rememberedList}.

    @ivar clock: The reactor, for time-outs.
    @ivar where: The daemon's address as a person would write it.
    @ivar program: The name of this program, for the daemon.
    @ivar choice: Which dialect it is believed to speak.
    @ivar loop: What may watch sockets to it; None for what the endpoint says.
    @ivar path: Of its UNIX socket, if there is a loop.
    """

    def __init__(
        self,
        clock: IReactorTime,
        endpoint: IStreamClientEndpoint,
        where: str,
        limits: Limits = LIMITS,
        program: str | None = None,
        loop: EventLoop | None = None,
        path: bytes = b"",
        remedy: str = THERE,
    ) -> None:
        """
        @param program: That of C{sys.argv} if None.
        @param remedy: What to do if it is not there.
        """
        self.loop = loop
        self.path = path
        self.clock = clock
        self.where = where
        self.limits = limits
        self.program = programName(sys.argv[0]) if program is None else program
        self.choice = DialectChoice(where, errors)
        self._endpoint = endpoint
        self._remedy = remedy
        self._remembered: RememberedList | None = None

    @property
    def rememberedList(self) -> RememberedList:
        """
        Which phones the daemon has, for programs that connect to them again and again, where
        there is a loop.
        """
        if self._remembered is None:
            assert self.loop is not None, "there is no loop"
            from muxd.client.rememberedlist import RememberedList

            self._remembered = RememberedList(self.clock, self.loop, self.path, self.exchange)
        return self._remembered

    def exchange(self) -> Exchange:
        """
        The conversation of a new connection.
        """
        return Exchange(self.where, errors, self.program, self.limits)

    def ask(self, request: Request, timeout: float | None = None) -> Deferred[Answer]:
        """
        Make a request on a connection of its own.

        @param timeout: Seconds for everything together; the limits'
            C{answerTimeout} if None.
        @return: fires with an answer that is no refusal.  It fails with
            L{NoDaemon}, L{TimedOut}, as L{DialectChoice.speak}, or as
            L{Conversation.ask}.
        """

        def speak(conversation: Conversation, dialect: Dialect) -> Deferred[Answer]:
            return conversation.ask(request, dialect)

        return self._converse(request, speak, timeout)

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
        @return: fires with the protocol.  It fails as in L{ask}, or as
            L{Conversation.become}.
        """

        def speak(conversation: Conversation, dialect: Dialect) -> Deferred[IProtocol]:
            return conversation.become(request, dialect, factory, address)

        return self._converse(request, speak, timeout)

    def _converse(self, request: Request, speak: _Speak[T], timeout: float | None) -> Deferred[T]:
        seconds = self.limits.answerTimeout if timeout is None else max(0.0, timeout)
        stage = Stage.REACH

        async def attempt(dialect: Dialect) -> T:
            nonlocal stage
            stage = Stage.REACH
            conversation = await self._open()
            stage = request.stage
            try:
                return await speak(conversation, dialect)
            finally:
                conversation.close()

        def timedOut(result: object, _: float) -> T:
            raise self.late(request, stage, seconds)

        conversing = Deferred.fromCoroutine(self.choice.speak(request, attempt))
        return conversing.addTimeout(seconds, self.clock, timedOut)

    def late(self, request: Request, stage: Stage, seconds: float) -> TimedOut:
        """
        What it means that a request has not been answered in time.

        @param seconds: The time that it had.
        """
        return TimedOut(stage, seconds, f"{request.name}, usbmuxd at {self.where}")

    async def _open(self) -> Conversation:
        while True:
            opening: Deferred[Any] = self._endpoint.connect(_ConversationFactory(self))
            try:
                conversation: Conversation = await opening
            except (CancelledError, ConnectingCancelledError):
                raise
            except Exception as error:
                if not _isBusy(error):
                    # A ConnectError's text says once more that it is one.
                    bare = isinstance(error, ConnectError) and error.args[0]
                    remedy = CERTIFY if _isAboutFiles(error) else self._remedy
                    raise NoDaemon(self.where, bare or error, remedy) from error
            else:
                return conversation
            await deferLater(self.clock, BACKLOG_PAUSE)


def _isAboutFiles(error: Exception) -> bool:
    """
    Whether keys or certificates of ours cannot be used: what cannot be read has a name, and what
    is no PEM makes no sense.
    """
    return isinstance(error, ValueError) or getattr(error, "filename", None) is not None


def _isBusy(error: Exception) -> bool:
    """
    Whether a daemon cannot accept at present, for its socket's backlog is full: Linux
    says so of UNIX sockets at once, and Twisted takes it for an end before the
    beginning.
    """
    reason = error.args[0] if isinstance(error, ConnectError) and error.args else None
    return isinstance(reason, Failure) and reason.check(ConnectionDone) is not None


class _ConversationFactory(Factory):
    noisy = False

    def __init__(self, access: DaemonAccess) -> None:
        self._access = access

    def buildProtocol(self, addr: IAddress | None) -> Conversation:
        access = self._access
        return Conversation(access.where, access.program, access.limits)


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
        return DaemonAccess(reactor, clientAt(reactor, via), via)
    return DaemonAccess(reactor, via, f"the other end of {via!r}")


def accessAt(reactor: Any, address: Address) -> DaemonAccess:
    """
    The way to the daemon at an address.
    """
    endpoint = clientAt(reactor, address.endpointDescription())
    path = os.fsencode(address.path) if isinstance(address, UnixAddress) else b""
    loop = loopBeneath(reactor) if 0 < len(path) < LONGEST_PATH else None
    return DaemonAccess(reactor, endpoint, str(address), loop=loop, path=path, remedy=START)
