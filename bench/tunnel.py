"""
How fast a tunnel is: C{python -m bench.tunnel [MEGABYTES]}.

A daemon with a simulated phone in it moves so many bytes down and up through the tunnel, for us
(C{openTunnel} in a process of its own), for C{muxctl relay rsd:}, and for go-ios' and
pymobiledevice3's userspace stacks where they are installed (F{.ci/clients}).  The phone's end is
ours in all of them, and so is the daemon between.
"""

from __future__ import annotations

import contextlib
import json
import os
import plistlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SERVICE = "com.example.bytes"
CLIENTS = Path(os.environ.get("MUXD_CLIENTS", os.path.expanduser("~/.cache/muxd-clients")))
IOS = CLIENTS / "go-ios/node_modules/go-ios/dist/go-ios-linux-amd64_linux_amd64/ios"
PYTHON3 = CLIENTS / "pymobiledevice3/bin/python"
BIN = Path(sys.executable).parent
PATIENCE = 30.0
QUIET: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
MEGABYTE = 1 << 20

OTHERS = """
import asyncio, sys, time
from pymobiledevice3.remote.userspace_tunnel import UserspaceRsdTunnel

async def main(size):
    async with UserspaceRsdTunnel() as rsd:
        for way in b"DU":
            service = await rsd.start_lockdown_service("com.example.bytes.shim.remote")
            reader, writer = service.reader, service.writer
            begun = time.monotonic()
            writer.write(bytes((way,)) + size.to_bytes(8, "big"))
            left = size
            while left and way == 68:
                left -= len(await reader.read(1 << 16))
            while left:
                piece = min(left, 1 << 16)
                writer.write(bytes(piece))
                await writer.drain()
                left -= piece
            if way == 85:
                await reader.readexactly(1)
            print(time.monotonic() - begun, flush=True)

asyncio.run(main(int(sys.argv[1])))
"""


@contextlib.contextmanager
def running(*words: str | Path, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
    """
    A program that runs meanwhile.
    """
    process = subprocess.Popen(
        list(map(str, words)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE)


def dialled(port: int) -> socket.socket:
    """
    A connection to a port of this machine, once something listens there.
    """
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), PATIENCE)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def moved(connection: socket.socket, way: bytes, size: int) -> float:
    """
    Seconds that a transfer takes.
    """
    begun = time.monotonic()
    connection.sendall(way + size.to_bytes(8))
    left = size
    while left and way == b"D":
        received = len(connection.recv(1 << 18))
        if not received:
            raise ConnectionError("the phone has closed")
        left -= received
    while left:
        piece = min(left, 1 << 18)
        connection.sendall(bytes(piece))
        left -= piece
    if way == b"U" and connection.recv(1) != b"k":
        raise ConnectionError("the phone has closed")
    return time.monotonic() - begun


def checkedIn(connection: socket.socket) -> None:
    """
    Check in, as a relay does by itself.
    """
    said = plistlib.dumps({"Label": "bench", "ProtocolVersion": "2", "Request": "RSDCheckin"})
    connection.sendall(len(said).to_bytes(4) + said)
    stream = connection.makefile("rb", buffering=0)
    for _ in range(2):
        left = int.from_bytes(stream.read(4))
        while left:
            left -= len(stream.read(left))


def own(path: str, size: int) -> None:
    """
    Move bytes by L{muxd.tunnel.openTunnel}, and print how long it takes.
    """
    from twisted.internet.defer import Deferred
    from twisted.internet.protocol import Factory, Protocol
    from twisted.internet.task import react

    from muxd.tunnel import openTunnel

    class Mover(Protocol):
        way = b"D"

        def __init__(self) -> None:
            self.done: Deferred[None] = Deferred()
            self.left = size

        def begin(self) -> Deferred[None]:
            transport: Any = self.transport
            transport.write(self.way + size.to_bytes(8))
            if self.way == b"U":
                transport.registerProducer(self, False)
            return self.done

        def resumeProducing(self) -> None:
            transport: Any = self.transport
            piece = min(self.left, 1 << 18)
            self.left -= piece
            if not self.left:
                transport.unregisterProducer()
            transport.write(bytes(piece))

        def stopProducing(self) -> None:
            pass

        def dataReceived(self, data: bytes) -> None:
            self.left -= len(data)
            if self.left <= 0:
                self.done.callback(None)

    async def main(reactor: Any) -> None:
        tunnel = await openTunnel(reactor, via=f"unix:{path}")
        for way in (b"D", b"U"):
            mover: Any = await tunnel.service(SERVICE).connect(Factory.forProtocol(Mover))
            mover.way = way
            begun = time.monotonic()
            await mover.begin()
            print(time.monotonic() - begun, flush=True)
        await tunnel.close()

    react(lambda reactor: Deferred.fromCoroutine(main(reactor)))


def printed(*words: str | Path, **more: Any) -> list[float]:
    """
    The two times that a program prints.
    """
    done = subprocess.run(
        list(map(str, words)), stdout=subprocess.PIPE, timeout=600, check=True, **more
    )
    return [float(line) for line in done.stdout.split()]


def byRelay(path: str, size: int) -> list[float]:
    """
    C{muxctl relay rsd:}.
    """
    with running(BIN / "muxctl", "-s", path, "relay", f"rsd:{SERVICE}:49191"):
        return [moved(dialled(49191), way, size) for way in (b"D", b"U")]


def byGoIOS(path: str, size: int) -> list[float]:
    """
    The door of C{ios tunnel start --userspace}.
    """
    environment = {**os.environ, "USBMUXD_SOCKET_ADDRESS": path}
    # It leaves a file where it is started.
    place = Path(path).parent
    with running(IOS, "tunnel", "start", "--userspace", env=environment, cwd=place):
        time.sleep(6)
        listed, services = (
            json.loads(subprocess.run([IOS, *words], env=environment, check=True, **QUIET).stdout)
            for words in (("tunnel", "ls"), ("rsd", "ls"))
        )
        port = services[f"{SERVICE}.shim.remote"]["Port"]
        found = []
        for way in (b"D", b"U"):
            connection = dialled(listed[0]["userspaceTunPort"])
            address = socket.inet_pton(socket.AF_INET6, listed[0]["address"])
            connection.sendall(address + port.to_bytes(4, "little"))
            checkedIn(connection)
            found.append(moved(connection, way, size))
        return found


def main(megabytes: int) -> None:
    """
    Measure, and print a table.
    """
    size = megabytes * MEGABYTE
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/socket"
        simulated = f"simulated:version=17.6:service={SERVICE}=bench.tunnelbytes\\:Bytes"
        words = ("-n", f"--pidfile={directory}/pid", "usbmuxd", "-s", simulated, "-C", directory)
        with running(BIN / "twistd", *words, "-l", f"unix:{path}"):
            time.sleep(8)
            subjects = {
                "muxd.tunnel": lambda: printed(
                    sys.executable, "-m", "bench.tunnel", "own", path, str(size)
                ),
                "muxctl relay rsd:": lambda: byRelay(path, size),
                "go-ios (gVisor)": lambda: byGoIOS(path, size),
                "pymobiledevice3 (PyTCP)": lambda: printed(
                    PYTHON3,
                    "-c",
                    OTHERS,
                    str(size),
                    env={**os.environ, "USBMUXD_SOCKET_ADDRESS": path},
                ),
            }
            print(f"{megabytes} MiB, in MB/s      down      up")
            for name, measure in subjects.items():
                try:
                    speeds = [size / seconds / 1e6 for seconds in measure()]
                    print(f"{name:24}", *(f"{speed:8.1f}" for speed in speeds), flush=True)
                except (OSError, subprocess.SubprocessError, LookupError, ValueError) as error:
                    print(f"{name:24} not measured: {error}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["own"]:
        own(sys.argv[2], int(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if sys.argv[1:] else 100)
