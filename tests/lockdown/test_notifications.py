"""
Tests of L{muxd.lockdown.notifications}, with a simulated phone's proxy.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.lockdown.notifications import ObserverFactory
from muxd.phone.services.inet import ServiceFactory
from muxd.phone.services.notifications import NotificationProxy
from tests.lockdown.phones import NearDevice


class NotificationObserverTests(SynchronousTestCase):
    """
    Being told.
    """

    def test_observes(self) -> None:
        """
        What was asked for is told, and nothing else.
        """
        device = NearDevice(Clock())
        notices = device.phone.notices
        device.phone.services[1] = ServiceFactory(lambda: NotificationProxy(notices))
        told: list[str] = []
        device.endpoint(1).connect(ObserverFactory(["a", "b"], told.append))
        device.flush()
        for name in ("a", "c", "b"):
            notices.post(name)
        device.flush()
        self.assertEqual(told, ["a", "b"])
