# -*- test-case-name: tests.device.test_window -*-
"""
The two halves of a session's flow control (protocol 3.4 to 3.6).

Numbers are sequence numbers modulo 2^32; sizes are bytes.
"""

from __future__ import annotations

MASK = 0xFFFFFFFF
HALF = 1 << 31


class SendWindow:
    """
    What we may send.

    @ivar next: The sequence number of the next byte.
    @ivar acknowledged: Up to where the phone has taken our bytes.
    @ivar size: The window that the phone last offered.
    """

    __slots__ = ("acknowledged", "next", "size")

    def __init__(self) -> None:
        self.next = 0
        self.acknowledged = 0
        self.size = 0

    def room(self, available: int, most: int) -> int:
        """
        How many bytes may be sent now, of so many that there are.

        A phone may shrink its window below what is in flight: that is no room,
        not a negative one.

        @param most: The most that is wanted at once.
        """
        if available < most:
            most = available
        room = self.size - ((self.next - self.acknowledged) & MASK)
        if room >= most:
            return most
        return room if room > 0 else 0

    def inFlight(self) -> int:
        """
        How many bytes were sent and are not acknowledged.
        """
        return (self.next - self.acknowledged) & MASK

    def sent(self, count: int) -> None:
        """
        This many bytes (or a SYN, which counts as one) have gone.
        """
        self.next = (self.next + count) & MASK

    def acknowledge(self, ack: int, size: int) -> bool:
        """
        Take the acknowledgement and window of an incoming segment.

        @return: False if the phone acknowledges what it cannot have: the number
            is then ignored, the window is not.
        """
        self.size = size
        if (ack - self.acknowledged) & MASK <= (self.next - self.acknowledged) & MASK:
            self.acknowledged = ack
            return True
        return False


class ReceiveWindow:
    """
    What the phone may send.

    @ivar expected: The sequence number of the next byte to come.
    @ivar delivered: Up to where bytes have been handed to the protocol.
    @ivar acknowledged: The last acknowledgement that was sent.
    @ivar size: The window that we offer, which never changes.
    @ivar reserve: How many delivered bytes stay unacknowledged on purpose, so
        that the phone may send fewer than C{size} ahead (see
        L{muxd.device.windowsharing}).
    """

    __slots__ = ("acknowledged", "delivered", "expected", "reserve", "size")

    def __init__(self, size: int) -> None:
        self.expected = 0
        self.delivered = 0
        self.acknowledged = 0
        self.reserve = 0
        self.size = size

    def begin(self, seq: int) -> None:
        """
        The phone's SYN had this sequence number, and counts as one byte.
        """
        self.expected = self.delivered = self.acknowledged = (seq + 1) & MASK

    def owed(self) -> int:
        """
        How many bytes have been delivered and not yet acknowledged.
        """
        return (self.delivered - self.acknowledged) & MASK

    def due(self) -> int:
        """
        How many of them may be acknowledged: all but the reserve.
        """
        count = ((self.delivered - self.acknowledged) & MASK) - self.reserve
        return count if count > 0 else 0

    def acknowledge(self) -> bool:
        """
        Acknowledge what has been delivered, but for the reserve.

        @return: Whether there was anything.
        """
        count = ((self.delivered - self.acknowledged) & MASK) - self.reserve
        if count <= 0:
            return False
        self.acknowledged = (self.acknowledged + count) & MASK
        return True

    def behind(self, seq: int) -> int:
        """
        How far C{seq} lies before what is expected; negative if it lies ahead,
        which means that something was lost.
        """
        distance = (self.expected - seq) & MASK
        return distance if distance < HALF else distance - 2 * HALF

    def admits(self, count: int) -> bool:
        """
        Whether this many more bytes are within the offered window.
        """
        return ((self.expected - self.acknowledged) & MASK) + count <= self.size
