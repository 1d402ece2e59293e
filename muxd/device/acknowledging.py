# -*- test-case-name: tests.device.test_acknowledging -*-
"""
When the phone hears that its bytes were taken.

An acknowledgement is a transfer, with all that belongs to one on both sides, so
none is sent that the phone does not wait for.  At the end of each batch of packets, and when
a paused session has been resumed, a session that owes an eighth of the window
(16 KiB: any bulk packet) acknowledges at once.  A larger share would save
transfers, but the window is only four packets of 32 kB: with a quarter of it owed
the phone stands still now and then (measured: 42 of the 53 MB/s of a USB 2 bus).

Sessions that receive bulk data at the same time keep part of what they owe
(see L{muxd.device.windowsharing}); that part is acknowledged when nothing has come for
them between two ticks of the timer below.

What is less, an answer or a keystroke, leaves the window open.  It is acknowledged
along with the next data, or by a timer 30 ms after the first unacknowledged byte
(protocol 3.5).  The timer is one for all sessions of a phone and runs only while
one owes something, so a session's bytes may be acknowledged a little early, but
neither late nor never: it does not wait for the daemon to be idle.
"""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from muxd.device.outbound import Outbound, Sender
from muxd.device.windowsharing import WindowSharing


class Debtor(Sender):
    """
    A session, to what acknowledges for it.

    @ivar bytesReceived: Payload that came so far.
    @ivar touched: Whether this batch of packets brought bytes for it, and it has
        not ended.
    """

    __slots__ = ("bytesReceived", "touched")

    bytesReceived: int
    touched: bool

    def reserve(self, size: int) -> None:
        """
        Leave this many bytes that were taken unacknowledged from now on.
        """
        raise NotImplementedError


class DelayedAcknowledgements:
    """
    Remembers which sessions owe an acknowledgement.

    @ivar sharing: How much of what they owe is not to be acknowledged yet.
    """

    def __init__(
        self,
        clock: IReactorTime,
        outbound: Outbound,
        *,
        threshold: int,
        delay: float,
        sharing: WindowSharing,
    ) -> None:
        """
        @param threshold: Bytes that are not kept waiting.
        @param delay: The longest that fewer are.
        """
        self.sharing = sharing
        self._clock = clock
        self._outbound = outbound
        self._threshold = threshold
        self._delay = delay
        self._owing: dict[Debtor, int] = {}
        self._timer: IDelayedCall | None = None

    def owes(self, session: Debtor, size: int) -> None:
        """
        The session has delivered this many bytes that may be acknowledged.
        """
        if size >= self._threshold and size >= self.sharing.least:
            self.sharing.received(session, size)
            self._outbound.acknowledge(session)
            if not session.receive.reserve:
                return
        if (size or session.receive.reserve) and session not in self._owing:
            self._wait(session)

    def forget(self, session: Debtor) -> None:
        """
        The session has ended.
        """
        self._owing.pop(session, None)
        self.sharing.forget(session)

    def stop(self) -> None:
        """
        Forget them.
        """
        self._owing.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, session: Debtor) -> None:
        self._owing[session] = session.bytesReceived
        if self._timer is None:
            self._timer = self._clock.callLater(self._delay, self._expired)

    def _expired(self) -> None:
        """
        A session that shares a window goes on sharing it as long as bytes come.
        """
        self._timer = None
        owing, self._owing = self._owing, {}
        for session, received in owing.items():
            if session.receive.reserve:
                if session.bytesReceived == received:
                    session.reserve(0)
                else:
                    self._wait(session)
            self._outbound.acknowledge(session)
