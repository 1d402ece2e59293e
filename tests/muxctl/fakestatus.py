"""
A status socket that a test plays.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading

from twisted.trial.unittest import SynchronousTestCase

from muxd.client.address import UnixAddress


class FakeStatus:
    """
    A status socket that says what a test wants, to one client.
    """

    def __init__(self, test: SynchronousTestCase, answer: bytes) -> None:
        directory = tempfile.TemporaryDirectory()
        test.addCleanup(directory.cleanup)
        self.daemon = UnixAddress(os.path.join(directory.name, "mux"))
        self.address = UnixAddress(f"{self.daemon.path}.status")
        self.asked = b""
        self._answer = answer
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(self.address.path)
        self._listening.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        test.addCleanup(self._thread.join, 10)
        test.addCleanup(self._listening.close)

    def _serve(self) -> None:
        client, _ = self._listening.accept()
        with client:
            while b"\r\n\r\n" not in self.asked:
                self.asked += client.recv(65536)
            if b"Content-Length" in self.asked and not self.asked.endswith(b"}"):
                self.asked += client.recv(65536)
            client.sendall(self._answer)


def answered(values: object, status: str = "200 OK") -> bytes:
    """
    An answer of HTTP.
    """
    body = values if isinstance(values, bytes) else json.dumps(values).encode()
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


def phone(number: int = 1, **more: object) -> dict[str, object]:
    """
    A phone as a status socket tells of it.
    """
    return {
        "id": number,
        "udid": f"00008110-00000000000000{number:02}",
        "name": f"Ann's {number}",
        "model": "iPhone14,5",
        "version": "17.2",
        "trust": "trusted",
        "portPath": f"1-{number}",
        "connection": "USB",
        "sessions": 1,
        "counters": {"bytesSent": 1500, "bytesReceived": 2_000_000},
        **more,
    }


def session(number: int = 1, **more: object) -> dict[str, object]:
    """
    A session of a phone.
    """
    return {
        "name": f"{number}-7",
        "phone": number,
        "udid": f"00008110-00000000000000{number:02}",
        "port": 62078,
        "peer": {"pid": 77, "uid": 0, "gid": 0, "program": "xctest"},
        "age": 65.0,
        "state": "established",
        "toPhone": 0,
        "fromPhone": 10,
        "held": 0,
        "stalls": 0,
        **more,
    }


def state(**more: object) -> dict[str, object]:
    """
    A daemon with two phones and a session.
    """
    return {
        "version": "0.2.0",
        "build": "compiled",
        "pid": 5,
        "uptime": 3700.0,
        "problems": [],
        "limits": [{"name": "file descriptors", "used": 10, "most": 1000}],
        "phones": [phone(1), phone(2)],
        "sessions": [session(1)],
        "lateness": 0.01,
        **more,
    }


def tick(time: float, **more: object) -> dict[str, object]:
    """
    What has changed in a second.
    """
    return {
        "time": time,
        "phones": {},
        "opened": [],
        "closed": [],
        "moved": {},
        "lateness": 0.01,
        **more,
    }


def event(name: str, values: object) -> bytes:
    """
    An event as it is sent.
    """
    return f"event: {name}\ndata: {json.dumps(values)}\n\n".encode()
