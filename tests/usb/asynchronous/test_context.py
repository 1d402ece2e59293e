"""
Tests of L{muxd.usb.asynchronous.context} on a libusb that says what there is to watch.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, c_int, c_short, c_void_p
from select import POLLIN, POLLOUT
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muxd.usb.asynchronous import context
from muxd.usb.asynchronous.context import TransferContext, Unwatchable
from tests.usb.fakelibusb import CONTEXT, HANDLE, FakeLibusb


class PollFD(Structure):
    """
    C{struct libusb_pollfd}.
    """

    _fields_ = [("fd", c_int), ("events", c_short)]


class WatchedLibusb(FakeLibusb):
    """
    A library with descriptors.

    @ivar descriptors: Those that there are, and what is watched of each.
    @ivar freed: How many lists of them were given back.
    @ivar told: Whom it tells of changes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.descriptors: list[tuple[int, int]] | None = []
        self.freed = 0
        self.told: tuple[Any, Any] | None = None
        self._kept: list[Any] = []

    def libusb_get_pollfds(self, pointer: c_void_p) -> Any:
        """
        A list of pointers, which ends with one to nothing.
        """
        assert pointer.value == CONTEXT
        if self.descriptors is None:
            return None
        entries = [PollFD(*each) for each in self.descriptors]
        pointers = (POINTER(PollFD) * (len(entries) + 1))(*map(ctypes.pointer, entries))
        self._kept = [entries, pointers]
        return pointers

    def libusb_free_pollfds(self, listed: c_void_p) -> None:
        """
        Count.
        """
        assert listed.value == ctypes.addressof(self._kept[1])
        self.freed += 1

    def libusb_set_pollfd_notifiers(
        self, pointer: c_void_p, added: Any, removed: Any, data: None
    ) -> None:
        """
        Remember whom.
        """
        assert pointer.value == CONTEXT
        if added is None:
            self.told = None
        else:
            self.told = (
                ctypes.CFUNCTYPE(None, c_int, c_short, c_void_p)(added.value),
                ctypes.CFUNCTYPE(None, c_int, c_void_p)(removed.value),
            )


class DescriptorTests(SynchronousTestCase):
    """
    What there is to watch.
    """

    def setUp(self) -> None:
        """
        A device that is open.
        """
        self.library = WatchedLibusb()
        self.patch(context, "_bind", lambda handle: self.library)
        opened = SimpleNamespace(handle=c_void_p(HANDLE))
        self.device = SimpleNamespace(
            backend=SimpleNamespace(ctx=c_void_p(CONTEXT), lib=SimpleNamespace(_handle=7)),
            _ctx=SimpleNamespace(managed_open=lambda: opened),
        )
        self.context = TransferContext(self.device)
        self.changes: list[tuple[int, bool | None]] = []

    def changed(self, fd: int, isReadable: bool | None) -> None:
        """
        Keep it.
        """
        self.changes.append((fd, isReadable))

    def test_listed(self) -> None:
        """
        All descriptors are listed, with what is watched of each, and the list is given back.
        """
        self.library.descriptors = [(5, POLLIN), (6, POLLOUT), (7, POLLIN | POLLOUT)]
        listed = self.context.descriptors(self.changed)
        self.assertEqual(listed, {5: True, 6: False, 7: True})
        self.assertEqual(self.library.freed, 1)

    def test_changes(self) -> None:
        """
        Those that come and go later are told of, until that is not wanted any more.
        """
        self.assertEqual(self.context.descriptors(self.changed), {})
        assert self.library.told is not None
        added, removed = self.library.told
        added(8, POLLIN, None)
        added(9, POLLOUT, None)
        removed(8, None)
        self.assertEqual(self.changes, [(8, True), (9, False), (8, None)])
        self.context.forgetDescriptors()
        self.assertIsNone(self.library.told)

    def test_unwatchable(self) -> None:
        """
        Where there are none, that is told.
        """
        self.library.descriptors = None
        self.assertRaises(Unwatchable, self.context.descriptors, self.changed)

    def test_another(self) -> None:
        """
        A device of another backend is refused.
        """
        for backend in (
            SimpleNamespace(),
            SimpleNamespace(ctx=c_void_p(CONTEXT)),
            SimpleNamespace(lib=SimpleNamespace(_handle=7)),
        ):
            device = SimpleNamespace(backend=backend, _ctx=self.device._ctx)
            self.assertRaises(TypeError, TransferContext, device)

    def test_ends(self) -> None:
        """
        After either end nothing is submitted any more.
        """
        for end in ("release", "leak"):
            ended = TransferContext(self.device)
            transfer = ended.transfer(4, 10)
            getattr(ended, end)()
            self.assertRaises(RuntimeError, transfer.submit, 1)
            self.assertRaises(RuntimeError, ended.transfer, 4, 10)
            transfer.free()
