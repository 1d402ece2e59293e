# -*- test-case-name: tests.net.test_pipe,tests.device.test_piping -*-
"""
Two transports joined, each feeding the other.

The server joins a client's socket to a session, the relay joins two sockets.
What is required of both:

  - Back-pressure both ways.  Each transport is registered as the streaming
    producer of the other, so a reader that does not read pauses the writer on
    the far side, and a pipe holds nothing itself.

  - What was received before an end is delivered before the other end is
    closed, without a caller waiting for it, and not forever: a transport that
    takes none of its last bytes for some time is aborted.

  - One direction may end before the other, where the transports can say so:
    a request followed by C{shutdown(SHUT_WR)} still gets its answer.

    TLS could say so, but most that speak it, Twisted and so ourselves among them, close
    altogether when they are told, and drop what they had still to say.  So a client hears
    of the end at once, as nothing else is for it.  A target hears of it when it has had time
    to answer.

A producer that is registered and paused keeps a TCP transport from ever
finishing C{loseConnection}: when its buffer is empty it resumes the producer
rather than close.  Hence each close here is C{unregisterProducer} first, then
C{loseConnection}.

A peer that has gone is not one that has finished sending (L{muxd.net.hangup}), which
may wait for its answer as long as it likes (L{muxd.net.halfclosed}).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, cast
from typing import Protocol as TypingProtocol

from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IReactorTime,
    ISSLTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.net.halfclosed import HalfClosedWatch
from muxd.net.hangup import HangUpWatch, WatchedProducer, descriptorOf, hangUp, hasHungUp, peerOf
from muxd.net.nodelay import sendAtOnceOver
from muxd.net.packetmemory import PacketMemory
from muxd.net.peers import Presence
from muxd.net.pump import Pumps, canPump
from muxd.net.sockets import Consumer, consumerOf, letGo
from muxd.net.tlsunsent import unsent

LOOKS = 4
"""
How often it is looked whether a UNIX socket's peer has read anything, before it is taken
for one that does not read: with 15 s in between, 600 bytes a second are seen.
"""


class Joinable(Consumer, TypingProtocol):
    """
    What a pipe needs of a transport: a consumer that is a push producer too,
    as Twisted's TCP, UNIX and TLS transports and our sessions are.
    """

    def loseConnection(self) -> None:
        """
        Deliver what was written, then close.
        """

    def pauseProducing(self) -> None:
        """
        Read no more for now.
        """

    def resumeProducing(self) -> None:
        """
        Read again.
        """


class PipeState(Enum):
    """
    Where a pipe is in its life.

    @cvar WAITING: Fewer than two ends are connected; the first one is paused.
    @cvar JOINED: Bytes flow.
    @cvar CLOSING: One end has gone, the other is delivering its last bytes.
    @cvar CLOSED: Both have gone.
    """

    WAITING = "waiting"
    JOINED = "joined"
    CLOSING = "closing"
    CLOSED = "closed"


def finisher(transport: Any) -> Callable[[], None] | None:
    """
    What ends the sending direction of a transport alone; None if it has no words
    for that.

    TLS has none, though its transport seems to: it would pass the call on to the
    TCP beneath, and cut off what is still to be encrypted.
    """
    if ISSLTransport.providedBy(transport):
        return None
    found: Callable[[], None] | None = getattr(transport, "loseWriteConnection", None)
    return found


@implementer(IHalfCloseableProtocol)
class PipeEnd(Protocol):
    """
    The protocol of one of a pipe's two transports.

    @ivar peer: The other end.
    @ivar received: How many bytes have come from this end's transport.
    @ivar ended: Whether this end's transport has finished sending.
    @ivar isTold: Whether this end's transport has taken everything, and been told that
        it was all; TLS says nothing of that.
    @ivar consumer: What is written to in order to reach this end's transport;
        set beforehand by a protocol that has written to it already.
    """

    peer: PipeEnd

    def __init__(self, pipe: Pipe) -> None:
        self.pipe = pipe
        self.received = 0
        self.ended = False
        self.isTold = False
        self.consumer: Consumer | None = None

    @property
    def joinable(self) -> Joinable:
        """
        This end's transport, as what a pipe needs it to be.
        """
        return cast("Joinable", self.transport)

    def forgetProducer(self) -> None:
        """
        Let the transport go on by itself.
        """
        if self.consumer is not None:
            self.consumer.unregisterProducer()

    def connectionMade(self) -> None:
        """
        Wait for the other end, or begin.
        """
        if self.consumer is None:
            sendAtOnceOver(self.transport)
            self.consumer = consumerOf(self.transport, limit=self.pipe.buffer)
        self.pipe.endConnected(self)

    def dataReceived(self, data: bytes) -> None:
        """
        Pass bytes on.
        """
        self.received += len(data)
        consumer = self.peer.consumer
        if consumer is not None:
            consumer.write(data)

    def readConnectionLost(self) -> None:
        """
        The transport has finished sending and may still be read from.
        """
        self.pipe.endFinished(self)

    def writeConnectionLost(self) -> None:
        """
        The transport takes no more; its own end of file or loss will follow.
        """
        self.isTold = True

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The transport is gone.
        """
        letGo(self.transport)
        self.pipe.endLost(self, reason)

    # FinishedPeer

    def peerGone(self) -> None:
        """
        The peer had finished sending, and has gone now.
        """
        self.pipe.endGone(self)

    def graceOver(self) -> None:
        """
        The peer had finished sending, and has probably gone.
        """
        self.pipe.closeBoth()

    def progress(self) -> object:
        """
        What is different when a byte has moved; None while the other end is paused, as
        this one takes nothing.
        """
        consumer, other = self.consumer, self.peer.consumer
        if getattr(consumer, "isPaused", False):
            return None
        return (
            self.peer.received,
            getattr(consumer, "progress", None),
            getattr(other, "progress", None),
            unsent(self.transport),
            unsent(self.peer.transport),
        )

    def isTaken(self) -> bool:
        """
        Whether the other end has taken everything.
        """
        transport = self.peer.transport
        return self.peer.isTold or (ISSLTransport.providedBy(transport) and not unsent(transport))

    # Pausable

    def hasHungUp(self) -> bool:
        """
        Whether the transport's peer is known to have gone.
        """
        return hasHungUp(self.transport)

    def passedOn(self) -> object:
        """
        What is different when the other end has taken something.
        """
        return self.received, getattr(self.peer.consumer, "progress", None)

    def hangUp(self) -> None:
        """
        The peer has gone, and the other end takes nothing.
        """
        hangUp(self.transport)


class Pipe:
    """
    Two ends and the life they share.

    @ivar first: The end that usually connects first and waits.
    @ivar second: The other.
    @ivar state: Where the pipe is in its life.
    @ivar buffer: What may wait for an end.
    """

    def __init__(
        self,
        clock: IReactorTime,
        flushTimeout: float,
        closed: Callable[[Failure], None] | None = None,
        buffer: int | None = None,
        watch: HangUpWatch | None = None,
        halfClosed: HalfClosedWatch | None = None,
        memory: PacketMemory | None = None,
        tellsLate: bool = True,
    ) -> None:
        """
        @param flushTimeout: Seconds in which an end that is closed must have taken
            something of its last bytes; L{LOOKS} times as long where that does not show
            at once.
        @param closed: Called once, when both ends have gone, with the reason
            that the first of them to go gave.
        @param buffer: How many bytes may wait for a socket before the other end
            is read no further; None for as many as Twisted lets wait.
        @param watch: What looks whether the peer of the first end has gone while
            that is not read.
        @param halfClosed: Looks whether a peer that has finished sending has gone; None
            to wait for it in any case.
        @param memory: What goes from socket to socket may go through it; None for
            nothing.
        @param tellsLate: Whether a second end that is TLS is told that the first has finished
            sending, when for the C{flushTimeout} nothing has moved; False to leave it until
            the first has gone.
        """
        self.state = PipeState.WAITING
        self.buffer = buffer
        self.first = PipeEnd(self)
        self.second = PipeEnd(self)
        self.first.peer = self.second
        self.second.peer = self.first
        self._clock = clock
        self._flushTimeout = flushTimeout
        self._closed = closed
        self._watch = watch
        self._halfClosed = halfClosed
        self._memory = memory
        self._pumps: Pumps | None = None
        self._reason: Failure | None = None
        self._deadline: IDelayedCall | None = None
        self._tellsLate = tellsLate
        self._telling: IDelayedCall | None = None

    def endConnected(self, end: PipeEnd) -> None:
        """
        Join the transports once both are there.
        """
        if self.state is PipeState.CLOSING:
            self._close(end)
            return
        if end.peer.transport is None:
            end.joinable.pauseProducing()
            return
        self.state = PipeState.JOINED
        for one in (end, end.peer):
            assert one.consumer is not None
            one.consumer.registerProducer(self._producer(one.peer), True)
        if self._memory is not None and canPump(end) and canPump(end.peer):
            self._pumps = Pumps(end, end.peer, self._memory)
        end.peer.joinable.resumeProducing()

    def _producer(self, end: PipeEnd) -> Any:
        """
        What pauses an end's transport for the other end.
        """
        if self._watch is None or end is not self.first:
            return end.transport
        return WatchedProducer(end, end.transport, self._watch)

    def endFinished(self, end: PipeEnd) -> None:
        """
        One direction is over: say so to the other transport if it has words for
        that, and close both when the second direction is over as well.
        """
        end.ended = True
        if self.state is not PipeState.JOINED or end.peer.ended:
            if hasHungUp(end.transport):
                self.endGone(end)
            elif self.state is PipeState.JOINED:
                self.closeBoth()
            else:
                end.forgetProducer()
                end.joinable.loseConnection()
            return
        watch = self._halfClosed
        if watch is None:
            presence = peerOf(end.transport)
        else:
            presence = watch.add(end, descriptorOf(end.transport))
        if presence is Presence.GONE:
            self.endGone(end)
        elif presence is Presence.UNKNOWN and watch is not None and not watch.grace:
            self.closeBoth()
        else:
            self._finishSending(end.peer, isWatched=watch is not None)

    def _finishSending(self, end: PipeEnd, isWatched: bool) -> None:
        """
        Have an end's transport say that nothing more comes, at once if that costs nothing:
        see the module's text.

        @param isWatched: Whether it is noticed when the peer of the other end has gone.
        """
        end.forgetProducer()
        finish = finisher(end.transport)
        if finish is not None:
            finish()
        elif end is self.first or not isWatched:
            end.joinable.loseConnection()
        elif self._tellsLate:
            self._tellLater(end)

    def _tellLater(self, end: PipeEnd) -> None:
        self._telling = self._clock.callLater(
            self._flushTimeout, self._tell, end, end.peer.progress()
        )

    def _tell(self, end: PipeEnd, before: object) -> None:
        """
        Tell an end, unless something has moved or the other end has still to read.  What
        comes from it afterwards is passed on.
        """
        self._telling = None
        progress = end.peer.progress()
        if progress is None or progress != before:
            self._tellLater(end)
        else:
            end.joinable.loseConnection()

    def endGone(self, end: PipeEnd) -> None:
        """
        An end's peer has gone altogether: it is not there to deliver anything to.
        """
        if self._reason is None:
            self._reason = connectionDone
        # The other end hears of it from endLost, and not as a producer too.
        end.forgetProducer()
        hangUp(end.transport)

    def closeBoth(self) -> None:
        """
        Neither end has more to say.
        """
        self._forgetFinished()
        self._forgetTelling()
        self._close(self.first)
        self._close(self.second)

    def abort(self) -> None:
        """
        Deliver nothing any more: what neither end has taken yet is lost.
        """
        for end in (self.second, self.first):
            if end.transport is not None:
                end.forgetProducer()
                self._abort(end)

    def _forgetTelling(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None

    def _forgetFinished(self) -> None:
        if self._halfClosed is not None:
            for end in (self.first, self.second):
                if end.ended:
                    self._halfClosed.remove(end)

    def endLost(self, end: PipeEnd, reason: Failure) -> None:
        """
        Let the other end deliver what it has, and close it.
        """
        if self._pumps is not None:
            self._pumps.stop()
            self._pumps = None
        end.transport = None
        end.consumer = None
        self._forgetTelling()
        if self._watch is not None:
            self._watch.remove(self.first)
        self._forgetFinished()
        if self._reason is None:
            self._reason = reason
        if end.peer.transport is not None:
            self.state = PipeState.CLOSING
            self._close(end.peer)
        elif self.state is PipeState.WAITING:
            # The other end is still being connected: it is closed when it comes.
            self.state = PipeState.CLOSING
        else:
            self._finish()

    def abandon(self, reason: Failure) -> None:
        """
        The end that has not connected yet never will.
        """
        if self._reason is None:
            self._reason = reason
        for end in (self.first, self.second):
            if end.transport is not None:
                self.state = PipeState.CLOSING
                self._close(end)
                return
        self._finish()

    def _close(self, end: PipeEnd) -> None:
        """
        Deliver what was written to this end, then close it, by the deadline.

        A transport may report its loss from within this, and by that the other
        end's: an end that has gone already needs no closing.
        """
        if end.transport is None:
            return
        end.forgetProducer()
        end.joinable.loseConnection()
        isLate = self._deadline is not None or self.state is PipeState.CLOSED
        if not isLate and getattr(end.transport, "connected", True):
            self._awaitTaking()

    def _awaitTaking(self, looks: int = 1) -> None:
        self._deadline = self._clock.callLater(
            self._flushTimeout, self._expired, self._progress(), looks
        )

    def _progress(self) -> list[object]:
        """
        What is different when an end has taken something, as far as is known.
        """
        return [
            (getattr(end.consumer, "progress", None), unsent(end.transport))
            for end in (self.first, self.second)
        ]

    def _expired(self, before: list[object], looks: int) -> None:
        self._deadline = None
        if self._progress() != before:
            self._awaitTaking()
            return
        consumers = (self.first.consumer, self.second.consumer)
        if looks < LOOKS and any(getattr(each, "isCoarse", False) for each in consumers):
            self._awaitTaking(looks + 1)
            return
        for end in (self.first, self.second):
            if end.transport is not None:
                self._abort(end)

    def _abort(self, end: PipeEnd) -> None:
        transport = end.joinable
        abort = getattr(transport, "abortConnection", transport.loseConnection)
        abort()

    def _finish(self) -> None:
        if self.state is PipeState.CLOSED:
            return
        self.state = PipeState.CLOSED
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        closed, self._closed = self._closed, None
        if closed is not None and self._reason is not None:
            closed(self._reason)
        self._untie()

    def discard(self) -> None:
        """
        Neither end has connected, and none will.
        """
        if self.state is PipeState.WAITING and not (self.first.transport or self.second.transport):
            self.state = PipeState.CLOSED
            self._closed = None
            self._untie()

    def _untie(self) -> None:
        """
        Nothing of a pipe that is over refers to itself: it would stay in memory until Python
        looks for such circles.
        """
        for end in (self.first, self.second):
            end.pipe = _OVER
            end.peer = _OVER.first


def _over() -> Pipe:
    """
    What the ends of every pipe that is over have for a pipe.
    """
    pipe = Pipe(Clock(), 0)
    pipe.state = PipeState.CLOSED
    return pipe


_OVER = _over()
