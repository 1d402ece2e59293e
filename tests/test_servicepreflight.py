"""
Tests of L{muxd.service}: preflight, on and off.
"""

from __future__ import annotations

from constantly import NamedConstant
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import LogLevel, formatEvent, globalLogPublisher
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from muxd import service as module
from muxd.interfaces import IDeviceReceiver
from muxd.service import MuxService
from muxd.testing import FakeDevice
from tests.usb.reactors import ThreadedClock


class PreflightTests(SynchronousTestCase):
    """
    Whom sources tell of their phones.
    """

    def setUp(self) -> None:
        """
        Watch the log.
        """
        self.log = EventLoggingObserver()
        globalLogPublisher.addObserver(self.log)
        self.addCleanup(globalLogPublisher.removeObserver, self.log)
        self.receivers: list[IDeviceReceiver] = []
        self.reactor = ThreadedClock()

    def service(self, preflight: bool, configDir: str | None = None) -> MuxService:
        """
        A service whose source remembers whom it would tell.
        """

        def source(receiver: IDeviceReceiver) -> None:
            self.receivers.append(receiver)

        made = MuxService(
            self.reactor,
            sources=[source],  # type: ignore[list-item]  # nobody starts it
            configDir=configDir or self.mktemp(),
            preflight=preflight,
        )
        made.sources.clear()
        return made

    def isSeenAtOnce(self, service: MuxService) -> bool:
        """
        Whether clients see a phone as soon as a source has attached it.
        """
        (receiver,) = self.receivers
        device = FakeDevice(self.reactor)
        receiver.deviceAttached(device)
        attached = service.registry.findByUDID(device.identity.udid)
        seen = bool(service.registry.attached())
        self.assertIsNotNone(attached)
        receiver.deviceDetached(device)
        return seen

    def stop(self, service: MuxService) -> None:
        """
        Stop it, which waits for its threads.
        """
        stopped = service.stopService()
        self.reactor.pumpUntil(lambda: stopped.called)
        self.successResultOf(stopped)

    def warnings(self) -> list[str]:
        """
        What was logged as a warning.
        """
        return self.logged(LogLevel.warn)

    def errors(self) -> list[str]:
        """
        What was logged as an error.
        """
        return self.logged(LogLevel.error)

    def logged(self, level: NamedConstant) -> list[str]:
        """
        What was logged at a level.
        """
        return [str(formatEvent(event)) for event in self.log if event["log_level"] is level]

    def test_off(self) -> None:
        """
        Without it phones are seen at once.
        """
        service = self.service(False)
        self.assertTrue(self.isSeenAtOnce(service))
        service.startService()
        self.assertEqual(self.warnings(), [])

    def test_on(self) -> None:
        """
        With it they are asked for their trust first.
        """
        service = self.service(True)
        self.assertFalse(self.isSeenAtOnce(service))
        service.startService()
        self.assertEqual(self.warnings(), [])
        self.stop(service)

    def test_notInstalled(self) -> None:
        """
        Without the extra they are seen at once, and the log says so.
        """
        self.patch(module, "recordMaker", lambda reactor: None)
        service = self.service(True)
        self.assertTrue(self.isSeenAtOnce(service))
        service.startService()
        (line,) = self.warnings()
        self.assertIn("the extra pairing", line)
        self.stop(service)

    def test_check(self) -> None:
        """
        At the start it is looked whether pair records can be written.
        """
        directory = FilePath(self.mktemp())
        directory.setContent(b"not a directory")
        service = self.service(True, directory.path)
        service.startService()
        self.stop(service)
        (line,) = self.errors()
        self.assertRegex(line, "^pair records in .* cannot be used by uid")
