"""
What every link to a phone on a simulated bus does, whatever moves its transfers: tests
for the test cases of each.
"""

from __future__ import annotations

import errno
import gc
import threading
import weakref

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from muxd.interfaces import IPacketLink
from muxd.limits import LIMITS
from muxd.phone.bus.descriptors import MUX_IN, MUX_OUT
from muxd.phone.bus.simulated import usbError
from muxd.usb.engines import SMALL_PACKET, IUSBLink, LinkState
from muxd.usb.opening import OpenedPhone
from tests.usb.links import BULK, LinkTestCase, packet


class OpenLinks(LinkTestCase):
    """
    Tests for a link while it is open.
    """

    def test_interfaces(self) -> None:
        """
        It is a link.
        """
        verifyObject(IPacketLink, self.link)
        verifyObject(IUSBLink, self.link)
        self.assertEqual(512, self.link.maxPacketSize)

    def test_startsOnce(self) -> None:
        """
        Starting twice is a mistake; so is starting a closed link.
        """
        self.link.start(self.receiver)
        error = self.assertRaises(RuntimeError, self.link.start, self.receiver)
        self.assertIn("RUNNING", str(error))

    def test_receives(self) -> None:
        """
        What the phone sends is delivered, in order and in the reactor's thread.
        """
        sent = [packet(size, size % 256) for size in (20, 512, 16384, 32000, 65536, 36)]
        callers = set()
        self.receiver.onPackets = lambda: callers.add(threading.current_thread())
        self.link.start(self.receiver)
        self.assertEqual([], self.receiver.packets)
        for each in sent:
            self.phone.send(each)
        self.reactor.pumpUntil(lambda: len(self.receiver.packets) == len(sent))
        self.assertEqual(sent, self.receiver.packets)
        self.assertEqual({threading.current_thread()}, callers)

    def test_sends(self) -> None:
        """
        Packets arrive whole and in order, whatever their size.
        """
        self.link.start(self.receiver)
        sent = [packet(size) for size in (20, 512, 513, 49152, 36)]
        for each in sent:
            self.link.send((each[:8], memoryview(each)[8:]))
        self.assertEqual(sent, self.arrived(len(sent)))

    def test_partsMayBeReused(self) -> None:
        """
        The parts of a packet are not looked at after the call.
        """
        self.attachment.hold()
        self.link.start(self.receiver)
        part = bytearray(packet(36))
        self.link.send((memoryview(part),))
        part[:] = bytes(36)
        self.attachment.release()
        self.assertEqual([packet(36)], self.arrived(1))

    def test_room(self) -> None:
        """
        A phone that takes nothing has room for two bulk packets; small ones go
        past them; and upstairs is told when there is room again.
        """
        self.attachment.hold()
        self.link.start(self.receiver)
        for _ in range(LIMITS.bulkInFlight):
            self.assertTrue(self.link.hasRoom(BULK))
            self.link.send((packet(BULK),))
        self.assertFalse(self.link.hasRoom(BULK))
        self.assertTrue(self.link.hasRoom(SMALL_PACKET))
        self.attachment.release()
        self.reactor.pumpUntil(lambda: self.receiver.rooms)
        self.assertTrue(self.link.hasRoom(BULK))

    def test_unplugWhileReading(self) -> None:
        """
        An unplug ends the link once, after what came before it, before it is closed.
        """
        for error in (errno.ENODEV, errno.EIO):
            with self.subTest(error=error):
                self.link.start(self.receiver)
                self.phone.send(packet(20))
                self.reactor.pumpUntil(lambda: self.receiver.packets)
                self.bus.unplug(self.phone, error)
                self.reactor.pumpUntil(lambda: self.receiver.losses)
                [loss] = self.receiver.losses
                self.assertIsNotNone(loss.check(ConnectionLost))
                self.assertIs(LinkState.LOST, self.link.state)
                self.link.send((packet(20),))
                self.close()
                self.assertEqual([loss], self.receiver.losses)
                self.setUp()

    def test_unplugWhileWriting(self) -> None:
        """
        A write that a phone does not take ends with the unplug.
        """
        self.attachment.hold()
        self.link.start(self.receiver)
        self.link.send((packet(BULK),))
        self.bus.unplug(self.phone)
        self.reactor.pumpUntil(lambda: self.receiver.losses)
        self.close()
        self.assertEqual(1, len(self.receiver.losses))

    def test_packetsBeforeTheLoss(self) -> None:
        """
        What had come is delivered before the loss.
        """
        self.link.start(self.receiver)
        order: list[str] = []
        self.receiver.onPackets = lambda: order.append(f"{len(self.receiver.losses)} losses")
        self.phone.send(packet(20))
        self.untilUnread(0)
        self.bus.unplug(self.phone)
        self.reactor.pumpUntil(lambda: self.receiver.losses)
        self.assertEqual(["0 losses"], order)

    def test_lose(self) -> None:
        """
        The link ends when it is told that the phone is gone, though no
        transfer fails; once.
        """
        self.attachment.hold()
        self.link.start(self.receiver)
        self.link.send((packet(BULK),))
        reason = Failure(ConnectionLost("unplugged"))
        self.link.lose(reason)
        self.link.lose(reason)
        self.assertEqual([reason], self.receiver.losses)
        self.close()
        self.link.lose(reason)
        self.assertEqual([reason], self.receiver.losses)
        self.assertEqual([], self.phone.received)

    def test_stall(self) -> None:
        """
        A stall of reading is cleared, and the link goes on.
        """
        self.link.start(self.receiver)
        self.attachment.stall(MUX_IN)
        self.link.send((packet(20),))
        self.assertEqual([packet(20)], self.arrived(1))
        self.phone.send(packet(30))
        self.reactor.pumpUntil(lambda: self.receiver.packets)
        self.assertEqual(([packet(30)], []), (self.receiver.packets, self.receiver.losses))

    def test_secondStall(self) -> None:
        """
        The second stall of reading is the end.
        """
        self.link.start(self.receiver)
        self.attachment.stall(MUX_IN)
        self.phone.send(packet(30))
        self.reactor.pumpUntil(lambda: self.receiver.packets)
        self.attachment.stall(MUX_IN)
        self.reactor.pumpUntil(lambda: self.receiver.losses)

    def test_writeStall(self) -> None:
        """
        A stall of writing is the end, and leaves an endpoint that the next link can write
        to.
        """
        self.link.start(self.receiver)
        self.attachment.stall(MUX_OUT)
        self.link.send((packet(20),))
        self.reactor.pumpUntil(lambda: self.receiver.losses)
        self.close()
        self.opened = self.open()
        self.link = self.makeLink()
        self.link.start(self.receiver)
        self.link.send((packet(30),))
        self.assertEqual([packet(30)], self.arrived(1))

    def test_garbage(self) -> None:
        """
        What is no packet is dropped, with one warning however often.
        """
        self.link.start(self.receiver)
        for _ in range(3):
            self.phone.send(b"garbage, not a packet")
        self.phone.send(packet(20))
        self.reactor.pumpUntil(lambda: self.receiver.packets)
        self.assertEqual([packet(20)], self.receiver.packets)
        levels = [e["log_level"].name for e in self.logged("that are no packet")]
        self.assertEqual(["warn", "debug", "debug"], levels)


class ClosedLinks(LinkTestCase):
    """
    Tests for a link that is closed.
    """

    def test_closeFlushes(self) -> None:
        """
        What was accepted before the close is sent, what comes after is not.
        """
        self.link.start(self.receiver)
        sent = [packet(size) for size in (20, 512, 36)]
        for each in sent:
            self.link.send((each,))
        closed = self.link.close()
        self.link.send((packet(20),))
        self.reactor.pumpUntil(lambda: closed.called)
        self.assertEqual(sent, self.phone.received)

    def test_closeGivesUpFlushing(self) -> None:
        """
        A phone that takes nothing does not keep the link open.
        """
        self.attachment.hold()
        self.link.start(self.receiver)
        self.link.send((packet(BULK),))
        closed = self.link.close()
        self.assertNoResult(closed)
        self.reactor.advance(LIMITS.linkFlushTimeout)
        self.reactor.pumpUntil(lambda: closed.called)
        self.assertEqual([], self.phone.received)

    def test_closeReleasesTheInterface(self) -> None:
        """
        A closed link leaves the phone to others, and says nothing any more.
        """
        self.link.start(self.receiver)
        self.phone.send(packet(20))
        self.close()
        self.assertIs(LinkState.CLOSED, self.link.state)
        self.assertEqual(([], []), (self.receiver.packets, self.receiver.losses))
        self.open().dispose()

    def test_closedLinkKeepsNoDevice(self) -> None:
        """
        Whoever still holds a closed link holds no pyusb device with it, and so
        no libusb context.
        """
        device = weakref.ref(self.opened.device)
        self.link.start(self.receiver)
        self.assertIsNotNone(device())
        self.close()
        gc.collect()
        self.assertIsNone(device())

    def test_closeIsIdempotent(self) -> None:
        """
        All who close are told when it is done.
        """
        self.link.start(self.receiver)
        closed = [self.link.close(), self.link.close()]
        self.reactor.pumpUntil(lambda: all(each.called for each in closed))
        self.successResultOf(self.link.close())

    def test_closeWithoutStart(self) -> None:
        """
        A link that was never started releases the phone all the same.
        """
        self.close()
        self.open().dispose()

    def test_closeByTheReceiver(self) -> None:
        """
        The receiver may close the link while it is told of packets.
        """
        closed: list[Deferred[None]] = []
        self.receiver.onPackets = lambda: closed.append(self.link.close())
        self.link.start(self.receiver)
        self.phone.send(packet(20))
        self.phone.send(packet(20))
        self.reactor.pumpUntil(lambda: closed and closed[0].called)
        self.assertEqual(1, len(closed))

    def test_closeOfAGonePhone(self) -> None:
        """
        A phone that cannot even be let go of is let go of.
        """

        class Gone(OpenedPhone):
            def dispose(self) -> None:
                super().dispose()
                raise usbError(errno.ENODEV)

        self.opened = Gone(
            device=self.opened.device,
            identity=self.opened.identity,
            interface=self.opened.interface,
            location=self.opened.location,
        )
        self.link = self.makeLink()
        self.link.start(self.receiver)
        self.close()
        self.assertIs(LinkState.CLOSED, self.link.state)
