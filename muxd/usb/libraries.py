# -*- test-case-name: tests.usb.test_libraries -*-
"""
Where libusb comes from.

A path from the operator (C{usb:libusb=PATH}), then one from the environment
(C{MUXD_LIBUSB}), each of which is used or is an error; then the system's
library, then the one in the libusb-package wheel.

Nothing is loaded before the daemon has started: what libusb creates does not
survive the fork of C{twistd}.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
from collections.abc import Iterator, Mapping
from typing import Any

from muxd.importing.extras import installing

VARIABLE = "MUXD_LIBUSB"


class LibraryError(Exception):
    """
    There is no usable libusb; the text says what to do, in one line.
    """


def newContext(path: str | None = None, environ: Mapping[str, str] = os.environ) -> Any:
    """
    Load libusb, unless it is, and make a new context of it.

    A context sees a device that was plugged in after its birth only if a daemon
    tells it, which under Debian's libusb is udevd alone.  A new one always sees
    what there is.

    @param path: The library to use.
    @return: A pyusb backend (C{usb.backend.IBackend}).
    @raise LibraryError: No library can be loaded.
    """
    from usb.backend import libusb1

    from muxd.usb.contexts import Context

    library = chooseLibrary(path, environ)
    backend = libusb1.get_backend(find_library=lambda name: library)
    if backend is None:
        raise LibraryError(f"{library} is no libusb 1.0: install libusb-1.0 or name another file")
    # pyusb keeps one backend, and with it one context, for the whole process.
    return Context(backend.lib)


def chooseLibrary(path: str | None, environ: Mapping[str, str]) -> str:
    """
    The first library that can be loaded.

    @raise LibraryError: None can.
    """
    for chosen, origin in ((path, "libusb="), (environ.get(VARIABLE), VARIABLE)):
        if chosen:
            problem = _loadProblem(chosen)
            if problem is None:
                return chosen
            raise LibraryError(f"libusb from {origin} cannot be loaded: {problem}")
    problems = []
    for found in _installedLibraries():
        problem = _loadProblem(found)
        if problem is None:
            return found
        problems.append(problem)
    detail = f" ({'; '.join(problems)})" if problems else ""
    raise LibraryError(
        f"libusb 1.0 was not found{detail}: install your system's libusb-1.0 package, or name the"
        f" file with usb:libusb=PATH or {VARIABLE}, or {installing('libusb')}"
    )


class _Version(ctypes.Structure):
    _fields_ = (
        ("major", ctypes.c_uint16),
        ("minor", ctypes.c_uint16),
        ("micro", ctypes.c_uint16),
        ("nano", ctypes.c_uint16),
        ("rc", ctypes.c_char_p),
        ("describe", ctypes.c_char_p),
    )


def describeLibrary(path: str | None = None, environ: Mapping[str, str] = os.environ) -> str:
    """
    The library that L{newContext} takes, for people: its version, and its file where the
    system tells.

    @raise LibraryError: No library can be loaded.
    """
    library = chooseLibrary(path, environ)
    loaded = ctypes.CDLL(library)
    try:
        getVersion = loaded.libusb_get_version
        getVersion.restype = ctypes.POINTER(_Version)
        found = getVersion().contents
        version = f"{found.major}.{found.minor}.{found.micro}"
    except (AttributeError, ValueError):
        version = "of an unknown version"
    return f"libusb {version} ({_whereLoaded(library)})"


def _whereLoaded(library: str) -> str:
    """
    The file that a name stands for, which Linux shows.
    """
    name = os.path.basename(library)
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
            for line in maps:
                mapped = line.rstrip("\n").partition("/")[2]
                if os.path.basename(mapped).startswith(name):
                    return f"/{mapped}"
    except OSError:
        pass
    return library


def _installedLibraries() -> Iterator[str]:
    system = ctypes.util.find_library("usb-1.0")
    if system:
        yield system
    try:
        import libusb_package
    except ImportError:
        return
    packaged = libusb_package.get_library_path()
    if packaged:
        yield str(packaged)


def _loadProblem(library: str) -> str | None:
    """
    Why a library cannot be loaded, in one line.
    """
    try:
        ctypes.CDLL(library)
    except OSError as error:
        return str(error)
    return None
