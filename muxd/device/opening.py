# -*- test-case-name: tests.device.test_opening -*-
"""
A session that the phone has not answered yet (protocol 3.4, CONNECTING).

It ends in one of four ways: SYN|ACK makes it a L{Session}; RST or anything else
refuses it; so do the timer and the loss of the phone; and what asked for it may
have lost interest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionRefusedError, TimeoutError
from twisted.python.failure import Failure

from muxd.device.counters import Breach
from muxd.device.outbound import Ported
from muxd.device.session import Session
from muxd.device.window import ReceiveWindow, SendWindow
from muxd.net.packetmemory import PacketMemory
from muxd.wire.mux import Flags, phoneText

if TYPE_CHECKING:
    from muxd.device.owner import SessionOwner

ACK = int(Flags.ACK)
RST = int(Flags.RST)
SYN = int(Flags.SYN)
SYN_ACK = SYN | ACK


class SessionRequest(Protocol):
    """
    What has asked for a session, and will give it an end.
    """

    def accepted(self) -> None:
        """
        The phone has accepted.  There is no session yet, and nothing may be sent to the
        phone, which is told next; what waits for the answer here can be told first.
        """

    def established(self, session: Session) -> None:
        """
        The phone has accepted.  The session has its end, C{Session.end}, when this
        returns, or is closed.
        """

    def refused(self, reason: Failure) -> None:
        """
        There will be no session.
        """


class PendingSession(Ported):
    """
    A SYN and what is waiting for its answer.
    """

    __slots__ = ("_began", "_owner", "_request", "_send", "_session")

    def __init__(
        self, owner: SessionOwner, sourcePort: int, port: int, request: SessionRequest
    ) -> None:
        """
        @param request: Is told how it ends.
        """
        self.sourcePort = sourcePort
        self.port = port
        # In compiled code the owner is of a known class where it is an attribute.
        self._owner = owner
        self._request = request
        self._began = self._owner.seconds()
        self._send = SendWindow()
        self._session: Session | None = None
        self._owner.openings.add(self, self._began)
        self._owner.outbound.segment(self, SYN, self._send.next, 0)
        self._send.sent(1)

    def segmentReceived(
        self,
        seq: int,
        ack: int,
        flags: int,
        window: int,
        memory: PacketMemory,
        start: int,
        size: int,
    ) -> None:
        """
        The phone has answered; a payload means nothing here, but for the text
        of a refusal.
        """
        owner = self._owner
        if flags == SYN_ACK:
            receive = ReceiveWindow(owner.limits.receiveWindow)
            receive.begin(seq)
            if not self._send.acknowledge(ack, window):
                owner.phoneLog.add(
                    Breach.BAD_ACKNOWLEDGEMENT, f"SYN|ACK: expected ack 1, got {ack}"
                )
            owner.counters.sessionsOpened += 1
            now = owner.seconds()
            owner.times.connects.add(now - self._began)
            owner.openings.remove(self)
            self._establish(receive, now)
        elif flags & RST:
            text = phoneText(memory.read(start, size)) or "the phone gave no reason"
            self._refused(text, reset=False)
        else:
            self._refused(f"expected SYN|ACK, got flags 0x{flags:02x}", reset=True)

    def ended(self, reason: Failure, *, reset: bool) -> None:
        """
        The phone is gone, or we are.
        """
        self._forget(reset=reset)
        self._request.refused(reason)

    def cancel(self) -> None:
        """
        What has asked for it does not want it any more.
        """
        session = self._session
        if session is None:
            self._forget(reset=True)
            self._request.refused(Failure(CancelledError()))
        else:
            # While it is being given its end.
            session.abort()

    def _establish(self, receive: ReceiveWindow, now: float) -> None:
        owner = self._owner
        session = Session(owner, self.sourcePort, self.port, self._send, receive, now)
        self._session = session
        owner.sessionOpened(session)
        self._request.accepted()
        owner.outbound.segment(session, ACK, self._send.next, receive.delivered)
        self._request.established(session)

    def _refused(self, text: str, *, reset: bool) -> None:
        self._owner.counters.sessionsRefused += 1
        self._forget(reset=reset)
        self._request.refused(Failure(ConnectionRefusedError(string=text)))

    def timedOut(self) -> None:
        """
        The phone has not answered in time.
        """
        self._owner.counters.connectTimeouts += 1
        text = f"no answer from port {self.port} of {self._owner.label}"
        self._forget(reset=True)
        self._request.refused(Failure(TimeoutError(string=text)))

    def _forget(self, *, reset: bool) -> None:
        self._owner.openings.remove(self)
        self._owner.sessionEnded(self)
        if reset:
            self._owner.outbound.segment(self, RST, self._send.next, 0)
