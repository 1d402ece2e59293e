"""
Tests for L{muxd.usb.source} and L{muxd.usb.attached}, with the real threads.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import LogLevel
from twisted.python.filepath import FilePath
from zope.interface.verify import verifyObject

from muxd.interfaces import IDevice, IDeviceSource, IFirstLook, ISourceHealth
from muxd.limits import LIMITS
from muxd.phone.bus.descriptors import MUX_IN, OLD_SERIAL
from muxd.phone.bus.handles import OpenableAttachment
from muxd.phone.bus.profiles import iPhone
from muxd.phone.bus.simulated import SimulatedBus
from muxd.usb import source as sources
from muxd.usb.engines import EngineError
from muxd.usb.opening import PhoneOpener
from muxd.usb.settings import USBSettings
from muxd.wire.mux import Flags
from tests.usb.devices import deviceOn
from tests.usb.phones import UDID, TalkingPhone
from tests.usb.reactors import DEADLINE
from tests.usb.sources import SourceTestCase


class USBSourceTests(SourceTestCase):
    """
    Tests for L{USBSource}.
    """

    def test_interface(self) -> None:
        """
        It is a source.
        """
        verifyObject(IDeviceSource, self.source)
        verifyObject(ISourceHealth, self.source)
        self.assertEqual("usb", self.source.description)

    def test_attach(self) -> None:
        """
        A phone is attached once it has answered.
        """
        device = self.attach()
        verifyObject(IDevice, device)
        self.assertEqual(UDID, device.identity.udid)
        self.assertEqual([], self.receiver.detached)
        self.assertEqual(1, len(self.logged(f"{UDID} answers at bus 1", LogLevel.debug)))

    def test_health(self) -> None:
        """
        It can be asked what it looks for phones with, and what is wrong.
        """
        nodes = FilePath(self.mktemp())
        self.patch(sources, "DEVICE_NODES", nodes.path)
        self.patch(sys, "platform", "linux")
        self.attach()
        self.source._library = "libusb 1.0.99 (/x)"
        health = self.source.health()
        self.assertEqual((health.library, health.engine), ("libusb 1.0.99 (/x)", "threads"))
        self.assertIn(f"{nodes.path} is missing", health.problem)
        nodes.makedirs()
        self.assertEqual((self.source.health().problem, health.troubles), ("", ()))
        assert self.source._discovery is not None
        self.source._discovery.problem = "install libusb"
        self.source._discovery._troubles.failed((3, 7), "may not")
        health = self.source.health()
        self.assertEqual(health.problem, "install libusb")
        self.assertEqual(
            health.troubles, ("the phone at bus 3 address 7 cannot be opened: may not",)
        )

    def test_introduction(self) -> None:
        """
        One line says which library and engine look for phones, and how many there are; or
        that the system shows no devices that could be opened.
        """
        nodes = FilePath(self.mktemp())
        self.patch(sources, "DEVICE_NODES", nodes.path)
        self.patch(sys, "platform", "linux")
        self.source._library = "libusb 1.0.99 (/x)"
        self.source.looked()
        [line] = self.logged("libusb 1.0.99", LogLevel.warn)
        self.assertIn(f"{nodes.path} is missing, so no phone can be opened", line)
        nodes.makedirs()
        self.source.looked()
        [line] = self.logged("libusb 1.0.99", LogLevel.info)
        self.assertIn("libusb 1.0.99 (/x), engine ", line)
        self.assertTrue(line.endswith(": 0 phones found"), line)

    def test_looked(self) -> None:
        """
        The first look is over when the phone that was there is attached; after that it is
        over at once.
        """
        verifyObject(IFirstLook, self.source)
        self.source.startService()
        looked = self.source.whenLooked()
        self.reactor.pumpUntil(lambda: looked.called)
        self.assertEqual(1, len(self.receiver.attached))
        self.assertTrue(self.source.whenLooked().called)

    def test_sessions(self) -> None:
        """
        The device's ports can be connected to; stopping resets the sessions
        before it lets go of the phone.
        """
        device = self.attach()
        connected: Deferred[Any] = device.endpoint(62078).connect(Factory.forProtocol(Protocol))
        self.reactor.pumpUntil(lambda: connected.called)
        self.successResultOf(connected)
        stopped = self.source.stopService()
        self.assertNoResult(stopped)
        self.assertEqual([device], self.receiver.detached)
        self.reactor.pumpUntil(lambda: stopped.called)
        self.assertTrue(self.phone.flags()[-1] & Flags.RST)

    def test_unplug(self) -> None:
        """
        An unplugged phone is detached once, whether its transfers fail first or
        the bus is looked at first; and it comes back when it is plugged in.
        """
        device = self.attach()
        self.bus.unplug(self.phone)
        self.source.pollNow()
        self.reactor.pumpUntil(lambda: self.receiver.detached)
        self.assertEqual([device], self.receiver.detached)
        self.bus.plug(self.phone)
        self.source.pollNow()
        self.reactor.pumpUntil(lambda: len(self.receiver.attached) == 2)
        self.assertEqual([device], self.receiver.detached)
        self.assertEqual(1, len(self.logged(f"{UDID} is lost: ")))

    def test_unnoticedUnplug(self) -> None:
        """
        A phone that has left the bus is detached, though no transfer fails.
        """
        device = self.attach()
        self.patch(self.bus, "enumerate_devices", lambda: iter(()))
        self.source.pollNow()
        self.reactor.pumpUntil(lambda: self.receiver.detached)
        self.assertEqual([device], self.receiver.detached)

    def test_lostLink(self) -> None:
        """
        A phone whose transfers fail while it stays on the bus is detached, and
        opened again.
        """
        self.attach()

        def stallUntilLost() -> bool:
            if not self.receiver.detached:
                self.bus.attachments[0].stall(MUX_IN)
            return len(self.receiver.attached) == 2

        self.reactor.pumpUntil(self.polling(stallUntilLost))
        self.assertEqual(1, len(self.receiver.detached))

    def test_foundWhileStopping(self) -> None:
        """
        A phone that was opened when the source had been stopped already is let
        go of.
        """
        opening, goOn = threading.Event(), threading.Event()
        original = self.bus.open_device

        def openSlowly(dev: OpenableAttachment) -> Any:
            opening.set()
            goOn.wait(DEADLINE)
            return original(dev)

        self.patch(self.bus, "open_device", openSlowly)
        self.source.startService()
        self.assertTrue(opening.wait(DEADLINE))
        stopped = self.source.stopService()
        self.assertNoResult(stopped)
        goOn.set()
        self.reactor.pumpUntil(lambda: stopped.called)
        self.assertEqual(([], []), (self.receiver.attached, self.phone.received))
        PhoneOpener(USBSettings()).open(deviceOn(self.bus)).dispose()

    def test_restart(self) -> None:
        """
        A stopped source can be started again.
        """
        self.attach()
        self.stop()
        self.source.startService()
        self.reactor.pumpUntil(lambda: len(self.receiver.attached) == 2)
        self.assertEqual(1, len(self.receiver.detached))

    def test_stopWithoutStart(self) -> None:
        """
        There is nothing to stop, and nothing to look at.
        """
        self.source.pollNow()
        self.successResultOf(self.source.stopService())

    def test_severalPhones(self) -> None:
        """
        Each phone is a device.
        """
        self.bus.plug(TalkingPhone(iPhone(OLD_SERIAL)))
        self.source.startService()
        self.reactor.pumpUntil(lambda: len(self.receiver.attached) == 2)
        found = {device.identity.udid for device in self.receiver.attached}
        self.assertEqual({UDID, OLD_SERIAL}, found)
        self.stop()
        self.assertEqual(2, len(self.receiver.detached))

    def test_unknownEngine(self) -> None:
        """
        An engine that does not exist keeps the source from starting.
        """
        source = self.build(engine="steam")
        self.assertRaises(EngineError, source.startService)
        self.assertFalse(source.running)

    def test_engineFails(self) -> None:
        """
        A phone that the engine cannot use is let go of, with a line in the log.
        """

        def fail(*args: object) -> Any:
            raise EngineError("no such transfers")

        self.source.startService()
        self.source._makeLink = fail
        self.reactor.pumpUntil(lambda: self.logged("cannot be used"))
        self.assertEqual([f"{UDID} cannot be used: no such transfers"], self.logged("cannot be"))

    def test_engineCannotWork(self) -> None:
        """
        The same when the engine was asked for by name and cannot work on this
        bus; the phone is not claimed any more.
        """
        self.source = self.build(engine="async")
        self.source.startService()
        self.reactor.pumpUntil(lambda: self.logged("cannot be used"))
        [line] = self.logged("cannot be")
        self.assertIn("the reactor cannot watch file descriptors", line)
        PhoneOpener(USBSettings()).open(deviceOn(self.bus)).dispose()

    def test_stopTimesOut(self) -> None:
        """
        A library that does not return keeps nothing from stopping, for ever.
        """
        blocked = threading.Event()

        def block() -> SimulatedBus:
            blocked.wait(DEADLINE)
            return self.bus

        self.source._loadBackend = block
        self.source.startService()
        stopped = self.source.stopService()
        self.reactor.advance(LIMITS.linkCloseTimeout * 2)
        self.successResultOf(stopped)
        self.assertEqual(1, len(self.logged("does not end")))
        blocked.set()
        self.reactor.pumpUntil(lambda: not self.discoveryAlive())

    def test_stopTimesOutWithAPhone(self) -> None:
        """
        Nor does a phone that cannot be let go of.
        """
        self.attach()
        [attached] = self.source._phones
        closing: Deferred[None] = Deferred()
        close = attached._link.close
        self.patch(attached._link, "close", lambda: close().addCallback(lambda _: closing))
        stopped = self.source.stopService()
        self.reactor.pumpUntil(lambda: self.source._discoveryEnded)
        self.assertNoResult(stopped)
        self.reactor.advance(LIMITS.linkCloseTimeout * 2)
        self.successResultOf(stopped)
        self.assertEqual(1, len(self.logged("does not end")))
        self.reactor.pumpUntil(lambda: not self.threads())
        closing.callback(None)

    def discoveryAlive(self) -> bool:
        """
        Whether there is a discovery thread.
        """
        return "usb-discovery" in [each.name for each in threading.enumerate()]
