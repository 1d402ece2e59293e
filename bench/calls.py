# -*- test-case-name: tests.bench.test_calls -*-
"""
What one call of the innermost modules costs, compiled and not::

    python -m bench.calls [--seconds SECONDS]

The sockets and C{epoll} are the kernel's; libusb is C{bench/instant.c}, which costs
nothing.  A row is the best of several runs, in nanoseconds.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from select import EPOLLIN, EPOLLOUT
from timeit import Timer
from typing import Any

from twisted.python import usage

RUNS = 5
"""How often each is measured; the best counts."""

SOURCE = Path(__file__).with_name("instant.c")
PAYLOAD = 1024


class Options(usage.Options):
    """
    How long.
    """

    longdesc = "What a call of the innermost modules costs, compiled and not."
    optParameters = [["seconds", "s", 0.05, "How long each of the runs is.", float]]
    optFlags = [["one", None, "Measure the build that runs, and print JSON."]]


def library(directory: str) -> ctypes.CDLL:
    """
    Build the libusb that costs nothing.
    """
    path = Path(directory, "instant.so")
    compiler = shutil.which("cc")
    if compiler is None:
        raise usage.UsageError("a C compiler is needed: there is no cc")
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", path, SOURCE], check=True)
    return ctypes.CDLL(str(path))


def calls(instant: Any) -> dict[str, Callable[[], object]]:
    """
    What is measured, by name.
    """
    from muxd.net.packetmemory import PacketMemory
    from muxd.net.polling import Poller
    from muxd.net.streams import Acceptor, StreamSocket
    from muxd.usb.asynchronous.transfers import Transfers

    ours, theirs = (StreamSocket(one.detach()) for one in socket.socketpair())
    memory, other = PacketMemory(65536), PacketMemory(65536)
    transfers = Transfers(instant, 1, 2)
    transfer = transfers.transfer(0x04, 65536)
    batch = [transfers.transfer(0x85, 512) for _ in range(8)]
    poller = Poller()
    poller.add(ours.fileno(), EPOLLOUT, memory)
    watched = theirs.fileno()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind("")  # Linux gives it a name that is no file.
    listening.listen(16)
    acceptor = Acceptor(listening)
    memory.writeSegment(2, PAYLOAD, 1, 2, 3, 4, 5, 6, 16, 65536)
    nothing = b"x"

    def through() -> None:
        memory.send(ours, 36, PAYLOAD)
        other.receive(theirs, 36, 65500)

    def little() -> None:
        ours.send(nothing)
        theirs.waiting()
        other.receive(theirs, 36, 65500)

    def submitAndEnd() -> None:
        transfer.submit(1060)
        transfers.handleEvents()

    def submitAndEndEight() -> None:
        for one in batch:
            one.submit(512)
        transfers.handleEvents()

    def addAndRemove() -> None:
        poller.add(watched, EPOLLIN, memory)
        poller.remove(watched)

    def accept() -> None:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(listening.getsockname())
            accepted = acceptor.accept()
            assert accepted is not None
            accepted.close()

    return {
        "write a v2 segment": lambda: memory.writeSegment(2, PAYLOAD, 1, 2, 3, 4, 5, 6, 16, 65536),
        "read a v2 segment": lambda: memory.readSegment(2, 0),
        "read a header": lambda: memory.readHeader(0),
        "send and receive 1 KiB": through,
        "receive nothing": lambda: other.receive(theirs, 36, 65500),
        "send, count and receive 1 B": little,
        "submit, and see it ended": submitAndEnd,
        "the same, eight at once": submitAndEndEight,
        "wait, and find one ready": lambda: poller.wait(0),
        "watch, and no more": addAndRemove,
        "connect, accept and close": accept,
        "a call of nothing": lambda: None,
    }


def measure(seconds: float) -> dict[str, float]:
    """
    Nanoseconds of each call.
    """
    found = {}
    with tempfile.TemporaryDirectory(prefix="muxd-calls-") as directory:
        for name, call in calls(library(directory)).items():
            timer = Timer(call)
            count = max(1, int(seconds / max(min(timer.repeat(3, 100)) / 100, 1e-9)))
            found[name] = min(timer.repeat(RUNS, count)) / count * 1e9
    return found


def inBuild(seconds: float, pure: str) -> dict[str, float]:
    """
    The same of one build, in a process of its own.

    @param pure: C{1} for the one in Python.
    @return: Nothing if there is no such build here.
    """
    done = subprocess.run(
        [sys.executable, "-m", "bench.calls", "--one", "--seconds", str(seconds)],
        env={**os.environ, "MUXD_PURE": pure},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    said: dict[str, Any] = json.loads(done.stdout)
    return said["calls"] if said["build"] == ("pure" if pure == "1" else "compiled") else {}


def table(pure: dict[str, float], compiled: dict[str, float]) -> str:
    """
    Both side by side.
    """
    lines = [f"{'ns':<28}{'pure':>9}{'compiled':>10}{'ratio':>8}"]
    for name, slow in pure.items():
        quick = compiled.get(name)
        more = "" if quick is None else f"{quick:>10.0f}{slow / quick:>8.1f}"
        lines.append(f"{name:<28}{slow:>9.0f}{more}")
    if not compiled:
        lines.append("there is no compiled build here")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """
    Measure, and print.

    @return: The exit status.
    """
    options = Options()
    try:
        options.parseOptions(arguments)
        if options["one"]:
            from muxd.build import description

            found = measure(options["seconds"])
            print(json.dumps({"build": description(), "calls": found}))
        else:
            print(table(inBuild(options["seconds"], "1"), inBuild(options["seconds"], "0")))
    except usage.UsageError as error:
        print(f"{options}\n{error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
