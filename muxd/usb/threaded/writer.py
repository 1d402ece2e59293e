# -*- test-case-name: tests.usb.threaded.test_link -*-
"""
The writing thread of the pyusb engine.

A write that times out (the phone takes nothing for a while, which it may) is
continued, not repeated.  libusb takes the transfer back and says how many bytes
the phone has acknowledged; these are whole USB packets, the data toggle stands
behind them, and the phone's transfer is still open, because only a short packet
or a zero-length one ends it.  So the rest, sent as a further transfer, is on
the wire what the whole would have been.  A count that is not whole packets
cannot be continued, and ends the link.

So does a stall: of a transfer that is stalled pyusb does not say how much was
taken, so it can neither be continued nor repeated.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from enum import Enum, auto
from queue import SimpleQueue
from threading import Event

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from usb.core import USBError, USBTimeoutError

from muxd.limits import Limits
from muxd.usb.engines import SMALL_PACKET, mayFollow
from muxd.usb.opening import OpenedPhone
from muxd.usb.threaded.mailbox import Mailbox

WRITE_TIMEOUT = 200
"""Milliseconds."""


class RoomAvailable(Enum):
    """
    What the writing thread says when the reactor waits for room.
    """

    ROOM_AVAILABLE = auto()


Mail = bytes | Failure | RoomAvailable
"""What the threads put into a link's mailbox: a transfer, the end, or room."""


def transferFailure(error: USBError) -> Failure:
    """
    What a link's receiver is told when one of pyusb's transfers has failed.
    """
    return Failure(ConnectionLost(f"USB transfer failed: {error}"))


class Writer:
    """
    The writing thread and its queue.

    Two counters of each kind tell how many packets are on their way: one is
    written by the reactor's thread alone, the other by the writing thread
    alone, so there is no lock.

    @ivar isAwaited: The reactor wants to hear of room.  Set by the reactor's
        thread, cleared by the writing one.
    """

    def __init__(self, phone: OpenedPhone, mailbox: Mailbox[Mail]) -> None:
        self.isAwaited = False
        self._phone = phone
        self._endpoint = phone.interface.output
        self._maxPacketSize = phone.interface.maxPacketSize
        self._mailbox = mailbox
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._abandoned = Event()
        self._accepted = self._acceptedBulk = 0
        self._written = self._writtenBulk = 0

    def put(self, packet: bytes) -> None:
        """
        Accept a packet.
        """
        self._accepted += 1
        self._acceptedBulk += len(packet) > SMALL_PACKET
        self._queue.put(packet)

    def hasRoom(self, size: int, limits: Limits) -> bool:
        """
        Whether one more packet of this size may be accepted now.
        """
        packets = self._accepted - self._written
        return mayFollow(size, packets, self._acceptedBulk - self._writtenBulk, limits)

    def finish(self) -> None:
        """
        End when everything accepted is written.
        """
        self._queue.put(None)

    def abandon(self) -> None:
        """
        End now, written or not.
        """
        self._abandoned.set()
        self._queue.put(None)

    def run(self) -> None:
        """
        The writing thread.
        """
        try:
            self._runUntilFinished()
        except USBError as error:
            self._mailbox.put(transferFailure(error))
            if error.errno == errno.EPIPE:
                self._clear()
        except Exception:  # must not end silently: the phone would seem to be deaf
            self._mailbox.put(Failure())

    def _runUntilFinished(self) -> None:
        while (packet := self._queue.get()) is not None and self._writePacket(packet):
            self._written += 1
            self._writtenBulk += len(packet) > SMALL_PACKET
            if self.isAwaited:
                self.isAwaited = False
                self._mailbox.put(RoomAvailable.ROOM_AVAILABLE)

    def _clear(self) -> None:
        """
        Leave an endpoint that the next link can write to.
        """
        with suppress(USBError):
            self._phone.device.clear_halt(self._endpoint)

    def _writePacket(self, packet: bytes) -> bool:
        """
        One packet is one transfer, with a zero-length one behind it where the
        phone could not see its end otherwise (protocol 1.7).

        @return: Whether all of it was written; it is not when abandoned.
        """
        at = 0
        while at < len(packet):
            count = self._writeOnce(packet[at:] if at else packet)
            if count is None:
                return False
            at += count
            if at < len(packet) and at % self._maxPacketSize:
                raise USBError(f"a write ended inside a USB packet, {at} bytes into a transfer")
        return at % self._maxPacketSize != 0 or self._writeOnce(b"") is not None

    def _writeOnce(self, data: bytes) -> int | None:
        """
        Write as much as the phone takes.

        @return: How much that was; C{None} when abandoned before it took any.
        """
        while not self._abandoned.is_set():
            try:
                return int(self._phone.device.write(self._endpoint, data, WRITE_TIMEOUT))
            except USBTimeoutError:
                continue
        return None
