"""
Tests of L{muxd.tap.capturefile}.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import globalLogPublisher
from twisted.python import usage
from twisted.trial.unittest import TestCase

from muxd.net.socketfile import CannotListen
from muxd.tap import master
from muxd.tap.capturefile import CannotCapture, CapturingService, captureFromOption
from muxd.tap.process import StartFailure
from tests.capture.reader import CaptureFile
from tests.tap.options import UsbmuxdTestCase


class CapturingServiceTests(TestCase):
    """
    A daemon that captures.
    """

    def setUp(self) -> None:
        """
        Make one without phones.
        """
        self.path = Path(self.mktemp())
        self.service = CapturingService(reactor, configDir=self.mktemp())
        self.service.captureFile = str(self.path)
        self.log = EventLoggingObserver()
        globalLogPublisher.addObserver(self.log)
        self.addCleanup(globalLogPublisher.removeObserver, self.log)

    async def test_file(self) -> None:
        """
        The file is there when the daemon has stopped, and the log says that there is one.
        """
        self.service.startService()
        await self.service.stopService()
        self.assertEqual(len(CaptureFile(self.path.read_bytes()).blocks), 1)
        [warning] = [each for each in self.log if "path" in each]
        self.assertEqual(warning["path"], str(self.path))

    async def test_again(self) -> None:
        """
        A daemon that is started again captures again.
        """
        for _ in range(2):
            self.service.startService()
            await self.service.stopService()
            self.assertEqual(len(CaptureFile(self.path.read_bytes()).blocks), 1)

    async def test_cannotListen(self) -> None:
        """
        Where the daemon cannot start, an earlier capture of that name is left as it is.
        """
        self.path.write_bytes(b"earlier")
        service = CapturingService(reactor, listen=["unix:/nowhere/at/all"])
        service.captureFile = str(self.path)
        self.assertRaises(CannotListen, service.startService)
        self.assertEqual(self.path.read_bytes(), b"earlier")

    def test_cannotOpen(self) -> None:
        """
        A file that cannot be opened is named with its reason.
        """
        os.mkdir(self.path)
        error = self.assertRaises(CannotCapture, self.service.privilegedStartService)
        self.assertEqual(str(error), f"--capture {self.path}: Is a directory")

    async def test_failed(self) -> None:
        """
        When the file cannot be written any more, that is said, and the daemon goes on.
        """
        self.service.startService()
        self.service._captureFailed(OSError(28, "No space left on device"))
        [error] = [each for each in self.log if each["log_level"].name == "error"]
        self.assertIn(
            "No space left on device; the daemon goes on", error["log_format"].format(**error)
        )
        await self.service.stopService()

    async def test_nothing(self) -> None:
        """
        A daemon that was not told to captures nothing, and has no thread for it.
        """
        self.service.captureFile = None
        self.service.startService()
        await self.service.stopService()
        self.assertFalse(self.path.exists())


class OptionTests(UsbmuxdTestCase):
    """
    The option.
    """

    def test_option(self) -> None:
        """
        C{--capture} names a file, from where the daemon is started.
        """
        self.options.parseOptions(["--capture", "x.pcapng"])
        self.assertEqual(self.options.service.captureFile, os.path.abspath("x.pcapng"))

    def test_without(self) -> None:
        """
        Without it there is none.
        """
        self.options.parseOptions([])
        self.assertIsNone(self.options.service.captureFile)

    def test_wrong(self) -> None:
        """
        What cannot be a file is refused before anything starts.
        """
        for wrong in ("", "/nowhere/at/all/x"):
            self.assertRaises(ValueError, captureFromOption, wrong)
            self.assertRaises(usage.UsageError, self.options.parseOptions, ["--capture", wrong])

    def test_start(self) -> None:
        """
        A file that cannot be opened is the end of a start, with one line.
        """
        for name in ("raiseFileLimit", "keepFreedMemory"):
            self.patch(master, name, lambda: None)
        self.options.parseOptions(["--capture", "/dev/null", "-s", "simulated"])
        error = self.assertRaises(StartFailure, self.options.service.privilegedStartService)
        self.assertEqual(str(error), "--capture /dev/null: expected a regular file")
