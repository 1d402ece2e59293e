# -*- test-case-name: tests.usb.test_handshakes -*-
"""
Tests for L{muxd.usb.source} with phones that do not answer, or are lost before they do.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import LogLevel
from twisted.python.failure import Failure

from muxd.identity import DeviceIdentity
from muxd.limits import LIMITS
from muxd.testing import fakeIdentity
from muxd.usb.hotplug import Location
from muxd.usb.opening import OpenToken, PhoneOpener
from muxd.usb.settings import USBSettings
from tests.usb.devices import deviceOn
from tests.usb.phones import UDID
from tests.usb.sources import SourceTestCase


@dataclass(frozen=True)
class Ended:
    """
    A phone, as far as it matters when it has ended.
    """

    opening: OpenToken
    identity: DeviceIdentity = fakeIdentity()  # noqa: RUF009 (frozen)

    @property
    def location(self) -> Location:
        """
        Where it is.
        """
        return self.opening.location


class HandshakeTests(SourceTestCase):
    """
    Handshakes that come to nothing.
    """

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

    def test_muteEndsTheFirstLook(self) -> None:
        """
        The first look is over, too, when the phone that was there has not answered.
        """
        self.phone.mute = True
        self.source.startService()
        looked = self.source.whenLooked()
        self.awaitHandshake()
        self.reactor.pumpUntil(lambda: self.source._hasLooked)
        self.assertNoResult(looked)
        # It does not need another look for that.
        self.patch(self.source, "looked", lambda: None)
        self.reactor.advance(LIMITS.handshakeTimeout)
        self.reactor.pumpUntil(lambda: looked.called)
        self.assertEqual([], self.receiver.attached)

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
        self.assertEqual(1, len(self.logged(f"{UDID} answers at bus 1", LogLevel.debug)))

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

    def test_noThread(self) -> None:
        """
        A phone that gets no thread is tried again less and less often, like one that does
        not answer; the log says what to do for the machine instead of for the phone.
        """
        started = threading.Thread.start
        refusing = True

        def start(thread: threading.Thread) -> None:
            if refusing and thread.name.startswith("usb-write-"):
                raise RuntimeError("can't start new thread")
            started(thread)

        self.patch(threading.Thread, "start", start)
        self.source.startService()
        delays = []
        for _ in range(4):
            before = self.now()
            self.awaitHandshake()
            delays.append(self.now() - before)
            self.awaitEnded()
        self.assertEqual([0, 0, 5, 10], delays)
        first, second = self.logged("new thread", LogLevel.warn)
        self.assertIn("TasksMax=", first)
        self.assertIn("TasksMax=", second)
        self.assertIn("it will be tried again in 5 s", second)
        self.assertNotIn("cable", second)
        refusing = False
        self.awaitAttached()

    def test_laterOneEndsFirst(self) -> None:
        """
        A phone that was opened at the address of one that is still being closed, and
        ends before that, is opened again; the other one is nobody's any more.
        """
        here = (9, 9)
        first, second = (cast(Any, Ended(OpenToken(here, number))) for number in (1, 2))
        self.source.startService()
        released: list[int] = []
        self.patch(
            self.source._discovery, "release", lambda opening: released.append(opening.number)
        )
        self.source._phones += [first, second]
        self.source.phoneEnded(second)
        self.assertEqual(released, [2])
        self.source._phones.append(second)
        self.source.phoneEnded(first)
        self.assertEqual(released, [2])
        self.source.phoneEnded(second)
        self.assertEqual(released, [2, 2])

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

    def handshakeTimesOut(self, count: int) -> None:
        """
        Wait for a handshake to begin, and let it time out.
        """
        self.reactor.pumpUntil(self.reactor.getDelayedCalls)
        self.reactor.advance(LIMITS.handshakeTimeout)
        self.assertEqual(count, len(self.logged("handshake failed")))
