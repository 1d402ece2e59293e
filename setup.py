"""
What C{setup.cfg} cannot say: the innermost modules are compiled where that is possible.

Without a C compiler, without Cython, on other systems than Linux of 64 bits, or with C{MUXD_PURE=1}
in the environment there is nothing to compile: what is installed then is the same
program, only slower.  All of the modules are compiled or none.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

COMPILED = (
    "muxd.net.streams",
    "muxd.net.polling",
    "muxd.net.packetmemory",
    "muxd.usb.asynchronous.transfers",
)


class BuildAllOrNone(build_ext):
    """
    Builds extensions; if one cannot be built, takes the others away.
    """

    def run(self) -> None:
        """
        Build them, and see what has become of it.
        """
        files = [Path(self.get_ext_fullpath(one.name)) for one in self.extensions]
        if self.inplace:
            # What cannot be built now must not be what was built of older sources.
            for one in files:
                one.unlink(missing_ok=True)
        super().run()
        missing = [one.name for one in files if not one.exists()]
        if missing:
            print(f"muxd is installed without compiled code: no {', '.join(missing)}")
            for one in files:
                one.unlink(missing_ok=True)


def extensions() -> list[Extension]:
    """
    What is to be compiled here.
    """
    # Numbers of 32 bits without a sign have to fit an index.
    if (
        sys.platform != "linux"
        or sys.maxsize < 1 << 32
        or os.environ.get("MUXD_PURE", "0") not in ("", "0")
    ):
        return []
    try:
        from Cython.Build import cythonize
        from Cython.Compiler.Errors import CompileError
    except ImportError:
        print("muxd is installed without compiled code: there is no Cython")
        return []
    wanted = [Extension(name, [f"{name.replace('.', '/')}.pyx"]) for name in COMPILED]
    try:
        made: list[Extension] = cythonize(wanted, build_dir="build/cython", quiet=True)
    except CompileError as error:
        print(f"muxd is installed without compiled code: this Cython cannot read it: {error}")
        return []
    for one in made:
        one.optional = True
    return made


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildAllOrNone})
