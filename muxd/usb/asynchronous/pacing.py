# -*- test-case-name: tests.usb.asynchronous.test_pacing -*-
"""
How much may be on its way to a phone at once.

Whatever is handed to the bus delays all that comes later, so it should be little;
but if it is too little, the bus stands still while we are woken up to hand it
more.  How much is right depends on the bus: two packets are 1.2 ms of USB 2, and
a tenth of that of SuperSpeed, which is less than a wake-up takes.  So the measure
is time: as much as the bus carries in half a millisecond, and two packets at least.

The speed is taken from transfers as they come back, while there are always some
under way; time in which there were none says nothing of the bus.  Older
measurements count less and less.

Where the bus carries a packet of the largest size within that time, packets are that large:
a third of the processor's time for a byte is gone with that, and on such a bus it costs no
session a noticeable wait.
"""

from __future__ import annotations

from collections.abc import Callable

from muxd.limits import Limits
from muxd.wire.mux import BULK_PAYLOAD, LARGE_PAYLOAD, LONE_PAYLOAD, USB_MTU

MEMORY = 0.875
"""What is left of the weight of a measurement with the next one."""

LARGE_FROM = USB_MTU
"""As much under way makes packets large: never on USB 2, with the usual limits."""


class BusPace:
    """
    Measures one phone's OUT endpoint.

    @ivar depth: How many bytes may be under way.
    @ivar payload: What the largest segment should carry.
    @ivar lonePayload: The same, where nothing else is likely to wait for it.
    """

    def __init__(self, seconds: Callable[[], float], limits: Limits) -> None:
        """
        @param seconds: What time it is.
        """
        self.depth = 0
        self.payload = BULK_PAYLOAD
        self.lonePayload = LONE_PAYLOAD
        self._seconds = seconds
        self._queueTime = limits.bulkQueueTime
        self._most = limits.bulkBytesInFlight
        self._since = 0.0
        self._time = 0.0
        self._bytes = 0.0

    def began(self) -> None:
        """
        There is something under way, after there was nothing.
        """
        self._since = self._seconds()

    def ended(self, size: int) -> None:
        """
        This many bytes have come back together, since the last ones did.
        """
        now = self._seconds()
        self._time = self._time * MEMORY + now - self._since
        self._bytes = self._bytes * MEMORY + size
        self._since = now
        if self._time <= 0:
            return
        depth = int(self._bytes / self._time * self._queueTime)
        self.depth = depth if depth < self._most else self._most
        if depth >= LARGE_FROM:
            self.payload = self.lonePayload = LARGE_PAYLOAD
        else:
            self.payload, self.lonePayload = BULK_PAYLOAD, LONE_PAYLOAD
