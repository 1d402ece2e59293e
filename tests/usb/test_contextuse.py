# -*- test-case-name: tests.usb.test_contextuse -*-
"""
Tests of L{muxd.usb.discovery} where the system says what is on the bus: when libusb
is asked, in which context, and how long that is kept.
"""

from __future__ import annotations

import errno
import gc
from typing import Any
from weakref import WeakSet

from muxd.phone.bus.descriptors import OLD_SERIAL, SERIAL
from muxd.phone.bus.simulated import SimulatedBus
from muxd.usb.discovery import TOLERATED_FAILURES
from muxd.usb.opening import OpenedPhone
from tests.usb.discoveries import DiscoveryTestCase, KnowingBus, PassingContext, StaleContext


class KnowingBusTests(DiscoveryTestCase):
    """
    A system that says what is on the bus.
    """

    def setUp(self) -> None:
        """
        Contexts of libusb that nobody keeps up to date.
        """
        super().setUp()
        self.knowing = KnowingBus(self.bus)
        self.times: list[float] = []

        def load() -> Any:
            self.loads += 1
            return StaleContext(self.bus)

        self.discovery = self.build(bus=self.knowing, load=load)

    def test_noLibraryNeeded(self) -> None:
        """
        As long as there is no phone, libusb is left alone; and when all are
        known.
        """
        self.poll(3)
        self.assertEqual(0, self.loads)
        self.plug()
        self.poll(3)
        self.assertEqual(1, self.loads)

    def test_staleContext(self) -> None:
        """
        A phone that came after the context was born is found with a new one,
        and one that has left is gone though the context still shows it.
        """
        first = self.plug()
        self.poll()
        self.plug(OLD_SERIAL)
        self.poll()
        self.assertEqual([SERIAL, OLD_SERIAL], self.serials())
        self.assertEqual(2, self.loads)
        self.bus.unplug(first)
        self.poll()
        self.assertEqual([self.listener.phones[0].location], self.listener.gone)
        self.assertEqual(2, self.loads)

    def test_wentMeanwhile(self) -> None:
        """
        A phone that has left while another was opened is not opened any more: the context
        that has shown it is that one's now.
        """
        phones = {serial: self.plug(serial) for serial in (SERIAL, OLD_SERIAL)}
        context = PassingContext(self.bus)
        self.discovery = self.build(bus=self.knowing, load=lambda: context)
        found = self.listener.phoneFound

        def phoneFound(phone: OpenedPhone) -> None:
            found(phone)
            del phones[phone.identity.serial]
            for other in phones.values():
                self.bus.unplug(other)

        self.patch(self.listener, "phoneFound", phoneFound)
        self.poll()
        self.assertEqual((len(self.listener.phones), context.opened), (1, 1))

    def test_neverSeen(self) -> None:
        """
        A phone that even a new context does not show is told of, and new
        contexts are made less and less often.
        """
        self.plug()
        self.discovery = self.build(bus=self.knowing, load=self.empty)
        self.poll(15)
        # Two each time: the one that there was is given up.
        self.assertEqual([0, 1, 3, 7], sorted(set(self.times)))
        self.assertEqual(1, len(self.logged("warn")))

    def empty(self) -> Any:
        """
        A context that shows nothing.
        """
        self.times.append(self.clock.seconds())
        return SimulatedBus()

    def test_letGo(self) -> None:
        """
        A context in which no phone could be opened is not kept when there is none to
        be opened any more.
        """
        contexts: WeakSet[StaleContext] = WeakSet()

        def load() -> Any:
            context = StaleContext(self.bus)
            contexts.add(context)
            return context

        self.discovery = self.build(bus=self.knowing, load=load)
        self.bus.openErrno = errno.ENODEV
        phone = self.plug()
        self.poll()
        self.assertEqual(1, len(contexts))
        self.bus.unplug(phone)
        self.poll()
        gc.collect()
        self.assertEqual(0, len(contexts))

    def test_unreadable(self) -> None:
        """
        A sysfs that cannot be read is a failure to be tolerated, too.
        """
        self.knowing.error = OSError(errno.EIO, "sysfs")
        self.poll(TOLERATED_FAILURES + 1)
        self.assertIn("sysfs", self.logged("error")[0])
