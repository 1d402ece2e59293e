# -*- test-case-name: tests.tap.test_process -*-
"""
What a daemon does to its own process, and an embedded service must not.
"""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib import import_module
from types import FrameType
from typing import Any, Protocol

from constantly import NamedConstant
from twisted.internet.base import DelayedCall, ReactorBase
from twisted.internet.error import ReactorNotRunning
from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, LogPublisher
from zope.interface import implementer

from muxd.net.eventloop import loopOf

# Payloads of 16 to 64 KiB are allocated and freed at the top of the heap all the
# time.  glibc gives such pages back to the kernel at once, and then faults them in
# again, one by one: the largest single cost of a download (docs/performance.md).
# Keeping them makes a process no larger than it has been already.
M_TRIM_THRESHOLD = -1
M_TOP_PAD = -2
M_MMAP_THRESHOLD = -3

SETTINGS = (
    (M_TRIM_THRESHOLD, 256 << 20),
    (M_MMAP_THRESHOLD, 32 << 20),
    (M_TOP_PAD, 16 << 20),
)


def keepFreedMemory(
    libc: Callable[[], tuple[str, str]] = platform.libc_ver,
    load: Callable[[None], ctypes.CDLL] = ctypes.CDLL,
) -> bool:
    """
    Tell glibc to keep what is freed, for the whole process: for a daemon, which
    is alone in its process, and not for a library to decide.

    @return: Whether this C library has such settings, and has taken them.
    """
    if libc()[0] != "glibc":
        return False
    mallopt = load(None).mallopt
    taken = [mallopt(name, value) == 1 for name, value in SETTINGS]
    return all(taken)


_log = Logger()


class StartFailure(SystemExit, Exception):
    """
    The end of a start that cannot succeed: one line for the person and exit
    status 1, without a traceback.

    It is a C{SystemExit}, so that the interpreter ends quietly, and it is an
    C{Exception}, because C{twistd} removes its pid file, and tells the waiting
    parent of a daemon why, for exceptions alone.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(1)
        self.reason = reason

    def __str__(self) -> str:
        """
        What C{twistd} tells the parent of a daemon.
        """
        return self.reason


def importNow(modules: Iterable[str]) -> None:
    """
    Import modules, but for those that are not installed.
    """
    for module in modules:
        try:
            import_module(module)
        except ImportError as error:
            _log.debug("{module} is not there: {error}", module=module, error=error)


DESCRIPTORS = "/dev/fd"
"""A directory with a name for each open descriptor."""

FIRST_OTHERS = 3
"""Before it are input, output and errors."""


def isListening(descriptor: int) -> bool:
    """
    Whether a descriptor is a socket that listens.
    """
    copy = os.dup(descriptor)
    try:
        found = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        return False
    with found:
        return bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def closeInherited(directory: str = DESCRIPTORS) -> int:
    """
    Close what the program that started this one has left open, but for the first three
    descriptors and sockets that listen, which systemd passes: a file that root may read
    would stay readable after privileges are given up.

    What systemd says of them in the environment is not there any more: Twisted has taken it.

    What Python opens is closed when a program is started; so what is not marked like that
    has come from outside.

    @return: How many were closed.
    """
    closed = 0
    try:
        numbers = [int(name) for name in os.listdir(directory) if name.isdecimal()]
    except OSError:
        return 0  # Windows
    for number in numbers:
        with suppress(OSError):
            isOthers = number >= FIRST_OTHERS and os.get_inheritable(number)
            if isOthers and not isListening(number):
                os.close(number)
                closed += 1
    return closed


class _Resource(Protocol):
    """
    What is used of the C{resource} module, which Windows does not have.
    """

    RLIMIT_NOFILE: int

    def getrlimit(self, resource: int, /) -> tuple[int, int]:
        """
        The soft and the hard limit.
        """

    def setrlimit(self, resource: int, limits: tuple[int, int], /) -> None:
        """
        Change them.
        """


def raiseFileLimit(resource: _Resource | None = None) -> None:
    """
    Raise the soft limit of open files, which is 1024 on most systems, to the
    hard one: each connection of a client is one file, and a rack of phones has
    thousands.

    @param resource: The module of that name; C{None} means the real one, if
        there is one.
    """
    if resource is None:
        try:
            import resource as found
        except ImportError:
            return
        resource = found
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        # macOS calls its hard limit infinite and refuses it as a soft one.
        _log.debug("the limit of open files stays at {soft}: {error}", soft=soft, error=error)
    else:
        _log.debug("limit of open files raised from {soft} to {hard}", soft=soft, hard=hard)


def collectLess() -> None:
    """
    Let Python look for unreachable cycles less often, and not among what was
    there when the daemon started: a connection leaves none of them, and looking
    through thousands of idle sessions costs more than they are worth.

    Those that there are come of requests that plistlib has to parse.  With 2,000 objects a
    look at the youngest takes 0.7 ms, with 10,000 it took 8 ms; what such requests cost
    altogether is the same.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(2_000, 20, 50)


TAKING_TURNS = 0.0005
"""Seconds after which a thread that runs Python lets another one, if that waits."""


def takeTurns() -> None:
    """
    Let the reactor have its turn soon when other threads run: with Python's own five
    milliseconds, thirty phones that are plugged in at once, two threads each, kept it
    waiting for a tenth of a second.
    """
    sys.setswitchinterval(TAKING_TURNS)


def waitOnLoop(reactor: object) -> None:
    """
    Have the reactor wait on its event loop, where the bytes of phones and of their clients
    are moved, which costs it no turn then (L{muxd.net.eventloop}); where it cannot, all stays
    as it is.
    """
    loop = loopOf(reactor)
    if loop is not None and not loop.goAround():
        _log.debug("this version of Twisted has another reactor: it is served in turns")


def useSteadyTime(reactor: object, steady: Callable[[], float] = time.monotonic) -> None:
    """
    Have the reactor's timers go by a clock that nothing sets.

    Twisted's go by the time of day: when that is set back by an hour, whatever was about
    to happen happens an hour later, and what is to be over in five seconds is not over.

    What a service has read of the clock before is worth nothing afterwards: none asks for the
    time when it is made.

    @param reactor: Changed if it is one of Twisted's own; a test's clock is steady.
    @param steady: Seconds of that clock.
    """
    if not isinstance(reactor, ReactorBase) or reactor.seconds is steady:
        return
    before = reactor.seconds()
    for call in reactor.getDelayedCalls():
        assert isinstance(call, DelayedCall)
        left = call.getTime() - before
        call.seconds = steady
        call.reset(max(0.0, left))
    reactor.seconds = steady


Handler = Callable[[int, FrameType | None], object]


def stopOnSignals(
    reactor: Any,
    install: Callable[[signal.Signals, Handler], object] = signal.signal,
    installed: Callable[[signal.Signals], object] = signal.getsignal,
) -> None:
    """
    Let SIGTERM and SIGINT be ordinary ends, with exit status 0, once C{reactor}
    runs; and SIGHUP, which comes when a terminal is closed, unless it is ignored, as
    C{nohup} has it.

    C{twistd} tidies up and then dies of the signal that it was stopped with,
    which a supervisor or a container's runtime takes for a crash.  Of SIGHUP it knows
    nothing: the process would be gone at once, and its sockets and pid file be left.

    @param reactor: Provides C{IReactorCore} and C{IReactorFromThreads}.
    @param install: C{signal.signal}, but in tests.
    @param installed: C{signal.getsignal}, but in tests.
    """

    def stop() -> None:
        # An impatient person has sent a second signal.
        with suppress(ReactorNotRunning):
            reactor.stop()

    def received(number: int, frame: FrameType | None) -> None:
        _log.info("received {signal}, stopping", signal=signal.Signals(number).name)
        reactor.callFromThread(stop)

    def installAll() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            install(number, received)
        hangUp = getattr(signal, "SIGHUP", None)  # not on Windows
        if hangUp is not None and installed(hangUp) is signal.SIG_DFL:
            install(hangUp, received)

    # A reactor that starts installs handlers of its own before this is called.
    reactor.callWhenRunning(installAll)


def limitLogLevel(publisher: LogPublisher, level: NamedConstant) -> None:
    """
    Keep what is below C{level} from all that observe C{publisher} now.

    C{twistd} has no log level of its own and shows all there is, C{debug} too.
    It chooses its observers by itself, from options that are none of ours, and
    there is no public way to come between.

    @param publisher: C{twisted.logger.globalLogPublisher}, but in tests.
    """
    for observer in list(publisher._observers):
        publisher.removeObserver(observer)
        publisher.addObserver(_LevelObserver(observer, level))


@implementer(ILogObserver)
class _LevelObserver:
    """
    Tells another observer of events that have a level, from a certain one on: as a
    C{FilteringLogObserver} with a C{LogLevelFilterPredicate}, which takes as long as all the
    rest that a line costs.
    """

    def __init__(self, observer: ILogObserver, lowest: NamedConstant) -> None:
        self._observer = observer
        self._shown = frozenset(level for level in LogLevel.iterconstants() if level >= lowest)

    def __call__(self, event: LogEvent) -> None:
        """
        Pass it on, if it has a namespace as well.
        """
        if event.get("log_level") in self._shown and event.get("log_namespace"):
            self._observer(event)
