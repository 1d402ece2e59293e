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

TWINS = (
    "muxd.net.streams",
    "muxd.net.polling",
    "muxd.net.packetmemory",
    "muxd.usb.asynchronous.transfers",
)
"""What is written twice: NAME.pyx is compiled, and NAME.py is not."""

CORE = (
    "muxd.client.rememberedlist",
    "muxd.client.shortway",
    "muxd.device.window",
    "muxd.device.ends",
    "muxd.device.deadlines",
    "muxd.device.counters",
    "muxd.device.framing",
    "muxd.device.lending",
    "muxd.device.times",
    "muxd.device.windowsharing",
    "muxd.device.acknowledging",
    "muxd.device.outbound",
    "muxd.device.owner",
    "muxd.device.session",
    "muxd.device.socketend",
    "muxd.device.ports",
    "muxd.device.opening",
    "muxd.device.muxer",
    "muxd.net.busypolling",
    "muxd.net.eventloop",
    "muxd.usb.asynchronous.link",
    "muxd.usb.asynchronous.pacing",
    "muxd.usb.asynchronous.pollfds",
    "muxd.usb.asynchronous.reads",
    "muxd.usb.asynchronous.stalls",
    "muxd.usb.asynchronous.writes",
    "muxd.net.acceptthrottle",
    "muxd.net.laneport",
    "muxd.net.loopreactor",
    "muxd.net.pump",
    "muxd.net.shortpipe",
    "muxd.net.turns",
    "muxd.server.accounts",
    "muxd.server.attendance",
    "muxd.server.counters",
    "muxd.server.fastlane",
)
"""What is written once: NAME.py is compiled, and NAME.pxd says of which C types it is."""


class BuildAllOrNone(build_ext):
    """
    Builds extensions, on all processors; if one cannot be built, takes the others away.
    """

    def initialize_options(self) -> None:
        """
        Set what the command line may change.
        """
        super().initialize_options()
        self.parallel = os.cpu_count()

    def run(self) -> None:
        """
        Build those whose sources are newer, and see what has become of it.
        """
        files = self.files()
        # What cannot be built now must not be what was built of older sources; nor may what
        # is copied to its place be that.
        for inplace in {self.inplace, False}:
            for made, one in zip(self.files(inplace), self.extensions, strict=True):
                sources = [source for source in one.sources if os.path.exists(source)]
                newest = max(map(os.path.getmtime, sources), default=float("inf"))
                if made.exists() and made.stat().st_mtime < newest:
                    made.unlink()
        super().run()
        missing = [one.name for one in files if not one.exists()]
        if missing:
            print(f"muxd is installed without compiled code: no {', '.join(missing)}")
            for one in files:
                one.unlink(missing_ok=True)

    def files(self, inplace: bool | None = None) -> list[Path]:
        """
        Where the extensions are made.

        @param inplace: Beside their sources, or in the directory for what is built; None
            for what was asked for.
        """
        asked, self.inplace = self.inplace, self.inplace if inplace is None else inplace
        try:
            return [Path(self.get_ext_fullpath(one.name)) for one in self.extensions]
        finally:
            self.inplace = asked


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
    # Where lines of generated C are not asked for, they take half of the compiler's time.
    options = [] if "-g" in os.environ.get("CFLAGS", "").split() else ["-g0"]
    # It takes a number of Python's for one that is as short as they come.
    options.append("-Wno-array-bounds")
    wanted = [
        Extension(name, [name.replace(".", "/") + kind], extra_compile_args=options)
        for names, kind in ((TWINS, ".pyx"), (CORE, ".py"))
        for name in names
    ]
    try:
        made: list[Extension] = cythonize(
            wanted,
            build_dir="build/cython",
            quiet=True,
            compiler_directives={
                # Python's int has any size: C types are in the .pxd.
                "annotation_typing": False,
                "infer_types": False,
                # An attribute of None is an error here, too, and no access to memory.
                "nonecheck": True,
                # Nothing of it is ever pickled.
                "auto_pickle": False,
            },
        )
    except CompileError as error:
        print(f"muxd is installed without compiled code: this Cython cannot read it: {error}")
        return []
    for one in made:
        one.optional = True
    return made


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildAllOrNone})
