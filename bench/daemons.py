# -*- test-case-name: tests.bench.test_daemons -*-
"""
Daemons and relays that run.
"""

from __future__ import annotations

import os
import plistlib
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.rig import Phones, stop
from bench.subjects import Command, Subject
from muxd.phone.examine.mounts import withPrivateMounts

PROJECT = Path(__file__).resolve().parent.parent
START_DEADLINE = 60.0
USB = "usb"

_HEADER = struct.Struct("<IIII")
_PLIST_VERSION = 1
_PLIST_MESSAGE = 8


class DaemonError(Exception):
    """
    A daemon or relay does not start, or has gone; the text says why, with its last words.
    """


def freePort() -> int:
    """
    Return a TCP port that is free here: in a network namespace of our own it stays so.
    """
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class Program:
    """
    A program that was started, with its log.

    @ivar begun: When, by the monotonic clock.
    """

    def __init__(
        self, name: str, words: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> None:
        self._name = name
        self._log = log
        self.begun = time.monotonic()
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=PROJECT,
                env=environment,
            )

    @property
    def pid(self) -> int:
        """
        The process whose CPU time and memory count.
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
        Return all that it has written.
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
        Return the end of its log, for the reader of an error.
        """
        return "".join(f"\n    {line}" for line in self.log().splitlines()[-8:])

    def close(self) -> None:
        """
        End it.
        """
        stop(self._process)

    def _await(self, ready: Callable[[float], object], deadline: float) -> None:
        """
        Wait until the program is ready, or end it.

        @raise DaemonError: It is not.
        """
        try:
            ready(deadline)
        except (OSError, DaemonError) as error:
            self.close()
            raise DaemonError(f"{self._name} does not start: {error}{self.lastWords()}") from None

    def _connected(
        self, family: int, address: str | tuple[str, int], deadline: float
    ) -> socket.socket:
        while True:
            connection = socket.socket(family)
            try:
                connection.connect(address)
            except OSError:
                connection.close()
            else:
                return connection
            if not self.running:
                raise DaemonError(f"it ended with status {self._process.returncode}")
            if time.monotonic() > deadline:
                raise DaemonError(f"no process listens on {address} after {START_DEADLINE:g} s")
            time.sleep(0.002)


class Daemon(Program):
    """
    A running daemon, with at least one of its phones attached.

    @ivar subject: What it is.
    @ivar socket: The UNIX socket that it listens on.
    @ivar port: The TCP port that it also listens on; None without one.
    @ivar startMilliseconds: From its start to the first Attached.
    """

    def __init__(
        self, subject: Subject, phones: Phones, *, source: str = USB, overTCP: bool = False
    ) -> None:
        """
        @param source: Where the phones come from.
        @param overTCP: Whether it also listens on a TCP port.
        """
        self.subject = subject
        self.socket = phones.directory / "run" / "usbmuxd"
        self.socket.unlink(missing_ok=True)
        command: Command | None = subject.overTCP if overTCP else subject.daemon
        if command is None:
            raise DaemonError(f"{subject.name} cannot listen on a TCP port")
        self.port = freePort() if overTCP else None
        words, environment = command.filled(
            {
                "socket": self.socket,
                "directory": phones.directory,
                "source": source,
                "port": self.port,
            }
        )
        super().__init__(
            subject.name,
            # unshare and sh become the daemon.
            withPrivateMounts(phones.directory, words),
            {**phones.environment(), **environment},
            phones.directory / "daemon.log",
        )
        self._await(lambda deadline: self.awaitPhones(1, deadline), self.begun + START_DEADLINE)
        self.startMilliseconds = (time.monotonic() - self.begun) * 1000

    def awaitPhones(self, count: int, deadline: float) -> None:
        """
        Wait until so many phones are attached.

        @raise DaemonError: They are not, by the deadline.
        """
        with self._connected(socket.AF_UNIX, str(self.socket), deadline) as connection:
            connection.settimeout(max(deadline - time.monotonic(), 0.01))
            body = plistlib.dumps({"MessageType": "Listen", "kLibUSBMuxVersion": 3})
            header = _HEADER.pack(_HEADER.size + len(body), _PLIST_VERSION, _PLIST_MESSAGE, 1)
            connection.sendall(header + body)
            while count:
                count -= _receive(connection).get("MessageType") == "Attached"


class Relay(Program):
    """
    A running relay in front of a daemon.

    @ivar ports: This machine's ports for echo, discard and chargen of the phone.
    """

    def __init__(self, subject: Subject, daemon: Daemon, directory: Path) -> None:
        assert subject.relay is not None
        self.ports = (freePort(), freePort(), freePort())
        names = ("echo", "discard", "chargen")
        words, environment = subject.relay.filled(
            {"socket": daemon.socket, **dict(zip(names, self.ports, strict=True))}
        )
        super().__init__(
            f"the relay of {subject.name}",
            words,
            {**os.environ, **environment},
            directory / "relay.log",
        )
        self._await(self._ready, self.begun + START_DEADLINE)

    def _ready(self, deadline: float) -> None:
        # Seen from outside: a connection of ours would be one to the phone.
        while not set(self.ports) <= listening():
            if not self.running:
                raise DaemonError(f"it ended with status {self._process.returncode}")
            if time.monotonic() > deadline:
                raise DaemonError(f"it does not listen on {self.ports} after {START_DEADLINE:g} s")
            time.sleep(0.005)


def listening() -> set[int]:
    """
    Return the TCP ports that are listened on in this network namespace.
    """
    lines = Path("/proc/self/net/tcp").read_text().splitlines()[1:]
    sockets = [line.split()[1:4:2] for line in lines]
    return {int(address[-4:], 16) for address, state in sockets if state == "0A"}


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
