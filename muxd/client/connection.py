# -*- test-case-name: tests.client.test_connection,tests.client.test_handover -*-
"""
One conversation with a daemon: requests and their answers on one socket.

A conversation may end by becoming something else: after Result 0 to a Connect
or a Listen the socket is no longer ours.  It is given, as it is, to a protocol
that is built at that very moment, inside the call that brought the Result; so
there is no time in which a byte could come and belong to nobody, and what came
in the same read as the Result is passed on right after C{connectionMade}.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionDone, NoProtocol
from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    ITransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.client.answers import Answer, parseAnswer
from muxd.client.errors import DaemonLost, DaemonNonsense, DaemonRefused, TimedOut
from muxd.client.requests import Dialect, Request
from muxd.limits import LIMITS, Limits
from muxd.net.nodelay import sendAtOnceOver
from muxd.wire.messages import MalformedMessage, Message, MessageReader


class State(Enum):
    """
    Where a conversation is.
    """

    UNCONNECTED = "not connected yet"
    IDLE = "nothing is asked"
    AWAITING = "an answer is awaited"
    HANDED_OVER = "the socket is another protocol's"
    CLOSED = "over"


NEXT: Mapping[State, frozenset[State]] = {
    State.UNCONNECTED: frozenset({State.IDLE, State.CLOSED}),
    State.IDLE: frozenset({State.AWAITING, State.CLOSED}),
    State.AWAITING: frozenset({State.IDLE, State.HANDED_OVER, State.CLOSED}),
    State.HANDED_OVER: frozenset({State.CLOSED}),
    State.CLOSED: frozenset(),
}
"""What may follow what."""


@dataclass(frozen=True, slots=True)
class _Successor:
    """
    Whose the socket will be.
    """

    factory: IProtocolFactory
    address: IAddress


@dataclass(slots=True)
class _Awaited:
    """
    A request whose answer has not come.

    @ivar early: Events that came before the answer.
    @ivar earlyBytes: How long they are, together.
    """

    request: Request
    tag: int
    asked: Deferred[Any]
    successor: _Successor | None
    early: list[bytes] = field(default_factory=list)
    earlyBytes: int = 0


@implementer(IHalfCloseableProtocol)
class Conversation(Protocol):
    """
    One socket to a daemon.

    Everything that goes wrong ends it: a C{Deferred} that fails with anything
    but L{DaemonRefused} leaves no socket behind, and nor does one that is
    cancelled.

    It must not provide C{IHandshakeListener} as well: of several such interfaces
    Twisted's endpoints pass on the last one only, and half-closed connections
    matter more.  TLS by C{wrapClientTLS} is not concerned.

    @ivar where: The daemon's address as a person would write it.
    @ivar state: Where it is; changed by L{_enter} alone.
    """

    def __init__(self, where: str, clock: IReactorTime, limits: Limits = LIMITS) -> None:
        self.where = where
        self.state = State.UNCONNECTED
        self._clock = clock
        self._limits = limits
        self._reader = MessageReader(limits.replySize)
        self._tags = count(1)
        self._awaited: _Awaited | None = None
        self._application: IProtocol | None = None
        self._factory: IProtocolFactory | None = None
        self._rest = b""
        self._ended = False

    def ask(
        self, request: Request, dialect: Dialect, timeout: float | None = None
    ) -> Deferred[Answer]:
        """
        Make a request that leaves the conversation as it is.

        @param timeout: Seconds; the limits' C{answerTimeout} if None.
        @return: fires with an answer that is no refusal.  It fails with
            L{DaemonRefused} (after which another request may be made),
            L{DaemonLost}, L{DaemonNonsense} or L{TimedOut}.
        """
        return self._send(request, dialect, timeout, None)

    def become(
        self,
        request: Request,
        dialect: Dialect,
        factory: IProtocolFactory,
        address: IAddress,
        timeout: float | None = None,
    ) -> Deferred[IProtocol]:
        """
        Make a request after whose Result 0 the socket is another protocol's.

        @param factory: Builds that protocol, once it is wanted.
        @param address: What to build it with.
        @return: fires with the protocol, after its C{connectionMade}.  It fails
            as in L{ask}, or with what the factory or the protocol raised.
        """
        return self._send(request, dialect, timeout, _Successor(factory, address))

    def close(self) -> None:
        """
        Close the socket, unless it has been handed over.
        """
        if self.state is State.IDLE:
            self._enter(State.CLOSED)
            # Everything was answered, so nothing is left to be sent.
            self._stream.loseConnection()

    def connectionMade(self) -> None:
        """
        Requests can be made.
        """
        sendAtOnceOver(self.transport)
        self._enter(State.IDLE)

    def dataReceived(self, data: bytes) -> None:
        """
        Bytes came: for the application, or a part of a message.
        """
        if self._application is not None:
            self._application.dataReceived(data)
        elif self.state is not State.CLOSED:
            self._reader.feed(data)
            self._readMessages()
            self._deliverRest()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The socket is closed.
        """
        application, factory = self._application, self._factory
        self._application = self._factory = None
        self._failLost()
        if application is not None:
            application.connectionLost(Failure(ConnectionDone()) if self._ended else reason)
        if factory is not None:
            factory.doStop()

    def readConnectionLost(self) -> None:
        """
        The daemon will send nothing more.

        An application that knows half-closed connections is told so.  For any
        other, this is the end, and at once: waiting until what it wrote has
        been sent would be waiting for a daemon that may never read it.
        """
        halfCloseable = IHalfCloseableProtocol(self._application, None)
        if halfCloseable is not None:
            halfCloseable.readConnectionLost()
        else:
            self._ended = True
            self._stop()
            self._failLost()

    def writeConnectionLost(self) -> None:
        """
        What the application had to send is sent.
        """
        halfCloseable = IHalfCloseableProtocol(self._application, None)
        if halfCloseable is not None:
            halfCloseable.writeConnectionLost()

    @property
    def _stream(self) -> ITransport:
        assert self.transport is not None, "not connected"
        return self.transport

    def _enter(self, state: State) -> None:
        """
        The one place where the state changes.

        @raise RuntimeError: A request was made before the last one was answered.
        """
        if state not in NEXT[self.state]:
            raise RuntimeError(
                f"expected one of {NEXT[self.state]} after {self.state}, got {state}"
            )
        self.state = state

    def _enterIdle(self) -> None:
        self._awaited = None
        self._enter(State.IDLE)

    def _enterClosed(self) -> None:
        self._awaited = None
        if self.state is not State.CLOSED:
            self._enter(State.CLOSED)

    def _send(
        self,
        request: Request,
        dialect: Dialect,
        timeout: float | None,
        successor: _Successor | None,
    ) -> Deferred[Any]:
        if self.state is State.CLOSED:
            return fail(DaemonLost(self.where, f"the answer to {request.name}"))
        self._enter(State.AWAITING)
        seconds = self._limits.answerTimeout if timeout is None else timeout

        def timedOut(result: object, _: float) -> None:
            raise TimedOut(request.stage, seconds, f"{request.name}, usbmuxd at {self.where}")

        asked: Deferred[Any] = Deferred(self._cancelled)
        asked.addTimeout(seconds, self._clock, timedOut)
        self._awaited = _Awaited(request, next(self._tags), asked, successor)
        self._stream.write(request.encode(dialect, self._awaited.tag))
        return asked

    def _readMessages(self) -> None:
        try:
            while self.state in (State.AWAITING, State.IDLE):
                message = self._reader.next()
                if message is None:
                    break
                self._messageReceived(message)
        except MalformedMessage as error:
            awaited = self._awaited
            self._abort()
            if awaited is not None:
                awaited.asked.errback(
                    DaemonNonsense(self.where, f"the answer to {awaited.request.name}", error)
                )

    def _messageReceived(self, message: Message) -> None:
        """
        @raise MalformedMessage: It is no answer to what was asked.
        """
        answer = parseAnswer(message)
        awaited = self._awaited
        if answer is None:
            self._eventReceived(message)
        elif awaited is None:
            raise MalformedMessage("an answer came that nobody asked for")
        elif message.tag != awaited.tag:
            raise MalformedMessage(f"expected an answer with tag {awaited.tag}, got {message.tag}")
        elif answer.result:
            self._enterIdle()
            awaited.asked.errback(DaemonRefused(self.where, awaited.request.name, answer.result))
        elif awaited.successor is None:
            self._enterIdle()
            awaited.asked.callback(answer)
        elif answer.result is None:
            raise MalformedMessage(f"expected a Result, got {sorted(answer.values)}")
        else:
            self._handOver(awaited, awaited.successor)

    def _eventReceived(self, message: Message) -> None:
        """
        Between requests and answers an event is nobody's business, unless a
        feed of them has been asked for.
        """
        awaited = self._awaited
        if awaited is not None and awaited.request.keepsEvents:
            awaited.early.append(message.encode())
            awaited.earlyBytes += len(awaited.early[-1])
            if awaited.earlyBytes > self._limits.replySize:
                raise MalformedMessage("events without end and no answer")

    def _handOver(self, awaited: _Awaited, successor: _Successor) -> None:
        self._awaited = None
        self._enter(State.HANDED_OVER)
        self._rest = b"".join(awaited.early) + self._reader.takeRest()
        self._factory = successor.factory
        self._factory.doStart()
        try:
            application = self._factory.buildProtocol(successor.address)
            if application is None:
                raise NoProtocol
            self._application = application
            application.makeConnection(self._stream)
        except Exception:
            failure = Failure()
            self._abort()
            awaited.asked.errback(failure)
        else:
            awaited.asked.callback(application)

    def _deliverRest(self) -> None:
        """
        Pass on what came behind the Result; but not to an application that has
        already had enough, as no transport would.
        """
        rest, self._rest = self._rest, b""
        if self._application is None or self.state is not State.HANDED_OVER:
            return
        if rest and not getattr(self.transport, "disconnecting", False):
            self._application.dataReceived(rest)

    def _failLost(self) -> None:
        awaited = self._awaited
        self._enterClosed()
        if awaited is not None:
            awaited.asked.errback(DaemonLost(self.where, f"the answer to {awaited.request.name}"))

    def _cancelled(self, asked: Deferred[Any]) -> None:
        self._abort()

    def _abort(self) -> None:
        """
        Close the socket at once.
        """
        self._enterClosed()
        self._stop()

    def _stop(self) -> None:
        # Some transports, such as a process's, know only the gentle way.
        getattr(self._stream, "abortConnection", self._stream.loseConnection)()
