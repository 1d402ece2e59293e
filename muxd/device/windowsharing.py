# -*- test-case-name: tests.device.test_windowsharing -*-
"""
How far ahead of us a phone may send, when several of its sessions do.

Each session offers the phone a window of 128 KiB, which is what a single download
needs.  The phone fills the windows of all of them, though, and whatever it has to
say besides, an answer to a keystroke, waits behind all that: behind four
downloads, half a megabyte, or 10 ms of a USB 2 bus.  So sessions that receive
bulk data at the same time share one window among them, in whole packets of the size
that the phone sends, and at least one packet each.

When there are more than a few, one of them has always something to send, and what
counts is how many acknowledgements have to go out: then each may be sent three
packets and acknowledges two at a time.  One is still allowed while the other two
are not acknowledged, so the phone never stands still.

The window in a segment never changes, as no phone is known to have seen that
(protocol 3.1).  What a session may not use is taken away by leaving as many bytes
unacknowledged although they have been delivered: its I{reserve}.  A session that falls
silent has them acknowledged by the timer (see L{muxd.device.acknowledging}).

Sessions that receive bulk data are counted anew for every four windows' worth of it, in
bytes rather than in seconds: no clock is read here, and an idle phone costs
nothing.
"""

from __future__ import annotations

from typing import Protocol

FEW = 4
"""How many sessions share the window with little in the phone's queue."""

EPOCH = 4
"""Windows' worth of bulk data after which is counted anew."""


class Sharer(Protocol):
    """
    What is needed of a session here.
    """

    def reserve(self, size: int) -> None:
        """
        Leave this many delivered bytes unacknowledged from now on.
        """


class WindowSharing:
    """
    The bulk sessions of one phone.

    @ivar packet: The largest payload that the phone has sent.
    @ivar least: What a session should owe before it acknowledges.
    """

    def __init__(self, window: int) -> None:
        """
        @param window: What a session offers, in bytes, and what several of them share.
        """
        self.packet = 1
        self.least = 0
        self._window = window
        self._sharers: dict[Sharer, None] = {}
        self._next: dict[Sharer, None] = {}
        self._counted = 0

    def saw(self, size: int) -> None:
        """
        The phone has sent a payload of this many bytes.
        """
        if size > self.packet:
            self.packet = size

    def received(self, session: Sharer, size: int) -> None:
        """
        The session has received this many bytes of bulk data.
        """
        self._next[session] = None
        self._counted += size
        if self._counted >= EPOCH * self._window:
            self._share()

    def forget(self, session: Sharer) -> None:
        """
        The session has ended.
        """
        self._sharers.pop(session, None)
        self._next.pop(session, None)

    def _share(self) -> None:
        former, self._sharers, self._next = self._sharers, self._next, {}
        self._counted = 0
        count = len(self._sharers)
        reserve = self._window - self._shareOf(count)
        self.least = 0 if count <= FEW else min(2 * self.packet, self._window // 2)
        for session in former:
            if session not in self._sharers:
                session.reserve(0)
        for session in self._sharers:
            session.reserve(reserve)

    def _shareOf(self, count: int) -> int:
        """
        How far the phone may be ahead in each of this many sessions.
        """
        if count == 1:
            return self._window
        packets = self._window // count // self.packet if count <= FEW else 3
        return min(max(packets, 1) * self.packet, self._window)
