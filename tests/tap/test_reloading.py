"""
Tests of L{muxd.tap.reloading}.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.logger import formatEvent
from twisted.python.monkey import MonkeyPatcher
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from muxd.net.socketfile import CannotListen
from muxd.status.actions import Values
from muxd.status.answers import RequestError
from muxd.tap import pidlock, usbmuxd
from muxd.tap.pidlock import PidLock
from muxd.tap.reloading import CannotReload, Reloaded, ReloadingService, reloadAction
from muxd.tap.usbmuxd import LockedService
from tests.server.serving import observeLog
from tests.tap.options import UsbmuxdTestCase


class ReloadingTests(UsbmuxdTestCase):
    """
    A daemon with a configuration file.
    """

    def setUp(self) -> None:
        """
        Start it.
        """
        super().setUp()
        self.path = Path(self.mktemp())
        self.path.write_text('listen = ["tcp:5"]\nstatus = "none"')
        self.options.parseOptions(["--config", str(self.path), "-s", "simulated"])
        self.service = self.options.service
        self.told = observeLog(self)

    def lines(self) -> list[str]:
        """
        What has been logged of it.
        """
        return [
            str(formatEvent(event))
            for event in self.told
            if "configuration" in (event.get("log_format") or "")
        ]

    def places(self) -> list[str]:
        """
        Where clients connect.
        """
        return [listening.description for listening in self.service.listening]

    def test_reload(self) -> None:
        """
        What has changed of the places is taken on; of the rest it is said that it changes
        at the next start.
        """
        self.path.write_text(
            'listen = ["tcp:5", "tcp:6"]\nstatus = "none"\ngrace = 3\nconfig-dir = "/x"'
        )
        self.assertEqual(self.service.reload(), Reloaded(2, ("source", "config-dir", "limits")))
        self.assertEqual(self.places(), ["tcp:5", "tcp:6"])
        self.assertEqual(
            self.lines(),
            [
                "configuration read again, 2 listening addresses; at the next start: source,"
                " config-dir, limits"
            ],
        )

    def test_process(self) -> None:
        """
        So it is said of what the process does.
        """
        self.path.write_text(
            'listen = ["tcp:5"]\nstatus = "none"\ncapture = "/x"\nverbose = true\n'
            'log-format = "json"'
        )
        later = ("capture", "log-format", "verbose")
        self.assertEqual(self.service.reload(), Reloaded(1, later))

    def test_nothingNew(self) -> None:
        """
        A file that has not changed changes nothing.
        """
        self.assertEqual(self.service.reload(), Reloaded(1))
        self.assertEqual(self.lines(), ["configuration read again, 1 listening addresses"])

    def test_mistake(self) -> None:
        """
        A mistake changes nothing, and is one line.
        """
        for text in ("listen = ['tcp:6'", "listen = ['tcp:x']", "lisen = []", "grace = -1"):
            self.path.write_text(text)
            error = self.assertRaises(CannotReload, self.service.reload)
            self.assertNotIn("\n", str(error))
            self.assertEqual(self.lines().pop(), f"the configuration stays as it was: {error}")
            self.assertEqual(self.places(), ["tcp:5"])
        self.path.unlink()
        self.assertRaises(CannotReload, self.service.reload)

    def test_systemd(self) -> None:
        """
        Systemd is told when it begins, and when it is over.
        """
        told: list[str] = []
        manager: Any = self.service.manager
        self.patch(manager, "reloading", lambda: told.append("reloading"))
        self.patch(manager, "ready", lambda: told.append("ready"))
        self.service.reload()
        self.path.write_text("x")
        self.assertRaises(CannotReload, self.service.reload)
        self.assertEqual(told, ["reloading", "ready"] * 2)

    def test_signal(self) -> None:
        """
        SIGHUP has it read again, and survives a mistake.
        """
        if not hasattr(signal, "SIGHUP"):
            raise SkipTest("this system has no such signal")
        installed: dict[signal.Signals, Any] = {}
        reactor: Any = self.reactor
        reactor.callFromThread = lambda call: reactor.callLater(0, call)
        self.service.reloadOnSignal(installed.__setitem__)
        reactor.run()
        for text, expected in (
            ("status='none'\nlisten = ['tcp:7']", ["tcp:7"]),
            ("nonsense", ["tcp:7"]),
        ):
            self.path.write_text(text)
            installed[signal.SIGHUP](signal.SIGHUP, None)
            self.reactor.advance(0)
            self.assertEqual(self.places(), expected)

    def test_noFile(self) -> None:
        """
        Without a file there is nothing to read, and the signal is left alone.
        """
        service = ReloadingService(MemoryReactorClock())
        error = self.assertRaises(CannotReload, service.reload)
        self.assertIn("start with --config FILE", str(error))
        installed: dict[signal.Signals, Any] = {}
        service.reloadOnSignal(installed.__setitem__)
        self.assertEqual(installed, {})


def held(lock: PidLock) -> None:
    """
    What comes of an attempt to take a lock that the C daemon has.
    """
    raise CannotListen(f"{lock}: the C daemon has it")


class ActionTests(UsbmuxdTestCase):
    """
    What an operator asks for at the status socket.
    """

    def test_added(self) -> None:
        """
        The daemon has the actions.
        """
        self.options.parseOptions(["-l", "unix:/run/muxd-x", "-s", "simulated"])
        status = self.options.service.status
        assert status is not None
        self.assertLessEqual({"release", "take", "reload"}, set(status._actions))

    def test_answers(self) -> None:
        """
        What has come of it, or why nothing has.
        """
        path = Path(self.mktemp())
        path.write_text('listen = ["tcp:5"]\nstatus = "none"')
        self.options.parseOptions(["--config", str(path), "-s", "simulated"])
        perform: Any = reloadAction(self.options.service).perform
        path.write_text('listen = ["tcp:5", "tcp:6"]\nstatus = "none"\ngrace = 3')
        self.assertEqual(perform(Values({})), {"listening": 2, "later": ["limits"]})
        path.write_text("x")
        error = self.assertRaises(RequestError, perform, Values({}))
        self.assertEqual((error.status, error.remedy), (409, "nothing has changed"))
        self.assertTrue(error.text.startswith(str(path.absolute())), error.text)


class LockTests(SynchronousTestCase):
    """
    The C daemon's lock when its place comes or goes.
    """

    def setUp(self) -> None:
        """
        Have a place of the C daemon's, and a daemon that listens elsewhere.
        """
        directory = os.path.abspath(self.mktemp())
        os.makedirs(directory)
        self.place, self.elsewhere = (os.path.join(directory, name) for name in "pe")
        self.lockPath = os.path.join(directory, "pid")
        self.patch(
            usbmuxd,
            "isPlaceOfC",
            lambda paths: pidlock.isPlaceOfC(list(paths), self.place),
        )
        self.patch(usbmuxd, "withstandSignals", lambda: None)
        self.service = LockedService(MemoryReactorClock(), listen=[f"unix:{self.elsewhere}"])
        self.service.pidLock = PidLock(self.lockPath)
        self.service.running = True
        self.addCleanup(self.service.pidLock.release)

    def test_comesAndGoes(self) -> None:
        """
        The lock is held exactly while it is listened there.
        """
        for listen, isHeld in (
            ([self.place], True),
            ([self.place, self.elsewhere], True),
            ([self.elsewhere], False),
            ([], False),
        ):
            self.service.changeListening([f"unix:{path}" for path in listen])
            self.assertEqual(self.service.pidLock.isHeld, isHeld, listen)

    def test_refused(self) -> None:
        """
        Where the C daemon has the lock, nothing changes; and a change that fails for
        another reason leaves the lock as it was.
        """
        with MonkeyPatcher((PidLock, "take", held)):
            self.assertRaises(CannotListen, self.service.changeListening, [f"unix:{self.place}"])
        self.assertEqual(self.service.socketPaths, [self.elsewhere])
        self.assertRaises(ValueError, self.service.changeListening, [f"unix:{self.place}", "x"])
        self.assertFalse(self.service.pidLock.isHeld)
