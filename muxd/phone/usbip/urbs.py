# -*- test-case-name: tests.phone.usbip.test_urbs -*-
"""
A device's side of a host controller that is reached by USB/IP: what becomes of the
transfers (URBs) that a host submits.

Everything here is in the reactor's thread.  Transfers finish whenever the device
does something, with the lock of its attachment held, so the answers are collected,
and written together in the reactor's next turn.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from muxd.limits import LIMITS, Limits
from muxd.phone.bus.attachment import Attachment
from muxd.phone.bus.control import DIRECTION_IN, ControlRequest
from muxd.phone.bus.pipes import Transfer
from muxd.phone.usbip.endpointzero import EndpointZero
from muxd.usbip.commands import (
    SHORT_NOT_OK,
    ZERO_PACKET,
    Direction,
    Errno,
    HostCommand,
    Reply,
    ReturnSubmit,
    ReturnUnlink,
    Submit,
    Unlink,
)
from muxd.usbip.requests import InvalidUsbip

SETUP = Struct("<BBHHH")


@dataclass(slots=True)
class TransferCounters:
    """
    What hosts have done with a device.

    @ivar out: Bulk and interrupt transfers to it.
    @ivar outEmpty: Those of them that brought nothing: packets of no length.
    @ivar incoming: Transfers from it.
    @ivar mostIncoming: The most of one endpoint that waited at once.
    @ivar control: Control transfers.
    @ivar unlinked: Transfers that were taken back, or were to be.
    @ivar stalled: Transfers that failed since an endpoint was stalled.
    """

    out: int = 0
    outEmpty: int = 0
    incoming: int = 0
    mostIncoming: int = 0
    control: int = 0
    unlinked: int = 0
    stalled: int = 0


class Urb(Transfer):
    """
    A transfer of a host that is told when it has finished.

    @ivar seqnum: What the host knows it by.
    @ivar endpoint: Its address.
    @ivar flags: The host's wishes.
    """

    __slots__ = ("_finished", "endpoint", "flags", "seqnum")

    def __init__(
        self,
        command: Submit,
        endpoint: int,
        buffer: memoryview,
        finished: Callable[[Urb], None],
    ) -> None:
        super().__init__(buffer)
        self.seqnum = command.seqnum
        self.endpoint = endpoint
        self.flags = command.flags
        self.padded = bool(command.flags & ZERO_PACKET)
        self._finished = finished

    def finish(self, error: int = 0) -> None:
        """
        Complete it.
        """
        super().finish(error)
        self._finished(self)


class RemoteController:
    """
    Carries out what a host's controller commands.

    @ivar attachment: The device, as this host has it.
    """

    def __init__(
        self,
        clock: IReactorTime,
        attachment: Attachment,
        write: Callable[[list[bytes]], None],
        counters: TransferCounters,
        limits: Limits = LIMITS,
    ) -> None:
        """
        @param write: Sends answers, all that there are.
        """
        self.attachment = attachment
        self._clock = clock
        self._write = write
        self._limits = limits
        self._counters = counters
        self._zero = EndpointZero(attachment)
        self._urbs: dict[int, Urb] = {}
        self._bytes = 0
        self._replies: list[Reply] = []
        self._flushing: IDelayedCall | None = None
        self._closed = False

    def commanded(self, command: HostCommand) -> None:
        """
        Carry out a command.

        @raise InvalidUsbip: That is not possible, and no host would ask for it.
        """
        deviceID = self.attachment.bus << 16 | self.attachment.address
        if command.deviceID != deviceID:
            raise InvalidUsbip(f"device {command.deviceID:#x}, expected {deviceID:#x}")
        if isinstance(command, Unlink):
            self._unlink(command)
        elif command.seqnum in self._urbs:
            raise InvalidUsbip(f"transfer {command.seqnum} is submitted twice")
        elif command.endpoint == 0:
            self._control(command)
        else:
            self._submit(command)

    def flush(self) -> None:
        """
        Write the answers that there are.
        """
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        if self._replies:
            replies, self._replies = self._replies, []
            self._write([reply.encode() for reply in replies])

    def close(self, error: int = 0) -> None:
        """
        The device is off the bus, or the host is gone.

        @param error: What the transfers under way fail with; the host is not told
            of them otherwise.
        """
        if not error:
            self._closed = True
        self.attachment.unplug(error)
        self.flush()
        self._closed = True

    # What a host commands.

    def _control(self, command: Submit) -> None:
        self._counters.control += 1
        kind, request, value, index, length = SETUP.unpack(command.setup)
        try:
            answer = self._zero.answer(
                ControlRequest(kind, request, value, index, length, command.data)
            )
        except OSError as error:
            self._reply(self._failed(command, Errno.fromLocal(error.errno or errno.EPIPE)))
            return
        if command.direction == Direction.OUT:
            self._reply(ReturnSubmit(seqnum=command.seqnum, actual=command.length))
            return
        answer = answer[: command.length]
        self._reply(ReturnSubmit(seqnum=command.seqnum, actual=len(answer), data=answer))

    def _submit(self, command: Submit) -> None:
        """
        A transfer of another endpoint, which is kept until it finishes.
        """
        self._bytes += command.length
        if self._bytes > self._limits.usbipPending or (
            len(self._urbs) >= self._limits.usbipTransfers
        ):
            raise InvalidUsbip(
                f"{len(self._urbs) + 1} transfers of {self._bytes} bytes wait at once"
            )
        endpoint = command.endpoint
        if command.direction == Direction.IN:
            self._counters.incoming += 1
            endpoint |= DIRECTION_IN
            buffer = memoryview(bytearray(command.length))
        else:
            self._counters.out += 1
            self._counters.outEmpty += not command.length
            buffer = memoryview(command.data)
        urb = self._urbs[command.seqnum] = Urb(command, endpoint, buffer, self._finished)
        try:
            self.attachment.submit(endpoint, urb)
        except OSError as error:
            self._forget(urb)
            # It is a protocol error to address an endpoint that there is not.
            self._reply(self._failed(command, Errno.fromLocal(error.errno or errno.EPROTO)))
        else:
            if endpoint & DIRECTION_IN:
                waiting = self.attachment.waiting(endpoint)
                self._counters.mostIncoming = max(self._counters.mostIncoming, waiting)

    def _unlink(self, command: Unlink) -> None:
        """
        Take a transfer back.  What has come of it already goes to the host by an
        answer of its own, since the answer to this one carries no data: a read
        that ends by its time-out would lose it.
        """
        self._counters.unlinked += 1
        urb = self._urbs.pop(command.victim, None)
        status = 0
        if urb is not None:
            self._bytes -= len(urb.buffer)
            if self.attachment.withdraw(urb.endpoint, urb):
                if urb.count:
                    self._reply(self._returned(urb, -Errno.ECONNRESET))
                else:
                    status = -Errno.ECONNRESET
        self._reply(ReturnUnlink(seqnum=command.seqnum, status=status))

    # What becomes of it.

    def _finished(self, urb: Urb) -> None:
        """
        A transfer has finished; the attachment's lock is held.
        """
        if self._urbs.get(urb.seqnum) is not urb:
            return
        self._forget(urb)
        status = -Errno.fromLocal(urb.error) if urb.error else 0
        isShort = urb.count < len(urb.buffer)
        if not status and urb.flags & SHORT_NOT_OK and urb.endpoint & DIRECTION_IN and isShort:
            status = -Errno.EREMOTEIO
        self._counters.stalled += status == -Errno.EPIPE
        self._reply(self._returned(urb, status))

    def _forget(self, urb: Urb) -> None:
        del self._urbs[urb.seqnum]
        self._bytes -= len(urb.buffer)

    def _returned(self, urb: Urb, status: int) -> ReturnSubmit:
        data = bytes(urb.buffer[: urb.count]) if urb.endpoint & DIRECTION_IN else b""
        return ReturnSubmit(seqnum=urb.seqnum, status=status, actual=urb.count, data=data)

    def _failed(self, command: Submit, number: Errno) -> ReturnSubmit:
        self._counters.stalled += number is Errno.EPIPE
        return ReturnSubmit(seqnum=command.seqnum, status=-number)

    def _reply(self, reply: Reply) -> None:
        if self._closed:
            return
        self._replies.append(reply)
        if self._flushing is None:
            self._flushing = self._clock.callLater(0, self._flushLater)

    def _flushLater(self) -> None:
        self._flushing = None
        self.flush()
