"""
Simulated phones, told what to do through their control sockets.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.system.contenders import Model
from tests.system.guest.launcher import Launcher
from tests.system.guest.processes import Command, Executed, Process, end
from tests.system.guest.waiting import PATIENCE, waitFor
from tests.system.scenario import Failed

STANDALONE = Path(__file__).parent.parent / "vm/phone.py"

NEW_SERIAL = "00008110000A1B2C3D4E5F60"
OLD_SERIAL = "0123456789abcdef0123456789abcdef01234567"

ECHO, DISCARD, CHARGEN, SEND = 7, 9, 19, 2000
"""Ports of services of both phones; SEND reads a number and sends so many bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneSettings:
    """
    What can be chosen of a phone.

    @ivar serial: As in its descriptor.
    @ivar mux: The version of the protocol that it speaks at most.
    @ivar mtu: The longest payload of its segments.
    """

    serial: str = NEW_SERIAL
    mux: int = 2
    mtu: int | None = None
    mode: int | None = None
    speed: str | None = None
    trust: str = "deny"

    @property
    def udid(self) -> str:
        """
        What clients are told.
        """
        serial = self.serial
        return f"{serial[:8]}-{serial[8:]}" if len(serial) == 24 else serial


class Phone:
    """
    A phone, in a process of its own.

    @ivar settings: What it is.
    """

    def __init__(
        self, process: Process, control: Path, settings: PhoneSettings, model: Model
    ) -> None:
        self.settings = settings
        self._model = model
        self._process = process
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE)
        waitFor("the phone to listen", lambda: self._connected(control))
        self._answers = self._socket.makefile("rb")

    def _connected(self, control: Path) -> bool:
        if self._process.poll() is not None:
            raise Failed(f"the phone ended with status {self._process.poll()}")
        try:
            self._socket.connect(str(control))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True

    @property
    def udid(self) -> str:
        """
        What clients are told.
        """
        return self.settings.udid

    def tell(self, *words: object) -> Any:
        """
        Send a command.

        @return: The answer.
        @raise Failed: The phone does not understand, or has ended.
        """
        line = " ".join(map(str, words))
        self._socket.sendall(f"{line}\n".encode())
        answer = self._answers.readline()
        if not answer:
            raise Failed(f"the phone did not answer to {line!r}")
        value = json.loads(answer)
        if isinstance(value, dict) and set(value) == {"error"}:
            raise Failed(f"the phone answered to {line!r}: {value['error']}")
        if isinstance(value, str) and value != "ok":
            raise Failed(f"the phone answered to {line!r}: {value}")
        return value

    def plug(self) -> None:
        """
        Plug it in.
        """
        self.tell("plug")

    def unplug(self, error: int = 0) -> None:
        """
        Pull it out.

        @param error: What the transfers fail with first, such as C{EPROTO}; none if 0.
        """
        self.tell("unplug", *([-error] if error else []))
        if self._model is Model.STANDALONE:
            # The other one is as new each time.
            self.tell("release")

    def violations(self) -> list[str]:
        """
        What it holds against its hosts.
        """
        found: list[str] = self.tell("stats")["violations"]
        return found

    def stop(self) -> None:
        """
        End its process.
        """
        if self._process.poll() is None:
            end(self._process)
        self._answers.close()
        self._socket.close()


@dataclass(frozen=True, slots=True)
class PhoneMaker:
    """
    Starts phones of one kind.

    @ivar directory: For their logs and sockets.
    """

    model: Model
    launcher: Launcher | None
    directory: Path

    def start(self, settings: PhoneSettings, number: int) -> Phone:
        """
        A phone that is not plugged in.
        """
        control = Path(f"/run/phone-{number}.sock")
        control.unlink(missing_ok=True)
        log = self.directory / f"phone-{number}.log"
        words = _standalone if self.model is Model.STANDALONE else _muxd
        command = Command(
            words=words(settings, control), log=log, directory=Path("/run"), environment={}
        )
        process: Process
        if self.model is Model.STANDALONE:
            process = Executed(command)
        else:
            assert self.launcher is not None
            process = self.launcher.launch(command)
        return Phone(process, control, settings, self.model)


def _standalone(settings: PhoneSettings, control: Path) -> Sequence[str]:
    # It needs nothing but Python, so nothing else is looked for.
    python = os.path.realpath(sys.executable)
    words = [python, "-S", str(STANDALONE), "--ctl", str(control)]
    words += ["--serial", settings.serial, "--mux", str(settings.mux)]
    return words + (["--mtu", str(settings.mtu)] if settings.mtu else [])


def _muxd(settings: PhoneSettings, control: Path) -> Sequence[str]:
    words = ["-n", "--pidfile=", "iphone", "--vhci", "--unplugged", "--control", f"unix:{control}"]
    words += ["--serial", settings.serial, "--mux", str(settings.mux), "--trust", settings.trust]
    words += ["--mode", str(settings.mode)] if settings.mode else []
    return words + (["--speed", settings.speed] if settings.speed else [])
