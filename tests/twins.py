"""
Modules that there are two of, one compiled and one not: tests are run on both, whichever
of them the program would take.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import SkipTest

import muxd

MODULES = ("muxd.net.streams", "muxd.net.polling", "muxd.net.packetmemory")
TRANSFERS = "muxd.usb.asynchronous.transfers"
EVERYTHING = (*MODULES, TRANSFERS)

CORE = (
    "muxd.client.rememberedlist",
    "muxd.client.shortway",
    "muxd.device.acknowledging",
    "muxd.device.counters",
    "muxd.device.ends",
    "muxd.device.deadlines",
    "muxd.device.framing",
    "muxd.device.lending",
    "muxd.device.muxer",
    "muxd.device.opening",
    "muxd.device.outbound",
    "muxd.device.owner",
    "muxd.device.ports",
    "muxd.device.session",
    "muxd.device.socketend",
    "muxd.device.times",
    "muxd.device.window",
    "muxd.device.windowsharing",
    "muxd.net.acceptthrottle",
    "muxd.net.busypolling",
    "muxd.net.eventloop",
    "muxd.net.laneport",
    "muxd.net.loopreactor",
    "muxd.net.pump",
    "muxd.net.shortpipe",
    "muxd.net.turns",
    "muxd.server.accounts",
    "muxd.server.attendance",
    "muxd.server.counters",
    "muxd.server.fastlane",
    "muxd.usb.asynchronous.link",
    "muxd.usb.asynchronous.pacing",
    "muxd.usb.asynchronous.pollfds",
    "muxd.usb.asynchronous.reads",
    "muxd.usb.asynchronous.stalls",
    "muxd.usb.asynchronous.writes",
)
"""What is compiled from the one source that there is."""

PROJECT = Path(muxd.__file__).parent.parent


@cache
def pure() -> dict[str, Any]:
    """
    The modules that are Python, by name.
    """
    return _twins(lambda path: path.with_suffix(".py"))


@cache
def compiled() -> dict[str, Any]:
    """
    The modules that are compiled, by name.

    @raise SkipTest: There are none here.
    """
    for name in EVERYTHING:
        if not _compiledFile(_path(name)).exists():
            raise SkipTest("there is no compiled build here")
    return _twins(_compiledFile)


def _path(name: str) -> Path:
    return PROJECT.joinpath(*name.split("."))


def _compiledFile(path: Path) -> Path:
    return path.with_name(path.name + EXTENSION_SUFFIXES[0])


def _twins(file: Any) -> dict[str, Any]:
    """
    Those that the program has, if they are these; or else others beside them, which are
    only known to each other.
    """
    loaded = {name: import_module(name) for name in EVERYTHING}
    if all(Path(str(one.__file__)) == file(_path(name)) for name, one in loaded.items()):
        return loaded
    hidden = {name: sys.modules.pop(name) for name in EVERYTHING}
    parents = {name: name.rpartition(".") for name in EVERYTHING}
    try:
        for name in EVERYTHING:
            _load(name, file(_path(name)))
        return {name: sys.modules[name] for name in EVERYTHING}
    finally:
        sys.modules.update(hidden)
        for name, (package, _, last) in parents.items():
            setattr(sys.modules[package], last, hidden[name])


def _load(name: str, path: Path) -> ModuleType:
    loader = None if path.suffix == ".py" else ExtensionFileLoader(name, str(path))
    spec = spec_from_file_location(name, path, loader=loader)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
