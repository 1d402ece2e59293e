# -*- test-case-name: tests.bench.test_soakprobe -*-
"""
Phones that the soak can plug in and pull out, wherever they live.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any, Protocol

from bench.rig import Phones

PATIENCE = 20.0


class RequestSocket:
    """
    A socket that answers each request with one JSON object.
    """

    def __init__(self, path: Path, kind: int) -> None:
        """
        @param kind: C{SOCK_SEQPACKET}, or C{SOCK_STREAM} with a line for each.
        """
        self._end = b"\n" if kind == socket.SOCK_STREAM else b""
        self._socket = socket.socket(socket.AF_UNIX, kind)
        self._socket.settimeout(PATIENCE)
        self._socket.connect(str(path))

    def ask(self, request: str) -> Any:
        """
        Send a request and wait for the answer.
        """
        self._socket.sendall(request.encode() + self._end)
        answer = self._socket.recv(1 << 20)
        while self._end and not answer.endswith(self._end):
            more = self._socket.recv(1 << 20)
            if not more:
                raise OSError(f"no answer to {request}")
            answer += more
        return json.loads(answer)

    def close(self) -> None:
        """
        Close the socket.
        """
        self._socket.close()


class PluggablePhones(Protocol):
    """
    Phones that can be plugged in and pulled out, by their index.

    @ivar udids: Their UDIDs, by index.
    """

    udids: list[str]

    def plug(self, index: int) -> None:
        """
        Plug a phone in.
        """

    def unplug(self, index: int) -> None:
        """
        Pull a phone out, whatever it is doing.
        """

    def violations(self) -> list[str]:
        """
        List what the phones object to.
        """

    def open(self) -> int:
        """
        Count the sessions that the phones have.
        """


class AskedPhones:
    """
    Phones of another process, which plugs them when it is asked on its socket.
    """

    def __init__(self, asking: RequestSocket, udids: list[str]) -> None:
        self.udids = udids
        self._asking = asking

    def plug(self, index: int) -> None:
        """
        Plug a phone in.
        """
        self._asking.ask(f"plug {index}")

    def unplug(self, index: int) -> None:
        """
        Pull a phone out.
        """
        self._asking.ask(f"unplug {index}")


class RigPhones(AskedPhones):
    """
    The phones of bench/rig: a process of their own.
    """

    def __init__(self, phones: Phones) -> None:
        udids = [f"00008030-{0x1A35E200 + index:016X}" for index in range(phones.count)]
        super().__init__(RequestSocket(phones.control, socket.SOCK_SEQPACKET), udids)
        self._log = phones.log

    def violations(self) -> list[str]:
        """
        List what the phones counted, and the first violations of each kind in words.
        """
        counted = self._asking.ask("total")["violation"]
        if not counted:
            return []
        words = self._log.read_text(errors="replace").splitlines()
        return [f"{name}: {count}" for name, count in counted.items()] + words[:20]

    def open(self) -> int:
        """
        Count the sessions that the phones have.
        """
        return int(self._asking.ask("total")["open"])


class SimulatedPhones(AskedPhones):
    """
    Simulated phones that live in the daemon's process.
    """

    def __init__(self, probe: RequestSocket) -> None:
        super().__init__(probe, probe.ask("phones"))

    def violations(self) -> list[str]:
        """
        List what the phones wrote down.
        """
        return list(self._asking.ask("violations"))

    def open(self) -> int:
        """
        Count the sessions that the phones have.
        """
        return int(self._asking.ask("open"))
