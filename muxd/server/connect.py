# -*- test-case-name: tests.server.test_connect,tests.server.test_stream -*-
"""
A Connect: from a client's request to two joined transports (protocol 4.5).
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionLost
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IReactorTime,
    IStreamClientEndpoint,
    ITransport,
)
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from muxd.device.errors import NoFreePort, ProtocolViolation
from muxd.net.halfclosed import HalfClosedWatch
from muxd.net.hangup import HangUpWatch
from muxd.net.pipe import Pipe, PipeEnd, PipeState
from muxd.wire.messages import Result

_log = Logger()


def resultOf(reason: Failure) -> Result:
    """
    The Result number for a Connect that failed.

    A phone that is no longer there is a bad device: that is what the client's
    next attempt would be told, and what libusbmuxd reports as "no such device".
    Everything that a phone, or the way to it, answers is a refusal.
    """
    if reason.check(ProtocolViolation):
        return Result.CONNECTION_REFUSED
    if reason.check(NoFreePort, ConnectionLost):
        return Result.BAD_DEVICE
    if not reason.check(ConnectError, ConnectTimeout, OSError):
        _log.failure("unexpected end of a Connect", failure=reason)
    return Result.CONNECTION_REFUSED


class _PhoneFactory(Factory):
    """
    Builds the phone's end of one pipe, as long as a client waits for it.
    """

    noisy = False

    def __init__(self, attempt: ConnectAttempt) -> None:
        self._attempt = attempt

    def buildProtocol(self, addr: IAddress | None) -> PipeEnd | None:
        """
        The pipe's second end; None when the client has gone meanwhile.
        """
        return None if self._attempt.cancelled else self._attempt.pipe.second


class ConnectAttempt:
    """
    One attempt to reach a port of a device for a client.

    The phone's end connects first and is kept paused by the pipe, so nothing of
    what it says can overtake the Result that the client is waiting for.

    @ivar pipe: The client's end is its first, the phone's its second.
    @ivar cancelled: Whether the client has gone.
    """

    def __init__(
        self,
        clock: IReactorTime,
        flushTimeout: float,
        ended: Callable[[Pipe], None],
        watch: HangUpWatch | None = None,
        halfClosed: HalfClosedWatch | None = None,
    ) -> None:
        """
        @param ended: Called with a pipe that was joined and is over.
        @param watch: Looks at clients that are not read from.
        @param halfClosed: Looks at those that have finished sending.
        """
        # No phone is told that a client has finished sending, on whatever way.
        self.pipe = Pipe(
            clock,
            flushTimeout,
            self._pipeClosed,
            watch=watch,
            halfClosed=halfClosed,
            tellsLate=False,
        )
        self._ended = ended
        self.cancelled = False
        self._connecting: Deferred[IProtocol] | None = None

    def start(self, endpoint: Callable[[], IStreamClientEndpoint]) -> Deferred[IProtocol]:
        """
        Connect.  Whatever goes wrong, in whatever way, fails the Deferred.
        """
        try:
            connecting = self._connecting = endpoint().connect(_PhoneFactory(self))
        except Exception:
            failed: Deferred[IProtocol] = Deferred()
            failed.errback(Failure())
            connecting = failed
        return connecting.addErrback(self._notConnected)

    def _notConnected(self, reason: Failure) -> Failure:
        self._connecting = None
        self.pipe.discard()
        return reason

    def cancel(self) -> None:
        """
        The client has gone: give up, also if the phone should still answer.
        """
        self.cancelled = True
        if self._connecting is not None:
            self._connecting.cancel()

    @property
    def clientEnd(self) -> PipeEnd:
        """
        The client's end of the pipe, which takes the client's protocol's place.
        """
        return self.pipe.first

    @property
    def isJoined(self) -> bool:
        """
        Whether bytes flow both ways.
        """
        return self.pipe.state is PipeState.JOINED

    def clientFinished(self) -> None:
        """
        The client has finished sending.
        """
        self.clientEnd.readConnectionLost()

    def clientLost(self, reason: Failure) -> None:
        """
        The client's connection is over.
        """
        self.clientEnd.connectionLost(reason)

    def cut(self) -> None:
        """
        Let no byte flow any more, also of those that are on their way.
        """
        self.pipe.abort()

    def join(self, client: ITransport, held: bytes) -> None:
        """
        Let the bytes flow.

        @param client: The client's transport, which has no other producer.
        @param held: What the client sent behind its request.
        """
        if held:
            self.clientEnd.dataReceived(held)
        self.clientEnd.makeConnection(client)

    def _pipeClosed(self, reason: Failure) -> None:
        self._ended(self.pipe)
