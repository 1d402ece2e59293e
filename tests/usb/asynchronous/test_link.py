"""
Tests for L{muxd.usb.asynchronous.link}: its policy, over transfers that the test ends.
"""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.interfaces import IReadWriteDescriptor
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from muxd.usb.asynchronous.context import NO_DEVICE, TransferStatus
from muxd.usb.asynchronous.link import AsynchronousLink
from muxd.usb.asynchronous.pollfds import LibusbDescriptor
from muxd.usb.asynchronous.reads import READ_SIZE
from muxd.usb.engines import EngineError, IUSBLink, LinkState
from muxd.usb.opening import OpenedPhone
from muxd.wire.mux import encodePacketV1
from tests.usb.transfers import (
    CONTROL_FD,
    DEVICE_FD,
    IDENTITY,
    INTERFACE,
    LATE_FD,
    LIMITS,
    AsynchronousTestCase,
    FDReactor,
    Phone,
    Receiver,
)


class AsynchronousLinkTests(AsynchronousTestCase):
    """
    L{AsynchronousLink} while it runs.
    """

    def test_interfaces(self) -> None:
        """
        The link and its descriptors provide what they say.
        """
        verifyObject(IUSBLink, self.link)
        verifyObject(IReadWriteDescriptor, LibusbDescriptor(3, True, self.link._descriptors))

    def test_otherBackend(self) -> None:
        """
        A device of a backend that is not libusb's makes no link, and says why.
        """

        class Device:
            backend = object()

        phone = OpenedPhone(
            device=Device(), identity=IDENTITY, interface=INTERFACE, location=(0, 1)
        )
        error = self.assertRaises(EngineError, AsynchronousLink, self.reactor, phone)
        self.assertIn("expected a device of libusb 1.0", str(error))

    def test_otherReactor(self) -> None:
        """
        A reactor that cannot watch descriptors makes no link.
        """
        error = self.assertRaises(EngineError, AsynchronousLink, Clock(), self.phone)
        self.assertIn("cannot watch", str(error))

    def test_start(self) -> None:
        """
        Starting watches libusb's descriptors and posts the reads.
        """
        self.assertEqual([each.fileno() for each in self.reactor.readers], [CONTROL_FD])
        self.assertEqual([each.fileno() for each in self.reactor.writers], [DEVICE_FD])
        self.assertEqual([each.length for each in self.context.reads()], [READ_SIZE] * 3)

    def test_superSpeed(self) -> None:
        """
        A phone on a SuperSpeed bus gets more reads.
        """
        identity = replace(IDENTITY, speed=5_000_000_000)
        self.phone = Phone(
            device=self.device, identity=identity, interface=INTERFACE, location=(0, 1)
        )
        link = self.makeLink()
        link.start(Receiver())
        self.reactor.advance(0)
        self.assertEqual(len(self.context.reads()), LIMITS.fastReadsInFlight)

    def test_startTwice(self) -> None:
        """
        A link is started once.
        """
        self.assertRaises(RuntimeError, self.link.start, self.receiver)

    def test_packets(self) -> None:
        """
        All packets of one wake-up come in one batch and in order, and every
        transfer is posted again after that.
        """
        first, second, _ = self.context.reads()
        one, two = encodePacketV1(1, b"\x07one"), encodePacketV1(1, b"\x07two")
        self.context.end(first, 0, one + two)
        self.context.end(second, 0, one)
        posted: list[int] = []
        self.receiver.onPackets = lambda: posted.append(len(self.context.reads()))
        self.happen()
        self.assertEqual(self.receiver.packets, [one, two, one])
        self.assertEqual(self.receiver.batches, [3])
        self.assertEqual(posted, [1])
        self.assertEqual(len(self.context.reads()), 3)

    def test_garbage(self) -> None:
        """
        What is no packet is dropped, and told once.
        """
        for _ in range(2):
            self.context.end(self.context.reads()[0], 0, b"\xff" * 100)
            self.happen()
        self.assertEqual(self.receiver.packets, [])
        warnings = [each for each in self.logged if each["log_level"].name == "warn"]
        self.assertEqual(len(warnings), 1)

    def test_send(self) -> None:
        """
        The parts of a packet are one transfer.
        """
        self.link.send([b"head", memoryview(b"xbodyx")[1:5]])
        self.assertEqual(self.context.sent, [b"headbody"])

    def test_zeroLengthPacket(self) -> None:
        """
        A packet of whole USB packets is followed by an empty transfer.
        """
        self.link.send([b"x" * 1024])
        self.link.send([b"y"])
        self.assertEqual([len(each) for each in self.context.sent], [1024, 0, 1])

    def test_zeroLengthPacketOfEachBus(self) -> None:
        """
        What whole USB packets are depends on the bus: 512 bytes are none where they have
        1,024.  That holds for both ways to send.
        """
        for size, lengths in (
            (64, [64, 0, 512, 0, 1024, 0, 1536, 0, 100]),
            (512, [64, 512, 0, 1024, 0, 1536, 0, 100]),
            (1024, [64, 512, 1024, 0, 1536, 100]),
        ):
            interface = replace(INTERFACE, maxPacketSize=size, inputPacketSize=size)
            self.phone = replace(self.phone, interface=interface)
            packets = [bytes(length) for length in (64, 512, 1024, 1536, 100)]
            for isBorrowed in (False, True):
                self.reactor = FDReactor()
                link = self.makeLink()
                link.start(Receiver())
                self.reactor.advance(0)
                for packet in packets:
                    if isBorrowed:
                        memory = link.lender.borrow(len(packet))
                        memory.write(0, packet)
                        link.lender.transmit(memory, len(packet))
                    else:
                        link.send([packet])
                    for write in self.context.writes():
                        self.context.end(write, 0)
                    self.happen()
                self.assertEqual([len(each) for each in self.context.sent], lengths)

    def test_room(self) -> None:
        """
        Two bulk packets are enough; small ones are let past up to the cap, and
        room is told of when a transfer comes back.
        """
        self.link.send([b"x" * 40000])
        self.assertTrue(self.link.hasRoom(40000))
        self.link.send([b"x" * 40000])
        self.assertFalse(self.link.hasRoom(40000))
        self.assertTrue(self.link.hasRoom(36))
        self.link.send([b"s"])
        self.link.send([b"s"])
        self.assertFalse(self.link.hasRoom(36))
        self.context.end(self.context.writes()[0], 0)
        self.happen()
        self.assertEqual(self.receiver.rooms, 1)
        self.assertTrue(self.link.hasRoom(40000))
        self.assertTrue(self.link.hasRoom(36))

    def test_buffersAreUsedAgain(self) -> None:
        """
        A hundred packets one after the other need one transfer of each size.
        """
        for _ in range(100):
            self.link.send([b"x" * 40000])
            self.link.send([b"x"])
            for write in self.context.writes():
                self.context.end(write, 0)
            self.happen()
        self.assertEqual(len([each for each in self.context.transfers if not each.isIn]), 2)

    def test_backlog(self) -> None:
        """
        A sender that does not ask is not refused: beyond the cap packets wait,
        and go in their order.
        """
        packets = [b"%03d" % number for number in range(20)]
        for packet in packets:
            self.link.send([packet])
        self.assertEqual(len(self.context.writes()), 6)
        while self.context.writes():
            self.context.end(self.context.writes()[0], 0)
            self.happen()
        self.assertEqual(self.context.sent, packets)

    def test_borrowedBacklog(self) -> None:
        """
        The same for packets in memory of the link's, of which each waits as it is, and no
        byte behind it.
        """
        packets = [b"%03d" % number for number in range(20)]
        for packet in packets:
            memory = self.link.lender.borrow(10)
            memory.write(0, packet + b"rest")
            self.link.lender.transmit(memory, len(packet))
        while self.context.writes():
            self.context.end(self.context.writes()[0], 0)
            self.happen()
        self.assertEqual(self.context.sent, packets)

    def test_sendAfterClose(self) -> None:
        """
        A closed link takes nothing and does not mind.
        """
        self.link.close()
        self.happen()
        self.link.send([b"x"])
        self.assertEqual(self.context.sent, [])

    def test_transferFails(self) -> None:
        """
        A transfer that fails is the end of the link, told once.
        """
        for read in self.context.reads():
            self.context.end(read, TransferStatus.NO_DEVICE)
        self.happen()
        (reason,) = self.receiver.lost
        self.assertIn("no device", reason.getErrorMessage())
        self.assertIs(self.link.state, LinkState.LOST)
        self.assertEqual(self.context.reads(), [])

    def test_packetsBeforeFailure(self) -> None:
        """
        What came before the failure is delivered before it is told.
        """
        packet = encodePacketV1(1, b"\x07last")
        first, second, _ = self.context.reads()
        self.context.end(first, 0, packet)
        self.context.end(second, TransferStatus.ERROR)
        self.happen()
        self.assertEqual(self.receiver.packets, [packet])
        self.assertEqual(len(self.receiver.lost), 1)

    def test_submitFails(self) -> None:
        """
        A phone that is gone when a transfer is submitted is lost.
        """
        self.context.refusals[False].append(NO_DEVICE)
        self.link.send([b"x"])
        self.reactor.advance(0)
        self.assertEqual(len(self.receiver.lost), 1)

    def test_nothingIsToldWithinSend(self) -> None:
        """
        Who sends is in the middle of something: that a phone is gone, which shows
        with a packet, is told when the call is over, and once.
        """
        self.context.refusals[False] += [NO_DEVICE, NO_DEVICE]
        self.link.send((b"x",))
        self.link.send((b"y",))
        self.assertEqual(self.receiver.lost, [])
        self.reactor.advance(0)
        self.assertEqual(len(self.receiver.lost), 1)
        self.assertIs(self.link.state, LinkState.LOST)

    def test_closedBeforeTold(self) -> None:
        """
        A link that is closed before it could tell that does not tell it.
        """
        self.context.refusals[False].append(NO_DEVICE)
        self.link.send((b"x",))
        self.link.close()
        self.reactor.advance(0)
        self.assertEqual(self.receiver.lost, [])

    def test_readSubmitFails(self) -> None:
        """
        The same when reading.
        """
        self.context.refusals[True].append(NO_DEVICE)
        self.context.end(self.context.reads()[0], 0, encodePacketV1(1, b"\x07"))
        self.happen()
        self.assertEqual(len(self.receiver.lost), 1)

    def test_shortWrite(self) -> None:
        """
        A phone that has taken a part of a packet has lost it, which ends the link.
        """
        self.link.send([b"packet"])
        (transfer,) = self.context.writes()
        self.context.end(transfer, TransferStatus.COMPLETED)
        transfer.actualLength = 3
        self.happen()
        self.assertEqual(len(self.receiver.lost), 1)

    def test_lose(self) -> None:
        """
        Being told of an unplug ends the link once.
        """
        for _ in range(2):
            self.link.lose(Failure(Exception("unplugged")))
        self.assertEqual(len(self.receiver.lost), 1)

    def test_descriptorsChange(self) -> None:
        """
        Descriptors that libusb adds or removes meanwhile are watched or not.
        """
        for fd, isReadable in ((LATE_FD, True), (DEVICE_FD, None), (99, None)):
            self.context.changed(fd, isReadable)
        fds = {each.fileno() for each in self.reactor.readers | self.reactor.writers}
        self.assertEqual(fds, {CONTROL_FD, LATE_FD})

    def test_readableDescriptor(self) -> None:
        """
        Events are handled when a descriptor is readable as well, and the
        reactor's letting go of one is harmless.
        """
        packet = encodePacketV1(1, b"\x07")
        self.context.end(self.context.reads()[0], 0, packet)
        descriptor = next(iter(self.reactor.readers))
        descriptor.doRead()
        self.assertEqual(self.receiver.packets, [packet])
        descriptor.connectionLost(Failure(Exception()))
        self.assertEqual(descriptor.logPrefix(), "libusb")

    def test_nothingIsToldWithinStart(self) -> None:
        """
        A phone that is gone when the link starts is told of after that.
        """
        link = self.makeLink()
        self.context.refusals[True].append(NO_DEVICE)
        receiver = Receiver()
        link.start(receiver)
        self.assertEqual(receiver.lost, [])
        self.reactor.advance(0)
        self.assertEqual(len(receiver.lost), 1)

    def test_descriptorHangsUp(self) -> None:
        """
        When the reactor lets go of a descriptor, libusb's events are handled a
        last time, and then the link is lost: it would be mute.
        """
        packet = encodePacketV1(1, b"\x07")
        self.context.end(self.context.reads()[0], 0, packet)
        descriptor = next(iter(self.reactor.writers))
        descriptor.connectionLost(Failure(Exception()))
        self.assertEqual(self.receiver.packets, [packet])
        self.assertIn("hung up", self.receiver.lost[0].getErrorMessage())
        descriptor.connectionLost(Failure(Exception()))
        self.assertEqual(len(self.receiver.lost), 1)

    def test_descriptorCannotBeWatched(self) -> None:
        """
        Trouble with a descriptor is logged, as libusb cannot be told of it.
        """

        def fail(reader: object) -> None:
            raise OSError("no more")

        self.patch(self.reactor, "addReader", fail)
        self.context.changed(LATE_FD, True)
        self.assertEqual(1, len(self.flushLoggedErrors(OSError)))
