# -*- test-case-name: tests.tap.test_usbmuxdservice -*-
"""
Tests of L{muxd.tap.usbmuxd}: the service that its options make.
"""

from __future__ import annotations

import os

from twisted.application.service import IService
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import LogLevel, LogPublisher, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.net.socketfile import CannotListen
from muxd.tap import master, usbmuxd
from muxd.tap.pidlock import PidLock
from muxd.tap.process import StartFailure
from muxd.tap.usbmuxd import Options, UsbmuxdService, makeService
from tests.tap.options import Runner, UsbmuxdTestCase


class ServiceTests(UsbmuxdTestCase):
    """
    Tests of L{makeService} and what it makes.
    """

    def setUp(self) -> None:
        """
        Watch the log, but not the process's own.
        """
        super().setUp()
        self.limits: list[object] = []
        self.patch(master, "raiseFileLimit", lambda: self.limits.append("files"))
        self.patch(master, "keepFreedMemory", lambda: self.limits.append("memory"))
        self.patch(
            master,
            "limitLogLevel",
            lambda publisher, level: self.limits.append((publisher, level)),
        )
        self.log = EventLoggingObserver()
        globalLogPublisher.addObserver(self.log)
        self.addCleanup(globalLogPublisher.removeObserver, self.log)

    def test_service(self) -> None:
        """
        The options' service keeps the contract, and nothing is opened before it
        is started.
        """
        self.options.parseOptions(["-l", "tcp:1", "-s", "simulated"])
        service = makeService(self.options)
        verifyObject(IService, service)
        self.assertEqual((self.reactor.tcpServers, self.limits), ([], []))

    def test_process(self) -> None:
        """
        The process's limits are set when the service starts, before anything is
        opened.
        """
        self.options.parseOptions(["-l", "tcp:1", "-s", "simulated"])
        makeService(self.options).privilegedStartService()
        self.assertEqual(self.limits, [(globalLogPublisher, LogLevel.info), "files", "memory"])
        self.assertEqual(len(self.reactor.tcpServers), 1)

    def test_twist(self) -> None:
        """
        The log of C{twist} is left to it.
        """
        self.options.parent = Runner(logLevel=LogLevel.info)
        self.options.parseOptions(["-l", "tcp:1", "-s", "simulated"])
        makeService(self.options).privilegedStartService()
        self.assertEqual(self.limits, ["files", "memory"])

    def test_stop(self) -> None:
        """
        The process's signals stop the reactor, once it runs.
        """
        reactors: list[object] = []
        self.patch(master, "stopOnSignals", reactors.append)
        self.options.parseOptions(["-p", "-l", "tcp:1", "-s", "simulated"])
        service = makeService(self.options)
        service.privilegedStartService()
        self.assertEqual(reactors, [])
        # A source would start its thread.
        self.options.service.sources.clear()
        service.startService()
        self.assertEqual(reactors, [self.reactor])
        self.successResultOf(service.stopService())

    def test_cannotListen(self) -> None:
        """
        A place that is taken ends the process with one line, which is in the
        log.
        """
        self.options.parseOptions(["-l", "unix:/nowhere/s", "-s", "simulated"])
        service = makeService(self.options)
        failure = self.assertRaises(StartFailure, service.privilegedStartService)
        self.assertIn("/nowhere/s: there is no directory", str(failure))
        (event,) = [event for event in self.log if event["log_level"] is LogLevel.critical]
        self.assertEqual(str(event["problem"]), str(failure))
        self.assertNotIn("log_failure", event)


class LockTests(UsbmuxdTestCase):
    """
    The C daemon's lock.
    """

    def service(self, path: str) -> UsbmuxdService:
        """
        A service that listens there.
        """
        self.options.parseOptions(["-p", "-l", f"unix:{path}", "-s", "simulated"])
        self.options.service.sources.clear()
        return self.options.service

    def setUp(self) -> None:
        """
        Have a place that is the C daemon's, and leave the process alone.
        """
        super().setUp()
        self.directory: str = self.mktemp()
        self.steps: list[str] = []
        for name in ("raiseFileLimit", "keepFreedMemory"):
            self.patch(master, name, lambda: None)
        self.patch(master, "limitLogLevel", lambda publisher, level: None)
        self.patch(usbmuxd, "withstandSignals", lambda: self.steps.append("signals"))
        self.patch(usbmuxd, "isPlaceOfC", lambda paths: paths == [f"{self.directory}/usbmuxd"])
        os.mkdir(self.directory)
        self.lock = PidLock(f"{self.directory}/pid")

    def test_held(self) -> None:
        """
        It is held while the daemon listens in the C daemon's place.
        """
        service = self.service(f"{self.directory}/usbmuxd")
        service.pidLock = self.lock
        service.privilegedStartService()
        self.assertTrue(self.lock.isHeld)
        self.assertEqual(self.steps, ["signals"])
        self.successResultOf(service.stopService())
        self.assertFalse(self.lock.isHeld)

    def test_elsewhere(self) -> None:
        """
        Elsewhere it is left alone, as both daemons may run at once.
        """
        service = self.service(f"{self.directory}/other")
        service.pidLock = self.lock
        service.privilegedStartService()
        self.assertFalse(self.lock.isHeld)
        self.assertEqual(self.steps, [])
        self.successResultOf(service.stopService())

    def test_failedStart(self) -> None:
        """
        A start that fails gives it back.
        """
        with open(f"{self.directory}/usbmuxd", "w"):
            service = self.service(f"{self.directory}/usbmuxd")
        service.pidLock = self.lock
        self.assertRaises(StartFailure, service.privilegedStartService)
        self.assertFalse(self.lock.isHeld)

    def test_refused(self) -> None:
        """
        One that is another's ends the start, before anything is opened.
        """

        class Taken(PidLock):
            def take(self) -> None:
                raise CannotListen("process 7 holds it")

        service = self.service(f"{self.directory}/usbmuxd")
        service.pidLock = Taken()
        failure = self.assertRaises(StartFailure, service.privilegedStartService)
        self.assertEqual(str(failure), "process 7 holds it")
        self.assertEqual(self.reactor.unixServers, [])


class GlobalReactorTests(SynchronousTestCase):
    """
    Tests of L{Options} with nothing replaced.
    """

    def test_global(self) -> None:
        """
        The global reactor is used, once it is known which one that is.
        """
        from twisted.internet import reactor

        options = Options()
        options.parseOptions(["-l", "tcp:1", "-s", "simulated"])
        self.assertIs(options.reactor, reactor)

    def test_publisher(self) -> None:
        """
        The publisher whose observers are limited is one that can be.
        """
        self.assertIsInstance(globalLogPublisher, LogPublisher)
