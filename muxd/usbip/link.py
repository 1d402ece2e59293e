# -*- test-case-name: tests.usbip.test_link -*-
"""
The engine of phones that are reached by USB/IP: transfers are messages on one connection,
which the reactor reads and writes, without threads.

The policy is that of the engines for phones on this machine.  A packet is one transfer,
which the other machine's controller ends with an empty packet where its length asks for one
(protocol 1.7).  Several reads are under way, as each takes a journey there and back.  A stall
of reading is cleared once; any other error is the end, and so is a stall of writing.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.interfaces import Buffer
from muxd.limits import LIMITS, Limits
from muxd.usb.engines import (
    SMALL_PACKET,
    EngineError,
    IUSBLink,
    LinkState,
    assemblerFor,
)
from muxd.usb.opening import OpenedPhone
from muxd.usb.transferlink import TransferLink
from muxd.usbip.bus import CLEAR_FEATURE, ENDPOINT_HALT, Handle, UsbipBus
from muxd.usbip.transfers import SETUP, Transfer

READS = 8
READ_SIZE = 32768


@implementer(IUSBLink)
class UsbipLink(TransferLink[Transfer]):
    """
    A link to one phone of a L{UsbipBus}.
    """

    _log = Logger()

    def __init__(self, reactor: Any, phone: OpenedPhone, limits: Limits = LIMITS) -> None:
        """
        @raise EngineError: The phone is on another bus.
        """
        if not isinstance(phone.device.backend, UsbipBus):
            raise EngineError(f"expected a device by USB/IP, got one of {phone.device.backend!r}")
        super().__init__(reactor, phone, limits)
        # pyusb shows its handle to no caller; this is where it keeps it.
        handle: Handle = phone.device._ctx.managed_open()
        self._connection = handle.connection
        self._connection.batchEnded = self._batchEnded
        self._assembler = assemblerFor(phone.identity.udid, self._log)
        self._packets: list[memoryview] = []
        self._hasWritten = False
        self._isClearing = False

    # IPacketLink

    def send(self, parts: Sequence[Buffer]) -> None:
        """
        Submit one packet.
        """
        if self.state is not LinkState.RUNNING:
            return
        packet = b"".join(parts)
        transfer = Transfer(
            self._phone.interface.output, len(packet), self._written, data=packet, isPadded=True
        )
        self._writes.add(transfer)
        self._bulk += len(packet) > SMALL_PACKET
        self._connection.submit(transfer)

    # Transfers

    def _readOn(self) -> None:
        """
        Have as many reads under way as there should be.
        """
        while len(self._reads) < READS:
            transfer = Transfer(self._phone.interface.input, READ_SIZE, self._read)
            self._reads.add(transfer)
            self._connection.submit(transfer)

    def _takeBack(self, transfer: Transfer) -> None:
        self._connection.withdraw(transfer)

    def _read(self, transfer: Transfer) -> None:
        if transfer not in self._reads:
            return
        self._reads.discard(transfer)
        if transfer.error == errno.EPIPE and not (self._isCleared and not self._isClearing):
            self._clear()
        elif transfer.error:
            self._failed(transfer.error)
        elif self._receiver is not None:
            self._packets += self._assembler.feed(memoryview(transfer.data), READ_SIZE)

    def _written(self, transfer: Transfer) -> None:
        if transfer not in self._writes:
            return
        self._writes.discard(transfer)
        self._bulk -= transfer.length > SMALL_PACKET
        self._hasWritten = True
        if transfer.error or transfer.actual != transfer.length:
            self._failed(transfer.error or errno.EIO)

    def _batchEnded(self) -> None:
        """
        All that has ended at one go has been noted: packets go up together.
        """
        packets, self._packets = self._packets, []
        wrote, self._hasWritten = self._hasWritten, False
        # Each of these calls may close this link, and a closed one has no receiver.
        if packets and self._receiver is not None:
            self._receiver.packetsReceived(packets)
        if self.state is LinkState.CLOSING and not self._writes:
            self._release()
        if self.state is LinkState.RUNNING and not self._isClearing:
            self._readOn()
        if wrote and self._receiver is not None:
            self._receiver.roomAvailable()

    def _clear(self) -> None:
        """
        End a stall of reading; the other reads of the same stall fail meanwhile.
        """
        if self._isClearing:
            return
        self._isCleared = self._isClearing = True
        setup = SETUP.pack(*CLEAR_FEATURE, ENDPOINT_HALT, self._phone.interface.input, 0)
        self._connection.submit(Transfer(0, 0, self._cleared, setup=setup))

    def _cleared(self, transfer: Transfer) -> None:
        self._isClearing = False
        if transfer.error:
            self._failed(transfer.error)

    def _failed(self, number: int) -> None:
        reason = self._connection.lost or f"a transfer failed: {os.strerror(number).lower()}"
        self.lose(Failure(ConnectionLost(reason)))
