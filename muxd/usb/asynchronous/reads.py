# -*- test-case-name: tests.usb.asynchronous.test_link,tests.usb.asynchronous.test_reads -*-
"""
The reading half of the asynchronous engine.

Memory for transfers is shared by all phones of a machine, and by both directions.
Reads are always with the kernel, and so could have all of it forever, while a
packet waits for some that would make the phone say what a read waits for.  So
reads give way: for each packet that finds no memory one of them is taken back and
not submitted again, as long as there is another.
"""

from __future__ import annotations

from collections.abc import Callable

from muxd.interfaces import PlacedPacket
from muxd.net.packetmemory import PacketMemory
from muxd.usb.asynchronous.context import NO_MEMORY, TransferContext, TransferStatus, refusal
from muxd.usb.asynchronous.transfers import BusMemory, Transfer
from muxd.usb.configuration import MuxInterface
from muxd.wire.assembly import PacketAssembler
from muxd.wire.mux import V1_HEADER

READ_SIZE = 32768
"""
Of each read.  A packet of the usual 32 kB fits; a larger one is put together from
several, which costs a copy and nothing else.
"""

SHORTEST = V1_HEADER.size

COMPLETED = int(TransferStatus.COMPLETED)
CANCELLED = int(TransferStatus.CANCELLED)


class Reads:
    """
    IN transfers: those with the kernel, and those to submit.

    @ivar waiting: How many are with the kernel.
    @ivar unread: The first of those to submit; None if all are with the kernel.
    """

    def __init__(
        self,
        context: TransferContext,
        interface: MuxInterface,
        assembler: PacketAssembler,
        *,
        noMemory: Callable[[bool], None],
        failed: Callable[[str], None],
    ) -> None:
        """
        @param assembler: Makes packets of what is read.
        @param noMemory: Called when there is none for a transfer, with whether
            nothing is with the kernel: L{submit} is to be called soon then.
        @param failed: Called with why when the phone is gone.
        """
        self.waiting = 0
        self._context = context
        self._interface = interface
        self._assembler = assembler
        self._noMemory = noMemory
        self._failed = failed
        self.unread: BusMemory | None = None
        self._surplus: Transfer | None = None

    def prepare(self, count: int) -> None:
        """
        Have this many transfers from now on.
        """
        for _ in range(count):
            transfer = self._context.transfer(self._interface.input, READ_SIZE)
            transfer.below, self.unread = self.unread, transfer

    def ended(self, transfer: BusMemory, status: int, packets: list[PlacedPacket]) -> None:
        """
        A transfer has come back.

        @param packets: Those that are complete with it are put there; they are in its
            memory, which is theirs until L{submit}, or in memory of their own.
        """
        self.waiting -= 1
        size = transfer.actualLength
        if status == COMPLETED:
            if size >= SHORTEST and self._assembler.isClean and transfer.readHeader(0) == size:
                packets.append((transfer, 0, size))
            else:
                self._assemble(transfer.view[:size], packets, partial=False)
        elif transfer is self._surplus and status == CANCELLED and size:
            # What came before it was taken back is part of a transfer that goes on.
            self._assemble(transfer.view[:size], packets, partial=True)
        if transfer is self._surplus:
            self._surplus = None
            if status == CANCELLED:
                transfer.free()
                return
        # It is to be submitted.
        transfer.below, self.unread = self.unread, transfer

    def _assemble(self, chunk: memoryview, packets: list[PlacedPacket], *, partial: bool) -> None:
        """
        Anything but one whole packet.
        """
        for packet in self._assembler.feed(chunk, READ_SIZE, partial=partial):
            memory = PacketMemory(len(packet))
            memory.write(0, packet)
            packets.append((memory, 0, len(packet)))

    def submit(self) -> None:
        """
        Submit what is not submitted.
        """
        transfer = self.unread
        while transfer is not None:
            code = transfer.submit(READ_SIZE)
            if code:
                if code == NO_MEMORY:
                    self._noMemory(not self.waiting)
                else:
                    self._failed(refusal(code))
                return
            self.waiting += 1
            self.unread, transfer.below = transfer.below, None
            transfer = self.unread

    def giveWay(self) -> None:
        """
        A packet finds no memory: do without one read from now on, if it is not
        the only one and none is on its way back already.
        """
        if self.waiting > 1 and self._surplus is None:
            # The newest is the least likely to have something in it.
            newestFirst = reversed(self._context.inFlight)
            self._surplus = next(transfer for transfer in newestFirst if transfer.isIn)
            self._surplus.cancel()

    def isSurplus(self, transfer: BusMemory) -> bool:
        """
        Whether this one has been taken back to give way.
        """
        return transfer is self._surplus

    def free(self) -> None:
        """
        Give back all transfers, none of which is in flight.
        """
        while self.unread is not None:
            self.unread.free()
            self.unread = self.unread.below
