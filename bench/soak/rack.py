# -*- test-case-name: tests.bench.test_soakobservatory -*-
"""
Phones that can be plugged in and pulled out from here, wherever they live.
"""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any, Protocol

from bench.bus import Bus
from bench.rig import Phones

PATIENCE = 20.0


class Asking:
    """
    A socket that answers one JSON object to each request.
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
        Wait for the answer.
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
        Ask no more.
        """
        self._socket.close()


class Rack(Protocol):
    """
    @ivar udids: The phones', by their place in the rack.
    """

    udids: list[str]

    def plug(self, index: int) -> None:
        """
        Plug it in.
        """

    def unplug(self, index: int) -> None:
        """
        Pull it out, whatever it is doing.
        """

    def violations(self) -> list[str]:
        """
        What the phones have to object to.
        """

    def open(self) -> int:
        """
        Sessions that the phones have.
        """


class AskedRack:
    """
    Phones that are plugged by whoever has them, when he is asked to.
    """

    def __init__(self, asking: Asking, udids: list[str]) -> None:
        self.udids = udids
        self._asking = asking

    def plug(self, index: int) -> None:
        """
        Plug it in.
        """
        self._asking.ask(f"plug {index}")

    def unplug(self, index: int) -> None:
        """
        Pull it out.
        """
        self._asking.ask(f"unplug {index}")


class RigRack(AskedRack):
    """
    The phones of bench/rig: a process of their own.
    """

    def __init__(self, phones: Phones) -> None:
        udids = [f"00008030-{0x1A35E200 + index:016X}" for index in range(phones.count)]
        super().__init__(Asking(phones.control, socket.SOCK_SEQPACKET), udids)
        self._log = phones.log

    def violations(self) -> list[str]:
        """
        What they counted, and the first ones of each kind in words.
        """
        counted = self._asking.ask("total")["violation"]
        if not counted:
            return []
        words = self._log.read_text(errors="replace").splitlines()
        return [f"{name}: {count}" for name, count in counted.items()] + words[:20]

    def open(self) -> int:
        """
        Sessions that they have.
        """
        return int(self._asking.ask("total")["open"])


class SimulatedRack(AskedRack):
    """
    The simulated phones that live in the daemon's process.
    """

    def __init__(self, observatory: Asking) -> None:
        super().__init__(observatory, observatory.ask("phones"))

    def violations(self) -> list[str]:
        """
        What they wrote down.
        """
        return list(self._asking.ask("violations"))

    def open(self) -> int:
        """
        Sessions that they have.
        """
        return int(self._asking.ask("open"))


class NoPhones(Phones):
    """
    Directories as L{Phones} has them, for a daemon that brings its own phones.
    """

    def __init__(self, directory: Path, bus: Bus, count: int) -> None:
        self.directory, self.bus, self.count = directory, bus, count
        for name in ("sys", "run"):
            (directory / name).mkdir(parents=True, exist_ok=True)

    def environment(self) -> dict[str, str]:
        """
        Nothing in particular.
        """
        return dict(os.environ)

    def close(self) -> None:
        """
        There is nothing to close.
        """
