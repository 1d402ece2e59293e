# -*- test-case-name: tests.tap.test_master -*-
"""
Tests of L{muxd.tap.master}.
"""

from __future__ import annotations

import sys
from unittest.mock import patch

from twisted.application.service import IService, Service
from twisted.internet.testing import EventLoggingObserver, MemoryReactorClock
from twisted.logger import LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.net.socketfile import CannotListen
from muxd.tap import master
from muxd.tap.master import ProcessMaster
from muxd.tap.process import StartFailure


class Steps(Service):
    """
    A service that notes when it was started.

    @ivar steps: What has happened.
    @ivar problem: Why it cannot listen.
    """

    def __init__(self, steps: list[object]) -> None:
        self.steps = steps
        self.problem: Exception | None = None

    def privilegedStartService(self) -> None:
        """
        Listen.
        """
        super().privilegedStartService()
        if self.problem is not None:
            raise self.problem
        self.steps.append("listen")

    def startService(self) -> None:
        """
        Begin.
        """
        super().startService()
        self.steps.append("start")


class Program(ProcessMaster, Steps):
    """
    The same in a process of its own.
    """

    program = "steps"

    def __init__(self, steps: list[object]) -> None:
        super().__init__(steps)
        self.reactor = MemoryReactorClock()


class ProcessMasterTests(SynchronousTestCase):
    """
    Tests of L{ProcessMaster}.
    """

    def setUp(self) -> None:
        """
        Have a service whose process is not this one, and watch the log.
        """
        self.steps: list[object] = []
        self.patch(master, "raiseFileLimit", lambda: self.steps.append("files"))
        self.patch(master, "keepFreedMemory", lambda: self.steps.append("memory"))
        self.patch(
            master, "limitLogLevel", lambda publisher, level: self.steps.append((publisher, level))
        )
        self.patch(master, "stopOnSignals", self.steps.append)
        self.service = Program(self.steps)
        self.log = EventLoggingObserver()
        globalLogPublisher.addObserver(self.log)
        self.addCleanup(globalLogPublisher.removeObserver, self.log)

    def test_interface(self) -> None:
        """
        It is a service still.
        """
        verifyObject(IService, self.service)

    def test_prepares(self) -> None:
        """
        The process is prepared before anything is opened, the log first.
        """
        self.service.logLevel = LogLevel.warn
        self.service.privilegedStartService()
        self.assertEqual(
            self.steps, [(globalLogPublisher, LogLevel.warn), "files", "memory", "listen"]
        )

    def test_logOfOthers(self) -> None:
        """
        Without a level, the log is left alone.
        """
        self.service.privilegedStartService()
        self.assertEqual(self.steps, ["files", "memory", "listen"])

    def test_alone(self) -> None:
        """
        Where the reactor is the process's, what was inherited is closed, the log is made
        harmless, and timers go by a steady clock, before anything is opened.
        """

        def close() -> int:
            self.steps.append("closed")
            return 2

        self.patch(master, "closeInherited", close)
        self.patch(master, "keepPrintable", lambda publisher: self.steps.append("log"))
        self.patch(master, "useSteadyTime", lambda reactor: self.steps.append("clock"))
        with patch.dict(sys.modules, {"twisted.internet.reactor": self.service.reactor}):
            self.service.privilegedStartService()
        self.assertEqual(sorted(map(str, self.steps[:3])), ["clock", "closed", "log"])
        self.assertEqual(self.steps[-1], "listen")

    def test_freedMemory(self) -> None:
        """
        There, too, what a peak leaves is given back, if the C library keeps it.
        """
        self.patch(master, "closeInherited", lambda: 0)
        self.patch(master, "keepPrintable", lambda publisher: None)
        self.patch(master, "useSteadyTime", lambda reactor: None)
        for keeps, timers in ((False, 0), (True, 1)):
            self.patch(master, "keepFreedMemory", lambda keeps=keeps: keeps)
            service = Program([])
            with patch.dict(sys.modules, {"twisted.internet.reactor": service.reactor}):
                service.privilegedStartService()
            service.startService()
            self.assertEqual(len(service.reactor.getDelayedCalls()), timers)

    def test_signals(self) -> None:
        """
        Signals end the process from when the service begins.
        """
        self.service.startService()
        self.assertEqual(self.steps, [self.service.reactor, "start"])
        self.assertTrue(self.service.running)

    def test_cannotListen(self) -> None:
        """
        A place that is taken is one line in the log, which names the program,
        and a failure to start.
        """
        self.service.problem = CannotListen("taken")
        failure = self.assertRaises(StartFailure, self.service.privilegedStartService)
        self.assertEqual((str(failure), failure.code), ("taken", 1))
        (event,) = [event for event in self.log if event["log_level"] is LogLevel.critical]
        self.assertEqual(str(event["log_format"]).format(**event), "steps cannot start: taken")
        self.assertEqual(event["log_namespace"], f"{__name__}.Program")

    def test_strangeTwisted(self) -> None:
        """
        A Twisted that lacks what is needed is a failure to start, before anything is opened.
        """
        self.patch(master, "complaint", lambda: "Twisted 99 has no Port")
        failure = self.assertRaises(StartFailure, self.service.privilegedStartService)
        self.assertEqual(str(failure), "Twisted 99 has no Port")
        self.assertEqual(self.steps, [])

    def test_defect(self) -> None:
        """
        Anything else is a defect, which is not made one line of.
        """
        self.service.problem = ZeroDivisionError()
        self.assertRaises(ZeroDivisionError, self.service.privilegedStartService)
