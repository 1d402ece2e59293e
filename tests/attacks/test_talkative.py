# -*- test-case-name: tests.attacks.test_talkative -*-
"""
Phones that never stop talking: each message took the reactor a tenth of a millisecond, and there
were as many as their bus carries; and they did not take what they were answered, which waited.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from muxd.lockdown.notifications import MOST, ObserverFactory
from muxd.wifi.heartbeat import AT_ONCE, HeartbeatClient
from muxd.wire.messages import writePlist


def framed(**message: object) -> bytes:
    """
    What a phone says.
    """
    data = writePlist(message)
    return len(data).to_bytes(4, "big") + data


class TalkativeHeartTests(SynchronousTestCase):
    """
    A phone on Wi-Fi that asks whether this host is there.
    """

    def setUp(self) -> None:
        """
        Connect.
        """
        self.clock = Clock()
        self.beats: list[None] = []
        self.heart = HeartbeatClient(
            self.clock, lambda: self.beats.append(None), lambda: None, lambda reason: None
        )
        self.transport = StringTransport()
        self.heart.makeConnection(self.transport)

    def test_asksAllTheTime(self) -> None:
        """
        One that asks more often than any phone does is let go of.
        """
        self.heart.dataReceived(framed(Command="Marco", Interval=10) * 1000)
        self.assertEqual(len(self.beats), AT_ONCE)
        self.assertTrue(self.transport.disconnecting)

    def test_asksOften(self) -> None:
        """
        So many in each second are answered.
        """
        for _ in range(10):
            self.heart.dataReceived(framed(Command="Marco", Interval=10) * AT_ONCE)
            self.clock.advance(1)
        self.assertEqual(len(self.beats), 10 * AT_ONCE)
        self.assertFalse(self.transport.disconnecting)

    def test_doesNotRead(self) -> None:
        """
        One that does not take its answers is not read from, until it does.
        """
        self.heart.pauseProducing()
        self.assertIs(self.transport.producer, self.heart)
        self.assertEqual(self.transport.producerState, "paused")
        self.heart.resumeProducing()
        self.assertEqual(self.transport.producerState, "producing")

    def test_longMessage(self) -> None:
        """
        What is far longer than any question is not read.
        """
        self.heart.dataReceived((1 << 16).to_bytes(4, "big"))
        self.assertTrue(self.transport.disconnecting)


class TalkativeProxyTests(SynchronousTestCase):
    """
    A phone that tells of a tap on its screen.
    """

    def test_tellsAllTheTime(self) -> None:
        """
        After so many the conversation ends; whether the tap has come is found out otherwise.
        """
        told: list[str] = []
        observer = ObserverFactory(["a"], told.append).buildProtocol(None)
        transport = StringTransport()
        observer.makeConnection(transport)
        observer.dataReceived(framed(Command="RelayNotification", Name="a") * 1000)
        self.assertEqual(len(told), MOST)
        self.assertTrue(transport.disconnecting)
