# -*- test-case-name: tests.phone.services.test_smallservices -*-
"""
C{com.apple.crashreportmover}: has the phone put its crash reports where hosts can read them, which
is by C{com.apple.crashreportcopymobile}, an AFC of their directory.  They are there already.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Protocol

MOVED = b"ping\0"


class CrashReportMover(Protocol):
    """
    One host.
    """

    def connectionMade(self) -> None:
        """
        Say that it is done.
        """
        transport: Any = self.transport
        transport.write(MOVED)
