"""
A libusb whose transfers a test ends: functions that C code can call, written in Python.
"""

from __future__ import annotations

import ctypes
from collections import deque
from ctypes import CFUNCTYPE, POINTER, Structure, c_int, c_ubyte, c_uint, c_void_p

CONTEXT, HANDLE = 0x1000, 0x2000
"""Addresses that nothing looks at."""


class TransferStructure(Structure):
    """
    The public part of C{struct libusb_transfer}.
    """

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


_Callback = CFUNCTYPE(None, c_void_p)
_Use = CFUNCTYPE(c_int, c_void_p)


class FakeLibusb:
    """
    A library that is asked to do things.

    @ivar allocated: The transfers that there are, by address.
    @ivar submitted: Addresses of those in flight, in the order of submission.
    @ivar cancelled: Addresses of those that were cancelled.
    @ivar refusals: What to answer the next submissions with.
    @ivar handled: How often it was asked for events, and of which context.
    """

    def __init__(self) -> None:
        self.allocated: dict[int, TransferStructure] = {}
        self.submitted: list[int] = []
        self.cancelled: list[int] = []
        self.refusals: deque[int] = deque()
        self.hasMemory = True
        self.handled: list[int | None] = []
        self._ended: list[int] = []
        self.libusb_alloc_transfer = CFUNCTYPE(c_void_p, c_int)(self._allocate)
        self.libusb_free_transfer = CFUNCTYPE(None, c_void_p)(self._free)
        self.libusb_submit_transfer = _Use(self._submit)
        self.libusb_cancel_transfer = _Use(self._cancel)
        self.libusb_handle_events_timeout_completed = CFUNCTYPE(
            c_int, c_void_p, c_void_p, POINTER(c_int)
        )(self._handleEvents)

    def structure(self, transfer: int) -> TransferStructure:
        """
        What was submitted.
        """
        return self.allocated[transfer]

    def content(self, transfer: int) -> bytes:
        """
        What a transfer in flight writes.
        """
        structure = self.allocated[transfer]
        assert structure.buffer is not None
        return ctypes.string_at(structure.buffer, structure.length)

    def end(self, transfer: int, status: int = 0, data: bytes = b"", count: int = -1) -> None:
        """
        A transfer has come back, which is seen when events are handled.

        @param data: What it has read.
        @param count: How much it claims to have moved, if not as much as that.
        """
        self.submitted.remove(transfer)
        structure = self.allocated[transfer]
        structure.status = status
        structure.actualLength = len(data) if count < 0 else count
        if data:
            assert structure.buffer is not None and len(data) <= structure.length
            ctypes.memmove(structure.buffer, data, len(data))
        self._ended.append(transfer)

    def _allocate(self, isochronous: int) -> int:
        assert isochronous == 0
        if not self.hasMemory:
            return 0
        structure = TransferStructure()
        address = ctypes.addressof(structure)
        self.allocated[address] = structure
        return address

    def _free(self, transfer: int) -> None:
        assert transfer not in self.submitted
        del self.allocated[transfer]

    def _submit(self, transfer: int) -> int:
        assert transfer not in self.submitted and transfer in self.allocated
        if self.refusals:
            return self.refusals.popleft()
        self.submitted.append(transfer)
        return 0

    def _cancel(self, transfer: int) -> int:
        self.cancelled.append(transfer)
        return 0

    def _handleEvents(self, context: int | None, time: int, completed: object) -> int:
        self.handled.append(context)
        ended, self._ended = self._ended, []
        for transfer in ended:
            _Callback(self.allocated[transfer].callback or 0)(transfer)
        return 0
