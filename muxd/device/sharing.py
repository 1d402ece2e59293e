# -*- test-case-name: tests.device.test_sharing -*-
"""
How far ahead of us a phone may send, when several of its sessions do.

Each session offers the phone a window of 128 KiB, which is what a single download
needs.  The phone fills the windows of all of them, though, and whatever it has to
say besides, an answer to a keystroke, waits behind all that: behind four
downloads, half a megabyte, or 10 ms of a USB 2 bus.  So sessions that receive
bulk data at the same time share one window among them (two on a SuperSpeed bus,
which carries that in less time than we need to notice), in whole packets of the
size that the phone sends, and at least one packet each.

The window in a segment never changes, as no phone is known to have seen that
(protocol 3.1).  What a session may not use is taken away by leaving as many bytes
unacknowledged although they have been delivered: its I{reserve}.  Whoever falls
silent has them acknowledged by the timer (see L{muxd.device.acknowledging}).

Who receives bulk data is counted anew for every two windows' worth of it, in
bytes rather than in seconds: no clock is read here, and an idle phone costs
nothing.
"""

from __future__ import annotations

from typing import Protocol


class Sharer(Protocol):
    """
    What is needed of a session here.
    """

    def reserve(self, size: int) -> None:
        """
        Leave so many delivered bytes unacknowledged from now on.
        """


class WindowSharing:
    """
    The bulk sessions of one phone.

    @ivar packet: The largest payload that the phone has sent.
    """

    def __init__(self, window: int, shared: int) -> None:
        """
        @param window: What a session offers, in bytes.
        @param shared: What several of them share.
        """
        self.packet = 1
        self._window = window
        self._shared = shared
        self._sharers: dict[Sharer, None] = {}
        self._next: dict[Sharer, None] = {}
        self._counted = 0

    def received(self, session: Sharer, size: int) -> None:
        """
        The session has received so many bytes of bulk data.
        """
        self._next[session] = None
        self._counted += size
        if self._counted >= 2 * self._window:
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
        reserve = self._window - self._shareOf(len(self._sharers))
        for session in former:
            if session not in self._sharers:
                session.reserve(0)
        for session in self._sharers:
            session.reserve(reserve)

    def _shareOf(self, count: int) -> int:
        """
        How far the phone may be ahead in each of so many sessions.
        """
        if count == 1:
            return self._window
        packets = self._shared // count // self.packet
        return min(max(packets, 1) * self.packet, self._window)
