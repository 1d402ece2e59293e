"""
Compiled modules that notice every access to memory that they do not have, in a source
tree of their own, which is otherwise this one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn
from unittest import SkipTest

import muxd

PROJECT = Path(muxd.__file__).resolve().parent.parent

GENERATED = Path("build", "cython")
"""Where F{setup.py} has Cython put its C."""


def required(tool: str, package: str) -> str:
    """
    The path of a program that these tests cannot do without.

    @raise SkipTest: It is missing.
    @raise AssertionError: It is, where nothing may be.
    """
    path = shutil.which(tool)
    if path is None:
        missing(f"{tool} is not installed: it is in Debian's package {package}")
    return path


def missing(what: str) -> NoReturn:
    """
    Something is not there that these tests cannot do without.

    @raise SkipTest: Always, but where nothing may be missing.
    @raise AssertionError: There.
    """
    if os.environ.get("MUXD_REQUIRE_INTEGRATION"):
        raise AssertionError(what)
    raise SkipTest(what)


def sanitizerLibrary(compiler: str) -> str:
    """
    The path of AddressSanitizer's library.

    @raise SkipTest: It is missing; or see L{missing}.
    """
    asked = subprocess.run(
        [compiler, "-print-file-name=libasan.so"], check=True, capture_output=True, text=True
    )
    path = asked.stdout.strip()
    if not os.path.isabs(path):  # the compiler says the name when it has none
        missing("AddressSanitizer is not installed: it is in Debian's package libasan8")
    return path


def sanitizing(library: str) -> dict[str, str]:
    """
    What a process has in its environment that loads code with AddressSanitizer.
    """
    return {
        "LD_PRELOAD": library,
        # Python's own allocator would hide what is beside what.
        "PYTHONMALLOC": "malloc",
        "ASAN_OPTIONS": "detect_leaks=0",
    }


@dataclass(frozen=True, slots=True)
class SanitizedTree:
    """
    A source tree with such modules.

    @ivar path: Where programs are to be started.
    @ivar environment: What they have to have in their environment.
    """

    path: Path
    environment: Mapping[str, str]


@cache
def sanitizedTree() -> SanitizedTree:
    """
    Build it, where all processes find it that ask: what has not changed since is not
    compiled again.

    @raise SkipTest: There is no compiler, no Cython, or no AddressSanitizer.
    """
    compiler = required("cc", "gcc")
    library = sanitizerLibrary(compiler)
    if find_spec("Cython") is None:
        missing("Cython is not installed")
    made = hashlib.sha256((PROJECT / "setup.py").read_bytes()).hexdigest()[:8]
    place = PROJECT / "build" / "sanitized"
    path = place / f"{sys.implementation.cache_tag}-{made}"
    path.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _renew(path)
    return SanitizedTree(path, {"MUXD_PURE": "0", **sanitizing(library)})


def _renew(path: Path) -> None:
    """
    Make a tree the same as ours, and compile what has changed.
    """
    left = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(
        PROJECT / "muxd", path / "muxd", ignore=left, copy_function=_copy, dirs_exist_ok=True
    )
    for name in ("setup.py", "setup.cfg", "pyproject.toml", "README.md"):
        _copy(PROJECT / name, path / name)
    for name in ("tests", "bench", "twisted"):
        if not (path / name).exists():
            (path / name).symlink_to(PROJECT / name)
    # The C of this tree is that of the other, where it is as new.
    if (PROJECT / GENERATED).is_dir():
        shutil.copytree(
            PROJECT / GENERATED, path / GENERATED, copy_function=_copy, dirs_exist_ok=True
        )
    options = "-fsanitize=address -fno-omit-frame-pointer"
    environment = {name: value for name, value in os.environ.items() if name != "MUXD_PURE"}
    built = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=path,
        env={**environment, "CFLAGS": f"-O0 -g1 {options}", "LDFLAGS": options},
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if built.returncode or not list((path / "muxd").rglob("*.so")):
        raise AssertionError(f"the compiled modules cannot be built:\n{built.stdout}")


def _copy(source: str | Path, target: str | Path) -> None:
    """
    Copy a file that is not the same already: another process may be reading it there.
    """
    if os.path.exists(target):
        before, after = os.stat(target), os.stat(source)
        if (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size):
            return
    shutil.copy2(source, target)
