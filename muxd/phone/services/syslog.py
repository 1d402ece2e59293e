# -*- test-case-name: tests.phone.services.test_syslog -*-
"""
C{com.apple.syslog_relay}: the phone's log, each line as it is written from the moment that a
host reads on.  A line ends with a newline and a zero byte.  The factory is
C{ServiceFactory(lambda: SyslogRelay(book))}.
"""

from __future__ import annotations

import time
from typing import Any, cast

from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.phone.services.logbook import LogLine, SyslogBook


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

    def _wrote(self, line: LogLine) -> None:
        if self._isPaused:
            self._skipped += 1
        else:
            moment = time.strftime("%b %e %H:%M:%S", time.gmtime(line.moment))
            source = f"{line.process}[{line.pid}]"
            text = f"{moment} {self._book.host} {source} <{line.level}>: {line.text}\n\0"
            cast(Any, self.transport).write(text.encode("utf-8", "replace"))

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
