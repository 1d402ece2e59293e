# -*- test-case-name: tests.system.test_kernel -*-
"""
What the virtual machine boots into: a busybox, some modules, and a script that
puts a throw-away file system in front of the host's.
"""

from __future__ import annotations

import stat

from tests.system.kernel import ModuleTree

MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay", "vhci-hcd", "usbmon")

HOST = "host"
OUT = "out"
"""The names of the two directories of the host: all of it, and the one to write to."""

JOB = "job.sh"
"""What to run, in the directory to write to."""

INIT = rf"""#!/bin/busybox sh
B=/bin/busybox
$B mount -t proc proc /proc
$B mount -t sysfs sysfs /sys
$B mount -t devtmpfs dev /dev
die() {{ echo "initramfs: $*"; $B sleep 1; echo o > /proc/sysrq-trigger; $B sleep 30; }}
for m in $($B cat /modules/order); do
    $B insmod /modules/$m.ko || die "insmod $m"
done
$B mkdir -p /lower /rw /newroot
O=trans=virtio,version=9p2000.L,msize=512000
$B mount -t 9p -o $O,ro,cache=loose {HOST} /lower || die "mount host"
$B mount -t tmpfs -o mode=755 tmpfs /rw || die tmpfs
$B mkdir /rw/upper /rw/work
$B mount -t overlay -o lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work overlay /newroot \
    || die overlay
N=/newroot
$B mount -t proc proc $N/proc
$B mount -t sysfs sysfs $N/sys
$B mount -t devtmpfs dev $N/dev
$B mkdir -p $N/dev/pts $N/dev/shm $N/run $N/vmout
$B mount -t devpts devpts $N/dev/pts
$B mount -t tmpfs tmpfs $N/dev/shm
$B mount -t tmpfs -o mode=755 tmpfs $N/run
$B mount -t debugfs debugfs $N/sys/kernel/debug
$B mount -t 9p -o $O,cache=none {OUT} $N/vmout || die "mount out"
$B ifconfig lo 127.0.0.1 up
$B umount /proc /sys 2>/dev/null
exec $B switch_root $N /bin/sh /vmout/{JOB} </dev/null
"""


class Archive:
    """
    A cpio archive of the kind that kernels read (C{newc}).
    """

    def __init__(self) -> None:
        self._content = bytearray()
        self._count = 0

    def add(
        self, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)
    ) -> None:
        """
        Append a file.

        @param mode: Its kind and permissions, as in C{st_mode}.
        @param device: The numbers of a device's node.
        """
        self._count += 1
        path = name.encode() + b"\0"
        fields = (self._count, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
        header = "070701" + "".join(f"{field:08x}" for field in fields)
        for part in (header.encode() + path, data):
            self._content += part
            self._content += bytes(-len(self._content) % 4)

    def finish(self) -> bytes:
        """
        The whole archive.
        """
        self.add("TRAILER!!!", 0)
        return bytes(self._content)


def initramfs(modules: ModuleTree, busybox: bytes) -> bytes:
    """
    The archive to boot into.

    @param busybox: A program that needs no library.
    @raise KernelError: A module is missing.
    """
    loaded = modules.closure(MODULES)
    archive = Archive()
    for name in ("bin", "dev", "proc", "sys", "modules"):
        archive.add(name, stat.S_IFDIR | 0o755)
    archive.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    archive.add("dev/null", stat.S_IFCHR | 0o666, device=(1, 3))
    archive.add("bin/busybox", stat.S_IFREG | 0o755, busybox)
    for name, content in loaded.items():
        archive.add(f"modules/{name}.ko", stat.S_IFREG | 0o644, content)
    archive.add("modules/order", stat.S_IFREG | 0o644, "\n".join([*loaded, ""]).encode())
    archive.add("init", stat.S_IFREG | 0o755, INIT.encode())
    return archive.finish()
