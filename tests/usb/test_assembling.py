# -*- test-case-name: tests.usb.test_engines -*-
"""
Tests of L{muxd.usb.engines}.
"""

from __future__ import annotations

from twisted.internet.testing import EventLoggingObserver
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from muxd.usb.engines import assemblerFor
from muxd.wire.mux import encodeVersion


class AssemblerTests(SynchronousTestCase):
    """
    Tests of L{assemblerFor}.
    """

    def setUp(self) -> None:
        """
        Have an assembler, and its log.
        """
        self.log = EventLoggingObserver()
        self.assembler = assemblerFor("ab", Logger("link", observer=self.log))

    def test_packet(self) -> None:
        """
        A packet is passed on, and nothing is told.
        """
        packet = encodeVersion(2)
        self.assertEqual(self.assembler.feed(memoryview(packet), 65536), [packet])
        self.assertEqual(len(self.log), 0)

    def test_garbage(self) -> None:
        """
        What is no packet is told as a warning once, with whose it is and how
        much, and as a detail from then on.
        """
        for size in (100, 200, 300):
            self.assertEqual(self.assembler.feed(memoryview(b"\xff" * size), 65536), [])
        self.assertEqual(
            [(e["log_level"].name, e["log_namespace"], e["udid"], e["count"]) for e in self.log],
            [
                ("warn", "link", "ab", 100),
                ("debug", "link", "ab", 200),
                ("debug", "link", "ab", 300),
            ],
        )
