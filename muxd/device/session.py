# -*- test-case-name: tests.device -*-
"""
One pseudo-TCP connection, with the face of a Twisted transport.

The states, and all ways between them::

    ESTABLISHED    loseConnection                     -> FLUSHING
                   loseWriteConnection                -> HALF_CLOSING
    HALF_CLOSING   all is acknowledged                -> HALF_CLOSED
                   loseConnection                     -> FLUSHING
                   nothing moves                      -> CLOSED
    HALF_CLOSED    loseConnection                     -> FLUSHING
                   silence                            -> CLOSED
    these three    RST, or the phone has gone,
                   while bytes are held               -> DRAINING
    DRAINING       resumed, or the deadline           -> CLOSED
    FLUSHING       all is acknowledged, or
                   nothing of it for a while          -> CLOSED
    all            RST, or the phone has gone;
                   abortConnection                    -> CLOSED

There is no half-close on the wire, only RST.  So HALF_CLOSING and HALF_CLOSED are
our own: the phone is not told that nothing more will come, and what it says goes
on being delivered.  The session ends when the phone ends it, or when for a while
no byte has moved: in HALF_CLOSING, when the phone neither takes what was written
nor says anything; in HALF_CLOSED, where it has taken everything, when it is silent.

Back-pressure towards the phone is the withheld acknowledgement.  A paused
session holds what comes, which is at most one window, since the phone may not
send more before it is acknowledged; it acknowledges again when the protocol has
resumed and taken it.  An end that the phone announces while bytes are held is
held too: reporting it early would make a pipe close a socket whose last bytes
are still here.

FLUSHING waits until the phone has acknowledged the last byte: a RST may overtake
what lies unread in the phone's own buffers.  What the phone sends meanwhile is
dropped but acknowledged, so that a service which must write before it reads on
is not stuck.

At most one timer belongs to each state, and dies with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.error import (
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    NoProtocol,
)
from twisted.internet.interfaces import (
    IConsumer,
    IDelayedCall,
    IHalfCloseableProtocol,
    ILoggingContext,
    IProtocol,
    IProtocolFactory,
    IPushProducer,
    ITransport,
)
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.device.receiving import ReceivingHalf
from muxd.device.sending import (
    CLOSED,
    DRAINING,
    ESTABLISHED,
    FLUSHING,
    HALF_CLOSED,
    HALF_CLOSING,
    SessionState,
)
from muxd.device.window import ReceiveWindow, SendWindow
from muxd.wire.mux import Flags, phoneText

if TYPE_CHECKING:
    from muxd.device.muxer import Muxer

RST = int(Flags.RST)


_log = Logger()


def stopFactory(factory: IProtocolFactory) -> None:
    """
    Tell a factory that one of its connections has ended.  What it raises then
    is nobody else's trouble.
    """
    try:
        factory.doStop()
    except Exception:
        _log.failure("doStop of {factory} failed", factory=factory)


@implementer(ITransport, IConsumer, IPushProducer, ILoggingContext)
class Session(ReceivingHalf):
    """
    How a session begins and ends.
    """

    __slots__ = ("_end", "_factory", "_timer")

    def __init__(
        self,
        muxer: Muxer,
        sourcePort: int,
        port: int,
        factory: IProtocolFactory,
        send: SendWindow,
        receive: ReceiveWindow,
    ) -> None:
        super().__init__(muxer, sourcePort, port, send, receive)
        self._factory = factory
        self._end: Failure | None = None
        self._timer: IDelayedCall | None = None

    def begin(self) -> IProtocol:
        """
        Make the protocol and connect it.

        @raise NoProtocol: The factory does not want this connection.
        """
        # The application may end the session from in here.
        try:
            protocol = self._factory.buildProtocol(self.getPeer())
            if protocol is None:
                raise NoProtocol(f"the factory made no protocol for {self.logPrefix()}")
            if self.state is CLOSED:
                raise ConnectionAborted("ended while its protocol was being made")
            self._protocol = protocol
            protocol.makeConnection(self)
        except Exception:
            self._protocol = None
            self._finish(Failure(), reset=True)
            raise
        return protocol

    def _unusual(self, flags: int, payload: memoryview) -> None:
        if flags & RST:
            text = phoneText(payload)
            if text:
                _log.info(
                    "{udid} ended session {session} with port {port}: {text}",
                    udid=self._muxer.label,
                    session=self.sourcePort,
                    port=self.port,
                    text=text,
                )
            self.ended(Failure(ConnectionDone(text)) if text else connectionDone, reset=False)
        else:
            self._violated("unexpectedFlags", f"expected flags 0x10, got 0x{flags:02x}")

    def ended(self, reason: Failure, *, reset: bool) -> None:
        """
        There is no more to come: the phone has ended the session or is gone.

        What is held is still delivered when the protocol resumes.

        @param reset: Whether the phone is to be told.
        """
        if not self._held or self.state is FLUSHING:
            self._finish(reason, reset=reset)
            return
        self._end = reason
        self._buffer.clear()
        self._muxer.sessionEnded(self)
        if reset:
            self._reset()
        self._enter(DRAINING, self._muxer.limits.flushTimeout, self._endDraining)

    def _endDraining(self, *, later: bool = False) -> None:
        assert self._end is not None
        self._finish(self._end, reset=False, later=later)

    def _drainedHeld(self) -> None:
        if self._held is None and not self._paused:
            self._endDraining()
        else:
            self._enter(DRAINING, self._muxer.limits.flushTimeout, self._endDraining)

    def _blame(self, what: str) -> None:
        """
        The application's code raised: that ends its session and nothing else.
        """
        failure = Failure()
        _log.failure(
            "{what} of session {session} with port {port} of {udid} failed",
            failure,
            what=what,
            session=self.sourcePort,
            port=self.port,
            udid=self._muxer.label,
        )
        self._finish(failure, reset=True, later=True)

    # Closing

    def loseConnection(self) -> None:
        """
        Send what was written and wait for its acknowledgement, then end the
        session; at the latest when the phone has taken nothing for the flush timeout.
        """
        if self.state is DRAINING:
            self._endDraining(later=True)
        elif self.state is not FLUSHING and self.state is not CLOSED:
            self._held = None
            self._receive.delivered = self._receive.expected
            self._enter(FLUSHING)
            self._checkFlushed(later=True)
            if self.state is FLUSHING:
                self._awaitFlush()
                self._muxer.delayed.owes(self, self.owed())

    def loseWriteConnection(self) -> None:
        """
        Send what was written, and go on delivering what the phone says until it
        ends the session or has been silent for the grace period (protocol 3.7);
        at the latest when the phone has taken nothing and said nothing for the
        flush timeout.
        """
        if self.state is ESTABLISHED:
            self._enter(HALF_CLOSING)
            self._checkFlushed(later=True)
            if self.state is HALF_CLOSING:
                self._awaitTaking()

    def abortConnection(self) -> None:
        """
        End the session now; what was not sent is dropped.
        """
        if self.state is not CLOSED:
            self._finish(Failure(ConnectionAborted()), reset=True, later=True)

    def _flushExpired(self) -> None:
        text = f"the phone did not take the last {self.unacknowledged()} bytes in time"
        self._finish(Failure(ConnectionLost(text)), reset=True)

    def _checkFlushed(self, *, later: bool = False) -> None:
        if self._buffer.size or self._gate.producer is not None or not self.isQuiet():
            return
        if self.state is FLUSHING:
            self._finish(connectionDone, reset=True, later=later)
        elif self.state is HALF_CLOSING:
            self._awaitSilence()
            if later:
                self._muxer.clock.callLater(0, self._tellWriteLost)
            else:
                self._tellWriteLost()

    def _tellWriteLost(self) -> None:
        protocol = IHalfCloseableProtocol(self._protocol, None)
        if protocol is not None:
            try:
                protocol.writeConnectionLost()
            except Exception:
                self._blame("writeConnectionLost")

    def _awaitFlush(self) -> None:
        """
        Let the phone take the last bytes, as slowly as it likes.
        """
        before = self._send.acknowledged

        def expired() -> None:
            self._timer = None
            if self._send.acknowledged != before:
                self._awaitFlush()
            else:
                self._flushExpired()

        self._enter(FLUSHING, self._muxer.limits.flushTimeout, expired)

    def _awaitTaking(self) -> None:
        """
        Let the phone take what was written.
        """
        self._enterWhileMoving(HALF_CLOSING, self._muxer.limits.flushTimeout, self._nothingTaken)

    def _nothingTaken(self) -> None:
        if self.unacknowledged():
            self._flushExpired()
        else:
            # It has taken all that a producer has said, who will say more.
            self._awaitTaking()

    def _awaitSilence(self) -> None:
        """
        Begin the grace period.
        """

        def silent() -> None:
            self._finish(connectionDone, reset=True)

        self._enterWhileMoving(HALF_CLOSED, self._muxer.limits.halfCloseGrace, silent)

    def _enterWhileMoving(
        self, state: SessionState, delay: float, stands: Callable[[], None]
    ) -> None:
        """
        Change the state until nothing moves: a byte that has come in the delay, or
        one that was sent, or that either side has acknowledged, earns another one.

        What stands still because we are paused does not count, and a phone that was
        not acknowledged to before has the whole delay from then on.  That we owe it an
        acknowledgement earns it nothing, as it may be the phone that does not take it.
        """
        send, receive = self._send, self._receive
        before = self.bytesReceived, receive.acknowledged, send.acknowledged, send.next

        def expired() -> None:
            self._timer = None
            now = self.bytesReceived, receive.acknowledged, send.acknowledged, send.next
            if now != before or self._paused:
                self._enterWhileMoving(state, delay, stands)
            else:
                stands()

        self._enter(state, delay, expired)

    def _enter(
        self,
        state: SessionState,
        delay: float | None = None,
        expired: Callable[[], None] | None = None,
    ) -> None:
        """
        Change the state, and with it the one timer.
        """
        timer = self._timer
        if timer is not None:
            if timer.active():
                timer.cancel()
            self._timer = None
        self.state = state
        if delay is not None and expired is not None:
            self._timer = self._muxer.clock.callLater(delay, expired)

    def _reset(self) -> None:
        self._muxer.outbound.segment(self, RST, self._send.next, self._receive.delivered)

    def _finish(self, reason: Failure, *, reset: bool, later: bool = False) -> None:
        """
        The one way to CLOSED.  Everything is put in order before the
        application hears of it, last.

        @param later: It hears of it from the reactor, as it is calling us and
            does not expect C{connectionLost} before we return.
        """
        state = self.state
        if state is CLOSED:
            return
        self._enter(CLOSED)
        self._buffer.clear()
        self._held = None
        if state is not DRAINING:
            self._muxer.sessionEnded(self)
            if reset:
                self._reset()
        producer = self._gate.unregister()
        protocol, self._protocol = self._protocol, None
        if producer is not None:
            try:
                producer.stopProducing()
            except Exception:
                _log.failure("stopProducing failed")
        if later:
            self._muxer.clock.callLater(0, self._tell, protocol, reason)
        else:
            self._tell(protocol, reason)

    def _tell(self, protocol: IProtocol | None, reason: Failure) -> None:
        if protocol is not None:
            try:
                protocol.connectionLost(reason)
            except Exception:
                _log.failure("connectionLost failed")
        stopFactory(self._factory)
