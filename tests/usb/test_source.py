"""
Tests for L{muxd.usb.source} and L{muxd.usb.attached}, with the real threads.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from constantly import NamedConstant
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.interfaces import IDevice, IDeviceSource
from muxd.limits import LIMITS
from muxd.phone.bus import SimulatedBus
from muxd.phone.descriptors import MUX_IN, OLD_SERIAL
from muxd.phone.handles import OpenableAttachment
from muxd.phone.profiles import iPhone
from muxd.usb import threads
from muxd.usb.engines import EngineError
from muxd.usb.opening import PhoneOpener
from muxd.usb.settings import USBSettings
from muxd.usb.source import USBSource
from muxd.wire.mux import Flags
from tests.usb.devices import deviceOn
from tests.usb.phones import UDID, Receiver, TalkingPhone
from tests.usb.reactors import DEADLINE, ThreadedClock


class USBSourceTests(SynchronousTestCase):
    """
    Tests for L{USBSource}.
    """

    def setUp(self) -> None:
        """
        A source on a bus with one phone; it is always stopped at the end.
        """
        self.patch(threads, "READ_TIMEOUT", 20)
        self.reactor = ThreadedClock()
        self.bus = SimulatedBus()
        self.phone = TalkingPhone(iPhone())
        self.bus.plug(self.phone)
        self.receiver = Receiver()
        self.events = self.enterContext(capturedLogs())
        self.source = self.build()
        self.addCleanup(self.stop)

    def build(self, **settings: Any) -> USBSource:
        """
        A source that looks at the bus only when the test says so.
        """
        return USBSource(
            self.reactor,
            self.receiver,
            "usb",
            loadBackend=lambda: self.bus,
            settings=USBSettings(**{"poll": DEADLINE * 4, "engine": "threads", **settings}),
        )

    def stop(self) -> None:
        """
        Stop the source, and see that nothing of it is left.
        """
        stopped = self.source.stopService()
        for each in self.bus.attachments:
            each.release()
        self.reactor.pumpUntil(lambda: stopped.called)
        names = [each.name for each in threading.enumerate()]
        self.assertEqual([], [name for name in names if name.startswith("usb-")])
        self.assertEqual([], self.reactor.getDelayedCalls())

    def logged(self, text: str, level: NamedConstant | None = None) -> list[str]:
        """
        What was logged with this text, at one level or at any.
        """
        lines = [
            event["log_format"].format(**event)
            for event in self.events
            if "muxd.usb" in event["log_namespace"] and level in (None, event["log_level"])
        ]
        return [line for line in lines if text in line]

    def attach(self) -> IDevice:
        """
        Start, and wait for the phone.
        """
        self.source.startService()
        self.reactor.pumpUntil(lambda: self.receiver.attached)
        [device] = self.receiver.attached
        return device

    def test_interface(self) -> None:
        """
        It is a source.
        """
        verifyObject(IDeviceSource, self.source)
        self.assertEqual("usb", self.source.description)

    def test_attach(self) -> None:
        """
        A phone is attached once it has answered.
        """
        device = self.attach()
        verifyObject(IDevice, device)
        self.assertEqual(UDID, device.identity.udid)
        self.assertEqual([], self.receiver.detached)
        self.assertEqual(1, len(self.logged(f"{UDID} attached at bus 1")))

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
        self.assertEqual(1, len(self.logged(f"{UDID} detached: ")))

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
        opened again when the bus is next looked at.
        """
        self.attach()

        def stallUntilLost() -> bool:
            if not self.receiver.detached:
                self.bus.attachments[0].stall(MUX_IN)
            return len(self.receiver.attached) == 2

        self.reactor.pumpUntil(self.polling(stallUntilLost))
        self.assertEqual(1, len(self.receiver.detached))

    def test_muteOnce(self) -> None:
        """
        A phone that does not answer is opened once more.
        """
        self.phone.mute = True
        self.source.startService()
        self.handshakeTimesOut(1)
        self.phone.mute = False
        self.awaitEnded()
        self.source.pollNow()
        self.reactor.pumpUntil(lambda: self.receiver.attached)
        [line] = self.logged("handshake failed")
        self.assertIn(f"{UDID}: handshake failed: no answer to VERSION within 5 s", line)
        self.assertIn("opening it again", line)

    def test_muteForLong(self) -> None:
        """
        A phone that does not answer is opened again after 5 s, then 10, 20 and so on up to
        a minute, however long that takes; in the end it is attached (edge 17).
        """
        delays = self.stayMute(8)
        self.assertEqual([0, 0, 5, 10, 20, 40, 60, 60], delays)
        self.assertEqual([], self.receiver.attached)
        self.phone.mute = False
        self.awaitAttached()
        self.assertEqual(1, len(self.logged(f"{UDID} attached at bus 1")))

    def test_muteIsToldTwice(self) -> None:
        """
        Of a phone that does not answer there are two lines: one at once, and one that says
        what becomes of it and what can be done.
        """
        self.stayMute(6)
        first, second = self.logged("handshake failed", LogLevel.warn)
        reason = "no answer to VERSION within 5 s"
        self.assertEqual(f"{UDID}: handshake failed: {reason}; opening it again", first)
        self.assertEqual(
            f"{UDID}: handshake failed again: {reason}; it will be tried again in 5 s, then less "
            "and less often, at least every 60 s, for as long as it is plugged in: unplug it and "
            "plug it in again, or try another cable",
            second,
        )
        self.assertEqual(4, len(self.logged("handshake failed", LogLevel.debug)))

    def test_muteHoldsNothing(self) -> None:
        """
        Nothing of a phone that waits for its next try is held: no thread, and no interface
        that others could not have.
        """
        self.stayMute(2)
        self.assertEqual([], self.source._phones)
        self.assertEqual(["usb-discovery"], self.threads())
        self.source.pollNow()
        PhoneOpener(USBSettings()).open(deviceOn(self.bus)).dispose()
        self.assertEqual([5], [call.getTime() - self.now() for call in self.timers()])

    def test_muteIsLetGoOfFirst(self) -> None:
        """
        The time until the next try begins when the interface was released.
        """
        self.stayMute(1)
        self.awaitHandshake()
        [attached] = self.source._phones
        closing: Deferred[None] = Deferred()
        close = attached._link.close
        self.patch(attached._link, "close", lambda: close().addCallback(lambda _: closing))
        self.reactor.advance(LIMITS.handshakeTimeout)
        self.reactor.pumpUntil(lambda: len(self.threads()) == 1 and not self.timers())
        self.reactor.advance(100)
        self.assertEqual([attached], self.source._phones)
        closing.callback(None)
        self.assertEqual([5], [call.getTime() - self.now() for call in self.timers()])

    def test_attachedForgets(self) -> None:
        """
        A phone that has answered starts anew: when it is lost and does not answer then, it
        is opened again at once.
        """
        self.stayMute(3)
        self.phone.mute = False
        self.awaitAttached()
        self.phone.mute = True
        [attached] = self.source._phones
        attached._link.lose(Failure(ConnectionLost("gone")))
        self.awaitEnded()
        self.assertEqual([0, 0, 5], [self.stayMuteOnce() for _ in range(3)])
        self.assertEqual(4, len(self.logged("handshake failed", LogLevel.warn)))

    def test_unplugMute(self) -> None:
        """
        A phone that is unplugged while it waits is not waited for, and one that is plugged
        in starts anew.
        """
        self.stayMute(4)
        self.bus.unplug(self.phone)
        self.source.pollNow()
        self.reactor.pumpUntil(lambda: not self.reactor.getDelayedCalls())
        self.bus.plug(self.phone)
        self.assertEqual([0, 0, 5], [self.stayMuteOnce() for _ in range(3)])
        self.assertEqual(4, len(self.logged("handshake failed", LogLevel.warn)))

    def test_unplugReleasedMute(self) -> None:
        """
        The same for a phone that is unplugged when it is about to be opened again.
        """
        self.stayMute(4)
        location = (self.bus.attachments[0].bus, self.bus.attachments[0].address)
        self.bus.unplug(self.phone)
        [timer] = self.timers()
        self.reactor.advance(timer.getTime() - self.now())
        self.assertIn(location, self.source._retries)
        # This is the first look after both.
        self.source.pollNow()
        self.reactor.pumpUntil(lambda: location not in self.source._retries)

    def test_stopMute(self) -> None:
        """
        Stopping leaves no phone to be tried again, and a start knows of no failures.
        """
        self.stayMute(3)
        self.stop()
        self.source.startService()
        self.assertEqual([0, 0, 5], [self.stayMuteOnce() for _ in range(3)])

    def now(self) -> float:
        """
        The reactor's time.
        """
        return self.reactor.seconds()

    def timers(self) -> Sequence[IDelayedCall]:
        """
        The reactor's.
        """
        return self.reactor.getDelayedCalls()

    def threads(self) -> list[str]:
        """
        Those of the source.
        """
        return [each.name for each in threading.enumerate() if each.name.startswith("usb-")]

    def stayMute(self, times: int) -> list[float]:
        """
        Start, and have the phone not answer so many times.

        @return: What L{stayMuteOnce} returned.
        """
        self.phone.mute = True
        self.source.startService()
        return [self.stayMuteOnce() for _ in range(times)]

    def stayMuteOnce(self) -> float:
        """
        Have the phone not answer, from when it waits to be opened until it waits again.

        @return: How long it had waited; the first time, for nothing.
        """
        before = self.now()
        self.awaitHandshake()
        waited = self.now() - before
        self.reactor.advance(LIMITS.handshakeTimeout)
        self.awaitEnded()
        return waited

    def awaitHandshake(self) -> None:
        """
        Let time pass until the phone is to be opened again, and wait for that.
        """
        if not self.source._phones:
            for timer in self.timers():
                self.reactor.advance(timer.getTime() - self.now())
        self.reactor.pumpUntil(self.polling(lambda: self.source._phones))

    def awaitAttached(self) -> None:
        """
        The same, of a phone that answers.
        """
        self.awaitHandshake()
        self.reactor.pumpUntil(lambda: self.receiver.attached)

    def polling(self, until: Any) -> Any:
        """
        A condition that looks at the bus again each time.
        """

        def condition() -> Any:
            self.source.pollNow()
            return until()

        return condition

    def handshakeTimesOut(self, count: int) -> None:
        """
        Wait for a handshake to begin, and let it time out.
        """
        self.reactor.pumpUntil(self.reactor.getDelayedCalls)
        self.reactor.advance(LIMITS.handshakeTimeout)
        self.assertEqual(count, len(self.logged("handshake failed")))

    def awaitEnded(self) -> None:
        """
        Wait until the phone has been let go of.
        """
        self.reactor.pumpUntil(lambda: not self.source._phones)

    def test_lostInHandshake(self) -> None:
        """
        A phone that is lost in its handshake was not mute: it is told of once,
        and may try as often as it likes.
        """
        self.phone.mute = True
        self.source.startService()
        for _ in range(3):
            self.reactor.pumpUntil(self.polling(self.reactor.getDelayedCalls))
            [attached] = self.source._phones
            attached._link.lose(Failure(ConnectionLost("gone")))
            self.awaitEnded()
        self.assertEqual(1, len(self.logged("was lost in its handshake: ")))
        self.assertEqual([], self.logged("handshake failed"))
        self.phone.mute = False
        self.reactor.pumpUntil(self.polling(lambda: self.receiver.attached))

    def test_stopInHandshake(self) -> None:
        """
        Stopping does not wait for a phone that does not answer, nor call it a
        failure.
        """
        self.phone.mute = True
        self.source.startService()
        self.reactor.pumpUntil(self.reactor.getDelayedCalls)
        self.stop()
        self.assertEqual([], self.logged("handshake failed"))
        self.assertEqual(([], []), (self.receiver.attached, self.receiver.detached))

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

    def discoveryAlive(self) -> bool:
        """
        Whether there is a discovery thread.
        """
        return "usb-discovery" in [each.name for each in threading.enumerate()]
