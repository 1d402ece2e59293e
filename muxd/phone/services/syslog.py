# -*- test-case-name: tests.phone.services.test_syslog -*-
"""
C{com.apple.syslog_relay}: the phone's log, each line as it is written from the moment that a
host reads on.  A line ends with a newline and a zero byte.  The factory is
C{ServiceFactory(lambda: SyslogRelay(book))}.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.interfaces import IConsumer, IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

LONGEST = 1 << 15
"""Characters of a line's text; what is longer ends with L{CUT}."""

CUT = " <...>"


class SyslogBook:
    """
    The phone's log.
    """

    def __init__(self, clock: IReactorTime, host: str = "iPhone") -> None:
        """
        @param host: The phone's name in each line.
        """
        self._clock = clock
        self._host = host
        self._readers: dict[Callable[[bytes], None], None] = {}

    def write(self, process: str, level: str, text: str) -> None:
        """
        Write a line.

        @param process: Which of the phone's programs says so.
        @param level: Such as C{Notice} or C{Error}.
        """
        moment = time.strftime("%b %e %H:%M:%S", time.gmtime(self._clock.seconds()))
        if len(text) > LONGEST:
            text = text[:LONGEST] + CUT
        plain = " ".join(text.replace("\0", " ").split())
        line = f"{moment} {self._host} {process}[1] <{level}>: {plain}\n\0".encode()
        for reader in tuple(self._readers):
            reader(line)

    def read(self, reader: Callable[[bytes], None]) -> None:
        """
        Call this with every line from now on.
        """
        self._readers[reader] = None

    def close(self, reader: Callable[[bytes], None]) -> None:
        """
        No more.
        """
        self._readers.pop(reader, None)


@implementer(IPushProducer)
class SyslogRelay(Protocol):
    """
    One host that reads along.  Lines that it does not take in time are skipped,
    and it is told how many.
    """

    def __init__(self, book: SyslogBook) -> None:
        self._book = book
        self._isPaused = False
        self._skipped = 0

    def connectionMade(self) -> None:
        """
        Begin to read.
        """
        cast(IConsumer, self.transport).registerProducer(self, True)
        self._book.read(self._wrote)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The host is gone.
        """
        self._book.close(self._wrote)

    def _wrote(self, line: bytes) -> None:
        if self._isPaused:
            self._skipped += 1
        else:
            cast(Any, self.transport).write(line)

    def pauseProducing(self) -> None:
        """
        The host does not read.
        """
        self._isPaused = True

    def resumeProducing(self) -> None:
        """
        It reads again.
        """
        self._isPaused = False
        skipped, self._skipped = self._skipped, 0
        if skipped:
            cast(Any, self.transport).write(b"... %d lines were skipped\n\0" % skipped)

    def stopProducing(self) -> None:
        """
        The host is gone.
        """
        self._book.close(self._wrote)
