# -*- test-case-name: tests.device.test_opening -*-
"""
A session that the phone has not answered yet (protocol 3.4, CONNECTING).

It ends in one of four ways: SYN|ACK makes it a L{Session}; RST or anything else
refuses it; so do the timer and the loss of the phone; and whoever asked may
have lost interest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError, TimeoutError
from twisted.internet.interfaces import IProtocol, IProtocolFactory
from twisted.python.failure import Failure

from muxd.device.session import Session, stopFactory
from muxd.device.window import ReceiveWindow, SendWindow
from muxd.wire.mux import Flags, phoneText

if TYPE_CHECKING:
    from muxd.device.muxer import Muxer

ACK = int(Flags.ACK)
RST = int(Flags.RST)
SYN = int(Flags.SYN)
SYN_ACK = SYN | ACK


class Opening:
    """
    A SYN and what is waiting for its answer.

    @ivar sourcePort: Our port.
    @ivar port: The phone's port.
    @ivar connected: Fires with the protocol once its C{connectionMade} has run.
        Cancelling it resets the session.
    """

    __slots__ = (
        "_factory",
        "_muxer",
        "_send",
        "_session",
        "_timer",
        "connected",
        "port",
        "sourcePort",
    )

    def __init__(self, muxer: Muxer, sourcePort: int, port: int, factory: IProtocolFactory) -> None:
        """
        @param factory: Has been started; it is stopped when the session ends.
        """
        self.sourcePort = sourcePort
        self.port = port
        self.connected: Deferred[IProtocol] = Deferred(self._cancelled)
        self._muxer = muxer
        self._factory = factory
        self._send = SendWindow()
        self._session: Session | None = None
        self._timer = muxer.clock.callLater(muxer.limits.connectTimeout, self._timedOut)
        muxer.outbound.segment(self, SYN, self._send.next, 0)
        self._send.sent(1)

    def segmentReceived(
        self, seq: int, ack: int, flags: int, window: int, payload: memoryview
    ) -> None:
        """
        The phone has answered; a payload means nothing here, but for the text
        of a refusal.
        """
        muxer = self._muxer
        if flags == SYN_ACK:
            receive = ReceiveWindow(muxer.limits.receiveWindow)
            receive.begin(seq)
            if not self._send.acknowledge(ack, window):
                muxer.complaints.add("badAcknowledgements", f"SYN|ACK: expected ack 1, got {ack}")
            muxer.counters.sessionsOpened += 1
            self._timer.cancel()
            self._establish(receive)
        elif flags & RST:
            text = phoneText(payload) or "the phone gave no reason"
            self._refused(text, reset=False)
        else:
            self._refused(f"expected SYN|ACK, got flags 0x{flags:02x}", reset=True)

    def ended(self, reason: Failure, *, reset: bool) -> None:
        """
        The phone is gone, or we are.
        """
        self._forget(reset=reset)
        self.connected.errback(reason)

    def _establish(self, receive: ReceiveWindow) -> None:
        muxer, factory = self._muxer, self._factory
        session = Session(muxer, self.sourcePort, self.port, factory, self._send, receive)
        self._session = session
        muxer.sessionOpened(session)
        muxer.outbound.segment(session, ACK, self._send.next, receive.delivered)
        try:
            protocol = session.begin()
        except Exception:
            if not self.connected.called:
                self.connected.errback(Failure())
        else:
            if not self.connected.called:
                self.connected.callback(protocol)

    def _cancelled(self, connected: Deferred[IProtocol]) -> None:
        if self._session is None:
            self._forget(reset=True)
        else:
            # By the protocol itself, or its factory, while it is being connected.
            self._session.abortConnection()

    def _refused(self, text: str, *, reset: bool) -> None:
        self._muxer.counters.sessionsRefused += 1
        self._forget(reset=reset)
        self.connected.errback(Failure(ConnectionRefusedError(string=text)))

    def _timedOut(self) -> None:
        self._muxer.counters.connectTimeouts += 1
        text = f"no answer from port {self.port} of {self._muxer.label}"
        self._forget(reset=True)
        self.connected.errback(Failure(TimeoutError(string=text)))

    def _forget(self, *, reset: bool) -> None:
        if self._timer.active():
            self._timer.cancel()
        self._muxer.sessionEnded(self)
        if reset:
            self._muxer.outbound.segment(self, RST, self._send.next, 0)
        stopFactory(self._factory)
