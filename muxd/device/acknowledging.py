# -*- test-case-name: tests.device.test_acknowledging -*-
"""
When the phone hears that its bytes were taken.

An acknowledgement is a transfer, with all that belongs to one on both sides, so
none is sent that nobody waits for.  At the end of each batch of packets, and when
a paused session has been resumed, a session that owes an eighth of the window
(16 KiB: any bulk packet) acknowledges at once.  A larger share would save
transfers, but the window is only four packets of 32 kB: with a quarter of it owed
the phone stands still now and then (measured: 42 of the 53 MB/s of a USB 2 bus).

What is less, an answer or a keystroke, leaves the window open.  It is acknowledged
along with the next data, or by a timer 30 ms after the first unacknowledged byte
(protocol 3.5).  The timer is one for all sessions of a phone and runs only while
one owes something, so a session's bytes may be acknowledged a little early, but
neither late nor never: it does not wait for the daemon to be idle.
"""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from muxd.device.outbound import Outbound, Sender


class DelayedAcknowledgements:
    """
    Remembers who owes an acknowledgement.
    """

    def __init__(
        self, clock: IReactorTime, outbound: Outbound, *, threshold: int, delay: float
    ) -> None:
        """
        @param threshold: Bytes that are not kept waiting.
        @param delay: The longest that fewer are.
        """
        self._clock = clock
        self._outbound = outbound
        self._threshold = threshold
        self._delay = delay
        self._owing: dict[Sender, None] = {}
        self._timer: IDelayedCall | None = None

    def owes(self, session: Sender, size: int) -> None:
        """
        The session has delivered so many bytes that are not acknowledged.
        """
        if size >= self._threshold:
            self._outbound.acknowledge(session)
        elif size:
            self._owing[session] = None
            if self._timer is None:
                self._timer = self._clock.callLater(self._delay, self._expired)

    def stop(self) -> None:
        """
        Forget them.
        """
        self._owing.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expired(self) -> None:
        self._timer = None
        owing, self._owing = self._owing, {}
        for session in owing:
            self._outbound.acknowledge(session)
