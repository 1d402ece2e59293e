"""
Tests for L{bench.soak.presence}.
"""

from __future__ import annotations

from collections import Counter

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from bench.soak.connection import Wrong
from bench.soak.presence import Presence


class PresenceTests(SynchronousTestCase):
    """
    Tests of L{Presence}.
    """

    def setUp(self) -> None:
        """
        One phone is here.
        """
        self.pulled: Counter[str] = Counter()
        self.presence = Presence(self.pulled)
        self.attach(1, "A")

    def attach(self, deviceID: int, udid: str) -> None:
        """
        Tell of a phone that comes.
        """
        self.presence.told(
            {
                "MessageType": "Attached",
                "DeviceID": deviceID,
                "Properties": {"SerialNumber": udid},
            }
        )

    def detach(self, deviceID: int) -> None:
        """
        Tell that a phone goes.
        """
        self.presence.told({"MessageType": "Detached", "DeviceID": deviceID})

    def test_comesAndGoes(self) -> None:
        """
        The phones that are here are the sum of the events.
        """
        self.pulled["A"] += 1
        self.detach(1)
        self.attach(2, "A")
        self.attach(3, "B")
        self.presence.told({"MessageType": "Paired", "DeviceID": 3})
        self.assertEqual(self.presence.present, {2: "A", 3: "B"})
        self.assertEqual(self.presence.attached, {"A": 2, "B": 1})
        self.assertEqual(self.presence.detached, {"A": 1})

    def test_impossible(self) -> None:
        """
        What cannot follow is noticed: a number that is used again, a phone that is
        here twice or was not here, an event that is none.
        """
        self.assertRaises(Wrong, self.attach, 1, "B")
        self.assertRaises(Wrong, self.attach, 2, "A")
        self.assertRaises(Wrong, self.detach, 7)
        self.assertRaises(Wrong, self.presence.told, {"MessageType": "Result", "Number": 0})
        self.assertRaises(Wrong, self.presence.told, {"MessageType": "Lost", "DeviceID": 1})
        self.pulled["A"] += 1
        self.detach(1)
        self.assertRaises(Wrong, self.attach, 1, "A")

    def test_lost(self) -> None:
        """
        A phone that goes oftener than it was pulled out was lost by the daemon.
        """
        self.assertRaises(Wrong, self.detach, 1)

    def test_excuse(self) -> None:
        """
        Whether a phone has gone is known at once, when it goes, or after a while.
        """
        clock = Clock()
        self.attach(2, "B")
        first = self.presence.hasGone(1, clock, 10)
        second = self.presence.hasGone(2, clock, 10)
        self.assertNoResult(first)
        self.pulled["A"] += 1
        self.detach(1)
        self.assertIs(self.successResultOf(first), True)
        self.assertIs(self.successResultOf(self.presence.hasGone(1, clock, 10)), True)
        clock.advance(10)
        self.assertIs(self.successResultOf(second), False)
        self.assertEqual(clock.getDelayedCalls(), [])
