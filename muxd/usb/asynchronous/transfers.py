# -*- test-case-name: tests.usb.asynchronous.test_libusb -*-
"""
libusb's asynchronous transfers, for one phone: the only place with raw pointers.

pyusb has loaded the library, made a context, opened, configured and claimed the
device.  It has no asynchronous transfers, so about ten functions of the same
library are bound here once more, with C{ctypes.PyDLL}: none of them blocks, and
keeping the GIL is what makes a submit cost 15 us instead of 60 (another thread
would take it in between).

What keeps this safe, in the order in which it could go wrong:

B{One thread.}  A libusb context handles the events of all its devices in
whatever thread asks it to, and a synchronous call asks it to.  So the context of
a phone in use belongs to the reactor: discovery makes another one for the next
phone.  Nothing here needs a lock, and a callback is only ever called from within
L{TransferContext.handleEvents}, or from opening and closing.

B{Callbacks can neither raise nor be lost.}  An exception in a ctypes callback is
printed and swallowed, and its transfer would never be submitted again.  The
callback of a transfer is therefore the C{append} of a list: C code that puts
the transfer's address there.  What is in the list is looked at after
C{libusb_handle_events} has returned, in ordinary Python.  Changes of file
descriptors cannot wait so long, as libusb closes one when the callback has
returned; whoever is told of them must not raise.

B{Memory outlives transfers.}  The kernel writes into a transfer's buffer until
the transfer has come back.  Buffer, C structure and callback are therefore owned
by the L{Transfer}, and a submitted L{Transfer} is owned by its context's table of
what is in flight.  C{free} refuses while it is there.  If a transfer never
comes back, even cancelled, then it and the context are leaked on purpose: L{leak}.

B{Order of closing.}  Cancel, handle events until everything has come back, free
the transfers, take the notifiers away, and only then let pyusb release the
interface and close the device.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    byref,
    c_int,
    c_long,
    c_short,
    c_ubyte,
    c_uint,
    c_void_p,
)
from enum import IntEnum
from functools import cache
from typing import Any

POLLIN = 1
BULK = 2


class TransferStatus(IntEnum):
    """
    How a transfer has ended.
    """

    COMPLETED = 0
    ERROR = 1
    TIMED_OUT = 2
    CANCELLED = 3
    STALL = 4
    NO_DEVICE = 5
    OVERFLOW = 6


class TransferError(Exception):
    """
    libusb refused something.

    @ivar code: libusb's own number, such as L{NO_MEMORY}.
    """

    def __init__(self, what: str, code: int) -> None:
        super().__init__(f"{what}: libusb error {code}")
        self.code = code


NO_DEVICE = -4
NO_MEMORY = -11

_CompletionCallback = CFUNCTYPE(None, c_void_p)
_AddedCallback = CFUNCTYPE(None, c_int, c_short, c_void_p)
_RemovedCallback = CFUNCTYPE(None, c_int, c_void_p)


class _TimeValue(Structure):
    _fields_ = [("seconds", c_long), ("microseconds", c_long)]


class _PollFD(Structure):
    _fields_ = [("fd", c_int), ("events", c_short)]


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


@cache
def _bind(handle: int) -> ctypes.PyDLL:
    """
    The functions that are used, of a library that is loaded already and stays so.
    """
    library = ctypes.PyDLL(None, handle=handle)
    for name, result, arguments in (
        ("alloc_transfer", c_void_p, [c_int]),
        ("free_transfer", None, [c_void_p]),
        ("submit_transfer", c_int, [c_void_p]),
        ("cancel_transfer", c_int, [c_void_p]),
        ("handle_events_timeout_completed", c_int, [c_void_p, POINTER(_TimeValue), c_void_p]),
        ("get_pollfds", POINTER(POINTER(_PollFD)), [c_void_p]),
        ("free_pollfds", None, [c_void_p]),
        ("set_pollfd_notifiers", None, [c_void_p, c_void_p, c_void_p, c_void_p]),
    ):
        function = getattr(library, f"libusb_{name}")
        function.restype = result
        function.argtypes = arguments
    return library


class TransferContext:
    """
    The context that one phone was opened in.

    @ivar inFlight: The submitted transfers, by address.
    """

    def __init__(self, device: Any) -> None:
        """
        @param device: A C{usb.core.Device} of pyusb's libusb1 backend, open.
        @raise TypeError: It is of another backend.
        """
        backend = device.backend
        if not hasattr(backend, "ctx") or not hasattr(backend, "lib"):
            raise TypeError(f"expected a device of libusb 1.0, got one of {backend!r}")
        self.library = _bind(backend.lib._handle)
        self.inFlight: dict[int, Transfer] = {}
        # pyusb shows its handle to nobody; this is where it keeps it.
        self.handle = device._ctx.managed_open().handle.value
        self._device = device
        self._pointer = backend.ctx
        self._completed: list[int] = []
        self._zero = _TimeValue(0, 0)
        self.callback = _CompletionCallback(self._completed.append)
        self._notifiers: tuple[object, ...] = ()

    def descriptors(self, changed: Callable[[int, bool | None], None]) -> dict[int, bool]:
        """
        Ask to be told of changes, and return the file descriptors to watch now:
        True those whose being readable is an event, False writable.

        @param changed: Called with a descriptor to watch for being readable
            (True) or writable (False), or not any more (None).  It is still
            open then.
        @raise TransferError: This library cannot be polled (as on Windows).
        """
        library = self.library
        listed = library.libusb_get_pollfds(self._pointer)
        if not listed:
            raise TransferError("file descriptors to poll", 0)
        added = _AddedCallback(lambda fd, events, _: changed(fd, bool(events & POLLIN)))
        removed = _RemovedCallback(lambda fd, _: changed(fd, None))
        self._notifiers = (added, removed)
        library.libusb_set_pollfd_notifiers(
            self._pointer, ctypes.cast(added, c_void_p), ctypes.cast(removed, c_void_p), None
        )
        found = {}
        index = 0
        while listed[index]:
            entry = listed[index].contents
            found[entry.fd] = bool(entry.events & POLLIN)
            index += 1
        library.libusb_free_pollfds(ctypes.cast(listed, c_void_p))
        return found

    def handleEvents(self) -> list[Transfer]:
        """
        Let libusb see what has happened, without waiting.

        @return: The transfers that have ended, in that order.
        """
        self.library.libusb_handle_events_timeout_completed(self._pointer, byref(self._zero), None)
        addresses = self._completed
        if not addresses:
            return []
        ended = [self.inFlight.pop(address) for address in addresses]
        addresses.clear()
        return ended

    def transfer(self, endpoint: int, size: int) -> Transfer:
        """
        A transfer to use, and use again, with a buffer of this size.

        @raise MemoryError: libusb has no memory for it.
        """
        return Transfer(self, endpoint, size)

    def forgetDescriptors(self) -> None:
        """
        Be told of no more changes.
        """
        self.library.libusb_set_pollfd_notifiers(self._pointer, None, None, None)
        self._notifiers = ()

    def release(self) -> None:
        """
        Let go of the device, and so of the libusb context.  Nothing may be in
        flight, and nothing be asked of this object afterwards.
        """
        self._device = None

    def leak(self) -> None:
        """
        Never give back what the kernel may still write to.
        """
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))


class Transfer:
    """
    One bulk transfer, used again and again.

    @ivar view: Its buffer.
    @ivar isIn: Whether it reads.
    @ivar isBulk: For whoever counts them.
    """

    __slots__ = ("_address", "_buffer", "_context", "_structure", "isBulk", "isIn", "view")

    def __init__(self, context: TransferContext, endpoint: int, size: int) -> None:
        """
        @raise MemoryError: libusb has none.
        """
        address = context.library.libusb_alloc_transfer(0)
        if not address:
            raise MemoryError("libusb_alloc_transfer")
        self._context = context
        self._address: int = address
        self._buffer = (c_ubyte * size)()
        self.view = memoryview(self._buffer).cast("B")
        self.isIn = bool(endpoint & 0x80)
        self.isBulk = False
        structure = _TransferStructure.from_address(address)
        structure.handle = context.handle
        structure.endpoint = endpoint
        structure.type = BULK
        structure.timeout = 0
        structure.callback = ctypes.cast(context.callback, c_void_p)
        structure.buffer = ctypes.addressof(self._buffer)
        self._structure = structure

    def submit(self, length: int) -> None:
        """
        Send the first C{length} bytes of the buffer, or read up to as many.

        @raise TransferError: It was not submitted.
        """
        self._structure.length = length
        self._context.inFlight[self._address] = self
        code = self._context.library.libusb_submit_transfer(self._address)
        if code:
            del self._context.inFlight[self._address]
            raise TransferError("submit", code)

    def cancel(self) -> None:
        """
        Ask for it to come back early.
        """
        self._context.library.libusb_cancel_transfer(self._address)

    @property
    def length(self) -> int:
        """
        How many bytes were to be moved.
        """
        length: int = self._structure.length
        return length

    @property
    def status(self) -> int:
        """
        How it has ended, a L{TransferStatus}.
        """
        status: int = self._structure.status
        return status

    @property
    def actualLength(self) -> int:
        """
        How many bytes were moved.
        """
        length: int = self._structure.actualLength
        return length

    def free(self) -> None:
        """
        Give the C structure and the buffer back.

        @raise RuntimeError: It is in flight.
        """
        if self._address in self._context.inFlight:
            raise RuntimeError("a transfer in flight cannot be freed")
        if self._address:
            self._context.library.libusb_free_transfer(self._address)
            self._address = 0
            # We are part of a cycle, which the garbage collector may find much later.
            del self.view, self._buffer, self._structure
