"""
Tests of L{muxd.phone.services.heartbeat}.
"""

from __future__ import annotations

import plistlib
from struct import pack
from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from muxd.lockdown.plists import PlistProtocol
from muxd.phone.services.heartbeat import INTERVAL, MARGIN, Heartbeat
from tests.phone.services.hosts import heard


def say(protocol: PlistProtocol, **message: Any) -> None:
    """
    Say something to a service.
    """
    data = plistlib.dumps(message)
    protocol.dataReceived(pack(">I", len(data)) + data)


class HeartbeatTests(SynchronousTestCase):
    """
    Marco and Polo.
    """

    def setUp(self) -> None:
        """
        Connect.
        """
        self.clock = Clock()
        self.transport = StringTransport()
        self.heart = Heartbeat(self.clock)
        self.heart.makeConnection(self.transport)

    def test_beats(self) -> None:
        """
        The phone asks at once, and again an interval after each answer.
        """
        marco = {"Command": "Marco", "Interval": INTERVAL, "SupportsSleepyTime": True}
        self.assertEqual(heard(self.transport), [marco])
        for _ in range(3):
            say(self.heart, Command="Polo")
            self.assertEqual(heard(self.transport), [])
            self.clock.advance(INTERVAL)
            self.assertEqual(heard(self.transport), [marco])

    def test_silent(self) -> None:
        """
        A host that does not answer in time is left.
        """
        heard(self.transport)
        self.clock.advance(INTERVAL + MARGIN)
        self.assertEqual(heard(self.transport), [{"Command": "SleepyTime"}])
        self.assertTrue(self.transport.disconnecting)

    def test_nonsense(self) -> None:
        """
        So is one that answers something else.
        """
        say(self.heart, Command="Columbus")
        self.assertTrue(self.transport.disconnecting)

    def test_lost(self) -> None:
        """
        A host that is gone leaves no timer; nor does it if it goes twice.
        """
        self.heart.connectionLost(connectionDone)
        self.heart.connectionLost(connectionDone)
        self.assertEqual(self.clock.getDelayedCalls(), [])
