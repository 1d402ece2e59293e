"""
Tests for L{muxd.usb.discovery}.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from twisted.logger import LogEvent, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from muxd.identity import Selection
from muxd.phone.bus.descriptors import OLD_SERIAL, SERIAL
from muxd.phone.bus.profiles import iPhone
from muxd.phone.bus.simulated import SimulatedBus
from muxd.testing.gadgets import RecordingGadget
from muxd.usb import discovery
from muxd.usb.discovery import LONGEST_POLL, TOLERATED_FAILURES, Discovery
from muxd.usb.hotplug import PolledBus
from muxd.usb.libraries import LibraryError
from muxd.usb.opening import OpenedPhone
from muxd.usb.settings import USBSettings
from tests.usb.discoveries import (
    DiscoveryTestCase,
    Listener,
    PassingContext,
)
from tests.usb.reactors import DEADLINE, ThreadedClock


class DiscoveryTests(DiscoveryTestCase):
    """
    Tests for L{Discovery.pollOnce}.
    """

    def test_nothingAtFirst(self) -> None:
        """
        No library is loaded before the first look.
        """
        self.assertEqual(0, self.loads)
        self.poll()
        self.assertEqual((1, []), (self.loads, self.listener.phones))

    def test_plugAndUnplug(self) -> None:
        """
        A phone is found once, however often one looks, and is gone once.
        """
        phone = self.plug()
        self.poll(3)
        self.assertEqual([SERIAL], self.serials())
        self.bus.unplug(phone)
        self.poll(3)
        self.assertEqual([self.listener.phones[0].location], self.listener.gone)
        self.bus.plug(phone)
        self.poll()
        self.assertEqual([SERIAL, SERIAL], self.serials())
        # The second is what the bus was polled with while the phone was there.
        self.assertEqual(2, self.loads)

    def test_severalPhones(self) -> None:
        """
        Each phone comes and goes on its own.
        """
        first = self.plug()
        self.plug(OLD_SERIAL)
        self.poll()
        self.bus.unplug(first)
        self.poll()
        self.assertEqual([SERIAL, OLD_SERIAL], self.serials())
        self.assertEqual([self.listener.phones[0].location], self.listener.gone)

    def test_contextsAreNotShared(self) -> None:
        """
        Phones that are plugged in together are opened in different contexts, and
        discovery looks on in another.
        """
        contexts: list[PassingContext] = []

        def load() -> PassingContext:
            contexts.append(PassingContext(self.bus))
            return contexts[-1]

        self.discovery = self.build(load=load)
        self.plug()
        self.plug(OLD_SERIAL)
        self.poll()
        self.assertEqual([1, 1], [context.opened for context in contexts])
        looks = [context.looks for context in contexts]
        self.poll(3)
        self.assertEqual(looks, [context.looks for context in contexts[:2]])
        self.assertEqual(3, len(contexts))
        self.assertEqual((3, 0), (contexts[2].looks, contexts[2].opened))

    def test_secondContextFails(self) -> None:
        """
        When there is no other context for the second phone it is found at the
        next look, and the first is not lost.
        """
        problems = [None, LibraryError("no memory"), None, None]

        def load() -> Any:
            problem = problems.pop(0)
            if problem is not None:
                raise problem
            return self.bus

        self.discovery = self.build(load=load)
        self.plug()
        self.plug(OLD_SERIAL)
        self.poll()
        self.assertEqual([SERIAL], self.serials())
        self.poll()
        self.assertEqual([SERIAL, OLD_SERIAL], self.serials())
        self.assertEqual([], self.listener.gone)

    def test_otherDevices(self) -> None:
        """
        A device in recovery mode is not even opened (edge 16).
        """
        self.plug(productID=0x1281)
        self.bus.openErrno = errno.EACCES
        self.poll()
        self.assertEqual([], self.listener.phones)
        self.assertEqual([], self.logged("warn"))

    def test_leftAlone(self) -> None:
        """
        A device of Apple's in recovery mode is left alone, and a new kind without a muxer;
        both are told of once.
        """
        recovery = RecordingGadget(replace(iPhone(), idProduct=0x1281))
        self.bus.plug(recovery)
        self.bus.plug(RecordingGadget(replace(iPhone(), idProduct=0x12B5, configurations=())))
        self.poll(3)
        self.assertEqual(self.listener.phones, [])
        self.assertEqual(len(self.logged("info")), 2)
        self.assertIn("recovery or DFU mode", self.logged("info")[0])
        self.assertIn("the interface of a muxer, 255/254/2", self.logged("info")[1])
        self.bus.unplug(recovery)
        self.poll()
        self.bus.plug(recovery)
        self.poll()
        self.assertEqual(len(self.logged("info")), 3)

    def test_newKind(self) -> None:
        """
        A device of Apple's with a muxer is a phone, whatever its product id.
        """
        self.bus.plug(RecordingGadget(replace(iPhone(), idProduct=0x12B1)))
        self.poll()
        self.assertEqual([SERIAL], self.serials())

    def test_chosenProducts(self) -> None:
        """
        Products that an operator has not chosen are left alone.
        """
        self.discovery = self.build(USBSettings(products=(range(0x12B1, 0x12B2),)))
        self.plug()
        self.bus.plug(RecordingGadget(replace(iPhone(OLD_SERIAL), idProduct=0x12B1)))
        self.poll()
        self.assertEqual([OLD_SERIAL], self.serials())
        self.assertIn("products= does not name it", self.logged("info")[0])

    def test_port(self) -> None:
        """
        Phones are chosen by where they are plugged in.
        """
        self.discovery = self.build(USBSettings(deny=Selection(ports=frozenset(("1-1",)))))
        self.plug()
        self.plug(OLD_SERIAL)
        self.poll()
        self.assertEqual([OLD_SERIAL], self.serials())
        self.assertEqual(self.listener.phones[0].identity.portPath, "1-2")

    def test_only(self) -> None:
        """
        Other phones than those asked for are left alone, and their leaving is
        nobody's business.
        """
        self.discovery = self.build(USBSettings(only=Selection(udids=frozenset((OLD_SERIAL,)))))
        other = self.plug()
        self.plug(OLD_SERIAL)
        self.poll(2)
        self.bus.unplug(other)
        self.poll()
        self.assertEqual([OLD_SERIAL], self.serials())
        self.assertEqual([], self.listener.gone)

    def test_release(self) -> None:
        """
        A phone that its listener has let go of is opened again.
        """
        self.plug()
        self.poll()
        [phone] = self.listener.phones
        phone.dispose()
        self.discovery.release(phone.opening)
        self.poll(2)
        self.assertEqual([SERIAL, SERIAL], self.serials())
        self.assertEqual([], self.listener.gone)

    def test_releasedAndUnplugged(self) -> None:
        """
        The listener is told, once, of the leaving of a phone that it has let go of,
        and of one that could not be opened again.
        """
        for refuse in (False, True):
            phone = self.plug()
            self.poll()
            found = self.listener.phones.pop()
            location = found.location
            found.dispose()
            self.discovery.release(found.opening)
            if refuse:
                self.bus.openErrno = errno.EBUSY
                self.poll()
            self.bus.unplug(phone)
            self.poll(2)
            self.assertEqual([location], self.listener.gone)
            self.listener.gone.clear()

    def test_releaseOfOneThatIsGone(self) -> None:
        """
        To let go of a phone that is gone changes nothing.
        """
        phone = self.plug()
        self.poll()
        [found] = self.listener.phones
        self.bus.unplug(phone)
        self.poll()
        self.discovery.release(found.opening)
        self.poll(2)
        self.assertEqual([found.location], self.listener.gone)

    def test_releaseOfAnother(self) -> None:
        """
        To let go of a phone that is gone does not let go of the one that has its address
        now, nor does it when that has been let go of itself.
        """
        phone = self.plug()
        self.poll()
        [first] = self.listener.phones
        self.bus.unplug(phone)
        self.poll()
        self.bus._lastAddress -= 1
        self.plug(OLD_SERIAL)
        self.poll()
        second = self.listener.phones[-1]
        self.assertEqual(first.location, second.location)
        second.dispose()
        self.discovery.release(first.opening)
        self.poll(2)
        self.assertEqual([SERIAL, OLD_SERIAL], self.serials())
        for opening in (second.opening, first.opening, second.opening):
            self.discovery.release(opening)
        self.poll(2)
        self.listener.phones[-1].dispose()
        self.discovery.release(second.opening)
        self.poll(2)
        self.assertEqual([SERIAL, OLD_SERIAL, OLD_SERIAL], self.serials())

    def test_stoppedInTheMiddle(self) -> None:
        """
        When it is to stop, no further phone is opened.
        """
        self.plug()
        self.plug(OLD_SERIAL)

        def found(phone: OpenedPhone) -> None:
            self.listener.phones.append(phone)
            self.discovery.stop()

        self.patch(self.listener, "phoneFound", found)
        self.poll()
        self.assertEqual([SERIAL], self.serials())


class EnumerationTests(DiscoveryTestCase):
    """
    A bus that cannot be read.
    """

    def test_tolerated(self) -> None:
        """
        A few failures in a row pass without a word.
        """
        self.plug()
        self.bus.enumerationErrno = errno.EIO
        self.poll(TOLERATED_FAILURES)
        self.bus.enumerationErrno = 0
        self.poll()
        self.assertEqual([SERIAL], self.serials())
        self.assertEqual([], self.logged("error"))
        self.assertEqual([], self.logged("info"))

    def test_reportedOnce(self) -> None:
        """
        More are told of once; it goes on, less often, and says when it works
        again; phones that were found stay so meanwhile.
        """
        self.plug()
        self.poll()
        self.assertEqual(1.0, self.discovery.interval)
        self.bus.enumerationErrno = errno.EIO
        self.poll(TOLERATED_FAILURES + 20)
        self.assertEqual(1, len(self.logged("error")))
        self.assertEqual(LONGEST_POLL, self.discovery.interval)
        self.bus.enumerationErrno = 0
        self.poll()
        self.assertEqual(["USB devices can be listed again"], self.logged("info"))
        self.assertEqual(1.0, self.discovery.interval)
        self.assertEqual(([SERIAL], []), (self.serials(), self.listener.gone))

    def test_rareLooks(self) -> None:
        """
        An operator's interval that is longer than the longest stays.
        """
        self.discovery = self.build(USBSettings(poll=100))
        self.bus.enumerationErrno = errno.EIO
        self.poll(3)
        self.assertEqual(100, self.discovery.interval)

    def test_noLibrary(self) -> None:
        """
        A library that cannot be loaded is told of at once, in one line, and
        loaded when it can be.
        """
        problems = [LibraryError("install it")] * 3

        def load() -> Any:
            if problems:
                raise problems.pop()
            return self.bus

        self.discovery = self.build(load=load)
        self.plug()
        self.poll()
        [line] = self.logged("error")
        self.assertIn("install it", line)
        self.assertEqual("install it", self.discovery.problem)
        self.poll(3)
        self.assertEqual(1, len(self.logged("error")))
        self.assertEqual("", self.discovery.problem)
        self.assertEqual([SERIAL], self.serials())


class ThreadTests(SynchronousTestCase):
    """
    The discovery thread.
    """

    def setUp(self) -> None:
        """
        A bus and a reactor.
        """
        self.reactor = ThreadedClock()
        self.bus = SimulatedBus()
        self.listener = Listener()
        self.polled = PolledBus()
        self.discovery = self.build(lambda: self.bus)

    def build(self, load: Callable[[], Any], poll: float = DEADLINE * 2) -> Discovery:
        """
        A discovery that looks only when it is woken.
        """
        return Discovery(
            self.listener,
            self.reactor.callFromThread,
            loadBackend=load,
            settings=USBSettings(poll=poll),
            bus=self.polled,
        )

    def stop(self) -> None:
        """
        Stop, and see that there is no thread any more.
        """
        stopped = self.discovery.stop()
        self.reactor.pumpUntil(lambda: stopped.called)
        self.assertNotIn("usb-discovery", [each.name for each in threading.enumerate()])

    def test_findsAndStops(self) -> None:
        """
        Phones are found in the thread and told of in the reactor; being woken,
        it looks at once.
        """
        phone = RecordingGadget(iPhone())
        self.bus.plug(phone)
        self.discovery.start()
        self.addCleanup(self.stop)
        self.reactor.pumpUntil(lambda: self.listener.phones)
        self.bus.unplug(phone)
        self.discovery.pollNow()
        self.reactor.pumpUntil(lambda: self.listener.gone)

    def test_stopBeforeStart(self) -> None:
        """
        There is nothing to stop.
        """
        self.successResultOf(self.discovery.stop())

    def test_cannotWait(self) -> None:
        """
        A bus that cannot be waited for is looked at all the same, from time to time, which
        is told once; then it is waited for again.
        """
        problems: list[Exception] = [OSError(errno.EMFILE, "Too many open files")] * 3
        problems.append(ZeroDivisionError())
        waited = self.polled.wait

        def wait(seconds: float) -> None:
            if problems:
                raise problems.pop()
            waited(seconds)

        self.patch(self.polled, "wait", wait)
        self.discovery = self.build(lambda: self.bus, poll=0.01)
        events = self.enterContext(capturedLogs())
        self.discovery.start()
        self.addCleanup(self.stop)
        self.reactor.pumpUntil(lambda: self.logged(events, "hotplug events are there again"))
        self.assertEqual([], problems)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        [line] = self.logged(events, "no hotplug events")
        self.assertIn("polling every 0.01 s", line)
        self.bus.plug(RecordingGadget(iPhone()))
        self.reactor.pumpUntil(lambda: self.listener.phones)

    def test_stopWhenItCannotWait(self) -> None:
        """
        Stopping does not take as long as the time between two looks then.
        """

        def wait(seconds: float) -> None:
            raise OSError(errno.EMFILE, "Too many open files")

        self.patch(self.polled, "wait", wait)
        events = self.enterContext(capturedLogs())
        self.discovery.start()
        self.reactor.pumpUntil(lambda: self.logged(events, "no hotplug events"))
        self.stop()

    def logged(self, events: Sequence[LogEvent], text: str) -> list[str]:
        """
        What was logged with this text.
        """
        lines = [formatEvent(event) for event in events]
        return [line for line in lines if text in line]

    def test_noThread(self) -> None:
        """
        A system that has no thread to give keeps it from starting, and nothing from
        stopping.
        """

        class Refused(threading.Thread):
            def start(self) -> None:
                raise RuntimeError("can't start new thread")

        self.patch(discovery, "Thread", Refused)
        self.assertRaises(RuntimeError, self.discovery.start)
        self.successResultOf(self.discovery.stop())

    def test_defect(self) -> None:
        """
        Whatever goes wrong is logged, and it goes on.
        """
        problems = [ZeroDivisionError()]

        def load() -> Any:
            if problems:
                raise problems.pop()
            return self.bus

        self.discovery = self.build(load)
        self.bus.plug(RecordingGadget(iPhone()))
        self.discovery.start()
        self.addCleanup(self.stop)
        self.reactor.pumpUntil(lambda: not problems and self.reactor.turns)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        self.discovery.pollNow()
        self.reactor.pumpUntil(lambda: self.listener.phones)
