# -*- test-case-name: tests.usb.asynchronous.test_transfers -*-
"""
libusb's asynchronous transfers, of one phone: with L{muxd.usb.asynchronous.context} the
only place with raw pointers.

What keeps this safe, in the order in which it could go wrong:

B{One thread.}  A libusb context handles the events of all its devices in whatever
thread asks it to.  So the context of a phone in use belongs to the reactor, nothing
here needs a lock, and a transfer only ever ends within L{Transfers.handleEvents}.

B{Callbacks can neither raise nor be lost.}  An exception in a callback would be printed
and swallowed, and its transfer never be submitted again.  The callback is therefore C
code that puts the transfer's address into a list, here the C{append} of one.  What is
in the list is looked at after libusb has returned.

B{Memory outlives transfers.}  The kernel writes into a transfer's memory until the
transfer has come back.  So what is in flight is owned by its L{Transfers}, is not to be
used by anything else, and cannot be freed.

B{Nothing after the end.}  When L{Transfers.close} has been called, libusb is asked for
nothing any more: its device may be closed.

B{Two builds.}  This module is compiled from C{transfers.pyx} where there is a compiler,
and is this file everywhere else (L{muxd.build}).
"""

from __future__ import annotations

import ctypes
from ctypes import (
    CFUNCTYPE,
    PYFUNCTYPE,
    Structure,
    byref,
    c_char,
    c_int,
    c_long,
    c_ubyte,
    c_uint,
    c_void_p,
)
from typing import Any

from muxd.net.packetmemory import PacketMemory
from muxd.net.streams import checkNumbers

BUILD = "pure"

NOT_FOUND = -5
"""libusb's number for a transfer that cannot be cancelled, as it is not in flight."""

_BULK = 2


class _TimeValue(Structure):
    _fields_ = [("seconds", c_long), ("microseconds", c_long)]


class _TransferStructure(Structure):
    _fields_ = [
        ("handle", c_void_p),
        ("flags", c_ubyte),
        ("endpoint", c_ubyte),
        ("type", c_ubyte),
        ("timeout", c_uint),
        ("status", c_int),
        ("length", c_int),
        ("actualLength", c_int),
        ("callback", c_void_p),
        ("userData", c_void_p),
        ("buffer", c_void_p),
        ("isochronousPackets", c_int),
    ]


_CompletionCallback = CFUNCTYPE(None, c_void_p)
# None of these blocks, and keeping the GIL is what makes a submit cost 15 us instead of
# 60: another thread would take it in between.  Pointers are made once, as C{byref}, which
# goes to libusb as it is: it takes longer to have an argument converted than to call.
_Allocate = PYFUNCTYPE(c_void_p, c_int)
_Use = PYFUNCTYPE(c_int)
_Free = PYFUNCTYPE(None)


class Transfers:
    """
    The bulk transfers of one open device.
    """

    _isClosed = True

    def __init__(self, library: Any, context: int, handle: int) -> None:
        """
        @param library: libusb as C{ctypes} has loaded it; or anything with its functions.
        @param context: The address of the C{libusb_context} that the device was opened
            in, which nothing else handles the events of.
        @param handle: The address of the C{libusb_device_handle}.  Both have to be there
            until L{close}.
        @raise AttributeError: This library lacks a function.
        """
        checkNumbers(context, handle)

        def address(name: str) -> Any:
            return ctypes.cast(getattr(library, f"libusb_{name}"), c_void_p).value

        self._allocate = _Allocate(address("alloc_transfer"))
        self._submit = _Use(address("submit_transfer"))
        self._cancel = _Use(address("cancel_transfer"))
        self._free = _Free(address("free_transfer"))
        self._handle = _Use(address("handle_events_timeout_completed"))
        # What these functions are made of has to stay.
        self._library = library
        self._device = handle
        self._inFlight: dict[int, Transfer] = {}
        self._completed: list[int] = []
        self._callback = _CompletionCallback(self._completed.append)
        self._contextPointer = byref(c_char.from_address(context))
        self._noTime = byref(_TimeValue(0, 0))
        self._isClosed = False

    @property
    def inFlight(self) -> list[Transfer]:
        """
        What has been submitted and has not come back, in the order in which it was
        submitted.
        """
        return list(self._inFlight.values())

    @property
    def countInFlight(self) -> int:
        """
        How many these are.
        """
        return len(self._inFlight)

    def transfer(self, endpoint: int, size: int) -> Transfer:
        """
        A transfer to use, and use again, with memory of this size.

        @param endpoint: Its address, with 0x80 if the device is to be read.
        @raise ValueError: There is no such endpoint, or no such memory.
        @raise MemoryError: libusb has no memory for it.
        @raise RuntimeError: This is closed.
        """
        checkNumbers(endpoint, size)
        if self._isClosed:
            raise RuntimeError("these transfers are closed")
        if not 0 <= endpoint <= 0xFF:
            raise ValueError(f"expected an endpoint's address, got {endpoint}")
        return Transfer(self, endpoint, size)

    def handleEvents(self) -> list[Transfer]:
        """
        Let libusb see what has happened, without waiting.

        @return: The transfers that have ended, in that order; a new list.
        """
        if self._isClosed:
            return []
        handle = self._handle
        handle(self._contextPointer, self._noTime, None)
        addresses = self._completed
        ended: list[Transfer] = []
        take = self._inFlight.pop
        for address in addresses:
            transfer = take(address, None)
            if transfer is not None:
                transfer.isInFlight = False
                structure = transfer._structure
                transfer.status = structure.status
                moved = structure.actualLength
                if not 0 <= moved <= transfer.length:
                    # More than was asked for is what no library says, and no memory has.
                    moved = min(max(moved, 0), transfer.length)
                transfer.actualLength = moved
                ended.append(transfer)
        addresses.clear()
        return ended

    def close(self) -> None:
        """
        Ask libusb for nothing any more.  What is in flight, if anything is, stays there,
        and its memory with it, to the end of the process.
        """
        if not self._isClosed:
            self._isClosed = True
            if self._inFlight:
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))

    def __del__(self) -> None:
        # Forgotten, maybe with transfers that the kernel still writes to.
        self.close()


class BusMemory(PacketMemory):
    """
    A transfer, to what uses it.  All are subclasses, so that compiled code uses them without
    asking Python what they have.

    @ivar isIn: Whether it reads.
    @ivar isBulk: For the use of its owner.
    @ivar below: The same: the next one of those that are not in flight.
    @ivar length: How many bytes were to be moved the last time.
    @ivar actualLength: How many were.
    @ivar status: How it has ended, a L{muxd.usb.asynchronous.context.TransferStatus}: a
        stall is one.
    """

    __slots__ = ("actualLength", "below", "isBulk", "isIn", "length", "status")

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.isIn = self.isBulk = False
        self.below: BusMemory | None = None
        self.length = self.actualLength = self.status = 0

    def submit(self, length: int) -> int:
        """
        Send the first C{length} bytes of the memory, or read up to as many.

        @return: 0, or libusb's number for why it was not submitted.
        """
        raise NotImplementedError


class Transfer(BusMemory):
    """
    One bulk transfer, used again and again.

    @ivar address: Where libusb has it; 0 when it has been freed.
    """

    __slots__ = ("_pointer", "_structure", "_transfers", "address")

    def __init__(self, transfers: Transfers, endpoint: int, size: int) -> None:
        """
        Made by L{Transfers.transfer}, and nowhere else.
        """
        self.address = 0
        super().__init__(size)
        address = transfers._allocate(0)
        if not address:
            raise MemoryError("libusb_alloc_transfer")
        self.address = address
        self._transfers = transfers
        self.isIn = bool(endpoint & 0x80)
        structure = _TransferStructure.from_address(address)
        structure.handle = transfers._device
        structure.endpoint = endpoint
        structure.type = _BULK
        structure.timeout = 0
        structure.callback = ctypes.cast(transfers._callback, c_void_p)
        structure.buffer = ctypes.addressof(c_char.from_buffer(self.view))
        self._structure = structure
        self._pointer = byref(structure)

    def submit(self, length: int) -> int:
        """
        Send the first C{length} bytes of the memory, or read up to as many.

        @return: 0, or libusb's number for why it was not submitted: C{NO_MEMORY} and
            C{NO_DEVICE} in L{muxd.usb.asynchronous.context} are two that a phone's owner
            has to live with.
        @raise ValueError: It has fewer bytes.
        @raise RuntimeError: It is in flight already, has been freed, or its L{Transfers}
            are closed.
        """
        transfers = self._transfers
        if self.isInFlight or not 0 <= length <= self.size or transfers._isClosed:
            self._refuseSubmission(length)
        try:
            self._structure.length = length
        except (TypeError, AttributeError):
            # It has no structure when it has been freed.
            self._refuseSubmission(length)
        # What is called on an attribute is looked for as a method first.
        submit = transfers._submit
        code: int = submit(self._pointer)
        if not code:
            self.length = length
            self.isInFlight = True
            transfers._inFlight[self.address] = self
        return code

    def cancel(self) -> int:
        """
        Ask for it to come back early, which it does in a later L{Transfers.handleEvents}.

        @return: 0, or libusb's number for why not; L{NOT_FOUND} if it is not in flight.
        """
        if not self.isInFlight or self._transfers._isClosed:
            return NOT_FOUND
        code: int = self._transfers._cancel(self._pointer)
        return code

    def free(self) -> None:
        """
        Give all of it back.

        @raise RuntimeError: It is in flight.
        """
        super().free()
        address, self.address = self.address, 0
        if address:
            pointer = self._pointer
            del self._structure, self._pointer
            self._transfers._free(pointer)

    def __del__(self) -> None:
        if self.address and not self.isInFlight:
            self.free()

    def _refuseSubmission(self, length: int) -> None:
        checkNumbers(length)
        if not self.address:
            raise RuntimeError("this transfer has been freed")
        if self._transfers._isClosed:
            raise RuntimeError("these transfers are closed")
        self._refuse(0, length)
