"""
The rig: what it is built of, and its phones.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from types import TracebackType

from bench.bus import Bus

RIG = Path(__file__).resolve().parent / "rig"
LIBRARY = RIG / "build" / "lib" / "libusb-1.0.so.0"
PHONE = RIG / "build" / "phone"
LOAD = RIG / "build" / "load"


class RigError(Exception):
    """
    The rig does not work; the text says why.
    """


def build() -> None:
    """
    Bring the rig's programs up to date.

    @raise RigError: They cannot be built.
    """
    try:
        done = subprocess.run(
            ["make", "--no-print-directory", "-C", str(RIG)],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise RigError("make and a C compiler are needed to build bench/rig") from None
    if done.returncode:
        raise RigError(f"bench/rig cannot be built:\n{done.stdout}{done.stderr}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """
    End a process, and wait until it has.
    """
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Phones:
    """
    Simulated phones on a bus of their own, with one more that is unplugged.

    @ivar directory: Everything about them is in it.
    @ivar control: The socket that they are asked on.
    """

    def __init__(self, directory: Path, bus: Bus, count: int) -> None:
        self.directory = directory
        self.bus = bus
        self.count = count
        self.control = directory / "control"
        self.log = directory / "phone.log"
        for name in ("bus", "sys", "run"):
            (directory / name).mkdir(parents=True, exist_ok=True)
        command = [
            *(str(PHONE), "--dir", str(directory / "bus"), "--sys", str(directory / "sys")),
            *("--control", str(self.control), "--count", str(count + 1), "--unplugged", "1"),
        ]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 5
        while not self.control.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise RigError(f"the phones did not start: {self.log.read_text()}")
            time.sleep(0.005)

    def environment(self) -> dict[str, str]:
        """
        What a program needs to see this bus through libusb.
        """
        path = os.environ.get("LD_LIBRARY_PATH")
        return {
            **os.environ,
            **self.bus.environment(),
            "FAKEUSB_DIR": str(self.directory / "bus"),
            "LD_LIBRARY_PATH": f"{LIBRARY.parent}:{path}" if path else str(LIBRARY.parent),
            "MUXD_LIBUSB": str(LIBRARY),
        }

    def close(self) -> None:
        """
        Unplug them all.
        """
        stop(self._process)

    def __enter__(self) -> Phones:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class NoPhones(Phones):
    """
    Directories as L{Phones} has them, for a daemon that brings its own phones.
    """

    def __init__(self, directory: Path, bus: Bus, count: int) -> None:
        self.directory, self.bus, self.count = directory, bus, count
        self.control = directory / "control"
        self.log = directory / "phone.log"
        for name in ("sys", "run"):
            (directory / name).mkdir(parents=True, exist_ok=True)

    def environment(self) -> dict[str, str]:
        """
        Return this process's own environment.
        """
        return dict(os.environ)

    def close(self) -> None:
        """
        There is nothing to close.
        """
