# -*- test-case-name: tests.attacks.test_adverts -*-
"""
A machine on the network that announces hundreds of phones: each was compared with each pair record
within one turn of the reactor, which took 20 ms for each of them and 256 records.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from muxd.lockdown.pairrecord import PairRecord
from muxd.testing.records import ImmediateRecords, MemoryRecordStore
from muxd.wifi import source as module
from muxd.wifi.adverts import Advert, authTag, tagKey
from muxd.wifi.settings import WifiSettings
from muxd.wifi.source import BURST, PAUSE, WifiSource
from tests.lockdown.phones import BUID, recordOf
from tests.net.workingclock import WorkingClock
from tests.wifi.test_source import HeldBrowser

try:
    authTag("", "")
except ImportError as missing:
    raise SkipTest(f"these tests need the extra wifi: {missing}") from missing

RECORDS, ADVERTS = 5, 100


class AnnouncementFloodTests(SynchronousTestCase):
    """
    A source that is told of phones that are none of ours.
    """

    def setUp(self) -> None:
        """
        Have some records, and count comparisons.
        """
        self.clock = WorkingClock()
        store = MemoryRecordStore(BUID)
        for number in range(RECORDS):
            store.records[f"{number:040x}"] = recordOf(f"HOST-{number}", BUID).toBytes()
        self.compared = 0

        def candidates(advert: Advert, records: dict[str, PairRecord], names: Any) -> list[str]:
            self.compared += 1
            for record in records.values():
                authTag(record.hostID, advert.identifier)
            return []

        self.patch(module, "candidates", candidates)
        unused: Any = None
        self.source = WifiSource(self.clock, unused, "wifi", WifiSettings(), unused, HeldBrowser)
        self.source.useRecords(ImmediateRecords(store))
        self.source.startService()
        self.addCleanup(self.source.stopService)

    def announce(self) -> None:
        """
        Hundreds, each with a tag.
        """
        for number in range(ADVERTS):
            self.source.advertFound(
                Advert(
                    instance=str(number),
                    identifier=f"{self.clock.seconds()}",
                    tags=frozenset({b"x"}),
                )
            )

    def test_oneInATurn(self) -> None:
        """
        One is compared in a turn of the reactor, and all are in the end.
        """
        self.announce()
        self.clock.work(BURST)
        self.clock.turn()
        for number in range(ADVERTS):
            self.assertEqual(self.compared, number)
            self.clock.turn()
        self.assertEqual(self.compared, ADVERTS)

    def test_again(self) -> None:
        """
        Announced again and again they are compared once a second, at most.
        """
        for _ in range(100):
            self.announce()
            self.clock.advance(PAUSE / 10)
        self.assertLessEqual(self.compared, 11 * ADVERTS)

    def test_keys(self) -> None:
        """
        What of a tag is the same for all announcements is computed once.
        """
        tagKey.cache_clear()
        for _ in range(10):
            self.announce()
            self.clock.advance(2 * PAUSE)
        self.assertEqual(tagKey.cache_info().misses, RECORDS)
