"""
What the tests of the source have in common.
"""

from __future__ import annotations

import threading
from typing import Any

from constantly import NamedConstant
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from muxd.interfaces import IDevice
from muxd.phone.bus.profiles import iPhone
from muxd.phone.bus.simulated import SimulatedBus
from muxd.usb.settings import USBSettings
from muxd.usb.source import USBSource
from muxd.usb.threaded import link as threads
from tests.usb.phones import Receiver, TalkingPhone
from tests.usb.reactors import DEADLINE, ThreadedClock


class SourceTestCase(SynchronousTestCase):
    """
    A source on a bus with one phone.
    """

    def setUp(self) -> None:
        """
        Make them; the source is always stopped at the end.
        """
        self.patch(threads, "READ_TIMEOUT", 20)
        self.reactor = ThreadedClock()
        self.bus = SimulatedBus()
        self.phone = TalkingPhone(iPhone())
        self.bus.plug(self.phone)
        self.receiver = Receiver()
        self.events = self.enterContext(capturedLogs())
        self.source = self.build()
        self.addCleanup(self.stop)

    def build(self, **settings: Any) -> USBSource:
        """
        A source that looks at the bus only when the test says so.
        """
        return USBSource(
            self.reactor,
            self.receiver,
            "usb",
            loadBackend=lambda: self.bus,
            settings=USBSettings(**{"poll": DEADLINE * 4, "engine": "threads", **settings}),
        )

    def stop(self) -> None:
        """
        Stop the source, and see that nothing of it is left.
        """
        stopped = self.source.stopService()
        for each in self.bus.attachments:
            each.release()
        self.reactor.pumpUntil(lambda: stopped.called)
        self.assertEqual([], self.threads())
        self.assertEqual([], self.reactor.getDelayedCalls())

    def threads(self) -> list[str]:
        """
        Those of the source.
        """
        return [each.name for each in threading.enumerate() if each.name.startswith("usb-")]

    def logged(self, text: str, level: NamedConstant | None = None) -> list[str]:
        """
        What was logged with this text, at one level or at any.
        """
        lines = [
            event["log_format"].format(**event)
            for event in self.events
            if "muxd.usb" in event["log_namespace"] and level in (None, event["log_level"])
        ]
        return [line for line in lines if text in line]

    def attach(self) -> IDevice:
        """
        Start, and wait for the phone.
        """
        self.source.startService()
        self.reactor.pumpUntil(lambda: self.receiver.attached)
        [device] = self.receiver.attached
        return device

    def polling(self, until: Any) -> Any:
        """
        A condition that looks at the bus again each time.
        """

        def condition() -> Any:
            self.source.pollNow()
            return until()

        return condition

    def awaitEnded(self) -> None:
        """
        Wait until the phone has been let go of.
        """
        self.reactor.pumpUntil(lambda: not self.source._phones)
