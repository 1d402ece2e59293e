# -*- test-case-name: tests.usb.asynchronous.test_libusb -*-
"""
The libusb context that one phone was opened in, for asynchronous transfers.

pyusb has loaded the library, made a context, opened, configured and claimed the
device.  It has no asynchronous transfers, so about ten functions of the same
library are bound once more: those for transfers in L{muxd.usb.asynchronous.transfers},
which says what keeps them safe, and those for file descriptors here.

B{One thread.}  A libusb context handles the events of all its devices in
whatever thread asks it to, and a synchronous call asks it to.  So discovery makes
another one for the next phone.

B{Descriptors.}  Changes of file descriptors cannot wait until libusb has returned, as
it closes one when the callback has: what is told of them must not raise.

B{Order of closing.}  Cancel, handle events until everything has come back, free
the transfers, take the notifiers away, and only then let pyusb release the
interface and close the device.  If a transfer never comes back, even cancelled, then it
and the context are leaked on purpose: L{TransferContext.leak}.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, Structure, c_int, c_short, c_void_p
from enum import IntEnum
from functools import cache
from typing import Any

from muxd.usb.asynchronous.transfers import Transfers

POLLIN = 1


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


class Unwatchable(Exception):
    """
    This library has no file descriptors to watch, as on Windows.
    """


NO_DEVICE = -4
NO_MEMORY = -11


def refusal(code: int) -> str:
    """
    What there is to say of a transfer that libusb has not taken.

    @param code: libusb's own number, such as L{NO_DEVICE}.
    """
    return f"submit: libusb error {code}"


_AddedCallback = CFUNCTYPE(None, c_int, c_short, c_void_p)
_RemovedCallback = CFUNCTYPE(None, c_int, c_void_p)


class _PollFD(Structure):
    _fields_ = [("fd", c_int), ("events", c_short)]


@cache
def _bind(handle: int) -> ctypes.PyDLL:
    """
    The functions that are used, of a library that is loaded already and stays so.
    """
    library = ctypes.PyDLL(None, handle=handle)
    for name, result, arguments in (
        ("get_pollfds", POINTER(POINTER(_PollFD)), [c_void_p]),
        ("free_pollfds", None, [c_void_p]),
        ("set_pollfd_notifiers", None, [c_void_p, c_void_p, c_void_p, c_void_p]),
    ):
        function = getattr(library, f"libusb_{name}")
        function.restype = result
        function.argtypes = arguments
    return library


class TransferContext(Transfers):
    """
    Transfers of a phone that pyusb has opened, and the descriptors to watch.
    """

    def __init__(self, device: Any) -> None:
        """
        @param device: A C{usb.core.Device} of pyusb's libusb1 backend, open.
        @raise TypeError: It is of another backend.
        """
        backend = device.backend
        if not hasattr(backend, "ctx") or not hasattr(backend, "lib"):
            raise TypeError(f"expected a device of libusb 1.0, got one of {backend!r}")
        library = _bind(backend.lib._handle)
        pointer = ctypes.cast(backend.ctx, c_void_p)
        # pyusb has no public name for its handle; this is where it keeps it.
        handle = device._ctx.managed_open().handle
        super().__init__(library, pointer.value or 0, handle.value)
        self._polled = library
        self._held = device
        self._pointer = pointer
        self._notifiers: tuple[object, ...] = ()

    def descriptors(self, changed: Callable[[int, bool | None], None]) -> dict[int, bool]:
        """
        Ask to be told of changes, and return the file descriptors to watch now:
        True those whose being readable is an event, False writable.

        @param changed: Called with a descriptor to watch for being readable
            (True) or writable (False), or not any more (None).  It is still
            open then.
        @raise Unwatchable: There are none here.
        """
        library = self._polled
        listed = library.libusb_get_pollfds(self._pointer)
        if not listed:
            raise Unwatchable("there are no file descriptors to poll")
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

    def forgetDescriptors(self) -> None:
        """
        Be told of no more changes.
        """
        self._polled.libusb_set_pollfd_notifiers(self._pointer, None, None, None)
        self._notifiers = ()

    def release(self) -> None:
        """
        Let go of the device, and so of the libusb context.  Nothing may be in
        flight.
        """
        self.close()
        self._held = None

    def leak(self) -> None:
        """
        Never give back what the kernel may still write to.
        """
        self.close()
