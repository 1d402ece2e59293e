# -*- test-case-name: tests.usb.test_rarelooks -*-
"""
Tests of L{muxd.usb.discovery}: when the bus is looked at again.
"""

from __future__ import annotations

import errno

from muxd.usb.discovery import SWITCH_TIMEOUT
from muxd.usb.settings import USBSettings
from tests.usb.discoveries import (
    DiscoveryTestCase,
    KnowingBus,
)


class RareLookTests(DiscoveryTestCase):
    """
    A bus that tells of plugs may be looked at seldom: what is to be tried again does not
    wait for that.
    """

    def setUp(self) -> None:
        """
        A look a minute, and a bus that remembers being woken.
        """
        super().setUp()
        self.woken = 0
        bus = KnowingBus(self.bus)
        self.patch(bus, "wake", self.wake)
        self.discovery = self.build(USBSettings(poll=60), bus)

    def wake(self) -> None:
        """
        Count.
        """
        self.woken += 1

    def test_nothingToDo(self) -> None:
        """
        Without a reason there is no other look.
        """
        self.discovery.pollOnce()
        self.assertEqual(60, self.discovery.interval)

    def test_trouble(self) -> None:
        """
        A phone that cannot be opened is tried again when it is due.
        """
        self.plug()
        self.bus.openErrno = errno.EACCES
        intervals = []
        for _ in range(7):
            self.discovery.pollOnce()
            intervals.append(self.discovery.interval)
            self.clock.advance(intervals[-1])
        self.assertEqual([1, 2, 4, 8, 16, 32, 60], intervals)

    def test_overdue(self) -> None:
        """
        What is due and could not be tried, as the bus is unreadable, makes no hurry.
        """
        self.plug()
        self.bus.openErrno = errno.EACCES
        self.discovery.pollOnce()
        self.bus.enumerationErrno = errno.EIO
        self.clock.advance(10)
        self.discovery.pollOnce()
        self.assertEqual(60, self.discovery.interval)

    def test_releasedMeanwhile(self) -> None:
        """
        A phone that was let go of while the bus was looked at, which took long, is
        opened with the next look, and that is at once.
        """
        self.plug()
        self.discovery.pollOnce()
        self.listener.phones[0].dispose()
        self.discovery.release(self.listener.phones[0].opening)
        self.assertEqual(1, self.discovery.interval)
        self.clock.advance(2)
        self.assertEqual(0, self.discovery.interval)
        self.discovery.pollOnce()
        self.assertEqual(2, len(self.listener.phones))

    def test_switching(self) -> None:
        """
        A phone that was told to switch its mode and does not leave is opened in time.
        """
        self.plug(mode=3)
        self.discovery = self.build(USBSettings(poll=60, mode=1), KnowingBus(self.bus))
        self.discovery.pollOnce()
        self.assertEqual([], self.serials())
        self.assertEqual(SWITCH_TIMEOUT, self.discovery.interval)

    def test_released(self) -> None:
        """
        A phone that is let go of is opened again at once, unless one was opened just now:
        then the next look is soon, so that a phone that is always lost is opened once a
        second.
        """
        self.plug()
        for _ in range(3):
            self.discovery.pollOnce()
            found = self.listener.phones[-1]
            found.dispose()
            self.assertEqual(1, self.discovery.interval)
            self.clock.advance(0.75)
            self.discovery.release(found.opening)
            self.assertEqual((0, 0.25), (self.woken, self.discovery.interval))
            self.clock.advance(0.25)
        self.discovery.pollOnce()
        self.clock.advance(1)
        self.assertEqual(60, self.discovery.interval)
        self.discovery.release(self.listener.phones[-1].opening)
        self.assertEqual(1, self.woken)
