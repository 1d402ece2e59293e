"""
Tests of L{muxd.phone.services.inet}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.services.inet import inetServices
from tests.phone.mux.host import ManualHost


class InetTests(SynchronousTestCase):
    """
    The small services, by way of a session.
    """

    def setUp(self) -> None:
        """
        A phone with the services, at one thousand million seconds.
        """
        clock = Clock()
        clock.advance(1_000_000_000)
        self.host = ManualHost(inetServices(clock.seconds)).handshake()

    def test_echo(self) -> None:
        """
        Port 7 gives back what it gets.
        """
        session = self.host.connect(7)
        session.send(payload=b"hello")
        self.assertEqual(session.poll(), b"hello")

    def test_discard(self) -> None:
        """
        Port 9 takes everything and says nothing.
        """
        session = self.host.connect(9)
        session.send(payload=b"hello")
        self.assertEqual(session.poll(), b"")
        self.assertEqual(session.acknowledged, 6)

    def test_daytime(self) -> None:
        """
        Port 13 tells the time and closes.
        """
        session = self.host.connect(13)
        self.assertEqual(session.end(), b"Sun Sep  9 01:46:40 2001\r\n")
        self.assertIsNot(session.reset, None)

    def test_chargen(self) -> None:
        """
        Port 19 fills the window, and what follows when the host reads.
        """
        session = self.host.connect(19)
        self.host.clock.advance(0)
        self.assertEqual(len(session.poll()), 131072)
        self.host.clock.advance(0)
        self.assertEqual(session.poll(), b"")
        session.send()
        self.host.clock.advance(0)
        self.assertEqual(len(session.poll()), 131072)
