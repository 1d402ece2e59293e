# -*- test-case-name: tests.system.test_kernel -*-
"""
A kernel package of Debian, taken apart: the kernel itself without its
decompressor, which is slow where the processor is emulated, and its modules.
"""

from __future__ import annotations

import lzma
import struct
from collections.abc import Iterable
from pathlib import Path

_SETUP_SECTORS = 0x1F1
_MAGIC = 0x202
_PAYLOAD = 0x248
_SECTOR = 512

_ELF = b"\x7fELF"
_SECTION = struct.Struct("<IIQQQQIIQQ")


class KernelError(Exception):
    """
    This is not what a kernel package looks like.
    """


def vmlinux(image: bytes) -> bytes:
    """
    The ELF kernel in a bzImage.

    @raise KernelError: It is none, or its compression is not xz.
    """
    if image[_MAGIC : _MAGIC + 4] != b"HdrS":
        raise KernelError("expected a bzImage, found no HdrS")
    offset, length = struct.unpack_from("<II", image, _PAYLOAD)
    start = ((image[_SETUP_SECTORS] or 4) + 1) * _SECTOR + offset
    payload = image[start : start + length]
    try:
        # Behind the stream is the size, which is none of lzma.decompress's business.
        unpacked = lzma.LZMADecompressor(format=lzma.FORMAT_AUTO).decompress(payload)
    except lzma.LZMAError as error:
        raise KernelError(f"expected a kernel compressed with xz: {payload[:4]!r}") from error
    if not unpacked.startswith(_ELF):
        raise KernelError("expected an ELF file in the bzImage")
    return unpacked


class ModuleTree:
    """
    The directory F{/lib/modules/RELEASE}.

    Its modules say themselves which others they need, so C{depmod} is not needed.
    """

    def __init__(self, directory: Path) -> None:
        self._files = {
            _canonical(path.name.split(".ko")[0]): path
            for suffix in (".ko", ".ko.xz")
            for path in directory.rglob(f"*{suffix}")
        }
        builtin = directory / "modules.builtin"
        lines = builtin.read_text().splitlines() if builtin.exists() else []
        self._builtin = {_canonical(Path(line).name.removesuffix(".ko")) for line in lines}

    def closure(self, names: Iterable[str]) -> dict[str, bytes]:
        """
        Modules and all that they need, in the order in which to load them.

        @raise KernelError: One is missing.
        """
        found: dict[str, bytes] = {}
        for name in names:
            self._add(_canonical(name), found)
        return found

    def _add(self, name: str, found: dict[str, bytes]) -> None:
        if name in found or name in self._builtin:
            return
        path = self._files.get(name)
        if path is None:
            raise KernelError(f"the kernel has no module {name}")
        content = path.read_bytes()
        if path.suffix == ".xz":
            content = lzma.decompress(content)
        for needed in dependencies(content):
            self._add(_canonical(needed), found)
        found[name] = content


def dependencies(module: bytes) -> list[str]:
    """
    What the section C{.modinfo} of a module says that it needs.
    """
    for line in _modinfo(module).split(b"\0"):
        if line.startswith(b"depends="):
            return [name for name in line[8:].decode("ascii").split(",") if name]
    return []


def _modinfo(module: bytes) -> bytes:
    (sections,) = struct.unpack_from("<Q", module, 0x28)
    size, count, namesIndex = struct.unpack_from("<HHH", module, 0x3A)
    table = [_SECTION.unpack_from(module, sections + index * size) for index in range(count)]
    names = table[namesIndex][4]
    for section in table:
        start = names + section[0]
        if module[start : module.index(b"\0", start)] == b".modinfo":
            return module[section[4] : section[4] + section[5]]
    return b""


def _canonical(name: str) -> str:
    return name.replace("-", "_")
