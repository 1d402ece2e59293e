"""
What the source C{usbip} carries beside C{vhci_hcd} and libusb: C{python -m bench.usbip}.

The phone is C{twistd iphone} and the daemon C{usbmuxd} both times, as processes of one virtual
machine (F{tests/system}), in one of which the phone is plugged into the kernel's bus, and in the
other imported by muxd itself.  The processor is emulated, so that the numbers compare, and no more.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from muxd.client import blocking

ECHO, DISCARD, CHARGEN = 7, 9, 19

SIZE = 4 << 20
"""Bytes of a stream."""

TURNS = 50
"""Single bytes of an echo."""

ROUNDS = 3

MUX, CABLE = "/run/mux", "/run/cable"
ADDRESS = f"UNIX:{MUX}"

WAYS = {
    "vhci_hcd, libusb": (["--vhci"], "usb"),
    "usbip:": (["--usbip", f"unix:{CABLE}"], f"usbip:unix={CABLE}"),
}
"""How a phone is offered, and the source that has it."""

PATIENCE = 900.0


def download() -> float:
    """
    Megabytes a second that come from the phone, whose chargen makes them a line at a time.
    """
    with blocking.connect(CHARGEN, address=ADDRESS) as connection:
        began = time.monotonic()
        left = SIZE
        while left > 0:
            left -= len(connection.recv(1 << 16))
        return SIZE / (time.monotonic() - began) / 1e6


def upload() -> float:
    """
    Megabytes a second that the daemon takes for the phone.
    """
    with blocking.connect(DISCARD, address=ADDRESS) as connection:
        began = time.monotonic()
        connection.sendall(bytes(SIZE))
        return SIZE / (time.monotonic() - began) / 1e6


def echo() -> float:
    """
    Megabytes a second that go there and come back.
    """
    data = os.urandom(SIZE // 2)
    with blocking.connect(ECHO, address=ADDRESS) as connection:
        began = time.monotonic()
        sender = threading.Thread(target=connection.sendall, args=[data])
        sender.start()
        echoed = bytearray()
        while len(echoed) < len(data):
            echoed += connection.recv(1 << 16)
        seconds = time.monotonic() - began
        sender.join()
    if echoed != data:
        raise SystemExit("the echo is another")
    return len(data) / seconds / 1e6


def keystroke() -> float:
    """
    Milliseconds until a byte is back.
    """
    with blocking.connect(ECHO, address=ADDRESS) as connection:
        began = time.monotonic()
        for _ in range(TURNS):
            connection.sendall(b"x")
            connection.recv(1)
        return (time.monotonic() - began) / TURNS * 1e3


MEASURES: dict[str, tuple[Callable[[], float], Callable[[Sequence[float]], float]]] = {
    "download, MB/s": (download, max),
    "upload, MB/s": (upload, max),
    "echo, MB/s": (echo, max),
    "echo of a byte, ms": (keystroke, min),
}


@contextmanager
def running(*words: str) -> Iterator[None]:
    """
    One of Twisted's programs.
    """
    twistd = str(Path(sys.executable).with_name("twistd"))
    command = [twistd, "-n", "--pidfile=", *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


def measure(source: str, offer: Sequence[str]) -> dict[str, float]:
    """
    Start both ends, and measure; the best of some rounds.
    """
    with (
        running("iphone", *offer),
        running(
            *("usbmuxd", "--no-preflight", "-s", source, "-l", f"unix:{MUX}", "-C", "/run/records")
        ),
    ):
        wait = [sys.executable, "-m", "muxd.muxctl", "wait", "-s", ADDRESS, "--timeout", "600"]
        subprocess.run(wait, check=True, stdout=subprocess.DEVNULL)
        return {
            name: best([each() for _ in range(ROUNDS)]) for name, (each, best) in MEASURES.items()
        }


def inside() -> None:
    """
    Within the virtual machine.
    """
    found = {way: measure(source, offer) for way, (offer, source) in WAYS.items()}
    print(f"| | {' | '.join(found)} |", "|---|---|---|", sep="\n")
    for name in MEASURES:
        print(
            f"| {name} | {' | '.join(f'{row[name]:.1f}' for row in found.values())} |", flush=True
        )


def main() -> int:
    """
    Boot the machine, and have it measure.

    @return: The exit status.
    """
    from tests.system.guest.daemons import PROJECT
    from tests.system.laboratory import Laboratory, Unavailable
    from tests.system.machine import Machine

    try:
        parts = Laboratory.standard(print).parts()
    except Unavailable as reason:
        print(f"no virtual machine can be made here: {reason}")
        return 1
    command = [sys.executable, "-m", "bench.usbip", "inside"]
    with tempfile.TemporaryDirectory(prefix="usbip-") as directory:
        machine = Machine(parts, Path(directory))
        status = machine.run(command, PROJECT, PATIENCE, lambda line: print(line, flush=True))
    return 1 if status is None else status


if __name__ == "__main__":
    if sys.argv[1:] == ["inside"]:
        inside()
    else:
        sys.exit(main())
