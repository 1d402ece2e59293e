"""
Echoes by way of a daemon, within the virtual machine: that they are right, and how long they take.
"""

from __future__ import annotations

import os
import sys
import threading
import time

from muxd.client import blocking

ECHO = 7
SIZES = (1, 476, 49152, 1 << 20)
BYTES = 20


def main(title: str, address: str) -> None:
    """
    Print a line for each size, and one for single bytes.
    """
    for size in SIZES:
        data = os.urandom(size)
        began = time.monotonic()
        with blocking.connect(ECHO, address=address) as connection:
            threading.Thread(target=connection.sendall, args=[data]).start()
            echoed = bytearray()
            while len(echoed) < size and (more := connection.recv(1 << 16)):
                echoed += more
        if echoed != data:
            raise SystemExit(f"{title}: {size} bytes came back as {len(echoed)}, or others")
        print(f"{title}: echo of {size} bytes in {time.monotonic() - began:.3f} s", flush=True)
    with blocking.connect(ECHO, address=address) as connection:
        began = time.monotonic()
        for _ in range(BYTES):
            connection.sendall(b"x")
            connection.recv(1)
        each = (time.monotonic() - began) / BYTES
    print(f"{title}: echo of a byte in {each * 1000:.1f} ms", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
