# -*- test-case-name: tests.client.test_connection,tests.client.test_handover -*-
"""
One conversation with a daemon: requests and their answers on one socket.

A conversation may end by becoming something else: after Result 0 to a Connect
or a Listen the socket is no longer ours.  It is given, as it is, to a protocol
that is built at that very moment, inside the call that brought the Result; so
there is no time in which a byte could come and have no owner, and what came
in the same read as the Result is passed on right after C{connectionMade}.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionDone, NoProtocol
from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IProtocol,
    IProtocolFactory,
    ITransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.client import errors
from muxd.client.answers import Answer
from muxd.client.exchange import Exchange, State
from muxd.client.problems import DaemonNonsense, DaemonRefused
from muxd.client.requests import Dialect, Request
from muxd.limits import LIMITS, Limits
from muxd.net.nodelay import sendAtOnceOver
from muxd.net.tlsreasons import tlsReason


@dataclass(frozen=True, slots=True)
class _Successor:
    """
    The protocol that the socket will be given to.
    """

    factory: IProtocolFactory
    address: IAddress


@dataclass(frozen=True, slots=True)
class _Awaited:
    """
    A request whose answer has not come.
    """

    asked: Deferred[Any]
    successor: _Successor | None


@implementer(IHalfCloseableProtocol)
class Conversation(Protocol):
    """
    One socket to a daemon: an L{Exchange} and its bytes.

    Everything that goes wrong ends it: a C{Deferred} that fails with anything
    but L{DaemonRefused} leaves no socket behind, and nor does one that is
    cancelled.  It has no time-outs: cancel.

    It must not provide C{IHandshakeListener} as well: of several such interfaces
    Twisted's endpoints pass on the last one only, and half-closed connections
    matter more.  TLS by C{wrapClientTLS} is not concerned.
    """

    def __init__(self, where: str, program: str, limits: Limits = LIMITS) -> None:
        """
        @param where: The daemon's address as a person would write it.
        @param program: The name of the program that asks, for the daemon.
        """
        self._exchange = Exchange(where, errors, program, limits)
        self._awaited: _Awaited | None = None
        self._application: IProtocol | None = None
        self._factory: IProtocolFactory | None = None
        self._ended = False

    @property
    def state(self) -> State:
        """
        Where it is.
        """
        return self._exchange.state

    def ask(self, request: Request, dialect: Dialect) -> Deferred[Answer]:
        """
        Make a request that leaves the conversation as it is.

        @return: fires with an answer that is no refusal.  It fails with
            L{DaemonRefused} (after which another request may be made),
            L{DaemonLost} or L{DaemonNonsense}.
        """
        return self._send(request, dialect, None)

    def become(
        self,
        request: Request,
        dialect: Dialect,
        factory: IProtocolFactory,
        address: IAddress,
    ) -> Deferred[IProtocol]:
        """
        Make a request after whose Result 0 the socket is another protocol's.

        @param factory: Builds that protocol, once it is wanted.
        @param address: What to build it with.
        @return: fires with the protocol, after its C{connectionMade}.  It fails
            as in L{ask}, or with what the factory or the protocol raised.
        """
        return self._send(request, dialect, _Successor(factory, address))

    def close(self) -> None:
        """
        Close the socket, unless it has been handed over.
        """
        if self.state is State.IDLE:
            self._exchange.close()
            # Everything was answered, so nothing is left to be sent.
            self._stream.loseConnection()

    def connectionMade(self) -> None:
        """
        Requests can be made.
        """
        sendAtOnceOver(self.transport)

    def dataReceived(self, data: bytes) -> None:
        """
        Bytes came: for the application, or a part of a message.
        """
        if self._application is not None:
            self._application.dataReceived(data)
        elif self.state is not State.CLOSED:
            self._readAnswers(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The socket is closed.
        """
        application, factory = self._application, self._factory
        self._application = self._factory = None
        self._failLost(tlsReason(reason.value))
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

    def _send(
        self, request: Request, dialect: Dialect, successor: _Successor | None
    ) -> Deferred[Any]:
        if self.state is State.CLOSED:
            return fail(errors.DaemonLost(self._exchange.where, f"the answer to {request.name}"))
        data = self._exchange.ask(request, dialect)
        asked: Deferred[Any] = Deferred(self._cancelled)
        self._awaited = _Awaited(asked, successor)
        self._stream.write(data)
        return asked

    def _takeAwaited(self) -> _Awaited | None:
        awaited, self._awaited = self._awaited, None
        return awaited

    def _readAnswers(self, data: bytes) -> None:
        """
        Give each answer to the request it belongs to; the next request may be
        made meanwhile.
        """
        while True:
            try:
                answer = self._exchange.receive(data)
            except DaemonRefused as refusal:
                self._answered(Failure(refusal))
            except DaemonNonsense as nonsense:
                awaited = self._takeAwaited()
                self._stop()
                if awaited is not None:
                    awaited.asked.errback(nonsense)
                return
            else:
                if answer is None:
                    return
                self._answered(answer)
            data = b""

    def _answered(self, answer: Answer | Failure) -> None:
        awaited = self._takeAwaited()
        assert awaited is not None, "an answer without a request"
        if self.state is State.HANDED_OVER and awaited.successor is not None:
            self._handOver(awaited.asked, awaited.successor)
        else:
            awaited.asked.callback(answer)

    def _handOver(self, asked: Deferred[Any], successor: _Successor) -> None:
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
            asked.errback(failure)
        else:
            asked.callback(application)
            self._deliverRest()

    def _deliverRest(self) -> None:
        """
        Pass on what came behind the Result; but not to an application that has
        already had enough, as no transport would.
        """
        rest = self._exchange.takeRest()
        if self._application is None or self.state is not State.HANDED_OVER:
            return
        if rest and not getattr(self.transport, "disconnecting", False):
            self._application.dataReceived(rest)

    def _failLost(self, reason: str = "") -> None:
        awaited = self._takeAwaited()
        lost = self._exchange.lost(reason)
        if awaited is not None:
            awaited.asked.errback(lost)

    def _cancelled(self, asked: Deferred[Any]) -> None:
        self._awaited = None
        self._abort()

    def _abort(self) -> None:
        """
        Close the socket at once.
        """
        self._exchange.close()
        self._stop()

    def _stop(self) -> None:
        # Some transports, such as a process's, know only the gentle way.
        getattr(self._stream, "abortConnection", self._stream.loseConnection)()
