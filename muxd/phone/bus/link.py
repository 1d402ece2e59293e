# -*- test-case-name: tests.phone.bus.test_link -*-
"""
The engine of simulated phones: transfers of the bus of this process, without threads.

A transfer is submitted in the reactor's thread and ends when the phone has filled or
taken it, mostly in the same thread.  That is noted, and looked at in the reactor's next
turn, all that has ended by then together.  While nothing is sent nothing is done: there
is no timer, and no thread that waits.

The policy is that of the engines for real phones.  A packet is one transfer, which the
bus ends with an empty packet where its length asks for one (protocol 1.7).  Two bulk
packets have room, and small ones are let past.  A stall of reading is cleared once; any
other error is the end, and so is a stall of writing, after which the endpoint is left
so that the next link can write to it.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.interfaces import Buffer
from muxd.limits import LIMITS, Limits
from muxd.net.wakeup import WakeUp
from muxd.phone.bus.handles import Handle
from muxd.phone.bus.pipes import Transfer
from muxd.phone.bus.simulated import LIBUSB, SimulatedBus
from muxd.usb.engines import (
    SMALL_PACKET,
    EngineError,
    IUSBLink,
    LinkState,
    assemblerFor,
)
from muxd.usb.opening import OpenedPhone
from muxd.usb.transferlink import TransferLink

READS = 2
"""One can be filled while the other is looked at; there is no latency to be hidden."""

READ_SIZE = 32768


class BusTransfer(Transfer):
    """
    A transfer of a link, which is told when it has ended.

    @ivar endpoint: The address of its endpoint.
    """

    __slots__ = ("_ended", "endpoint")

    def __init__(
        self,
        endpoint: int,
        buffer: memoryview,
        handle: Handle,
        ended: Callable[[BusTransfer], None],
    ) -> None:
        super().__init__(buffer, handle)
        self.endpoint = endpoint
        self.padded = True
        self._ended = ended

    @property
    def isBulk(self) -> bool:
        """
        Whether it is large enough for others to be let past it.
        """
        return len(self.buffer) > SMALL_PACKET

    def finish(self, error: int = 0) -> None:
        """
        Complete it, with the lock of the attachment held.
        """
        super().finish(error)
        self._ended(self)


@implementer(IUSBLink)
class BusLink(TransferLink[BusTransfer]):
    """
    A link to one phone on a L{SimulatedBus}.
    """

    _log = Logger()

    def __init__(self, reactor: Any, phone: OpenedPhone, limits: Limits = LIMITS) -> None:
        """
        @raise EngineError: The phone is on another bus.
        """
        backend = phone.device.backend
        if not isinstance(backend, SimulatedBus):
            raise EngineError(f"expected a device of a simulated bus, got one of {backend!r}")
        super().__init__(reactor, phone, limits)
        # pyusb shows its handle to no caller; this is where it keeps it.
        self._handle: Handle = phone.device._ctx.managed_open()
        self._attachment = self._handle.attachment
        self._assembler = assemblerFor(phone.identity.udid, self._log)
        self._ended: deque[BusTransfer] = deque()
        self._wakeUp = WakeUp(reactor.callFromThread, self._transfersEnded)

    # IPacketLink

    def send(self, parts: Sequence[Buffer]) -> None:
        """
        Submit one packet.
        """
        if self.state is not LinkState.RUNNING:
            return
        packet = memoryview(b"".join(parts))
        transfer = BusTransfer(self._phone.interface.output, packet, self._handle, self._note)
        self._writes.add(transfer)
        self._bulk += transfer.isBulk
        self._submit(transfer)

    # Transfers

    def _readOn(self) -> None:
        for _ in range(READS):
            self._read(memoryview(bytearray(READ_SIZE)))

    def _takeBack(self, transfer: BusTransfer) -> None:
        self._attachment.withdraw(transfer.endpoint, transfer)

    def _read(self, buffer: memoryview) -> None:
        transfer = BusTransfer(self._phone.interface.input, buffer, self._handle, self._note)
        self._reads.add(transfer)
        self._submit(transfer)

    def _submit(self, transfer: BusTransfer) -> None:
        """
        What is refused ends like what fails later: not while its sender is sending.
        """
        try:
            self._attachment.submit(transfer.endpoint, transfer)
        except OSError as error:
            transfer.finish(error.errno or errno.EIO)

    def _note(self, transfer: BusTransfer) -> None:
        """
        A transfer has ended: in any thread, with the attachment's lock held.
        """
        self._ended.append(transfer)
        self._wakeUp()

    def _transfersEnded(self) -> None:
        """
        All that has ended until now: packets go up in one batch, then their memory is
        submitted again, and then there is room for more packets down.
        """
        packets: list[memoryview] = []
        buffers: list[memoryview] = []
        error = 0
        wrote = False
        for _ in range(len(self._ended)):
            transfer = self._ended.popleft()
            if transfer in self._writes:
                wrote = True
                error = error or self._written(transfer)
            elif transfer in self._reads and not error:
                self._reads.remove(transfer)
                buffers.append(transfer.buffer)
                error = self._checkRead(transfer)
                if not transfer.error:
                    chunk = transfer.buffer[: transfer.count]
                    packets += self._assembler.feed(chunk, READ_SIZE)
        # Each of these calls may close this link, and a closed one has no receiver.
        if packets and self._receiver is not None:
            self._receiver.packetsReceived(packets)
        if error:
            self._failed(error)
        if self.state is LinkState.CLOSING:
            if not self._writes:
                self._release()
            return
        if self.state is LinkState.RUNNING:
            for buffer in buffers:
                self._read(buffer)
        if wrote and self._receiver is not None:
            self._receiver.roomAvailable()

    def _written(self, transfer: BusTransfer) -> int:
        """
        @return: The errno of a packet that was not sent, or only in part.
        """
        self._writes.remove(transfer)
        self._bulk -= transfer.isBulk
        if transfer.error == errno.EPIPE:
            # What waits behind the packet that is lost must not be taken.
            self._withdraw(self._writes)
            with suppress(OSError):
                self._attachment.clearHalt(transfer.endpoint)
        if not transfer.error and transfer.count != len(transfer.buffer):
            return errno.EIO
        return transfer.error

    def _checkRead(self, transfer: BusTransfer) -> int:
        """
        @return: The errno of a read that cannot be made again.
        """
        if transfer.error != errno.EPIPE or transfer.count:
            return transfer.error
        try:
            if not self._attachment.halted(transfer.endpoint):
                # Another one of the same stall.
                return 0
            if self._isCleared:
                return errno.EPIPE
            self._isCleared = True
            self._attachment.clearHalt(transfer.endpoint)
        except OSError as error:
            return error.errno or errno.EIO
        return 0

    def _failed(self, number: int) -> None:
        _, text = LIBUSB.get(number, LIBUSB[errno.EIO])
        self.lose(Failure(ConnectionLost(f"a transfer failed: {text.lower()}")))
