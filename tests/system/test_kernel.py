# -*- test-case-name: tests.system.test_kernel -*-
"""
Tests for L{tests.system.kernel} and L{tests.system.initramfs}.
"""

from __future__ import annotations

import lzma
import struct
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.system.initramfs import Archive
from tests.system.kernel import KernelError, ModuleTree, dependencies, vmlinux


def image(payload: bytes) -> bytes:
    """
    A bzImage with this compressed kernel in it.
    """
    data = bytearray(2 * 512 + 100)
    data[0x1F1] = 1
    data[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", data, 0x248, 100, len(payload))
    return bytes(data) + payload + b"size"


def module(*needed: str) -> bytes:
    """
    A kernel module that needs others.
    """
    information = b"license=GPL\0depends=" + ",".join(needed).encode() + b"\0"
    names = b"\0.modinfo\0.shstrtab\0"
    header = bytearray(64)
    body = information + names
    struct.pack_into("<Q", header, 0x28, 64 + len(body))
    struct.pack_into("<HHH", header, 0x3A, 64, 3, 2)

    def section(name: int, offset: int, size: int) -> bytes:
        return struct.pack("<IIQQQQIIQQ", name, 1, 0, 0, offset, size, 0, 0, 0, 0)

    table = [
        section(0, 0, 0),
        section(1, 64, len(information)),
        section(10, 64 + len(information), len(names)),
    ]
    return bytes(header) + body + b"".join(table)


class VmlinuxTests(SynchronousTestCase):
    """
    Tests for L{vmlinux}.
    """

    def test_unpacked(self) -> None:
        """
        The kernel is what was compressed with xz.
        """
        kernel = b"\x7fELF and more"
        self.assertEqual(vmlinux(image(lzma.compress(kernel))), kernel)

    def test_otherCompression(self) -> None:
        """
        Another compression is told by its first bytes.
        """
        error = self.assertRaises(KernelError, vmlinux, image(b"\x28\xb5\x2f\xfdzstd"))
        self.assertIn("expected a kernel compressed with xz", str(error))

    def test_noImage(self) -> None:
        """
        What is no bzImage is refused.
        """
        self.assertRaises(KernelError, vmlinux, bytes(4096))

    def test_noELF(self) -> None:
        """
        What is no kernel inside is refused.
        """
        self.assertRaises(KernelError, vmlinux, image(lzma.compress(b"no kernel")))


class ModuleTreeTests(SynchronousTestCase):
    """
    Tests for L{ModuleTree}.
    """

    def setUp(self) -> None:
        """
        A tree of four modules, of which one is compressed and one is in the kernel.
        """
        self.root = Path(self.mktemp())
        (self.root / "kernel/net").mkdir(parents=True)
        (self.root / "kernel/usb-core.ko").write_bytes(module())
        (self.root / "kernel/vhci-hcd.ko.xz").write_bytes(
            lzma.compress(module("usb_core", "builtin"))
        )
        (self.root / "kernel/net/9p.ko").write_bytes(module("usb-core"))
        (self.root / "modules.builtin").write_text("kernel/lib/builtin.ko\n")

    def test_closure(self) -> None:
        """
        Each module comes once, unpacked, behind those that it needs.
        """
        found = ModuleTree(self.root).closure(["vhci-hcd", "9p"])
        self.assertEqual(list(found), ["usb_core", "vhci_hcd", "9p"])
        self.assertEqual(dependencies(found["vhci_hcd"]), ["usb_core", "builtin"])

    def test_missing(self) -> None:
        """
        A module that is not there is named.
        """
        error = self.assertRaises(KernelError, ModuleTree(self.root).closure, ["overlay"])
        self.assertIn("overlay", str(error))


class ArchiveTests(SynchronousTestCase):
    """
    Tests for L{Archive}.
    """

    def test_entries(self) -> None:
        """
        Each file has a header of hexadecimal fields; names and contents begin at
        multiples of four.
        """
        archive = Archive()
        archive.add("init", 0o100755, b"hello")
        archive.add("dev/null", 0o020666, device=(1, 3))
        content = archive.finish()
        names = []
        position = 0
        while position < len(content):
            self.assertEqual(content[position : position + 6], b"070701")
            fields = [
                int(content[at : at + 8], 16) for at in range(position + 6, position + 110, 8)
            ]
            size, length = fields[6], fields[11]
            names.append(content[position + 110 : position + 110 + length - 1])
            position = -(-(position + 110 + length) // 4) * 4
            if names[-1] == b"init":
                self.assertEqual(content[position : position + size], b"hello")
            if names[-1] == b"dev/null":
                self.assertEqual(fields[9:11], [1, 3])
            position = -(-(position + size) // 4) * 4
        self.assertEqual(names, [b"init", b"dev/null", b"TRAILER!!!"])
