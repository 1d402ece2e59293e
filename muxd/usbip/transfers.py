# -*- test-case-name: tests.usbip.test_transfers -*-
"""
A host's connections to a machine that exports devices: one asks what there is, others have
one device each and carry its transfers.

What comes is believed as far as it was asked for: a reply to nothing, or of more than there is
room for, ends the connection.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from struct import Struct

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IDelayedCall, IReactorTime, ITCPTransport, ITransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from muxd.usbip.commands import (
    COMMAND_SIZE,
    NO_PACKETS,
    ZERO_PACKET,
    Direction,
    Errno,
    ReturnUnlink,
    Submit,
    Unlink,
    decodeReply,
)
from muxd.usbip.requests import (
    COUNT,
    DEVICE,
    INTERFACE,
    OP_HEADER,
    DevlistRequest,
    ExportedDevice,
    ImportRequest,
    InvalidUsbip,
    Status,
    decodeDevlistReply,
    decodeImportReply,
)

MOST_DEVICES = 1024
"""Of one machine, and far more than it has."""

INPUT = 0x80
"""In an endpoint's address: from the device."""

SETUP = Struct("<BBHHH")

ANSWER_TIME = 10.0
"""Seconds that a machine has to answer a request."""


class DeviceBusy(Exception):
    """
    Another host has the device, or it is not there any more; the text is one line.
    """


class DeviceListing(Protocol):
    """
    Asks which devices there are.

    @ivar finished: Fires with the devices.  It fails with L{InvalidUsbip} or
        C{ConnectionLost}.
    """

    def __init__(self) -> None:
        self.finished: Deferred[tuple[ExportedDevice, ...]] = Deferred(self._cancelled)
        self._data = b""

    def connectionMade(self) -> None:
        """
        Ask.
        """
        assert self.transport is not None
        self.transport.write(DevlistRequest().encode())

    def dataReceived(self, data: bytes) -> None:
        """
        Part of the answer came.
        """
        self._data += data
        try:
            if not _isWholeListing(self._data):
                return
            devices = decodeDevlistReply(self._data)
        except InvalidUsbip as error:
            self._fire(Failure(error))
        else:
            self._fire(devices)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        That was all.
        """
        self._fire(Failure(ConnectionLost(f"no whole list of devices came: {reason.value}")))

    def _fire(self, result: tuple[ExportedDevice, ...] | Failure) -> None:
        if not self.finished.called:
            self.finished.callback(result)
            _drop(self.transport)

    def _cancelled(self, _: object) -> None:
        _drop(self.transport)


def _isWholeListing(data: bytes) -> bool:
    """
    Whether an answer to DEVLIST has come whole.

    @raise InvalidUsbip: There would be too many.
    """
    end = OP_HEADER.size + COUNT.size
    if len(data) >= OP_HEADER.size and OP_HEADER.unpack_from(data)[2]:
        return True
    if len(data) < end:
        return False
    (count,) = COUNT.unpack_from(data, OP_HEADER.size)
    if count > MOST_DEVICES:
        raise InvalidUsbip(f"a list of {count} devices, expected {MOST_DEVICES} at most")
    for _ in range(count):
        end += DEVICE.size
        if len(data) < end:
            return False
        end += INTERFACE.size * data[end - 1]
    return len(data) >= end


@dataclass(slots=True, eq=False)
class Transfer:
    """
    One transfer of a device.

    @ivar endpoint: The address of its endpoint, with its direction.
    @ivar length: How much it brings, or has room for.
    @ivar ended: Called with it when it has ended, in the reactor's thread.
    @ivar setup: The SETUP packet if the endpoint is 0.
    @ivar data: What it brings; when it has ended and came in, what has come.
    @ivar isPadded: Whether an empty packet is to follow whole ones.
    @ivar error: When it has ended: this system's errno, or 0.
    @ivar actual: When it has ended: how many bytes were moved.
    @ivar seqnum: What it is referred to by, once it has been submitted.
    """

    endpoint: int
    length: int
    ended: Callable[[Transfer], object]
    setup: bytes = bytes(8)
    data: bytes = field(default=b"", repr=False)
    isPadded: bool = False
    error: int = 0
    actual: int = 0
    seqnum: int = 0

    @property
    def isInput(self) -> bool:
        """
        Whether bytes come from the device.
        """
        return bool(self.endpoint & INPUT)


class DeviceConnection(Protocol):
    """
    Has one device of another machine.

    @ivar imported: Fires with the device when we have it.  It fails with L{DeviceBusy},
        L{InvalidUsbip}, C{TimeoutError} or C{ConnectionLost}.
    @ivar lost: Why it is lost, once it is; empty until then.
    @ivar batchEnded: Called when all transfers that have ended at one go have been told of,
        also when the device is lost.
    """

    def __init__(self, clock: IReactorTime, busID: str) -> None:
        """
        @param busID: What the other machine calls the device's place, such as C{1-1.2}.
        """
        self.imported: Deferred[ExportedDevice] = Deferred(self._cancelled)
        self.lost = ""
        self.batchEnded: Callable[[], object] = _nothing
        self._clock = clock
        self._busID = busID
        self._device: ExportedDevice | None = None
        self._pending: dict[int, Transfer] = {}
        self._unlinks: dict[int, int] = {}
        self._lastSeqnum = 0
        self._buffer = bytearray()
        self._timer: IDelayedCall | None = None

    # Of a device.

    def submit(self, transfer: Transfer) -> None:
        """
        Begin a transfer.  Once the device is lost all transfers end with ENODEV, this one
        not before the reactor's next turn.
        """
        if self.lost or self._device is None or self.transport is None:
            transfer.error = errno.ENODEV
            self._clock.callLater(0, self._tell, [transfer])
            return
        transfer.seqnum = self._nextSeqnum()
        self._pending[transfer.seqnum] = transfer
        self.transport.write(
            Submit(
                seqnum=transfer.seqnum,
                deviceID=self._device.deviceID,
                direction=Direction.IN if transfer.isInput else Direction.OUT,
                endpoint=transfer.endpoint & 0x0F,
                length=transfer.length,
                flags=ZERO_PACKET if transfer.isPadded else 0,
                packets=NO_PACKETS[0],
                setup=transfer.setup,
                data=b"" if transfer.isInput else transfer.data,
            ).encode()
        )

    def withdraw(self, transfer: Transfer) -> None:
        """
        Take a transfer back; nothing more is heard of it.  Harmless for one that has ended.
        """
        if self._pending.get(transfer.seqnum) is not transfer or self._device is None:
            return
        # Its length is still needed to know where its answer ends, if there is one.
        transfer.ended = _ignore
        assert self.transport is not None
        seqnum = self._nextSeqnum()
        self._unlinks[seqnum] = transfer.seqnum
        self.transport.write(
            Unlink(seqnum=seqnum, deviceID=self._device.deviceID, victim=transfer.seqnum).encode()
        )

    def _nextSeqnum(self) -> int:
        self._lastSeqnum = self._lastSeqnum % 0x7FFFFFFF + 1
        return self._lastSeqnum

    def close(self) -> None:
        """
        Give the device back.
        """
        self._stopTimer()
        _drop(self.transport)

    # Of a connection.

    def connectionMade(self) -> None:
        """
        Ask for the device.
        """
        assert self.transport is not None
        if ITCPTransport.providedBy(self.transport):
            tcp = ITCPTransport(self.transport)
            tcp.setTcpNoDelay(True)
            tcp.setTcpKeepAlive(True)
        self.transport.write(ImportRequest(self._busID).encode())
        self._timer = self._clock.callLater(ANSWER_TIME, self._refuse, "it does not answer")

    def dataReceived(self, data: bytes) -> None:
        """
        Part of an answer came, or several of them.
        """
        if self.lost:
            return
        self._buffer += data
        try:
            if self._device is None and not self._readImport():
                return
            ended = []
            while (transfer := self._nextEnded()) is not None:
                ended.append(transfer)
        except InvalidUsbip as error:
            self._refuse(str(error))
            return
        self._tell(ended)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The device is gone.
        """
        self._refuse(str(reason.value))

    def _readImport(self) -> bool:
        """
        @return: Whether we have the device.
        """
        if len(self._buffer) < OP_HEADER.size:
            return False
        status = OP_HEADER.unpack_from(self._buffer)[2]
        size = OP_HEADER.size + (0 if status else DEVICE.size)
        if len(self._buffer) < size:
            return False
        answer = bytes(self._buffer[:size])
        del self._buffer[:size]
        if status in (Status.BUSY, Status.NO_DEVICE, Status.FAILED):
            why = "it is not there" if status == Status.NO_DEVICE else "another host has it"
            self._refuse(f"{self._busID} is not given away: {why}")
            return False
        device = decodeImportReply(answer)
        if device.busID != self._busID:
            raise InvalidUsbip(f"expected the device {self._busID}, got {device.busID!r}")
        self._stopTimer()
        self._device = device
        self.imported.callback(device)
        return True

    def _nextEnded(self) -> Transfer | None:
        """
        The next transfer that has ended and that anything waits for.

        @raise InvalidUsbip: What came is no answer.
        """
        while len(self._buffer) >= COMMAND_SIZE:
            reply = decodeReply(bytes(self._buffer[:COMMAND_SIZE]))
            if isinstance(reply, ReturnUnlink):
                del self._buffer[:COMMAND_SIZE]
                self._unlinked(reply)
                continue
            transfer = self._pending.get(reply.seqnum)
            if transfer is None:
                raise InvalidUsbip(f"an answer to transfer {reply.seqnum}, which is not under way")
            if not 0 <= reply.actual <= transfer.length:
                raise InvalidUsbip(
                    f"{reply.actual} bytes for a transfer of {transfer.length} at most"
                )
            size = COMMAND_SIZE + (reply.actual if transfer.isInput else 0)
            if len(self._buffer) < size:
                return None
            if transfer.isInput:
                transfer.data = bytes(self._buffer[COMMAND_SIZE:size])
            del self._buffer[:size]
            del self._pending[reply.seqnum]
            transfer.actual = reply.actual
            if reply.status:
                number = -reply.status
                known = number in Errno.__members__.values()
                transfer.error = Errno(number).local if known else errno.EIO
            return transfer
        return None

    def _unlinked(self, reply: ReturnUnlink) -> None:
        """
        A transfer has been taken back, and nothing more is heard of it; or, if the status is
        0, it has an answer of its own.

        @raise InvalidUsbip: None was to be.
        """
        victim = self._unlinks.pop(reply.seqnum, None)
        if victim is None:
            raise InvalidUsbip(f"an answer to {reply.seqnum}, by which nothing was taken back")
        if reply.status:
            self._pending.pop(victim, None)

    def _refuse(self, reason: str) -> None:
        """
        The device is lost, or was never ours.
        """
        if self.lost:
            return
        self.lost = reason or "the connection was closed"
        self._stopTimer()
        self._buffer.clear()
        pending, self._pending = self._pending, {}
        _drop(self.transport)
        if not self.imported.called:
            self.imported.errback(DeviceBusy(self.lost))
        for transfer in pending.values():
            transfer.error = errno.ENODEV
        self._tell(list(pending.values()))

    def _tell(self, ended: list[Transfer]) -> None:
        """
        Tell of transfers that have ended.  Being told may submit others, or close this.
        """
        for transfer in ended:
            transfer.ended(transfer)
        self.batchEnded()

    def _stopTimer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def _cancelled(self, _: object) -> None:
        self.close()


def _nothing() -> None:
    """
    No link is there to be told.
    """


def _ignore(transfer: Transfer) -> None:
    """
    What becomes of a transfer that was taken back.
    """


def _drop(transport: ITransport | None) -> None:
    if transport is not None:
        getattr(transport, "abortConnection", transport.loseConnection)()
