# -*- test-case-name: tests.status.test_heartbeat -*-
"""
Tests of L{muxd.status.heartbeat}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.device.muxer import Muxer
from muxd.status.heartbeat import KEPT, RECENT, Heartbeat
from tests.device.links import ScriptedPhone


class HeartbeatTests(SynchronousTestCase):
    """
    A heart that beats once a second.
    """

    def setUp(self) -> None:
        """
        Have a phone and a heart.
        """
        self.clock = Clock()
        self.phone = ScriptedPhone.ready()
        self.muxers: list[Muxer] = [self.phone.muxer]
        self.phone.muxer.counters.bytesSent = 100
        self.heartbeat = Heartbeat(self.clock, lambda: self.muxers)
        self.heartbeat.start()

    def test_carried(self) -> None:
        """
        Each beat has what was carried since the one before.
        """
        counters = self.phone.muxer.counters
        counters.bytesSent += 5
        counters.bytesReceived += 7
        self.clock.advance(1)
        self.clock.advance(1)
        carried = [(beat.toPhones, beat.fromPhones) for beat in self.heartbeat.beats]
        self.assertEqual(carried, [(5, 7), (0, 0)])

    def test_phones(self) -> None:
        """
        A phone that goes takes nothing away, and one that comes begins with what it has
        carried.
        """
        self.muxers.clear()
        self.clock.advance(1)
        other = ScriptedPhone.ready().muxer
        other.counters.bytesReceived = 9
        self.muxers.append(other)
        self.clock.advance(1)
        carried = [(beat.toPhones, beat.fromPhones) for beat in self.heartbeat.beats]
        self.assertEqual(carried, [(0, 0), (0, 9)])

    def test_late(self) -> None:
        """
        It is known how late the reactor was, for a minute.
        """
        self.clock.advance(1)
        self.assertEqual(self.heartbeat.lateness, 0.0)
        self.clock.advance(3.5)
        self.assertEqual(self.heartbeat.lateness, 2.5)
        for _ in range(RECENT):
            self.clock.advance(1)
        self.assertEqual(self.heartbeat.lateness, 0.0)

    def test_kept(self) -> None:
        """
        Five minutes are kept, and no more.
        """
        for _ in range(KEPT + 10):
            self.clock.advance(1)
        self.assertEqual(len(self.heartbeat.beats), KEPT)

    def test_stop(self) -> None:
        """
        It stops, and leaves no timer; twice is as good as once.
        """
        self.heartbeat.start()
        self.heartbeat.stop()
        self.heartbeat.stop()
        self.assertEqual((self.clock.getDelayedCalls(), self.heartbeat.lateness), ([], 0.0))
