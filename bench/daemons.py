# -*- test-case-name: tests.bench.test_daemons -*-
"""
The daemons that are compared, and how they are started.
"""

from __future__ import annotations

import plistlib
import shlex
import shutil
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.isolation import withPrivateMounts
from bench.rig import Phones, stop

PROJECT = Path(__file__).resolve().parent.parent
START_DEADLINE = 60.0
USBMUXD = "usbmuxd"
"""As a command: Debian's C daemon."""

_HEADER = struct.Struct("<IIII")
_PLIST_VERSION = 1
_PLIST_MESSAGE = 8


class DaemonError(Exception):
    """
    A daemon does not start, or has gone; the text says why, with its last words.
    """


@dataclass(frozen=True, slots=True)
class Subject:
    """
    A daemon to be measured.

    @ivar name: For the table.
    @ivar command: How it is started; C{{socket}} stands for where it is to
        listen and C{{directory}} for a directory of its own.
    """

    name: str
    command: str

    def arguments(self, socketPath: Path, directory: Path) -> list[str]:
        """
        The command, taken apart.
        """
        return [
            word.replace("{socket}", str(socketPath)).replace("{directory}", str(directory))
            for word in shlex.split(self.command)
        ]


def muxd(command: str | None) -> Subject:
    """
    The daemon under test, without preflight, as the other.
    """
    if command == USBMUXD:
        return usbmuxd(None)
    if command is not None:
        return Subject("muxd", command)
    twistd = Path(sys.executable).parent / "twistd"
    return Subject(
        "muxd",
        f"{twistd if twistd.exists() else 'twistd'} --nodaemon --pidfile= usbmuxd "
        "--listen unix:{socket} --source usb --config-dir {directory}/lockdown --no-preflight",
    )


def usbmuxd(command: str | None) -> Subject:
    """
    The daemon it is compared with: unless told otherwise, the C one, without
    its own conversation with each new phone, which the simulated ones lack.

    @raise DaemonError: It is not installed.
    """
    if command is not None and command != USBMUXD:
        return Subject("other", command)
    installed = shutil.which("usbmuxd", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if installed is None:
        raise DaemonError("there is no usbmuxd to compare with: apt install usbmuxd")
    return Subject("C usbmuxd", f"{installed} --foreground --no-preflight")


class Daemon:
    """
    A running daemon, with all its phones attached.

    @ivar startMilliseconds: From its start to the first Attached.
    """

    def __init__(self, subject: Subject, phones: Phones) -> None:
        self.subject = subject
        self.socket = phones.directory / "run" / "usbmuxd"
        self.socket.unlink(missing_ok=True)
        self._log = phones.directory / "daemon.log"
        command = withPrivateMounts(
            phones.directory, subject.arguments(self.socket, phones.directory)
        )
        begun = time.monotonic()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=PROJECT,
                env=phones.environment(),
            )
        try:
            self._waitForAttached(begun + START_DEADLINE)
        except (OSError, DaemonError) as error:
            stop(self._process)
            raise DaemonError(f"{subject.name} does not start: {error}{self.lastWords()}") from None
        self.startMilliseconds = (time.monotonic() - begun) * 1000

    @property
    def pid(self) -> int:
        """
        The process whose CPU time and memory count: C{unshare} and C{sh} have become it.
        """
        return self._process.pid

    @property
    def running(self) -> bool:
        """
        Whether it is alive.
        """
        return self._process.poll() is None

    def log(self) -> str:
        """
        All that it has written.
        """
        return self._log.read_text(errors="replace")

    def end(self, seconds: float) -> int | None:
        """
        Stop it as a supervisor does.

        @return: Its exit status; None if it did not end in time.
        """
        self._process.terminate()
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def lastWords(self) -> str:
        """
        The end of its log, for the reader of an error.
        """
        lines = self._log.read_text(errors="replace").splitlines()[-8:]
        return "".join(f"\n    {line}" for line in lines)

    def close(self) -> None:
        """
        End it.
        """
        stop(self._process)

    def _waitForAttached(self, deadline: float) -> None:
        with self._connected(deadline) as connection:
            connection.settimeout(max(deadline - time.monotonic(), 0.01))
            body = plistlib.dumps({"MessageType": "Listen", "kLibUSBMuxVersion": 3})
            header = _HEADER.pack(_HEADER.size + len(body), _PLIST_VERSION, _PLIST_MESSAGE, 1)
            connection.sendall(header + body)
            while _receive(connection).get("MessageType") != "Attached":
                pass

    def _connected(self, deadline: float) -> socket.socket:
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(self.socket))
            except OSError:
                connection.close()
            else:
                return connection
            if self._process.poll() is not None:
                raise DaemonError(f"it ended with status {self._process.returncode}")
            if time.monotonic() > deadline:
                raise DaemonError(f"no process listens on {self.socket} after {START_DEADLINE:g} s")
            time.sleep(0.002)


def _receive(connection: socket.socket) -> dict[str, object]:
    length = _HEADER.unpack(_exactly(connection, _HEADER.size))[0]
    message: dict[str, object] = plistlib.loads(_exactly(connection, length - _HEADER.size))
    return message


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise DaemonError("it closed the connection")
        data += more
    return data
