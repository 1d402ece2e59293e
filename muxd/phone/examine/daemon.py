# -*- test-case-name: tests.integration.test_examine -*-
"""
The daemon that is examined: a process with private mounts, on a bus of its own.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from muxd.phone.bus.descriptors import Speed
from muxd.phone.bus.interfaces import IBus
from muxd.phone.examine.ends import Client
from muxd.phone.examine.mounts import RECORDS, withPrivateMounts
from muxd.phone.examine.stage import ExaminedPhone, Stage
from muxd.phone.examine.standin import StandInBus

START = 60.0
"""Seconds in which a daemon has to listen."""

END = 10.0
"""Seconds in which it has to end when it is told to."""

LOG_TAIL = 2000


class CannotExamine(Exception):
    """
    The examination cannot begin, or not go on; the text says why.
    """


class _Process(ProcessProtocol):
    """
    A process of which only the end is of interest.
    """

    def __init__(self) -> None:
        self.isRunning = True

    def processExited(self, reason: Failure) -> None:
        """
        It has ended.
        """
        self.isRunning = False


def filled(command: str, places: Mapping[str, object]) -> list[str]:
    """
    Take a command line apart, as a shell would, and fill in its places.

    @raise CannotExamine: It has no words, or is no command line.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise CannotExamine(f"{command!r} is no command line: {error}") from None
    if not words:
        raise CannotExamine("expected a daemon's command line, got nothing")
    for name, value in places.items():
        words = [word.replace(f"{{{name}}}", str(value)) for word in words]
    return words


class DaemonStage(Stage):
    """
    A stage with a daemon in a process of its own.
    """

    def __init__(
        self,
        reactor: Any,
        command: str,
        directory: Path,
        *,
        library: Path | None = None,
        bus: IBus | None = None,
        speed: Speed = Speed.HIGH,
        patience: float = 1.0,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """
        @param command: Its command line; C{{socket}} and C{{records}} are filled in.
        @param directory: Where everything of it is.
        @param library: The stand-in for libusb that it is to load, for phones on a L{StandInBus}.
        @param bus: Where the phone is otherwise.
        @param patience: How many times as long as usual it is waited for.
        @param environment: Which it has, but for what says where the library and the bus are.
        """
        for name in ("bus", "run", RECORDS):
            (directory / name).mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.records = directory / RECORDS
        self.socket = directory / "run" / "usbmuxd"
        self._words = filled(command, {"socket": self.socket, "records": self.records})
        self._environment = dict(environment)
        if library is not None:
            path = environment.get("LD_LIBRARY_PATH")
            self._environment |= {
                "FAKEUSB_DIR": str(directory / "bus"),
                "FAKEUSB_SPEED": "super" if speed >= Speed.SUPER else "high",
                "LD_LIBRARY_PATH": f"{library.parent}:{path}" if path else str(library.parent),
                "MUXD_LIBUSB": str(library),
            }
        # The stand-in's bus is instead of the machine's, which would be looked at otherwise.
        self._words = withPrivateMounts(
            directory, self._words, asRoot=os.geteuid() != 0, withBus=library is None
        )
        self._log = directory / "daemon.log"
        self.patience = patience
        self._reactor = reactor
        self._process: _Process | None = None
        self._transport: IProcessTransport | None = None
        super().__init__(
            reactor,
            StandInBus(reactor, directory / "bus") if bus is None else bus,
            partial(ExaminedPhone, reactor),
            {"speed": speed},
        )

    async def start(self) -> None:
        """
        Start the daemon, and wait until it listens.

        @raise CannotExamine: It does not.
        """
        self.socket.unlink(missing_ok=True)
        process = self._process = _Process()
        with self._log.open("ab") as log:
            self._transport = self._reactor.spawnProcess(
                process,
                self._words[0],
                self._words,
                self._environment,
                childFDs={0: "w", 1: log.fileno(), 2: log.fileno()},
            )
        end = self.deadline(START)
        while not await self._listens():
            if not process.isRunning:
                raise CannotExamine(f"the daemon has ended: {self._lastWords()}")
            if self.clock.seconds() >= end:
                seconds = START * self.patience
                raise CannotExamine(
                    f"the daemon does not listen on {self.socket} after {seconds:g} s:"
                    f" {self._lastWords()}"
                )
            await self.pause(0.05)

    async def stop(self) -> None:
        """
        End the daemon.
        """
        process, transport = self._process, self._transport
        if process is None or transport is None or not process.isRunning:
            return
        for name in ("TERM", "KILL"):
            transport.signalProcess(name)
            if await self.until(lambda: not process.isRunning, END):
                break

    async def close(self) -> None:
        """
        End everything.
        """
        self.phone.stop()
        await self.stop()

    async def restart(self) -> None:
        """
        Stop the daemon, and start it anew.
        """
        await self.unplug()
        await self.stop()
        await self.start()

    @property
    def isAlive(self) -> bool:
        """
        Whether the daemon runs.
        """
        return self._process is not None and self._process.isRunning

    @property
    def processID(self) -> int | None:
        """
        The daemon's: C{unshare} and C{sh} become it.
        """
        return None if self._transport is None else self._transport.pid

    def log(self) -> str:
        """
        All that it has written.
        """
        return self._log.read_text(errors="replace")

    def connect(self, client: Client) -> Deferred[Any]:
        """
        Connect a client to its socket.
        """
        endpoint = UNIXClientEndpoint(self._reactor, str(self.socket))
        connected: Deferred[Any] = connectProtocol(endpoint, client)
        return connected

    async def _listens(self) -> bool:
        client = Client(self.until, self.recording)
        try:
            await self.connect(client)
        except ConnectError:
            return False
        client.hangUp()
        return True

    def _lastWords(self) -> str:
        return self.log()[-LOG_TAIL:].strip() or "without a word"
