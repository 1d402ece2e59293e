# -*- test-case-name: tests.device.test_session,tests.device.test_ends -*-
"""
What a session asks of its end on our side.

A session knows the phone's rules, and its end knows where the bytes come from and where
they go: L{muxd.device.transport} leads to a Twisted protocol, L{muxd.device.socketend} to a
socket.  No end knows a sequence
number, and a session knows neither protocols nor sockets.
"""

from __future__ import annotations

from twisted.python.failure import Failure

from muxd.net.eventloop import Watched
from muxd.net.packetmemory import PacketMemory


class SessionEnd(Watched):
    """
    Where a session's bytes come from, and where they go.

    It says how many bytes it has with C{Session.available}, and that there are some with
    C{Session.offer}.

    All ends are subclasses, so that compiled code calls them without asking Python what
    they have.  An end that is a socket is watched, too, and a compiled class has one base only, so
    all are L{Watched}.  This one itself is the end of a session that is over: it has nothing,
    takes nothing, and has been told everything.
    """

    __slots__ = ()

    def fill(self, memory: PacketMemory, start: int, most: int) -> int:
        """
        Put the next bytes for the phone into memory.

        @return: How many; 0 if there were none after all.
        """
        return 0

    def ranDry(self) -> None:
        """
        There were none, and it is told so when the session can be closed.
        """

    def waiting(self) -> int:
        """
        How many bytes it has, where more may have been said to be available.
        """
        return 0

    def sent(self) -> None:
        """
        A segment has gone to the link: there is room for more.
        """

    def isFinished(self) -> bool:
        """
        Whether there is nothing left to be sent, nor will be.
        """
        return True

    def forgetUnsent(self) -> None:
        """
        The phone takes no more.
        """

    def deliver(self, memory: PacketMemory, start: int, size: int) -> None:
        """
        The phone has sent bytes.  They are taken with C{Session.taken}, now or later;
        what is not taken is held.

        @param memory: The link's, good for this call only.
        @param start: Where they begin there.
        """

    def forgetHeld(self) -> None:
        """
        What is held will not be wanted any more.
        """

    def isTaking(self) -> bool:
        """
        Whether some of what is held has been taken since this was asked before, in so far
        as C{Session.taken} was not called for it.
        """
        return False

    def writeFinished(self, later: bool) -> None:
        """
        The phone has taken everything, after the end had said that it was all.

        @param later: The end is calling, and does not expect to be called before that
            returns.
        """

    def lost(self, reason: Failure, later: bool) -> None:
        """
        The session is over.  This is the last call.

        @param later: The end is calling, and does not expect to be called before that
            returns.
        """


NO_END = SessionEnd()
"""
The end of every session that is over.  The real one is let go of, as it has the session
too: neither would leave memory before Python looks for such circles.
"""
