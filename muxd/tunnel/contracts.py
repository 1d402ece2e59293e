# -*- test-case-name: tests.tunnel.test_tcp -*-
"""
What a TCP connection in a tunnel has above it and beneath it: what uses it, and what carries its
segments.
"""

from __future__ import annotations

from typing import Any
from typing import Protocol as TypingProtocol

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import Interface

from muxd.limits import Limits
from muxd.tunnel.packets import Segment


class ITCPUser(Interface):
    """
    What uses a connection.
    """

    def established() -> None:
        """
        The other side has agreed.
        """

    def received(data: bytes) -> None:
        """
        Bytes have come.  When they have been taken, the connection's C{taken} is called.
        """

    def finished() -> None:
        """
        The other side will say no more.
        """

    def drained(waiting: int) -> None:
        """
        Some of what was written has been sent; so many bytes wait.
        """

    def writeFinished() -> None:
        """
        The other side has everything that was written, and knows that this was all.
        """

    def lost(reason: Failure) -> None:
        """
        It is over.  Called once, unless the connection was aborted.
        """


class Carried(TypingProtocol):
    """
    What a carrier knows of a connection.

    @ivar local: Our port.
    @ivar remote: The other side's.
    """

    local: int
    remote: int

    def flush(self) -> None:
        """
        Acknowledge what has come, if nothing has done so yet.
        """


class Carrier(TypingProtocol):
    """
    What moves the segments of connections.

    @ivar isHeld: Whether nothing may be sent just now.
    """

    clock: IReactorTime
    limits: Limits
    mtu: int
    isHeld: bool
    counters: Any

    def send(self, segment: Segment) -> None:
        """
        Send one.
        """

    def wantsFlush(self, connection: Carried) -> None:
        """
        Call its C{flush} soon.
        """

    def ended(self, connection: Carried) -> None:
        """
        Forget it.
        """
