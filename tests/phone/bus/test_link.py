"""
Tests of L{muxd.phone.bus.link}.
"""

from __future__ import annotations

import errno
import threading
from typing import Any

from twisted.internet.error import ConnectionLost

from muxd.identity import DeviceIdentity
from muxd.limits import LIMITS
from muxd.phone.bus.descriptors import MUX_IN, MUX_OUT
from muxd.phone.bus.faultmachine import FaultMachine
from muxd.phone.bus.faultplan import FaultPlan
from muxd.phone.bus.link import READ_SIZE, READS, BusLink
from muxd.usb.engines import SMALL_PACKET, EngineError, LinkState
from muxd.usb.opening import OpenedPhone
from tests.usb import linkcontract
from tests.usb.links import BULK, LinkTestCase, packet
from tests.usb.reactors import ThreadedClock
from tests.usb.transfers import INTERFACE


class BusLinkTestCase(LinkTestCase):
    """
    A phone and a L{BusLink} to it.
    """

    def makeLink(self) -> BusLink:
        """
        The link.
        """
        return BusLink(self.reactor, self.opened)

    def start(self) -> None:
        """
        Start the link, and see that it asks the phone for something.
        """
        self.link.start(self.receiver)
        self.assertEqual(READS, self.attachment.waiting(MUX_IN))

    def turn(self) -> None:
        """
        Let the reactor make the one call that is waiting.
        """
        before = self.reactor.turns
        self.reactor.pumpUntil(lambda: self.reactor.turns > before)

    def loss(self) -> str:
        """
        Why the link was lost, as it must have been, once.
        """
        [loss] = self.receiver.losses
        self.assertIsNotNone(loss.check(ConnectionLost))
        self.assertIs(LinkState.LOST, self.link.state)
        return str(loss.getErrorMessage())

    def plan(self, text: str) -> None:
        """
        Have something go wrong with the phone's transfers, from now on.
        """
        self.phone.faultMachine = FaultMachine(FaultPlan.fromString(text))
        self.attachment.reset()


class OpenBusLinkTests(BusLinkTestCase, linkcontract.OpenLinks):
    """
    Tests of L{BusLink} while it is open.
    """

    def test_noThread(self) -> None:
        """
        It has no thread and no timer, and at rest nothing calls it.
        """
        before = threading.active_count()
        self.start()
        self.assertEqual(before, threading.active_count())
        self.assertEqual([], self.reactor.getDelayedCalls())
        self.phone.send(packet(20))
        self.turn()
        self.assertEqual([packet(20)], self.receiver.packets)
        self.assertEqual([], self.reactor.getDelayedCalls())
        self.assertTrue(self.reactor.isIdle)

    def test_batch(self) -> None:
        """
        What has come until a turn of the reactor comes up in it together, and the reads
        are made again after that.
        """
        self.start()
        waiting: list[int] = []
        self.receiver.onPackets = lambda: waiting.append(self.attachment.waiting(MUX_IN))
        sent = [packet(size) for size in (20, 30, 40)]
        for each in sent:
            self.phone.send(each)
        self.turn()
        self.assertEqual(sent[:READS], self.receiver.packets)
        self.turn()
        self.assertEqual(sent, self.receiver.packets)
        # Nothing waited while the first ones were looked at; the last one left a read.
        self.assertEqual([0, READS - 1], waiting)
        self.assertEqual(READS, self.attachment.waiting(MUX_IN))

    def test_packetInPieces(self) -> None:
        """
        A packet of several reads whose end comes late is put together.
        """
        whole = packet(READ_SIZE + 3000)
        self.start()
        self.phone.send(whole[: READ_SIZE + 1024], end=False)
        self.turn()
        self.assertEqual([], self.receiver.packets)
        self.phone.send(whole[READ_SIZE + 1024 :])
        self.turn()
        self.assertEqual([whole], self.receiver.packets)

    def test_emptyPacket(self) -> None:
        """
        A packet of whole USB packets is one transfer that has an end.
        """
        self.start()
        self.link.send((packet(1024),))
        self.assertEqual(
            ([packet(1024)], 0), (self.phone.received, self.attachment.openBytes(MUX_OUT))
        )

    def test_smallRoom(self) -> None:
        """
        Small packets have room up to the hard cap.
        """
        self.attachment.hold()
        self.start()
        count = 0
        while self.link.hasRoom(SMALL_PACKET):
            self.link.send((packet(SMALL_PACKET),))
            count += 1
        self.assertEqual(LIMITS.packetsInFlight, count)
        self.assertFalse(self.link.hasRoom(BULK))

    def test_neverRefuses(self) -> None:
        """
        What is sent without room arrives all the same, in order.
        """
        self.attachment.hold()
        self.start()
        sent = [packet(BULK, index) for index in range(LIMITS.packetsInFlight + 5)]
        for each in sent:
            self.link.send((each,))
        self.attachment.release()
        self.turn()
        self.assertEqual(sent, self.phone.received)
        self.assertTrue(self.link.hasRoom(BULK))

    def test_lostWhileSending(self) -> None:
        """
        A sender is not told of a loss while it is sending.
        """
        self.start()
        self.bus.unplug(self.phone)
        self.link.send((packet(20),))
        self.assertEqual([], self.receiver.losses)
        self.turn()
        self.assertIn("no such device", self.loss())

    def test_goneBeforeTheStart(self) -> None:
        """
        Nor is who starts a link to a phone that is gone.
        """
        self.bus.unplug(self.phone)
        self.link.start(self.receiver)
        self.assertEqual([], self.receiver.losses)
        self.turn()
        self.assertIn("no such device", self.loss())

    def test_endsInAnotherThread(self) -> None:
        """
        Transfers that end in another thread are looked at in the reactor's.
        """
        self.start()
        callers: list[threading.Thread] = []
        self.receiver.onPackets = lambda: callers.append(threading.current_thread())
        thread = threading.Thread(target=self.phone.send, args=(packet(20),))
        thread.start()
        thread.join()
        self.assertEqual([], callers)
        self.turn()
        self.assertEqual([threading.current_thread()], callers)

    def test_stalledInPart(self) -> None:
        """
        A read that is stalled in its middle cannot be made again: that is the end.
        """
        self.start()
        self.phone.send(packet(3000)[:1024], end=False)
        self.attachment.stall(MUX_IN)
        self.turn()
        self.assertIn("pipe error", self.loss())

    def test_stallThatCannotBeCleared(self) -> None:
        """
        A phone that leaves the bus stalled is gone.
        """
        self.start()
        self.attachment.stall(MUX_IN)
        self.bus.unplug(self.phone)
        self.turn()
        self.assertIn("no such device", self.loss())

    def test_readsAfterAnError(self) -> None:
        """
        What comes behind a read that has failed is not shown, as something is missing.
        """
        self.plan("eproto@in2")
        self.start()
        for size in (20, 30, 40):
            self.phone.send(packet(size))
        self.turn()
        self.assertEqual([packet(20)], self.receiver.packets)
        self.assertIn("input/output error", self.loss())

    def test_writeStallLeavesNothing(self) -> None:
        """
        Packets behind one that was stalled are not sent when the stall is ended.
        """
        self.plan("stall@out2")
        self.attachment.hold()
        self.start()
        for size in (20, 30, 40):
            self.link.send((packet(size),))
        self.attachment.release()
        self.turn()
        self.assertIn("pipe error", self.loss())
        self.assertFalse(self.attachment.halted(MUX_OUT))
        self.assertIsNone(self.attachment.take(MUX_OUT))
        self.assertEqual([packet(20)], self.phone.received)

    def test_shortWrite(self) -> None:
        """
        A packet that was sent in part cannot be sent again: that is the end.
        """
        self.plan("short@out1")
        self.start()
        self.link.send((packet(3000),))
        self.turn()
        self.assertIn("input/output error", self.loss())

    def test_otherBus(self) -> None:
        """
        A phone on another bus makes no link, and says why.
        """

        class Device:
            backend: Any = "libusb"

        identity = DeviceIdentity(udid="U", serial="U", productID=1, locationID=1)
        phone = OpenedPhone(
            device=Device(), identity=identity, interface=INTERFACE, location=(0, 1)
        )
        error = self.assertRaises(EngineError, BusLink, ThreadedClock(), phone)
        self.assertEqual("expected a device of a simulated bus, got one of 'libusb'", str(error))


class ClosedBusLinkTests(BusLinkTestCase, linkcontract.ClosedLinks):
    """
    Tests of L{BusLink.close}.
    """

    def test_closeWithdrawsReads(self) -> None:
        """
        A link that is closed asks the phone for nothing any more, while it still sends.
        """
        self.attachment.hold()
        self.start()
        self.link.send((packet(BULK),))
        closed = self.link.close()
        self.assertEqual(0, self.attachment.waiting(MUX_IN))
        self.assertNoResult(closed)
        self.attachment.release()
        self.turn()
        self.successResultOf(closed)
        self.assertEqual([packet(BULK)], self.phone.received)

    def test_closeGivesUpAtAnError(self) -> None:
        """
        A phone that is unplugged while a link is closed is not waited for.
        """
        self.attachment.hold()
        self.start()
        self.link.send((packet(BULK),))
        closed = self.link.close()
        self.bus.unplug(self.phone, errno.EIO)
        self.turn()
        self.successResultOf(closed)
        self.assertEqual([], self.receiver.losses)

    def test_closeOfALostLink(self) -> None:
        """
        A link that is lost has nothing to wait for.
        """
        self.attachment.hold()
        self.start()
        self.link.send((packet(BULK),))
        self.bus.unplug(self.phone)
        self.turn()
        self.loss()
        self.successResultOf(self.link.close())
