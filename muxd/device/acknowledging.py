# -*- test-case-name: tests.device.test_acknowledging -*-
"""
Acknowledgements that nothing on the wire occasions.

Segments are acknowledged at the end of the batch that brought them.  What a
paused session has held until it was resumed is delivered outside of any batch,
and acknowledged from here: much of it at once, little of it a bit later,
together with what comes until then (protocol 3.5).
"""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from muxd.device.outbound import Outbound, Sender


class DelayedAcknowledgements:
    """
    One timer for all sessions of a phone.
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
