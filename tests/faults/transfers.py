"""
The asynchronous engine's transfers on a simulated bus, without libusb and without waiting.

This is what L{muxd.usb.asynchronous.context} is to a real bus.  When and how many at
a time the ends of transfers are seen is for the driver of an exploration to say.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from random import Random
from typing import Any

from muxd.phone.bus.attachment import Attachment
from muxd.phone.bus.handles import Handle
from muxd.phone.bus.pipes import Transfer
from muxd.usb.asynchronous.context import NO_DEVICE, NO_MEMORY, TransferStatus
from muxd.usb.asynchronous.transfers import BusMemory

STATUS = {
    0: TransferStatus.COMPLETED,
    errno.EIO: TransferStatus.ERROR,
    errno.ETIMEDOUT: TransferStatus.TIMED_OUT,
    errno.EPIPE: TransferStatus.STALL,
    errno.ENODEV: TransferStatus.NO_DEVICE,
    errno.EOVERFLOW: TransferStatus.OVERFLOW,
}


class BusTransfer(BusMemory):
    """
    One transfer, used again and again.
    """

    __slots__ = ("_context", "_endpoint", "_isCancelled", "isFreed", "pending")

    def __init__(self, context: BusContext, endpoint: int, size: int) -> None:
        super().__init__(size)
        self.isIn = bool(endpoint & 0x80)
        self.isFreed = False
        self.pending: Transfer | None = None
        self._context = context
        self._endpoint = endpoint
        self._isCancelled = False

    def submit(self, length: int) -> int:
        """
        Begin it.

        @return: 0, or that there is no memory, or no phone.
        """
        context = self._context
        assert not self.isFreed and self not in context.inFlight
        assert not context.isTaken
        if context.random.random() < context.memoryTrouble:
            return NO_MEMORY
        self.length = length
        self._isCancelled = False
        try:
            pending = Transfer(self.view[:length], context.handle)
            context.attachment.submit(self._endpoint, pending)
        except OSError:
            return NO_DEVICE
        self.pending = pending
        context.inFlight.append(self)
        return 0

    def cancel(self) -> None:
        """
        Have it come back.
        """
        assert self.pending is not None and not self._context.isTaken
        self._isCancelled = not self.pending.done.is_set()
        self._context.attachment.withdraw(self._endpoint, self.pending)

    def end(self) -> None:
        """
        It has come back: say how, and how many bytes were moved.
        """
        assert self.pending is not None
        cancelled = TransferStatus.CANCELLED
        self.status = cancelled if self._isCancelled else STATUS[self.pending.error]
        self.actualLength = self.pending.count

    def free(self) -> None:
        """
        Use it no more.
        """
        assert not self.isFreed and self not in self._context.inFlight
        self.isFreed = True
        super().free()
        self.pending = None


class BusContext:
    """
    What the engine sees of a context.

    @ivar inFlight: In the order in which they were submitted.
    @ivar fd: What stands for its descriptor.
    @ivar isReleased: Whether the link has let go of it.
    @ivar isTaken: Whether a thread has the phone, for which the reactor would wait.
    """

    def __init__(self, device: Any, random: Random, fd: int, memoryTrouble: float) -> None:
        """
        @param device: A C{usb.core.Device} on a simulated bus.
        @param memoryTrouble: With what probability a transfer is refused.
        """
        self.random = random
        self.memoryTrouble = memoryTrouble
        self.handle: Handle = device._ctx.managed_open()
        self.attachment: Attachment = self.handle.attachment
        self.inFlight: list[BusTransfer] = []
        self.transfers: list[BusTransfer] = []
        self.isReleased = False
        self.isTaken = False
        self.fd = fd

    def transfer(self, endpoint: int, size: int) -> BusTransfer:
        """
        Make one.
        """
        transfer = BusTransfer(self, endpoint, size)
        self.transfers.append(transfer)
        return transfer

    def descriptors(self, changed: Callable[[int, bool | None], None]) -> dict[int, bool]:
        """
        The device's.
        """
        return {self.fd: False}

    def hasEvents(self) -> bool:
        """
        Whether a transfer has ended, and that can be seen.
        """
        return not self.isTaken and any(
            transfer.pending is not None and transfer.pending.done.is_set()
            for transfer in self.inFlight
        )

    def handleEvents(self) -> list[BusTransfer]:
        """
        Some of those that have ended, oldest first.
        """
        assert not self.isTaken
        ended = [
            transfer
            for transfer in self.inFlight
            if transfer.pending is not None and transfer.pending.done.is_set()
        ]
        if len(ended) > 1:
            del ended[self.random.randrange(len(ended)) + 1 :]
        for transfer in ended:
            self.inFlight.remove(transfer)
            transfer.end()
        return ended

    def forgetDescriptors(self) -> None:
        """
        Tell of no more changes.
        """

    def release(self) -> None:
        """
        Let go of the device.
        """
        assert not self.inFlight and not self.isTaken
        assert all(transfer.isFreed for transfer in self.transfers)
        self.isReleased = True

    def leak(self) -> None:
        """
        Never happens: all transfers come back here.
        """
        raise AssertionError("transfers were left behind")
