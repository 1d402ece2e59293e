# -*- test-case-name: tests.usb.asynchronous.test_link,tests.usb.asynchronous.test_memory -*-
"""
The writing half of the asynchronous engine.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from muxd.device.lending import Lender
from muxd.interfaces import Buffer
from muxd.limits import Limits
from muxd.net.packetmemory import PacketMemory
from muxd.usb.asynchronous.context import NO_MEMORY, TransferContext, TransferStatus, refusal
from muxd.usb.asynchronous.pacing import BusPace
from muxd.usb.asynchronous.transfers import BusMemory
from muxd.usb.configuration import MuxInterface
from muxd.usb.engines import SMALL_PACKET
from muxd.wire.mux import DEVICE_MRU

# A member of an enumeration is slow to look up, and this is done with each packet.
COMPLETED = int(TransferStatus.COMPLETED)
ERROR = int(TransferStatus.ERROR)


class Writes(Lender):
    """
    OUT transfers: those in flight, those to use again, and the packets that
    came when there were enough.

    @ivar bulk: How many large packets are in flight.
    @ivar small: How many small ones.
    @ivar endedBytes: How many bytes of large ones have come back, and are not measured yet.
    @ivar backlog: Packets that came when there were enough in flight.
    @ivar isOpen: Whether what was lent is sent, and not dropped.
    """

    def __init__(
        self,
        context: TransferContext,
        interface: MuxInterface,
        limits: Limits,
        pace: BusPace,
        *,
        noMemory: Callable[[], None],
        failed: Callable[[str], None],
    ) -> None:
        """
        @param noMemory: Called when there is none for a transfer: L{resume} is
            to be called soon.
        @param failed: Called with why when the phone is gone.
        """
        self.bulk = 0
        self.small = 0
        self.isOpen = False
        self._context = context
        self._endpoint = interface.output
        self._packetSize = interface.maxPacketSize
        self._bulkInFlight = limits.bulkInFlight
        self._packetsInFlight = limits.packetsInFlight
        self._pace = pace
        self.payload, self.lonePayload = pace.payload, pace.lonePayload
        self._bulkBytes = 0
        self.endedBytes = 0
        self._noMemory = noMemory
        self._failed = failed
        self._freeBulk: BusMemory | None = None
        self._freeSmall: BusMemory | None = None
        self.backlog: deque[bytes] = deque()
        self._mostInFlight = limits.packetsInFlight + limits.bulkInFlight
        self._capacity = self._mostInFlight

    def send(self, parts: Sequence[Buffer]) -> None:
        """
        Submit one packet, behind those that wait.
        """
        if self.backlog or self.bulk + self.small >= self._capacity:
            self.backlog.append(b"".join(parts))
        else:
            self._write(parts)

    def borrow(self, size: int) -> BusMemory:
        """
        A transfer that is not in flight, with memory for as many bytes.
        """
        if size > SMALL_PACKET:
            free = self._freeBulk
            if free is not None:
                self._freeBulk, free.below = free.below, None
                return free
        else:
            free = self._freeSmall
            if free is not None:
                self._freeSmall, free.below = free.below, None
                return free
        capacity = DEVICE_MRU if size > SMALL_PACKET else SMALL_PACKET
        return self._context.transfer(self._endpoint, capacity)

    def giveBack(self, memory: PacketMemory) -> None:
        """
        That transfer is not needed, and may be used again.
        """
        # What is lent here is nothing else.
        transfer: BusMemory = memory  # type: ignore[assignment]
        if transfer.size > SMALL_PACKET:
            transfer.below, self._freeBulk = self._freeBulk, transfer
        else:
            transfer.below, self._freeSmall = self._freeSmall, transfer

    def transmit(self, memory: PacketMemory, size: int) -> None:
        """
        Submit the packet that is in a borrowed transfer, behind those that wait.
        """
        transfer: BusMemory = memory  # type: ignore[assignment]
        if not self.isOpen:
            self.giveBack(transfer)
        elif self.backlog or self.bulk + self.small >= self._capacity:
            self.backlog.append(transfer.read(0, size))
            self.giveBack(transfer)
        elif self._submit(transfer, size) and not size % self._packetSize:
            # The end of a transfer of whole USB packets is an empty one; an
            # empty one that had to wait is written by itself.
            self._submit(self.borrow(0), 0)

    def hasRoom(self, size: int) -> bool:
        """
        Whether few enough packets are on their way.
        """
        if self.backlog:
            return False
        if size > SMALL_PACKET:
            return self.bulk < self._bulkInFlight or self._bulkBytes + size <= self._pace.depth
        return self.bulk + self.small < self._packetsInFlight

    def isIdle(self) -> bool:
        """
        Whether everything has been sent.
        """
        return not (self.backlog or self.bulk or self.small)

    def resume(self) -> None:
        """
        Some have come back: send what waits, as far as it goes.
        """
        backlog = self.backlog
        while backlog and self.bulk + self.small < self._capacity:
            if not self._write((backlog.popleft(),)):
                return

    def hold(self) -> None:
        """
        Submit nothing until L{release}.
        """
        self._capacity = 0

    def release(self) -> None:
        """
        Submit again, and first what has waited.
        """
        self._capacity = self._mostInFlight
        self.resume()

    def ended(self, transfer: BusMemory) -> int:
        """
        A transfer has come back.

        @return: Its L{TransferStatus}.  One that has ended early is an error: what the
            phone lacks cannot be sent behind its successors.
        """
        if transfer.isBulk:
            self.bulk -= 1
            self._bulkBytes -= transfer.length
            self.endedBytes += transfer.length
        else:
            self.small -= 1
        # As L{giveBack}, since it is done with each packet.
        if transfer.size > SMALL_PACKET:
            transfer.below, self._freeBulk = self._freeBulk, transfer
        else:
            transfer.below, self._freeSmall = self._freeSmall, transfer
        status = transfer.status
        if status == COMPLETED and transfer.actualLength != transfer.length:
            return ERROR
        return status

    def measure(self) -> None:
        """
        All that have come back together have ended.  Called before anything is sent,
        as what is sent now begins now.
        """
        if self.endedBytes:
            pace = self._pace
            pace.ended(self.endedBytes)
            self.endedBytes = 0
            self.payload, self.lonePayload = pace.payload, pace.lonePayload

    def clear(self) -> None:
        """
        Send nothing more.
        """
        self.backlog.clear()

    def free(self) -> None:
        """
        Give back all transfers, none of which is in flight.
        """
        for first in (self._freeBulk, self._freeSmall):
            transfer = first
            while transfer is not None:
                transfer.free()
                transfer = transfer.below
        self._freeBulk = self._freeSmall = None

    def _write(self, parts: Sequence[Buffer]) -> bool:
        """
        @return: False if it went back to the backlog, or if the phone is gone.
        """
        size = sum(map(len, parts))
        transfer = self.borrow(size)
        place = 0
        for part in parts:
            place = transfer.write(place, part)
        if not self._submit(transfer, size):
            return False
        if size and not size % self._packetSize:
            return self._submit(self.borrow(0), 0)
        return True

    def _submit(self, transfer: BusMemory, size: int) -> bool:
        code = transfer.submit(size)
        if code:
            self.giveBack(transfer)
            if code == NO_MEMORY:
                self.backlog.appendleft(transfer.read(0, size))
                self._noMemory()
            else:
                self._failed(refusal(code))
            return False
        transfer.isBulk = size > SMALL_PACKET
        if transfer.isBulk:
            if not self.bulk:
                self._pace.began()
            self.bulk += 1
            self._bulkBytes += size
        else:
            self.small += 1
        return True
