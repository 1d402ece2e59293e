"""
Tests of L{muxd.service}: preflight, on and off.
"""

from __future__ import annotations

from twisted.internet.testing import EventLoggingObserver, MemoryReactorClock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from muxd import service as module
from muxd.interfaces import IDeviceReceiver
from muxd.server.welcome import Welcome
from muxd.service import MuxService


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

    def service(self, preflight: bool) -> MuxService:
        """
        A service whose source remembers whom it would tell.
        """

        def source(receiver: IDeviceReceiver) -> None:
            self.receivers.append(receiver)

        made = MuxService(
            MemoryReactorClock(),
            sources=[source],  # type: ignore[list-item]  # nobody starts it
            configDir=self.mktemp(),
            preflight=preflight,
        )
        made.sources.clear()
        return made

    def warnings(self) -> list[str]:
        """
        What was logged as a warning.
        """
        return [str(event["log_format"]) for event in self.log if event["log_level"].name == "warn"]

    def test_off(self) -> None:
        """
        Without it phones go to the registry.
        """
        service = self.service(False)
        self.assertEqual(self.receivers, [service.registry])
        service.startService()
        self.assertEqual(self.warnings(), [])

    def test_on(self) -> None:
        """
        With it they are welcomed first.
        """
        service = self.service(True)
        (receiver,) = self.receivers
        self.assertIsInstance(receiver, Welcome)
        service.startService()
        self.assertEqual(self.warnings(), [])
        self.successResultOf(service.stopService())

    def test_notInstalled(self) -> None:
        """
        Without the extra they go to the registry, and the log says so.
        """
        self.patch(module, "recordMaker", lambda reactor: None)
        service = self.service(True)
        self.assertEqual(self.receivers, [service.registry])
        service.startService()
        (line,) = self.warnings()
        self.assertIn("muxd[pairing]", line)
