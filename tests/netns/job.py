"""
A job's program, which uses its phone and nothing of muxd: it sends a line to the phone's echo
service again and again, until its standard input ends or the phone is lost.

It says what it does, a line each: C{began UDID}, C{heard NUMBER} for the first lines that come
back and for each twentieth, and C{done} or C{cut}.
"""

from __future__ import annotations

import os
import plistlib
import select
import socket
import struct
import sys
import time
from contextlib import suppress

INTERVAL = 0.05
ECHO = 7
_HEADER = struct.Struct("<IIII")


def ask(stream: socket.socket, kind: str, **keys: object) -> dict[str, object]:
    """
    The answer to a request.
    """
    body = plistlib.dumps({"MessageType": kind, "ProgName": "job", **keys})
    stream.sendall(_HEADER.pack(_HEADER.size + len(body), 1, 8, 1) + body)
    size = _HEADER.unpack(stream.recv(_HEADER.size, socket.MSG_WAITALL))[0] - _HEADER.size
    answer: dict[str, object] = plistlib.loads(stream.recv(size, socket.MSG_WAITALL))
    return answer


def opened() -> tuple[str, socket.socket]:
    """
    The UDID of the phone, and a stream to it.
    """
    path = os.environ["USBMUXD_SOCKET_ADDRESS"].removeprefix("UNIX:")
    stream = socket.socket(socket.AF_UNIX)
    stream.connect(path)
    found = ask(stream, "ListDevices")["DeviceList"]
    assert isinstance(found, list) and len(found) == 1, found
    port = socket.htons(ECHO)
    answer = ask(stream, "Connect", DeviceID=found[0]["DeviceID"], PortNumber=port)
    if answer["Number"] != 0:
        say(f"cut: the phone answers {answer['Number']}")
        sys.exit(0)
    return found[0]["Properties"]["SerialNumber"], stream


def say(text: str) -> None:
    """
    Tell the test.
    """
    print(text, flush=True)


def main(name: str) -> None:
    """
    Do it.
    """
    udid, stream = opened()
    say(f"began {udid}")
    stream.setblocking(False)
    number, heard, due, lines = 0, 0, 0.0, b""
    while True:
        try:
            if time.monotonic() >= due:
                due = time.monotonic() + INTERVAL
                with suppress(BlockingIOError):
                    # A host that is frozen takes nothing, after a while.
                    stream.sendall(f"{udid} {name} {number + 1}\n".encode())
                    number += 1
            ready, _, _ = select.select([stream, sys.stdin], [], [], INTERVAL)
            data = stream.recv(65536) if stream in ready else None
        except OSError as error:
            say(f"cut: {error}")
            return
        if data == b"":
            say("cut: the stream has ended")
            return
        *whole, lines = (lines + (data or b"")).split(b"\n")
        for line in whole:
            heard += 1
            if heard < 3 or not heard % 20:
                say(f"heard {line.decode().split()[2]}")
        if sys.stdin in ready and not sys.stdin.read(1):
            say("done")
            return


if __name__ == "__main__":
    main(sys.argv[1])
