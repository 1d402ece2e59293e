"""
The client protocol as a program of two pages would speak it: a blocking socket,
nothing of L{muxd}, so that both sides cannot share one mistake (protocol 4).
"""

from __future__ import annotations

import plistlib
import socket
import struct
from typing import Any

HEADER = struct.Struct("<IIII")
PLIST_VERSION = 1
PLIST_MESSAGE = 8
PATIENCE = 60.0
"""Seconds until a blocking call is given up."""


def request(kind: str, **keys: object) -> bytes:
    """
    A request as a property list.
    """
    body = plistlib.dumps({"MessageType": kind, "ProgName": "tests", **keys})
    return HEADER.pack(HEADER.size + len(body), PLIST_VERSION, PLIST_MESSAGE, 1) + body


class Conversation:
    """
    A connection to a daemon.

    @ivar socket: Once connected to a phone's port, the stream.
    @ivar tag: Of the last reply or event.
    """

    def __init__(self, path: str, patience: float = PATIENCE) -> None:
        """
        @param path: Of a UNIX socket.
        @param patience: For each blocking call, in seconds.
        """
        self.tag = -1
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(patience)
        try:
            self.socket.connect(path)
        except OSError:
            self.socket.close()
            raise

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """
        Hang up.
        """
        self.socket.close()

    def send(self, kind: str, **keys: object) -> None:
        """
        Send a request as a property list.
        """
        self.socket.sendall(request(kind, **keys))

    def receive(self) -> dict[str, Any]:
        """
        The next reply or event.

        @raise EOFError: The daemon has hung up.
        """
        length, version, message, self.tag = HEADER.unpack(self.exactly(HEADER.size))
        body = self.exactly(length - HEADER.size)
        if (version, message) != (PLIST_VERSION, PLIST_MESSAGE):
            raise ValueError(f"expected a property list, got message {message}: {body!r}")
        reply: dict[str, Any] = plistlib.loads(body)
        return reply

    def ask(self, kind: str, **keys: object) -> dict[str, Any]:
        """
        Send a request and receive its reply.
        """
        self.send(kind, **keys)
        return self.receive()

    def connect(self, deviceID: int, port: int) -> int:
        """
        Connect to a phone's port.

        @return: The result; 0 is success, and then there is a stream.
        """
        result: int = self.ask("Connect", DeviceID=deviceID, PortNumber=socket.htons(port))[
            "Number"
        ]
        return result

    def exactly(self, size: int) -> bytes:
        """
        So many bytes, neither less nor more.

        @raise EOFError: The daemon has hung up.
        """
        data = bytearray()
        while len(data) < size:
            chunk = self.socket.recv(size - len(data))
            if not chunk:
                raise EOFError(f"the stream ended after {len(data)} of {size} bytes")
            data += chunk
        return bytes(data)

    def untilClosed(self) -> bytes:
        """
        All bytes to the end of the stream.
        """
        data = bytearray()
        while chunk := self.socket.recv(65536):
            data += chunk
        return bytes(data)
