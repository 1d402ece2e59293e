"""
Tests for L{muxd.usb.libraries}.
"""

from __future__ import annotations

import ctypes.util
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from twisted.trial.unittest import SkipTest, SynchronousTestCase
from usb.backend import IBackend, libusb1

from muxd.usb.libraries import VARIABLE, LibraryError, chooseLibrary, describeLibrary, newContext
from tests.running.processes import startsProcesses

C_LIBRARY = ctypes.util.find_library("c") or "libc.so.6"
"""Something that can be loaded everywhere."""


class ChooseLibraryTests(SynchronousTestCase):
    """
    Tests for L{chooseLibrary}.
    """

    def installed(self, system: str | None, packaged: str | None) -> None:
        """
        Pretend that these libraries are installed.
        """
        self.patch(ctypes.util, "find_library", lambda name: system)
        wheel = SimpleNamespace(get_library_path=lambda: packaged and Path(packaged))
        self.enterContext(patch.dict(sys.modules, libusb_package=wheel))

    def test_operatorsPath(self) -> None:
        """
        A path given by the operator goes before all.
        """
        self.installed("/system", "/packaged")
        found = chooseLibrary(C_LIBRARY, {VARIABLE: "/environment"})
        self.assertEqual(C_LIBRARY, found)

    def test_environment(self) -> None:
        """
        Then comes the environment's.
        """
        self.installed("/system", "/packaged")
        self.assertEqual(C_LIBRARY, chooseLibrary(None, {VARIABLE: C_LIBRARY}))

    def test_namedLibraryMustWork(self) -> None:
        """
        A library that was asked for by name and cannot be loaded is an error:
        another one might not be what the operator wants.
        """
        self.installed(C_LIBRARY, C_LIBRARY)
        error = self.assertRaises(LibraryError, chooseLibrary, "/no/such.so", {})
        self.assertIn("libusb from libusb= cannot be loaded: /no/such.so", str(error))
        error = self.assertRaises(LibraryError, chooseLibrary, None, {VARIABLE: "/no/such.so"})
        self.assertIn(f"libusb from {VARIABLE} cannot be loaded", str(error))

    def test_system(self) -> None:
        """
        Then the system's.
        """
        self.installed(C_LIBRARY, "/packaged")
        self.assertEqual(C_LIBRARY, chooseLibrary(None, {}))

    def test_packaged(self) -> None:
        """
        Then the wheel's, if the system has none or a broken one.
        """
        for system in (None, "/broken"):
            self.installed(system, C_LIBRARY)
            self.assertEqual(C_LIBRARY, chooseLibrary(None, {}))

    def test_none(self) -> None:
        """
        If there is none, one line says what can be done.
        """
        self.installed(None, None)
        text = str(self.assertRaises(LibraryError, chooseLibrary, None, {}))
        self.assertIn("libusb 1.0 was not found: install your system's", text)
        for remedy in ("pip install 'libusb-package>=", "usb:libusb=PATH", VARIABLE):
            self.assertIn(remedy, text)
        self.assertNotIn("\n", text)

    def test_allBroken(self) -> None:
        """
        What was found and does not load is named.
        """
        self.installed("/broken/one", "/broken/two")
        text = str(self.assertRaises(LibraryError, chooseLibrary, None, {}))
        self.assertIn("/broken/one", text)
        self.assertIn("/broken/two", text)

    def test_noWheel(self) -> None:
        """
        The wheel need not be installed.
        """
        self.installed(None, None)
        self.enterContext(patch.dict(sys.modules, libusb_package=None))
        self.assertRaises(LibraryError, chooseLibrary, None, {})


class DescribeLibraryTests(SynchronousTestCase):
    """
    Tests of L{describeLibrary}.
    """

    @startsProcesses
    def test_libusb(self) -> None:
        """
        The library that would be used is described by its version and its file.
        """
        try:
            text = describeLibrary()
        except LibraryError as error:
            raise SkipTest(str(error)) from error
        self.assertRegex(text, r"^libusb 1\.0\.\d+ \(.*libusb.*\)$")

    def test_otherLibrary(self) -> None:
        """
        A library without libusb's functions has no version.
        """
        self.assertIn("libusb of an unknown version (", describeLibrary(C_LIBRARY))

    def test_file(self) -> None:
        """
        Its file is told where the system knows it by the name.
        """
        files = Path("/proc/self/maps")
        if not files.exists():
            raise SkipTest("this system does not tell")
        lines = [line.split(maxsplit=5) for line in files.read_text().splitlines()]
        named = [line[5] for line in lines if Path(line[-1]).name == C_LIBRARY]
        if not named:
            raise SkipTest("the C library's file has another name")
        self.assertEqual(describeLibrary(C_LIBRARY), f"libusb of an unknown version ({named[0]})")

    def test_none(self) -> None:
        """
        Where there is none, there is nothing to describe.
        """
        self.assertRaises(LibraryError, describeLibrary, "/nowhere/libusb.so")


class NewContextTests(SynchronousTestCase):
    """
    Tests for L{newContext}.
    """

    def setUp(self) -> None:
        """
        Pyusb has loaded nothing yet.
        """
        for name in ("_lib", "_lib_object"):
            self.patch(libusb1, name, None)

    def test_eachIsNew(self) -> None:
        """
        Each call makes a context of its own on the library that was asked for.
        """
        import libusb_package

        path = str(libusb_package.get_library_path())
        one, two = newContext(path, {}), newContext(path, {})
        self.assertIsInstance(one, IBackend)
        self.assertIsNot(one, two)
        self.assertNotEqual(one.ctx.value, two.ctx.value)
        self.assertIs(one.lib, two.lib)

    def test_otherLibrary(self) -> None:
        """
        A library that is no libusb is refused in words.
        """
        error = self.assertRaises(LibraryError, newContext, C_LIBRARY, {})
        self.assertIn(f"{C_LIBRARY} is no libusb 1.0", str(error))
