# -*- test-case-name: tests.bench.test_attack -*-
"""
Messages of the client protocol, for programs that want nothing else of muxd: the same are
sent to each daemon.
"""

from __future__ import annotations

import os
import plistlib
import resource
import socket
import struct
from collections.abc import Mapping
from typing import Any

HEADER = struct.Struct("<IIII")
PATIENCE = 60.0

LONG_NAME = "\u4e2d" * 255
"""As long as a program's name may be; three bytes a letter."""


def message(values: Mapping[str, Any]) -> bytes:
    """
    A request.
    """
    return framed(plistlib.dumps(dict(values)))


def framed(body: bytes) -> bytes:
    """
    A property list, or what looks like one.
    """
    return HEADER.pack(HEADER.size + len(body), 1, 8, 1) + body


def costly(size: int) -> bytes:
    """
    A request of so many bytes that takes long to parse.
    """
    head = b'<?xml version="1.0" encoding="UTF-8"?><plist version="1.0"><dict><key>a</key><array>'
    tail = b"</array></dict></plist>"
    room = size - HEADER.size - len(head) - len(tail)
    return framed(head + b"<string/>" * (room // 9) + tail)


def connect(path: str) -> socket.socket:
    """
    A connection to a daemon; it is waited for while others are before it.
    """
    made = socket.socket(socket.AF_UNIX)
    # With a timeout of Python's, one that would have to wait is refused.
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@qq", int(PATIENCE), 0))
    try:
        made.connect(path)
    except BaseException:
        made.close()
        raise
    made.settimeout(PATIENCE)
    return made


def receive(connection: socket.socket) -> dict[str, Any]:
    """
    The next message.

    @raise OSError: The daemon has closed the connection.
    """
    (length, *_) = HEADER.unpack(_exactly(connection, HEADER.size))
    answer: dict[str, Any] = plistlib.loads(_exactly(connection, length - HEADER.size))
    return answer


def ask(connection: socket.socket, values: Mapping[str, Any]) -> dict[str, Any]:
    """
    Ask, and wait for the answer.
    """
    connection.sendall(message(values))
    return receive(connection)


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionResetError("the daemon has closed the connection")
        data += more
    return bytes(data)


def become(user: int) -> None:
    """
    Be another user from now on, if this one may; and have as many files as that one may.
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
