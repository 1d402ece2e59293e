"""
Tests for L{muxd.usb.threaded.link}: real threads and pyusb on a simulated bus.
"""

from __future__ import annotations

import errno
import threading

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from muxd.interfaces import IPacketLink
from muxd.limits import LIMITS
from muxd.phone.bus.descriptors import MUX_IN, MUX_OUT
from muxd.usb.engines import SMALL_PACKET, IUSBLink, LinkState, NoThread
from muxd.usb.opening import PhoneOpener
from muxd.usb.settings import USBSettings
from muxd.usb.threaded.link import ThreadedLink
from tests.usb.devices import deviceOn
from tests.usb.links import BULK, LinkTestCase, packet


class ThreadedLinkTests(LinkTestCase):
    """
    Tests for L{ThreadedLink} while it is open.
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

    def test_threadsAreNamed(self) -> None:
        """
        The threads are daemons and say whose they are.
        """
        self.link.start(self.receiver)
        udid = self.opened.identity.udid
        found = {t.name: t.daemon for t in threading.enumerate() if udid in t.name}
        self.assertEqual({f"usb-read-{udid}": True, f"usb-write-{udid}": True}, found)

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

    def test_packetInPieces(self) -> None:
        """
        A packet whose middle comes late, after reads have timed out, is put
        together.
        """
        whole = packet(3000)
        self.link.start(self.receiver)
        self.phone.send(whole[:1024], end=False)
        self.reactor.pumpUntil(lambda: self.reactor.turns)
        self.assertEqual([], self.receiver.packets)
        self.phone.send(whole[1024:])
        self.reactor.pumpUntil(lambda: self.receiver.packets)
        self.assertEqual([whole], self.receiver.packets)

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
        An unplug ends the link once, after what came before it, and its
        threads, before anybody closes it.
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
        self.opened = PhoneOpener(USBSettings()).open(deviceOn(self.bus))
        self.link = ThreadedLink(self.reactor, self.opened)
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

    def test_defectInTheReadingThread(self) -> None:
        """
        Whatever goes wrong in the thread ends the link instead of leaving it
        mute.
        """

        def fail(*args: object) -> int:
            raise ZeroDivisionError

        self.opened.device.read = fail
        self.link.start(self.receiver)
        self.reactor.pumpUntil(lambda: self.receiver.losses)
        self.assertIsNotNone(self.receiver.losses[0].check(ZeroDivisionError))

    def test_noThread(self) -> None:
        """
        A link that gets no thread to read or write in is lost, which is told after it
        was started, with what to do; and it is closed like any other.
        """
        for what in ("read", "write"):
            with self.subTest(what=what):
                self.refuse(what)
                self.link.start(self.receiver)
                self.link.send((packet(20),))
                self.assertEqual([], self.receiver.losses)
                self.reactor.pumpUntil(lambda: self.receiver.losses)
                [loss] = self.receiver.losses
                self.assertIsNotNone(loss.check(NoThread))
                self.assertIn("TasksMax=", loss.getErrorMessage())
                self.close()
                self.assertEqual([loss], self.receiver.losses)
                self.setUp()

    def test_backlogIsBounded(self) -> None:
        """
        While the reactor is busy, no more is read than the limit says, and
        nothing is lost.
        """
        self.link.start(self.receiver)
        count = LIMITS.readBacklog + 20
        for index in range(count):
            self.phone.send(packet(20 + index))
        self.untilUnread(sum(20 + index for index in range(LIMITS.readBacklog, count)))
        self.assertEqual([], self.receiver.packets)
        self.reactor.pumpUntil(lambda: len(self.receiver.packets) == count)
        self.assertEqual([packet(20 + index) for index in range(count)], self.receiver.packets)
