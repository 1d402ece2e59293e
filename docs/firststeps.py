"""
C{make run}: print what to type next, and become a daemon with a simulated phone.

Clients are let in at a UNIX socket in this directory, and at a port of the loopback
interface, since C{HOST:PORT} is the one spelling of an address that every client
understands.
"""

from __future__ import annotations

import os
import shlex
import socket
import sys
from pathlib import Path

HOST = "127.0.0.1"
TEXT = Path(__file__).with_name("first-steps.txt")


def freePort(wanted: int) -> int:
    """
    A port of the loopback interface that nothing listens at: the wanted one if possible.
    """
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise SystemExit(f"no port of {HOST} is free")


def steps(directory: Path, path: str, port: int) -> str:
    """
    What to type next, in words that a shell takes whatever the directory is called.

    @param path: The UNIX socket, from the directory.
    """
    text = TEXT.read_text()
    for name, value in (("ADDRESS", f"{HOST}:{port}"), ("SOCKET", str(directory / path))):
        text = text.replace(f"@{name}@", shlex.quote(value))
    return text


def main(path: str, wanted: str, records: str) -> None:
    """
    Print, and run C{twistd} in the place of this process.
    """
    port = freePort(int(wanted))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    sys.stdout.write(steps(Path.cwd(), path, port))
    sys.stdout.flush()
    twistd = os.path.join(os.path.dirname(sys.executable), "twistd")
    words = ["--nodaemon", "--pidfile=", "usbmuxd", "--config-dir", records]
    for endpoint in (f"unix:{path}:mode=666", f"tcp:{port}:interface={HOST}"):
        words += ["--listen", endpoint]
    words += ["--source", "usb", "--source", "simulated"]
    os.execv(twistd, [twistd, *words])


if __name__ == "__main__":
    main(*sys.argv[1:])
