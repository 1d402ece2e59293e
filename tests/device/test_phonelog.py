"""
Tests of L{muxd.device.phonelog}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import LogLevel, globalLogPublisher
from twisted.logger import formatEvent as text
from twisted.trial.unittest import SynchronousTestCase

from muxd.device.counters import Breach, MuxerCounters
from muxd.device.phonelog import INFORMATION, PhoneLog


class PhoneLogTests(SynchronousTestCase):
    """
    What is counted, and what is said.
    """

    def setUp(self) -> None:
        """
        PhoneLog about one phone, and a log to read.
        """
        self.clock = Clock()
        self.counters = MuxerCounters()
        self.phoneLog = PhoneLog(self.clock, "phone", self.counters)
        self.log = EventLoggingObserver()
        globalLogPublisher.addObserver(self.log)
        self.addCleanup(globalLogPublisher.removeObserver, self.log)

    def said(self) -> list[tuple[LogLevel, str | None]]:
        """
        Levels and texts.
        """
        return [(event["log_level"], text(event)) for event in self.log]

    def test_once(self) -> None:
        """
        Every breach is counted; of its kind only the first is logged.
        """
        self.phoneLog.add(Breach.DUPLICATE, "one")
        self.phoneLog.add(Breach.DUPLICATE, "two")
        self.phoneLog.add(Breach.OVERRUN, "three")
        self.assertEqual((self.counters.duplicates, self.counters.overruns), (2, 1))
        self.assertEqual(
            self.said(),
            [
                (LogLevel.warn, "phone broke the protocol (duplicates): one"),
                (LogLevel.warn, "phone broke the protocol (overruns): three"),
            ],
        )

    def test_everyBreach(self) -> None:
        """
        A breach is counted by the counter of its name, and by no other.
        """
        for breach in Breach:
            before = self.counters.values()
            self.phoneLog.add(breach, "something")
            changed = {
                name: count - before[name]
                for name, count in self.counters.values().items()
                if count != before[name]
            }
            self.assertEqual(changed, {breach.value: 1})

    def test_levels(self) -> None:
        """
        Errors and warnings of the phone are warnings here, information is for
        debugging, and what is unknown is somewhere between.
        """
        for kind in (3, 5, 7, 4):
            self.phoneLog.controlReceived(bytes([kind]) + b"hello\n")
        levels = [LogLevel.warn, LogLevel.warn, LogLevel.debug, LogLevel.info]
        self.assertEqual(self.said(), [(level, "phone says: hello") for level in levels])
        self.phoneLog.stop()

    def test_noKind(self) -> None:
        """
        CONTROL without a kind is malformed.
        """
        self.phoneLog.controlReceived(b"")
        self.assertEqual(self.counters.malformed, 1)

    def test_flood(self) -> None:
        """
        A phone that goes on complaining, in ever new words, is summarised.
        """
        for number in range(100):
            self.phoneLog.controlReceived(b"\x03error %d" % number)
        self.assertEqual(len(self.log), 5)
        self.phoneLog.stop()
        self.assertEqual(self.said()[-1], (LogLevel.warn, "phone said 95 more like that"))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_informationFlood(self) -> None:
        """
        So is one that goes on informing, later and only for who debugs; errors
        among all that are told.
        """
        for number in range(INFORMATION + 7):
            self.phoneLog.controlReceived(b"\x07line %d" % number)
        self.assertEqual(len(self.log), INFORMATION)
        self.phoneLog.controlReceived(b"\x03hot")
        self.assertEqual(self.said()[-1], (LogLevel.warn, "phone says: hot"))
        self.clock.advance(60)
        self.assertEqual(self.said()[-1], (LogLevel.debug, "phone said 7 more like that"))
        self.phoneLog.controlReceived(b"\x07again")
        self.assertEqual(self.said()[-1], (LogLevel.debug, "phone says: again"))
        for _ in range(INFORMATION):
            self.phoneLog.controlReceived(b"\x07line")
        self.phoneLog.stop()
        self.assertEqual(self.said()[-1], (LogLevel.debug, "phone said 1 more like that"))
        self.assertEqual(self.clock.getDelayedCalls(), [])
