# -*- test-case-name: tests.fleet.test_host -*-
"""
Tests of L{muxd.fleet.host}: what an operator is told.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import LogLevel, globalLogPublisher
from twisted.python.failure import Failure

from muxd.fleet.host import HostProtocol
from muxd.fleet.messages import FROM_HUB, Refused
from muxd.fleet.values import Why
from tests.fleet.world import HUB, WorldCase

Alert = type("Error", (Exception,), {"__module__": "OpenSSL.SSL"})
"""What TLS fails with, without that library."""


class NotReachedTests(WorldCase):
    """
    A hub that a host does not reach.
    """

    def setUp(self) -> None:
        """
        Watch the log.
        """
        super().setUp()
        self.log = EventLoggingObserver()
        globalLogPublisher.addObserver(self.log)
        self.addCleanup(globalLogPublisher.removeObserver, self.log)

    def told(self) -> list[str]:
        """
        What an operator has been told since the last time, beside what is of no importance.
        """
        events = [event for event in self.log if event["log_level"] >= LogLevel.warn]
        self.log._events.clear()
        return [event["log_format"].format(**event) for event in events]

    def test_absent(self) -> None:
        """
        Why there is no hub is told once, where it was looked for, and again when it is lost
        anew.
        """
        self.world.killHub()
        self.world.addHost("rack1", 1)
        self.world.advance(9)
        (line,) = self.told()
        self.assertIn(f"the hub at unix:{HUB} is not reached", line)
        self.assertIn("No such file or directory", line)
        self.world.startHub()
        self.world.advance(3)
        self.assertEqual(self.told(), [])
        self.world.killHub()
        self.world.advance(9)
        self.assertEqual([each[:19] for each in self.told()], ["the hub is lost; tr", line[:19]])

    def protocol(self) -> Any:
        """
        A connection to a hub that has said nothing yet.
        """
        host = self.world.addHost("rack1").host
        return HostProtocol(host)

    def test_ended(self) -> None:
        """
        So is why a hub has ended the connection without a word, and TLS in plain words.
        """
        protocol = self.protocol()
        protocol.ended(Failure(Alert([("SSL routines", "", "tlsv1 alert unknown ca")])))
        protocol.ended(Failure(ConnectionDone()))
        alert, end = self.told()
        self.assertIn("our certificate is another authority's than its own", alert)
        self.assertIn("closed cleanly", end)

    def test_refused(self) -> None:
        """
        One that has said why it does not want the host has said it.
        """
        protocol = self.protocol()
        refused = Refused(why=next(iter(Why)), detail="no hosts today")
        protocol.stringReceived(FROM_HUB.encode(refused))
        protocol.ended(Failure(ConnectionDone()))
        (line,) = self.told()
        self.assertIn("no hosts today", line)
