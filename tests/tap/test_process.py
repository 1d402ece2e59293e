# -*- test-case-name: tests.tap.test_process -*-
"""
Tests of L{muxd.tap.process}.
"""

from __future__ import annotations

import errno
import signal
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from unittest.mock import patch

from twisted.internet.error import ReactorNotRunning
from twisted.internet.testing import EventLoggingObserver, MemoryReactorClock
from twisted.logger import Logger, LogLevel, LogPublisher, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from muxd.tap.process import (
    Handler,
    StartFailure,
    limitLogLevel,
    raiseFileLimit,
    stopOnSignals,
    takeTurns,
)

HANG_UP = ("SIGHUP",) if hasattr(signal, "SIGHUP") else ()
"""What a closed terminal sends, where there is such a thing."""


class StartFailureTests(SynchronousTestCase):
    """
    Tests of L{StartFailure}.
    """

    def test_interpreter(self) -> None:
        """
        The interpreter ends with status 1, and prints nothing itself.
        """
        failure = StartFailure("/s: no luck")
        self.assertIsInstance(failure, SystemExit)
        self.assertEqual(failure.code, 1)

    def test_twistd(self) -> None:
        """
        C{twistd} cleans up after exceptions only, and formats what it tells the
        parent of a daemon as it does here.
        """
        failure = StartFailure("/s: no luck")
        self.assertIsInstance(failure, Exception)
        (line,) = traceback.format_exception_only(StartFailure, failure)
        self.assertEqual(line, "muxd.tap.process.StartFailure: /s: no luck\n")


class _Resource:
    """
    The C{resource} module of a system with these limits.
    """

    RLIMIT_NOFILE = 7

    def __init__(self, soft: int, hard: int, problem: Exception | None = None) -> None:
        self.limits = (soft, hard)
        self.problem = problem
        self.calls = 0

    def getrlimit(self, resource: int, /) -> tuple[int, int]:
        """
        The limits.
        """
        return self.limits

    def setrlimit(self, resource: int, limits: tuple[int, int], /) -> None:
        """
        Change them, or fail.
        """
        self.calls += 1
        if self.problem is not None:
            raise self.problem
        self.limits = limits


class FileLimitTests(SynchronousTestCase):
    """
    Tests of L{raiseFileLimit}.
    """

    def test_raised(self) -> None:
        """
        The soft limit, which is the one that counts, becomes the hard one.
        """
        resource = _Resource(1024, 65536)
        raiseFileLimit(resource)
        self.assertEqual(resource.limits, (65536, 65536))

    def test_raisedAlready(self) -> None:
        """
        Where there is nothing to raise, nothing is changed.
        """
        resource = _Resource(65536, 65536)
        raiseFileLimit(resource)
        self.assertEqual(resource.calls, 0)

    def test_refused(self) -> None:
        """
        A system that does not allow it, as macOS does not allow an infinite
        limit, keeps its limit; the daemon starts all the same.
        """
        for problem in (ValueError("no"), PermissionError(errno.EPERM, "no")):
            resource = _Resource(256, -1, problem)
            raiseFileLimit(resource)
            self.assertEqual((resource.calls, resource.limits), (1, (256, -1)))

    def test_real(self) -> None:
        """
        The real limits of this process can be raised, and lowered again.
        """
        try:
            import resource
        except ImportError:
            # Then there is nothing to raise, and that is no error.
            raiseFileLimit()
            return
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        raiseFileLimit()
        self.assertGreaterEqual(resource.getrlimit(resource.RLIMIT_NOFILE)[0], before[0])

    def test_unknownModule(self) -> None:
        """
        A system without limits, as Windows, is left alone.
        """
        # This is how the import system remembers that there is no such module.
        with patch.dict("sys.modules", {"resource": None}):
            raiseFileLimit()
            self.assertRaises(ImportError, import_module, "resource")


class _Reactor(MemoryReactorClock):
    """
    A reactor that keeps what is to be called in its thread.
    """

    def __init__(self) -> None:
        super().__init__()
        self.turns: list[Callable[[], None]] = []

    def callFromThread(self, call: Callable[[], None]) -> None:
        """
        Keep it.
        """
        self.turns.append(call)


class StopOnSignalsTests(SynchronousTestCase):
    """
    Tests of L{stopOnSignals}.
    """

    def setUp(self) -> None:
        """
        Have handlers for a reactor that has not been started.
        """
        self.handlers: dict[signal.Signals, Handler] = {}
        self.reactor = _Reactor()
        self.before: object = signal.SIG_DFL
        stopOnSignals(self.reactor, self.handlers.__setitem__, lambda number: self.before)

    def test_installed(self) -> None:
        """
        The handlers wait for the reactor, which installs its own when it starts.
        """
        self.assertEqual(self.handlers, {})
        self.reactor.run()
        self.assertEqual({each.name for each in self.handlers}, {"SIGTERM", "SIGINT", *HANG_UP})

    def test_hangUpIgnored(self) -> None:
        """
        A program that was started to outlive its terminal, as by C{nohup}, does so; and one
        that reads its configuration again goes on doing that.
        """
        for before in (signal.SIG_IGN, lambda number, frame: None):
            self.before = before
            self.handlers.clear()
            self.reactor.run()
            self.assertEqual({each.name for each in self.handlers}, {"SIGTERM", "SIGINT"})

    def test_received(self) -> None:
        """
        Each of them stops the reactor, in its own time, and says so.
        """
        log = EventLoggingObserver()
        globalLogPublisher.addObserver(log)
        self.addCleanup(globalLogPublisher.removeObserver, log)
        self.reactor.run()
        for number, handler in self.handlers.items():
            self.reactor.hasStopped = False
            handler(number, None)
            self.assertFalse(self.reactor.hasStopped)
            self.reactor.turns.pop()()
            self.assertTrue(self.reactor.hasStopped)
        self.assertEqual([event["signal"] for event in log], ["SIGTERM", "SIGINT", *HANG_UP])

    def test_twice(self) -> None:
        """
        A signal that comes while the reactor stops already changes nothing.
        """
        self.reactor.run()
        self.handlers[signal.SIGTERM](signal.SIGTERM, None)
        with patch.object(self.reactor, "stop", side_effect=ReactorNotRunning()) as stop:
            self.reactor.turns.pop()()
        stop.assert_called_once_with()


class LogLevelTests(SynchronousTestCase):
    """
    Tests of L{limitLogLevel}.
    """

    def test_limit(self) -> None:
        """
        What is below the level is kept from all who observe already; the level
        itself and what is above it is not.
        """
        first, second = EventLoggingObserver(), EventLoggingObserver()
        publisher = LogPublisher(first, second)
        log = Logger("a daemon", observer=publisher)
        log.debug("seen before")
        limitLogLevel(publisher, LogLevel.info)
        log.debug("not seen")
        log.info("seen")
        log.error("seen, too")
        # As with Twisted's own filter.
        publisher({"log_format": "no level", "log_namespace": "x"})
        publisher({"log_format": "from nowhere", "log_level": LogLevel.error})
        for observer in (first, second):
            self.assertEqual(
                [event["log_format"] for event in observer], ["seen before", "seen", "seen, too"]
            )


class TakingTurnsTests(SynchronousTestCase):
    """
    Tests for L{takeTurns}.
    """

    def test_soon(self) -> None:
        """
        A thread that waits for its turn has it within a millisecond.
        """
        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())
        takeTurns()
        self.assertLess(sys.getswitchinterval(), 0.001)
