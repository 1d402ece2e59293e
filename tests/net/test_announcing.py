# -*- test-case-name: tests.net.test_announcing -*-
"""
Tests of L{muxd.net.announcing}.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from muxd.net import announcing
from muxd.net.announcing import SERVICE, Announcing
from muxd.net.listening import ListeningEndpoint
from tests.client.hosts import logOf


class FakeAnnouncement:
    """
    An announcement that begins when a test says so.
    """

    def __init__(self, reactor: object, port: int) -> None:
        self.told: list[object] = [port]
        self.started: Deferred[None] = Deferred()

    def start(self, address: str, port: int) -> Deferred[None]:
        """
        Begin.
        """
        self.told.append((address, port))
        return self.started

    def stop(self) -> Deferred[None]:
        """
        End.
        """
        self.told.append("stop")
        return succeed(None)


class AnnouncingTests(SynchronousTestCase):
    """
    Tests of L{Announcing}.
    """

    def setUp(self) -> None:
        """
        A place.
        """
        self.made: list[FakeAnnouncement] = []
        self.announcing = Announcing(None, "tcp:5000", self.make)

    def make(self, reactor: object, port: int) -> FakeAnnouncement:
        """
        One that is looked at.
        """
        self.made.append(FakeAnnouncement(reactor, port))
        return self.made[-1]

    def test_life(self) -> None:
        """
        It is announced until it is stopped, and that is said; and again when it is started again.
        """
        events = logOf(self)
        self.successResultOf(self.announcing.stop())
        for _ in range(2):
            self.announcing.start("192.0.2.1", 5000)
            self.made[-1].started.callback(None)
            self.successResultOf(self.announcing.stop())
            self.successResultOf(self.announcing.stop())
        self.assertEqual(
            [each.told for each in self.made], [[5000, ("192.0.2.1", 5000), "stop"]] * 2
        )
        self.assertEqual([one.get("service") for one in events], [SERVICE] * 2)

    def test_fails(self) -> None:
        """
        That it cannot be announced is said, and harms nothing.
        """
        events = logOf(self)
        self.announcing.start("192.0.2.1", 5000)
        self.made[0].started.errback(OSError("no network"))
        self.assertEqual([one.get("reason") for one in events], ["no network"])

    def test_place(self) -> None:
        """
        A place that is to be announced is while it is open, at the address that its port has.
        """
        self.patch(announcing.Announcing.__init__, "__defaults__", (self.make,))
        listening = ListeningEndpoint.fromDescription(
            MemoryReactorClock(), "tcp:5000:announce=yes", mayAnnounce=True
        )
        self.assertEqual(self.made, [])
        listening.open(Factory(), lambda error: None)
        self.successResultOf(listening.close())
        told = [each.told[1:] for each in self.made]
        self.assertEqual(told, [[("0.0.0.0", 5000), "stop"]])

    def test_otherPlaces(self) -> None:
        """
        What is no place of a usbmuxd's clients is not announced as one.
        """
        error = self.assertRaises(
            ValueError,
            ListeningEndpoint.fromDescription,
            MemoryReactorClock(),
            "tcp:5000:announce=yes",
        )
        self.assertIn("leave out announce=yes", str(error))
