"""
Tests for L{muxd.usb.contexts}.
"""

from __future__ import annotations

import gc
import os
import sys
from ctypes import c_void_p
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase
from usb.backend import libusb1
from usb.core import find

from muxd.usb.contexts import Context
from muxd.usb.libraries import newContext

PARENT = 99


class FakeLibrary:
    """
    A libusb that remembers what becomes of its objects.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    def libusb_init(self, context: Any) -> int:
        """
        Make a context.
        """
        context._obj.value = 1
        return 0

    def libusb_exit(self, context: c_void_p) -> None:
        """
        The end of one.
        """
        self.calls.append(("exit", context.value or 0))

    def libusb_get_device_list(self, context: c_void_p, devices: Any) -> int:
        """
        Two devices.
        """
        self.array = (c_void_p * 2)(11, 12)
        devices._obj.contents = self.array
        return 2

    def libusb_free_device_list(self, devices: Any, unref: int) -> None:
        """
        The list is not needed any more.
        """
        self.calls.append(("list", 0))

    def libusb_ref_device(self, device: int) -> int:
        """
        One more reference to a device.
        """
        return device

    def libusb_unref_device(self, device: int) -> None:
        """
        Not any more.
        """
        self.calls.append(("unref", device))

    def libusb_get_parent(self, device: int) -> int | None:
        """
        The first device has one.
        """
        return PARENT if device == 11 else None


class ContextTests(SynchronousTestCase):
    """
    Tests for L{Context}.
    """

    def setUp(self) -> None:
        """
        A context with two devices.
        """
        self.library = FakeLibrary()
        self.patch(libusb1, "_lib", self.library)
        self.context: Any = Context(self.library)

    def ends(self) -> list[tuple[str, int]]:
        """
        Let go of the context, and return what was given back, in order, since
        before that.
        """
        self.library.calls.clear()
        self.context = None
        gc.collect()
        return self.library.calls

    def test_devicesKeepIt(self) -> None:
        """
        A context lives as long as any of its devices, and ends after it.
        """
        one, two = self.context.enumerate_devices()
        self.assertEqual([], self.ends())
        del one
        self.assertEqual([("unref", 11)], self.library.calls)
        del two
        self.assertEqual([("unref", 11), ("unref", 12), ("exit", 1)], self.library.calls)

    def test_holderLetsGoOfItFirst(self) -> None:
        """
        Also if whoever has both drops the context first, as pyusb does.
        """
        device, _ = self.context.enumerate_devices()
        holder = {"backend": self.context, "device": device}
        del device, _
        self.assertEqual([], self.ends())
        holder.clear()
        self.assertEqual([("unref", 11), ("exit", 1)], self.library.calls)

    def test_garbage(self) -> None:
        """
        Nothing is given back to a context that the garbage collector has ended
        before its devices.
        """
        devices = list(self.context.enumerate_devices())
        self.context._do_finalize_object()
        self.library.calls.clear()
        del devices
        self.assertEqual([], self.ends())

    def test_parent(self) -> None:
        """
        A hub is a device like others.
        """
        one, two = self.context.enumerate_devices()
        self.assertIsNone(self.context.get_parent(two))
        parent = self.context.get_parent(one)
        del one, two
        self.assertEqual([], self.ends())
        self.assertEqual(PARENT, parent.devid)
        del parent
        self.assertEqual([("unref", PARENT), ("exit", 1)], self.library.calls)


class RealLibraryTests(SynchronousTestCase):
    """
    The same with libusb itself.
    """

    def test_nothingIsLeft(self) -> None:
        """
        A context that is not needed any more has closed its files.
        """
        if sys.platform != "linux":
            raise SkipTest("open files are counted in /proc")
        import libusb_package

        for name in ("_lib", "_lib_object"):
            self.patch(libusb1, name, None)
        path = str(libusb_package.get_library_path())
        first = newContext(path, {})
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(50):
            context = newContext(path, {})
            devices = list(find(find_all=True, backend=context))
            del context, devices
        gc.collect()
        self.assertEqual(before, len(os.listdir("/proc/self/fd")))
        del first
