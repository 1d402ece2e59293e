# -*- test-case-name: tests.tap.test_master -*-
"""
A service as the master of its process.

A service that is embedded leaves the process to the application around it.  One
that C{twistd} or C{twist} was started for sets the process up, and ends with it.
"""

from __future__ import annotations

import sys
from typing import Any, NoReturn

from twisted.application.service import Service
from twisted.logger import Logger, globalLogPublisher

from muxd.net.socketfile import CannotListen
from muxd.tap.capturefile import CannotCapture
from muxd.tap.freedmemory import FreedMemory
from muxd.tap.logtext import keepPrintable
from muxd.tap.process import (
    StartFailure,
    closeInherited,
    importNow,
    keepFreedMemory,
    limitLogLevel,
    raiseFileLimit,
    stopOnSignals,
    useSteadyTime,
)
from muxd.tap.twistedparts import complaint

CANNOT_START = "{program} cannot start: {problem}"
"""The line of a start that cannot succeed."""


class ProcessMaster(Service):
    """
    What comes before a service among the bases of the class that runs it in a
    process of its own::

        class UsbmuxdService(ProcessMaster, MuxService): ...

    @cvar program: What the process is called in the log.
    @cvar imports: Modules that are needed only later, some of them perhaps not installed:
        after privileges are given up they may be out of reach.
    @ivar reactor: What the process runs.
    @ivar logLevel: What to keep out of the log; C{None} if the runner does.
    """

    _log = Logger()

    program: str
    imports: tuple[str, ...] = ()
    reactor: Any
    logLevel: Any = None
    _freed: FreedMemory | None = None

    def privilegedStartService(self) -> None:
        """
        Prepare the process, then listen.

        @raise StartFailure: That was not possible.
        """
        if self.logLevel is not None:
            limitLogLevel(globalLogPublisher, self.logLevel)
        if self._isAlone:
            keepPrintable(globalLogPublisher)
            self.reactor.callWhenRunning(keepPrintable, globalLogPublisher)
            if closed := closeInherited():
                self._log.debug("{count} inherited descriptors closed", count=closed)
        if problem := complaint():
            self._fail(problem)
        useSteadyTime(self.reactor)
        importNow(self.imports)
        raiseFileLimit()
        if keepFreedMemory() and self._isAlone:
            self._freed = FreedMemory(self.reactor)
        try:
            super().privilegedStartService()
        except (CannotListen, CannotCapture) as problem:
            self._fail(str(problem))

    @property
    def _isAlone(self) -> bool:
        """
        Whether the reactor is the one that the process was started for.
        """
        return sys.modules.get("twisted.internet.reactor") is self.reactor

    def _fail(self, problem: str) -> NoReturn:
        """
        @raise StartFailure: Always.
        """
        self._log.critical(CANNOT_START, program=self.program, problem=problem)
        raise StartFailure(problem) from None

    def startService(self) -> None:
        """
        Begin, and end when the process is told to.
        """
        stopOnSignals(self.reactor)
        super().startService()
        if self._freed is not None:
            self._freed.start()
