"""
Transfers that a test ends, and an asynchronous link over them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, cast

from twisted.internet.interfaces import IReactorFDSet
from twisted.logger import ILogObserver, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from usb.core import USBError
from zope.interface import implementer

from muxd.identity import DeviceIdentity
from muxd.interfaces import IPacketReceiver
from muxd.limits import Limits
from muxd.usb.asynchronous.context import TransferStatus
from muxd.usb.asynchronous.link import AsynchronousLink
from muxd.usb.asynchronous.transfers import BusMemory
from muxd.usb.configuration import MuxInterface
from muxd.usb.opening import OpenedPhone
from tests.running.clocks import StrictClock

IN, OUT = 0x85, 0x04
CONTROL_FD, DEVICE_FD, LATE_FD = 7, 8, 9


@implementer(IReactorFDSet)
class FDReactor(StrictClock):
    """
    A clock that remembers which descriptors are watched.
    """

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[Any] = set()
        self.writers: set[Any] = set()

    def callFromThread(self, callable: Callable[..., object], *args: object) -> None:
        """
        Call it, as there are no threads but L{HeldThread}.
        """
        callable(*args)

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


class HeldThread:
    """
    A thread that runs when the test says so.

    @cvar held: Those that have not run.
    @cvar refused: The system has none to give.
    """

    held: ClassVar[list[HeldThread]] = []
    refused = False

    def __init__(
        self, *, target: Callable[..., object], args: tuple[object, ...], name: str, daemon: bool
    ) -> None:
        self.name = name
        self._run = partial(target, *args)

    def start(self) -> None:
        """
        Begin to wait.
        """
        if HeldThread.refused:
            raise RuntimeError("can't start new thread")
        HeldThread.held.append(self)

    def join(self) -> None:
        """
        It has run.
        """
        assert self not in HeldThread.held

    @classmethod
    def run(cls) -> None:
        """
        Run the one that is held.
        """
        thread = cls.held.pop()
        assert not cls.held
        thread._run()


class FakeTransfer(BusMemory):
    """
    A transfer that the test ends.
    """

    def __init__(self, context: FakeContext, endpoint: int, size: int) -> None:
        super().__init__(size)
        self.context = context
        self.isIn = bool(endpoint & 0x80)
        self.length = -1
        self.freed = False
        self.cancelled = False

    def submit(self, length: int) -> int:
        """
        Be in flight, unless the context refuses.
        """
        assert not self.freed
        refusals = self.context.refusals[self.isIn]
        if refusals:
            return refusals.popleft()
        self.length = length
        self.context.inFlight.append(self)
        if not self.isIn:
            self.context.sent.append(bytes(self.view[:length]))
        return 0

    def cancel(self) -> None:
        """
        Come back at the next occasion.
        """
        self.cancelled = True
        # One that has ended already ends only once.
        if not self.context.stuck and self not in self.context.ended:
            self.context.end(self, TransferStatus.CANCELLED)

    def free(self) -> None:
        """
        Be gone.
        """
        assert self not in self.context.inFlight
        self.freed = True


class FakeContext:
    """
    What the engine sees of libusb.
    """

    def __init__(self, device: object) -> None:
        self.inFlight: list[FakeTransfer] = []
        self.transfers: list[FakeTransfer] = []
        self.sent: list[bytes] = []
        self.refusals: dict[bool, deque[int]] = {True: deque(), False: deque()}
        self.ended: list[FakeTransfer] = []
        self.stuck = False
        self.leaked = False
        self.released = False
        self.notified = False

    def transfer(self, endpoint: int, size: int) -> FakeTransfer:
        """
        Make a transfer.
        """
        transfer = FakeTransfer(self, endpoint, size)
        self.transfers.append(transfer)
        return transfer

    def descriptors(self, changed: Callable[[int, bool | None], None]) -> dict[int, bool]:
        """
        A control descriptor and the device's.
        """
        self.notified = True
        self.changed = changed
        return {CONTROL_FD: True, DEVICE_FD: False}

    def handleEvents(self) -> list[FakeTransfer]:
        """
        What the test has ended.
        """
        ended, self.ended = self.ended, []
        for transfer in ended:
            if transfer in self.inFlight:
                self.inFlight.remove(transfer)
        return ended

    def forgetDescriptors(self) -> None:
        """
        Notify no more.
        """
        self.notified = False

    def release(self) -> None:
        """
        Remember it.
        """
        assert not self.inFlight
        self.released = True

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
        transfer.actualLength = len(data) if transfer.isIn else transfer.length
        self.ended.append(transfer)

    def reads(self) -> list[FakeTransfer]:
        """
        The IN transfers in flight, in order.
        """
        return [each for each in self.inFlight if each.isIn and each not in self.ended]

    def writes(self) -> list[FakeTransfer]:
        """
        The OUT transfers in flight, in order.
        """
        return [each for each in self.inFlight if not each.isIn and each not in self.ended]


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
        self.onLost: Any = None

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
        if self.onLost is not None:
            self.onLost()


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
LIMITS = Limits(readsInFlight=3, fastReadsInFlight=5, bulkInFlight=2, packetsInFlight=4)


class AsynchronousTestCase(SynchronousTestCase):
    """
    A link over transfers that the test ends.
    """

    def setUp(self) -> None:
        """
        A running link.
        """
        self.reactor = FDReactor()
        self.device = FakeDevice()
        Phone.disposals = 0
        self.patch(HeldThread, "held", [])
        self.phone = Phone(
            device=self.device, identity=IDENTITY, interface=INTERFACE, location=(0, 1)
        )
        self.link = self.makeLink()
        self.receiver = Receiver()
        self.link.start(self.receiver)
        self.reactor.advance(0)
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
            self.reactor,
            self.phone,
            LIMITS,
            openContext=lambda device: cast("Any", context),
            makeThread=HeldThread,
        )

    def happen(self) -> None:
        """
        The reactor finds libusb's descriptor ready.
        """
        next(iter(self.reactor.writers)).doWrite()
