# -*- test-case-name: tests.fuzz.test_corpus -*-
"""
A directory of pair records into which somebody plants things, and a secret beside
it.
"""

from __future__ import annotations

import os
import plistlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.watching import demand

SECRET = plistlib.dumps({"HostID": "SECRET", "SystemBUID": "SECRET"})
MEMORY = "/dev/shm"
"""Where there is no disk to wait for, if the system has that."""


class PlantedDirectory:
    """
    @ivar path: Of the pair records.
    @ivar outside: A file that nobody who asks for pair records has any business
        with.
    """

    def __init__(self) -> None:
        above = MEMORY if os.path.isdir(MEMORY) else None
        self._above = Path(tempfile.mkdtemp(prefix="muxd-fuzz-", dir=above))
        self.path = self._above / "records"
        self.outside = self._above / "outside.plist"
        self.outside.write_bytes(SECRET)

    def plant(self, name: str, how: Callable[[PlantedDirectory, Path], object]) -> None:
        """
        Put something there, if nothing is.
        """
        self.path.mkdir(exist_ok=True)
        place = self.path / name
        if not os.path.lexists(place):
            how(self, place)

    def write(self, name: str, data: bytes) -> None:
        """
        Put a file there, if nothing is.
        """
        self.plant(name, lambda directory, place: Path.write_bytes(place, data))

    def check(self) -> None:
        """
        Nothing outside has been touched, and nothing unfinished is left.
        """
        left = sorted(each.name for each in self._above.iterdir())
        demand(set(left) <= {"outside.plist", "records"}, f"somebody has made {left}")
        demand(self.outside.read_bytes() == SECRET, "the file outside has been changed")
        for each in self.path.iterdir() if self.path.is_dir() else ():
            isRecord = each.name.endswith((".plist", ".damaged", ".claim"))
            demand(isRecord, f"{each.name} is left")

    def remove(self) -> None:
        """
        Remove everything.
        """
        shutil.rmtree(self._above)


def fifo(directory: PlantedDirectory, place: Path) -> None:
    """
    Whoever opens it waits for somebody at its other end.
    """
    os.mkfifo(place)


def folder(directory: PlantedDirectory, place: Path) -> None:
    """
    It cannot be read or replaced.
    """
    place.mkdir()


def link(directory: PlantedDirectory, place: Path) -> None:
    """
    It leads outside.
    """
    place.symlink_to(directory.outside)


def hardLink(directory: PlantedDirectory, place: Path) -> None:
    """
    It is outside, too.
    """
    os.link(directory.outside, place)


def endless(directory: PlantedDirectory, place: Path) -> None:
    """
    It has no end.
    """
    place.symlink_to("/dev/zero")


def loop(directory: PlantedDirectory, place: Path) -> None:
    """
    It leads nowhere.
    """
    place.symlink_to(place)


def dangling(directory: PlantedDirectory, place: Path) -> None:
    """
    It leads to what is not there yet.
    """
    place.symlink_to(directory.path.parent / "made")


PLANTS = (fifo, folder, link, hardLink, endless, loop, dangling)
