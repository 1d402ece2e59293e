# -*- test-case-name: tests.usb.test_asynchronous -*-
"""
Tests for L{muxd.usb.asynchronous}: its policy, over transfers that the test ends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, cast

from twisted.internet.interfaces import IReactorFDSet, IReadWriteDescriptor
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from usb.core import USBError
from zope.interface import implementer
from zope.interface.verify import verifyObject

from muxd.identity import DeviceIdentity
from muxd.interfaces import IPacketReceiver
from muxd.limits import Limits
from muxd.usb.asynchronous import READ_SIZE, AsynchronousLink, LibusbDescriptor
from muxd.usb.configuration import MuxInterface
from muxd.usb.engines import EngineError, IUSBLink, LinkState
from muxd.usb.libusb import NO_DEVICE, NO_MEMORY, TransferError, TransferStatus
from muxd.usb.opening import OpenedPhone
from muxd.wire.mux import encodePacketV1

IN, OUT = 0x85, 0x04
CONTROL_FD, DEVICE_FD, LATE_FD = 7, 8, 9


@implementer(IReactorFDSet)
class FDReactor(Clock):
    """
    A clock that remembers which descriptors are watched.
    """

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[Any] = set()
        self.writers: set[Any] = set()

    def addReader(self, reader: Any) -> None:
        """
        Watch for being readable.
        """
        self.readers.add(reader)

    def addWriter(self, writer: Any) -> None:
        """
        Watch for being writable.
        """
        self.writers.add(writer)

    def removeReader(self, reader: Any) -> None:
        """
        No more.
        """
        self.readers.discard(reader)

    def removeWriter(self, writer: Any) -> None:
        """
        No more.
        """
        self.writers.discard(writer)

    def removeAll(self) -> list[Any]:
        """
        Part of the interface.
        """
        return [*self.readers, *self.writers]

    def getReaders(self) -> list[Any]:
        """
        Part of the interface.
        """
        return list(self.readers)

    def getWriters(self) -> list[Any]:
        """
        Part of the interface.
        """
        return list(self.writers)


class FakeTransfer:
    """
    A transfer that the test ends.
    """

    def __init__(self, context: FakeContext, endpoint: int, size: int) -> None:
        self.context = context
        self.view = memoryview(bytearray(size))
        self.isIn = bool(endpoint & 0x80)
        self.isBulk = False
        self.status = 0
        self.actualLength = 0
        self.length = -1
        self.freed = False
        self.cancelled = False

    def submit(self, length: int) -> None:
        """
        Be in flight, unless the context refuses.
        """
        refusals = self.context.refusals[self.isIn]
        if refusals:
            raise TransferError("submit", refusals.popleft())
        self.length = length
        self.context.inFlight[id(self)] = self
        if not self.isIn:
            self.context.sent.append(bytes(self.view[:length]))

    def cancel(self) -> None:
        """
        Come back at the next occasion.
        """
        self.cancelled = True
        if not self.context.stuck:
            self.context.end(self, TransferStatus.CANCELLED)

    def free(self) -> None:
        """
        Be gone.
        """
        assert id(self) not in self.context.inFlight
        self.freed = True


class FakeContext:
    """
    What the engine sees of libusb.
    """

    def __init__(self, device: object) -> None:
        self.inFlight: dict[int, FakeTransfer] = {}
        self.transfers: list[FakeTransfer] = []
        self.sent: list[bytes] = []
        self.refusals: dict[bool, deque[int]] = {True: deque(), False: deque()}
        self.ended: list[FakeTransfer] = []
        self.pending: list[tuple[int, bool | None]] = []
        self.stuck = False
        self.leaked = False
        self.notified = False

    def transfer(self, endpoint: int, size: int) -> FakeTransfer:
        """
        Make a transfer.
        """
        transfer = FakeTransfer(self, endpoint, size)
        self.transfers.append(transfer)
        return transfer

    def descriptors(self) -> dict[int, bool]:
        """
        A control descriptor and the device's.
        """
        self.notified = True
        return {CONTROL_FD: True, DEVICE_FD: False}

    def changes(self) -> Iterator[tuple[int, bool | None]]:
        """
        What the test has announced.
        """
        while self.pending:
            yield self.pending.pop(0)

    def handleEvents(self) -> list[FakeTransfer]:
        """
        What the test has ended.
        """
        ended, self.ended = self.ended, []
        for transfer in ended:
            self.inFlight.pop(id(transfer), None)
        return ended

    def forgetDescriptors(self) -> None:
        """
        Notify no more.
        """
        self.notified = False

    def leak(self) -> None:
        """
        Remember it.
        """
        self.leaked = True

    # What the test does.

    def end(self, transfer: FakeTransfer, status: int, data: bytes = b"") -> None:
        """
        A transfer has ended.
        """
        transfer.status = status
        transfer.view[: len(data)] = data
        transfer.actualLength = len(data)
        self.ended.append(transfer)

    def reads(self) -> list[FakeTransfer]:
        """
        The IN transfers in flight, in order.
        """
        return [each for each in self.inFlight.values() if each.isIn and each not in self.ended]

    def writes(self) -> list[FakeTransfer]:
        """
        The OUT transfers in flight, in order.
        """
        return [each for each in self.inFlight.values() if not each.isIn and each not in self.ended]


@implementer(IPacketReceiver)
class Receiver:
    """
    Records what the link says.
    """

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.batches: list[int] = []
        self.rooms = 0
        self.lost: list[Failure] = []
        self.onPackets: Any = None

    def packetsReceived(self, packets: Sequence[memoryview]) -> None:
        """
        Copy them.
        """
        self.batches.append(len(packets))
        self.packets += [bytes(packet) for packet in packets]
        if self.onPackets is not None:
            self.onPackets()

    def roomAvailable(self) -> None:
        """
        Count.
        """
        self.rooms += 1

    def linkLost(self, reason: Failure) -> None:
        """
        Remember why.
        """
        self.lost.append(reason)


class FakeDevice:
    """
    What is used of pyusb's device.
    """

    bus, address = 1, 2

    def __init__(self) -> None:
        self.cleared: list[int] = []
        self.clearFails = False

    def clear_halt(self, endpoint: int) -> None:
        """
        Remember it, or fail.
        """
        if self.clearFails:
            raise USBError("no", errno=19)
        self.cleared.append(endpoint)


class Phone(OpenedPhone):
    """
    A phone that remembers being disposed of.
    """

    disposals = 0

    def dispose(self) -> None:
        """
        Count; fail as when it was unplugged.
        """
        Phone.disposals += 1
        raise USBError("gone", errno=19)


IDENTITY = DeviceIdentity(udid="U", serial="U", productID=1, locationID=1)
INTERFACE = MuxInterface(
    configuration=4, number=1, output=OUT, input=IN, maxPacketSize=512, inputPacketSize=512
)
LIMITS = Limits(readsInFlight=3, bulkInFlight=2, packetsInFlight=4)


class AsynchronousLinkTests(SynchronousTestCase):
    """
    L{AsynchronousLink}.
    """

    def setUp(self) -> None:
        """
        A running link.
        """
        self.reactor = FDReactor()
        self.device = FakeDevice()
        Phone.disposals = 0
        self.phone = Phone(device=self.device, identity=IDENTITY, interface=INTERFACE)
        self.link = self.makeLink()
        self.receiver = Receiver()
        self.link.start(self.receiver)
        self.logged: list[Any] = []
        observer = cast("ILogObserver", self.logged.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def makeLink(self) -> AsynchronousLink:
        """
        A link over L{FakeContext}.
        """
        context = FakeContext(self.device)
        self.context = context
        return AsynchronousLink(
            self.reactor, self.phone, LIMITS, openContext=lambda device: cast("Any", context)
        )

    def happen(self) -> None:
        """
        The reactor finds libusb's descriptor ready.
        """
        next(iter(self.reactor.writers)).doWrite()

    def test_interfaces(self) -> None:
        """
        The link and its descriptors provide what they say.
        """
        verifyObject(IUSBLink, self.link)
        verifyObject(IReadWriteDescriptor, LibusbDescriptor(3, self.link))

    def test_otherBackend(self) -> None:
        """
        A device of a backend that is not libusb's makes no link, and says why.
        """

        class Device:
            backend = object()

        phone = OpenedPhone(device=Device(), identity=IDENTITY, interface=INTERFACE)
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
        self.assertEqual(len(self.receiver.lost), 1)

    def test_readSubmitFails(self) -> None:
        """
        The same when reading.
        """
        self.context.refusals[True].append(NO_DEVICE)
        self.context.end(self.context.reads()[0], 0, encodePacketV1(1, b"\x07"))
        self.happen()
        self.assertEqual(len(self.receiver.lost), 1)

    def test_stallIsClearedOnce(self) -> None:
        """
        The first stall of reading is cleared, the second ends the link.
        """
        self.context.end(self.context.reads()[0], TransferStatus.STALL)
        self.happen()
        self.assertEqual(self.device.cleared, [IN])
        self.assertEqual(self.receiver.lost, [])
        self.assertEqual(len(self.context.reads()), 3)
        self.context.end(self.context.reads()[0], TransferStatus.STALL)
        self.happen()
        self.assertEqual(len(self.receiver.lost), 1)

    def test_stallThatStays(self) -> None:
        """
        A stall that cannot be cleared ends the link.
        """
        self.device.clearFails = True
        self.context.end(self.context.reads()[0], TransferStatus.STALL)
        self.happen()
        self.assertEqual(len(self.receiver.lost), 1)

    def test_writeStall(self) -> None:
        """
        A packet that was stalled has successors on their way already: the link
        ends.
        """
        self.link.send([b"x"])
        self.context.end(self.context.writes()[0], TransferStatus.STALL)
        self.happen()
        self.assertEqual(len(self.receiver.lost), 1)

    def test_lose(self) -> None:
        """
        Being told of an unplug ends the link once.
        """
        for _ in range(2):
            self.link.lose(Failure(Exception("unplugged")))
        self.assertEqual(len(self.receiver.lost), 1)

    def test_noMemoryToRead(self) -> None:
        """
        Without memory for all reads it goes on with some, says so, and posts
        the others when one comes back.
        """
        self.context.refusals[True].append(NO_MEMORY)
        self.context.end(self.context.reads()[0], 0, encodePacketV1(1, b"\x07"))
        self.happen()
        self.assertEqual(len(self.context.reads()), 2)
        self.assertEqual(self.receiver.lost, [])
        self.context.end(self.context.reads()[0], 0, encodePacketV1(1, b"\x07"))
        self.happen()
        self.assertEqual(len(self.context.reads()), 3)

    def test_noMemoryIsToldOnce(self) -> None:
        """
        The remedy for too little memory is named once.
        """
        self.context.refusals[False].extend([NO_MEMORY] * 3)
        for _ in range(3):
            self.link.send([b"x"])
            self.reactor.advance(LIMITS.memoryRetry)
        warnings = [each for each in self.logged if "usbfs_memory_mb" in each["log_format"]]
        self.assertEqual(len(warnings), 1)

    def test_noMemoryAtAll(self) -> None:
        """
        Without memory for a single read it tries again soon.
        """
        self.context.refusals[True].append(NO_MEMORY)
        for read in self.context.reads():
            self.context.end(read, 0, encodePacketV1(1, b"\x07"))
        self.happen()
        self.assertEqual(self.context.reads(), [])
        self.reactor.advance(LIMITS.memoryRetry)
        self.assertEqual(len(self.context.reads()), 3)

    def test_noMemoryToWrite(self) -> None:
        """
        A packet for which there is no memory goes out later, before its
        successors, and whole.
        """
        self.context.refusals[False].append(NO_MEMORY)
        self.link.send([b"fi", b"rst"])
        self.link.send([b"second"])
        self.assertEqual(self.context.sent, [])
        self.reactor.advance(LIMITS.memoryRetry)
        self.assertEqual(self.context.sent, [b"first", b"second"])
        self.assertEqual(self.receiver.rooms, 1)

    def test_descriptorsChange(self) -> None:
        """
        Descriptors that libusb adds or removes meanwhile are watched or not.
        """
        self.context.pending = [(LATE_FD, True), (DEVICE_FD, None), (99, None)]
        self.happen()
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

    def test_closeIdle(self) -> None:
        """
        Closing cancels the reads, and when they are back frees everything,
        watches nothing and disposes of the device.
        """
        done = self.link.close()
        self.assertNoResult(done)
        self.happen()
        self.successResultOf(done)
        self.assertTrue(all(each.freed for each in self.context.transfers))
        self.assertEqual(self.reactor.removeAll(), [])
        self.assertFalse(self.context.notified)
        self.assertEqual(Phone.disposals, 1)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.receiver.lost, [])

    def test_closeTwice(self) -> None:
        """
        Closing again waits for the same end, or is over at once.
        """
        one, two = self.link.close(), self.link.close()
        self.happen()
        self.successResultOf(one)
        self.successResultOf(two)
        self.successResultOf(self.link.close())

    def test_closeFlushes(self) -> None:
        """
        What was accepted is written before anything is cancelled.
        """
        for number in range(8):
            self.link.send([b"%d" % number])
        done = self.link.close()
        self.assertFalse(any(each.cancelled for each in self.context.transfers))
        while self.context.writes():
            self.context.end(self.context.writes()[0], 0)
            self.happen()
        self.assertEqual(self.context.sent, [b"%d" % number for number in range(8)])
        self.happen()
        self.successResultOf(done)
        self.assertEqual(self.receiver.rooms, 0)

    def test_closeDoesNotFlushForEver(self) -> None:
        """
        A phone that takes nothing loses what is for it.
        """
        self.link.send([b"x"])
        done = self.link.close()
        self.reactor.advance(LIMITS.linkFlushTimeout)
        self.happen()
        self.successResultOf(done)

    def test_closeOfWhatDoesNotComeBack(self) -> None:
        """
        Transfers that never come back are left behind, never freed.
        """
        self.context.stuck = True
        done = self.link.close()
        self.reactor.advance(LIMITS.linkCloseTimeout)
        self.successResultOf(done)
        self.assertTrue(self.context.leaked)
        self.assertFalse(any(each.freed for each in self.context.transfers))
        self.assertEqual(self.reactor.removeAll(), [])
        self.assertEqual(self.logged[-1]["count"], 3)

    def test_closeNeverStarted(self) -> None:
        """
        A link that was never started closes at once.
        """
        link = self.makeLink()
        self.successResultOf(link.close())
        self.assertEqual(Phone.disposals, 1)

    def test_closeLost(self) -> None:
        """
        A lost link closes when its last transfer is back.
        """
        self.link.send([b"x"])
        first, *rest = self.context.reads()
        self.context.end(first, TransferStatus.NO_DEVICE)
        self.happen()
        for each in (*rest, *self.context.writes()):
            self.context.end(each, TransferStatus.NO_DEVICE)
        done = self.link.close()
        self.happen()
        self.successResultOf(done)

    def test_closeWithinPackets(self) -> None:
        """
        The receiver may close the link while it is given packets.
        """
        results = []
        self.receiver.onPackets = lambda: results.append(self.link.close())
        self.context.end(self.context.reads()[0], 0, encodePacketV1(1, b"\x07"))
        self.happen()
        self.happen()
        self.successResultOf(results[0])
        self.assertTrue(all(each.freed for each in self.context.transfers))

    def test_eventsAfterClose(self) -> None:
        """
        An event that comes too late is none.
        """
        descriptor = next(iter(self.reactor.readers))
        self.link.close()
        self.happen()
        descriptor.doRead()
        self.assertIs(self.link.state, LinkState.CLOSED)
