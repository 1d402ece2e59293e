# -*- test-case-name: tests.system.test_laboratory -*-
"""
What must be there before a virtual machine can be made: programs of Debian, and
a kernel, which is unpacked and never installed.

Everything is kept in one directory, F{~/.cache/muxd-vm} or C{$VMLAB}; the second run
needs neither root nor a network.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.system.initramfs import INIT, MODULES, initramfs
from tests.system.kernel import KernelError, ModuleTree, vmlinux

PACKAGES = {
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "usbmuxd": "usbmuxd",
    "iproxy": "libusbmuxd-tools",
    "idevice_id": "libimobiledevice-utils",
    "libusb-1.0.so.0": "libusb-1.0-0",
}
"""What the host must have, as the virtual machine sees its files, and where it is from."""

UDEVADM = "bin/udevadm"
"""Which is udevd as well, by another name."""

UDEV_PACKAGES = ("udev", "libkmod2")
"""Unpacked as well: installed, udevd would look after the host's devices."""

Say = Callable[[str], None]


class Unavailable(Exception):
    """
    No virtual machine can be made here; the text says why, and what to do.
    """


@dataclass(frozen=True, slots=True)
class Parts:
    """
    What a virtual machine is made of.

    @ivar qemu: The emulator.
    @ivar kernel: An uncompressed kernel.
    @ivar initrd: What it boots into.
    @ivar udev: A tree with udevd in it.
    """

    qemu: Path
    kernel: Path
    initrd: Path
    udev: Path


class Laboratory:
    """
    The directory with the parts.

    @param run: How to run a program; C{subprocess.run}, but in tests.
    @param find: Where something is that may be installed.
    """

    def __init__(
        self,
        directory: Path,
        say: Say,
        run: Callable[..., subprocess.CompletedProcess[str]] = subprocess.run,
        find: Callable[[str], Path | None] | None = None,
    ) -> None:
        self._directory = directory
        self._say = say
        self._run = run
        self._find = find or installed
        self._isUpdated = False

    @classmethod
    def standard(cls, say: Say, environ: Mapping[str, str] = os.environ) -> Laboratory:
        """
        The one of whoever runs this.
        """
        chosen = environ.get("VMLAB")
        return cls(Path(chosen) if chosen else Path.home() / ".cache/muxd-vm", say)

    def parts(self) -> Parts:
        """
        Install, download and unpack what is missing.

        @raise Unavailable: That cannot be done.
        """
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            with self._locked():
                self._installPrograms()
                kernel, initrd = self._bootable()
                return Parts(self._found("qemu-system-x86_64"), kernel, initrd, self._udev())
        except (OSError, KernelError) as error:
            raise Unavailable(str(error)) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """
        Two runs at a time shall not unpack into one directory.
        """
        with (self._directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    # Programs

    def _installPrograms(self) -> None:
        missing = sorted({PACKAGES[name] for name in PACKAGES if self._find(name) is None})
        if not missing:
            return
        self._say(f"installing {' '.join(missing)}")
        if os.geteuid() != 0:
            raise Unavailable(f"not root; first run: apt-get install {' '.join(missing)}")
        self._update()
        self._apt("-y", "--no-install-recommends", "install", *missing)
        for name in PACKAGES:
            self._found(name)

    def _found(self, name: str) -> Path:
        found = self._find(name)
        if found is None:
            raise Unavailable(f"there is no {name}, though {PACKAGES[name]} should have it")
        return found

    # The kernel

    def _bootable(self) -> tuple[Path, Path]:
        """
        The kernel and the initramfs.  The latter's name tells what it was made
        of, so that another recipe makes another one.
        """
        recipe = hashlib.sha256("\n".join([INIT, *MODULES]).encode()).hexdigest()[:8]
        kernel = self._directory / "vmlinux"
        initrd = self._directory / f"initramfs-{recipe}.cpio"
        if not (kernel.exists() and initrd.exists()):
            tree = self._kernelTree()
            image = next(iter(sorted((tree / "boot").glob("vmlinuz-*"))), None)
            if image is None:
                raise Unavailable(f"there is no kernel in {tree}/boot")
            release = image.name.removeprefix("vmlinuz-")
            modules = ModuleTree(tree / "lib/modules" / release)
            _write(kernel, vmlinux(image.read_bytes()))
            _write(initrd, initramfs(modules, self._found("busybox").read_bytes()))
        return kernel, initrd

    def _kernelTree(self) -> Path:
        """
        Debian's kernel package, unpacked.
        """
        tree = self._directory / "img"
        if not tree.exists():
            self._update()
            package = self._kernelPackage()
            self._say(f"downloading and unpacking {package} (70 MB, 400 MB unpacked)")
            self._unpack([package], tree)
        return tree

    def _kernelPackage(self) -> str:
        """
        The kernel of the day: it is removed from the mirror when there is a
        newer one, so no version is written down.
        """
        listing = self._output("apt-cache", "depends", "linux-image-amd64")
        for line in listing.splitlines():
            word = line.strip().removeprefix("Depends: ")
            if word != line.strip() and word.startswith("linux-image-"):
                return word
        raise Unavailable("apt-cache knows no linux-image-amd64")

    def _udev(self) -> Path:
        """
        A tree with udevd.
        """
        if self._find(f"/{UDEVADM}") is not None:
            return Path("/")
        tree = self._directory / "udev"
        if not (tree / UDEVADM).exists():
            self._update()
            self._say(f"downloading {' '.join(UDEV_PACKAGES)}")
            self._unpack(UDEV_PACKAGES, tree)
        return tree

    # Packages

    def _update(self) -> None:
        """
        Learn what there is, once a run.
        """
        if not self._isUpdated:
            self._isUpdated = True
            if self._find("apt-get") is None:
                raise Unavailable("there is no apt-get here to get QEMU and a kernel with")
            self._apt("update")

    def _apt(self, *words: str, directory: Path | None = None) -> None:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        # Without it apt complains when its user may not write to our directory.
        command = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", *words]
        done = self._run(
            command, cwd=directory, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            reason = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
            raise Unavailable(f"`{' '.join(command)}` failed: {reason[-1]}")

    def _output(self, *words: str) -> str:
        done = self._run(words, capture_output=True, text=True, check=False)
        return done.stdout

    def _unpack(self, packages: Sequence[str], tree: Path) -> None:
        """
        Download packages and unpack them: all into C{tree}, or nothing.
        """
        downloads = self._directory / "downloads"
        unpacked = self._directory / "unpacked"
        for each in (downloads, unpacked):
            shutil.rmtree(each, ignore_errors=True)
            each.mkdir()
        self._apt("download", *packages, directory=downloads)
        for archive in sorted(downloads.glob("*.deb")):
            self._run(["dpkg", "-x", str(archive), str(unpacked)], check=True)
        shutil.rmtree(downloads)
        shutil.rmtree(tree, ignore_errors=True)
        unpacked.rename(tree)


def installed(name: str) -> Path | None:
    """
    Where a program, a library, or a file by its full path is; C{None} if it is not there.
    """
    if name.startswith("/"):
        return Path(name) if Path(name).exists() else None
    if ".so." in name:
        roots = (Path("/usr/lib"), Path("/lib"))
        return next((path for root in roots for path in root.glob(f"**/{name}")), None)
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    return Path(found) if found else None


def _write(path: Path, content: bytes) -> None:
    """
    All of a file, or none of it.
    """
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.rename(path)
