# -*- test-case-name: tests.phone.bus.test_pipes -*-
"""
The rules of a host controller for one bulk endpoint, without threads or time.

The host submits transfers, which queue and complete in order; the device fills
or takes them.  USB knows packets only: a transfer ends at a packet shorter than
wMaxPacketSize, or when it is full.  So a message that is a multiple of
wMaxPacketSize must be followed by a packet of no length, or its end is not seen
and the next message is glued to it (protocol 1.7).

What a fault plan has in store (see L{muxd.phone.bus.faultmachine}) happens here: errors to the
transfers of the host, in their order, and the rest to whole messages.
"""

from __future__ import annotations

import errno
import threading
from collections import deque

from muxd.phone.bus.faultmachine import ERRORS, KEEPING, FaultLine
from muxd.phone.bus.faultplan import FaultKind

PIECE = 256
"""About what a message that the host has not read costs beside its bytes."""

GLUE_LIMIT = 1 << 20
"""Where an OUT message without an end is cut off: it is a fault long before."""


class Transfer:
    """
    What one read or write of the host waits for.

    @ivar owner: The handle that submitted it.
    @ivar interface: The number of the interface it went through.
    @ivar buffer: Where an IN transfer goes, or what an OUT transfer brings.
    @ivar count: Bytes moved so far.
    @ivar error: An errno, or 0; meaningful once it is done.
    @ivar done: Set when it has completed.
    @ivar padded: The host's controller ends an OUT transfer of whole packets with
        an empty one by itself, as it was asked to.
    """

    __slots__ = ("buffer", "count", "done", "error", "interface", "owner", "padded")

    def __init__(self, buffer: memoryview, owner: object = None, interface: int = 0) -> None:
        self.buffer = buffer
        self.owner = owner
        self.interface = interface
        self.count = 0
        self.error = 0
        self.done = threading.Event()
        self.padded = False

    def finish(self, error: int = 0) -> None:
        """
        Complete it.
        """
        self.error = error
        self.done.set()


class Pipe:
    """
    What both directions share.

    @ivar transfers: Submitted and not completed, oldest first.
    @ivar halted: Every transfer fails with EPIPE.
    @ivar held: The device answers NAK to everything.
    @ivar departed: A fault has told the device to leave the bus, which is for others
        to see to.
    """

    def __init__(self, packetSize: int, line: FaultLine | None = None) -> None:
        """
        @param line: What goes wrong here.
        """
        self.packetSize = packetSize
        self.transfers: deque[Transfer] = deque()
        self.halted = False
        self.held = False
        self.departed = False
        self._line = line

    def submit(self, transfer: Transfer) -> None:
        """
        Queue a transfer of the host; it may complete at once.
        """
        if self.halted:
            transfer.finish(errno.EPIPE)
            return
        self.transfers.append(transfer)
        self.service()

    def service(self) -> None:
        """
        Move what can be moved.
        """
        raise NotImplementedError

    def withdraw(self, transfer: Transfer) -> bool:
        """
        Take a transfer back that has waited long enough.

        @return: False if it has completed meanwhile.
        """
        if transfer.done.is_set():
            return False
        self.transfers.remove(transfer)
        transfer.finish(0 if transfer.count else errno.ETIMEDOUT)
        return True

    def fail(self, error: int, owner: object = None, interface: int | None = None) -> None:
        """
        Complete the waiting transfers with an error.

        @param owner: Those of this handle only; None for all.
        @param interface: Those of this interface only; None for all.
        """
        kept: deque[Transfer] = deque()
        for transfer in self.transfers:
            if (owner is None or transfer.owner is owner) and interface in (
                None,
                transfer.interface,
            ):
                transfer.finish(error)
            else:
                kept.append(transfer)
        self.transfers = kept

    def halt(self) -> None:
        """
        Stall the endpoint.
        """
        self.halted = True
        self.fail(errno.EPIPE)

    def _failOldest(self, error: int) -> None:
        """
        The oldest transfer meets an error of the bus.  After a stall the others wait,
        as they do in Linux, for the end of it.
        """
        self.halted = error == errno.EPIPE
        self.departed = error == errno.ENODEV
        self.transfers.popleft().finish(error)

    def clearHalt(self) -> None:
        """
        End the stall.
        """
        self.halted = False
        self.service()

    def hold(self, held: bool) -> None:
        """
        Begin or stop to answer NAK.
        """
        self.held = held
        self.service()


class InPipe(Pipe):
    """
    From the device to the host.

    @ivar queued: Bytes that the host has not read.
    @ivar roomWanted: The device waits for C{load} to shrink.
    """

    def __init__(self, packetSize: int, line: FaultLine | None = None) -> None:
        super().__init__(packetSize, line)
        self.queued = 0
        self.roomWanted = False
        # Pieces and whether the message ends after each; a piece that does not
        # end one is made of whole packets.  And between messages, errors.
        self._pieces: deque[tuple[memoryview, bool] | int] = deque()
        self._partial = bytearray()

    @property
    def load(self) -> int:
        """
        What it takes to keep what the host has not read, in bytes.
        """
        return self.queued + PIECE * len(self._pieces)

    def put(self, data: bytes, end: bool = True) -> None:
        """
        Send a message, or without C{end} a part of one, which no fault befalls.
        """
        if self._line is None or not end or self._partial:
            self._put(data, end)
            return
        kind = self._line.strike(data)
        if kind is not None and kind in ERRORS:
            self._pieces.append(ERRORS[kind])
            if kind not in KEEPING:
                self.service()
                return
            kind = None
        for message in self._line.spoil(kind, data):
            self._put(message, True)
        self.service()

    def _put(self, data: bytes, end: bool) -> None:
        self.queued += len(data)
        if self._partial:
            data = bytes(self._partial) + data
            self._partial.clear()
        view = memoryview(data)
        if not end:
            whole = len(view) - len(view) % self.packetSize
            self._partial += view[whole:]
            view = view[:whole]
        if end or view:
            self._pieces.append((view, end))
        self.service()

    def service(self) -> None:
        """
        Fill the oldest transfers.
        """
        pieces = self._pieces
        while self.transfers and not self.held and not self.halted:
            if pieces and isinstance(pieces[0], int):
                self._failOldest(pieces[0])
                pieces.popleft()
            elif self._fill(self.transfers[0]):
                self.transfers.popleft()
            else:
                break

    def _fill(self, transfer: Transfer) -> bool:
        """
        Move packets into a transfer, and finish it if it ended.
        """
        while self._pieces:
            room = len(transfer.buffer) - transfer.count
            piece = self._pieces[0]
            if not room or isinstance(piece, int):
                break
            view, end = piece
            self._pieces.popleft()
            if len(view) > room:
                return self._fillUp(transfer, view, end, room)
            self._move(transfer, view, len(view))
            if end and len(view) and len(view) % self.packetSize == 0:
                self._pieces.appendleft((view[:0], True))
            elif end:
                transfer.finish()
                return True
        if transfer.count and transfer.count == len(transfer.buffer):
            transfer.finish()
            return True
        return False

    def _fillUp(self, transfer: Transfer, view: memoryview, end: bool, room: int) -> bool:
        """
        Move what fits of a piece that does not; a packet that fits in part is
        an overflow, and lost.
        """
        whole = room - room % self.packetSize
        self._move(transfer, view, whole)
        lost = min(self.packetSize, len(view) - whole) if room > whole else 0
        self.queued -= lost
        rest = view[whole + lost :]
        if rest or (end and lost in (0, self.packetSize)):
            self._pieces.appendleft((rest, end))
        transfer.finish(errno.EOVERFLOW if lost else 0)
        return True

    def _move(self, transfer: Transfer, view: memoryview, count: int) -> None:
        start = transfer.count
        transfer.buffer[start : start + count] = view[:count]
        transfer.count = start + count
        self.queued -= count


class OutPipe(Pipe):
    """
    From the host to the device.

    A transfer completes when the device has room for it: C{depth} messages
    wait in the device, the others in the host.
    """

    def __init__(self, packetSize: int, depth: int, line: FaultLine | None = None) -> None:
        super().__init__(packetSize, line)
        self.depth = depth
        # What was taken, what is to become of it, and whether a message ends with it.
        self._accepted: deque[tuple[bytes, FaultKind | None, bool]] = deque()
        self._open = bytearray()
        self._openFault: FaultKind | None = None
        self._spoilt: deque[bytes] = deque()

    @property
    def openBytes(self) -> int:
        """
        How much has been taken of a message whose end has not been seen.
        """
        return len(self._open)

    def service(self) -> None:
        """
        Take transfers into the device, up to its depth.
        """
        while self._mayAccept() and len(self._accepted) < self.depth:
            self._accept()

    def take(self) -> bytes | None:
        """
        The next whole message, or None while there is none.
        """
        spoilt = self._spoilt
        while not spoilt:
            data = self._takeWhole()
            if data is None or self._line is None:
                return data
            kind, self._openFault = self._openFault, None
            spoilt += self._line.spoil(kind, data)
        return spoilt.popleft()

    def _takeWhole(self) -> bytes | None:
        while not self.held and (self._accepted or self._mayAccept()):
            if not self._accepted:
                self._accept()
                continue
            data, kind, end = self._accepted.popleft()
            self._openFault = self._openFault or kind
            self.service()
            if self._open:
                self._open += data
            if not end and len(self._open) < GLUE_LIMIT:
                if not self._open:
                    self._open += data
                continue
            if self._open:
                data = bytes(self._open)
                self._open.clear()
            return data
        return None

    def _mayAccept(self) -> bool:
        return bool(self.transfers) and not self.held and not self.halted

    def _accept(self) -> None:
        """
        Complete the oldest transfer.
        """
        data = bytes(self.transfers[0].buffer)
        kind = self._line.strike(data) if self._line is not None and data else None
        if kind is not None and kind in ERRORS:
            self._failOldest(ERRORS[kind])
            return
        if kind is FaultKind.SHORT and self._line is not None:
            data = data[: self._line.cut(len(data))]
            kind = None
        transfer = self.transfers.popleft()
        transfer.count = len(data)
        end = transfer.padded or not data or len(data) % self.packetSize != 0
        self._accepted.append((data, kind, end))
        transfer.finish()
