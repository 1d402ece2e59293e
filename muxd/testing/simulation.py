# -*- test-case-name: tests.testing.test_simulation -*-
"""
A daemon with simulated phones, for tests of programs that use one, in whichever
language they are written::

    with Simulation() as simulation:
        phone = simulation.phones[0]
        subprocess.run(["ideviceinfo", "-u", phone.udid], env=simulation.environment)
        with phone.connect(13) as daytime:
            print(daytime.recv(100))
        phone.unplug()

The daemon has a process of its own, a socket that no other daemon has, and an empty
directory for pair records, so that any number of simulations can run at once.  It ends
with the C{with} block, and also if this process is killed.

Nothing here imports Twisted.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Self

from muxd.client import blocking

PATIENCE = 30.0
"""Seconds that anything here may take by default; a busy machine is slow."""

PAUSE = 0.01
"""Seconds between two looks at the list of phones."""

GOODBYE = b"goodbye"
"""What a process that ends its daemon says last, in order that it is not taken for killed."""

LOG_TAIL = 2000
"""Characters of the log that an error shows."""


class SimulationError(Exception):
    """
    A simulation did not do what it was told.
    """


class SimulatedPhone:
    """
    One phone of a simulation.

    @ivar udid: The phone's UDID, with its dash.
    @ivar number: Which of the simulation's phones it is, from 1.
    """

    def __init__(self, simulation: Simulation, udid: str, number: int) -> None:
        self.udid = udid
        self.number = number
        self._simulation = simulation

    def __repr__(self) -> str:
        return f"<simulated phone {self.udid}>"

    def plug(self, wait: bool = True) -> None:
        """
        Plug the phone in.

        @param wait: Whether to wait until the daemon lists it.
        @raise SimulationError: It is plugged in already.
        """
        self.command("plug")
        if wait:
            self._simulation.waitUntil(
                lambda: self.udid in self._simulation.listed(), f"{self.udid} to be listed"
            )

    def unplug(self, wait: bool = True) -> None:
        """
        Pull the phone out; harmless if it is out.

        @param wait: Whether to wait until the daemon lists it no more.
        """
        self.command("unplug")
        if wait:
            self._simulation.waitUntil(
                lambda: self.udid not in self._simulation.listed(), f"{self.udid} to be gone"
            )

    def trust(self) -> None:
        """
        Tap Trust in the dialog, as soon as the phone shows it.

        @raise SimulationError: It shows none in time.
        """
        self._awaitDialog()
        self.command("trust")

    def deny(self) -> None:
        """
        Tap Don't Trust in the dialog, as soon as the phone shows it.

        @raise SimulationError: It shows none in time.
        """
        self._awaitDialog()
        self.command("deny")

    def _awaitDialog(self) -> None:
        self._simulation.waitUntil(
            lambda: bool(self.stats()["dialog"]), f"{self.udid} to show the Trust dialog"
        )

    def connect(self, port: int, **arguments: Any) -> socket.socket:
        """
        Connect to a port of the phone, by way of the daemon.

        @param arguments: See L{muxd.client.connect}, whose errors are raised.
        """
        return blocking.connect(port, self.udid, address=self._simulation.address, **arguments)

    def listen(self, port: int) -> socket.socket:
        """
        Be a service of the phone: a connection to this port of the phone is accepted
        from the socket that is returned.

        @return: a socket that listens, on this machine.  Once it is closed, connections
            to the port end at once.
        """
        listening = socket.create_server(("127.0.0.1", 0))
        try:
            self.forward(port, listening.getsockname()[1])
        except BaseException:
            listening.close()
            raise
        return listening

    def forward(self, port: int, to: int | str) -> None:
        """
        Lead connections to a port of the phone to a server of yours.

        @param to: A port of this machine, or a Twisted client endpoint's description.
        """
        endpoint = f"tcp:127.0.0.1:{to}" if isinstance(to, int) else to
        self.command(f"forward {port} {endpoint}")

    def refuse(self, port: int) -> None:
        """
        Refuse connections to a port.
        """
        self.command(f"refuse {port}")

    def ignore(self, port: int) -> None:
        """
        Leave attempts to connect to a port without an answer.
        """
        self.command(f"ignore {port}")

    def allow(self, port: int) -> None:
        """
        Take back what was said of a port.
        """
        self.command(f"allow {port}")

    def stats(self) -> dict[str, Any]:
        """
        What is to be known of the phone: C{violations}, C{conns} and more, as the
        command C{stats} in C{docs/simulated-phone.md} has it.
        """
        answer: dict[str, Any] = self.command("stats")
        return answer

    def command(self, line: str) -> Any:
        """
        Give any of the commands of C{docs/simulated-phone.md}, such as C{"hold"} or
        C{"halt out"}, to this phone.

        @return: the answer.
        @raise SimulationError: It was not done.
        """
        return self._simulation.command(f"{line} {self.number}")


class Simulation:
    """
    A daemon and its simulated phones, in a process of their own while this is entered.

    @ivar address: Where the daemon listens, as C{USBMUXD_SOCKET_ADDRESS} has it.
    @ivar phones: The phones, in order.
    """

    def __init__(
        self,
        count: int = 1,
        *,
        preflight: bool = False,
        patience: float = PATIENCE,
        **options: str | int,
    ) -> None:
        """
        @param count: How many phones there are.
        @param preflight: Whether the daemon asks phones for their trust before it lists
            them, as C{twistd usbmuxd} does; that needs the extra C{pairing}.
        @param patience: Seconds that anything may take, on a machine that is busy.
        @param options: All other arguments of C{simulated:}, such as
            C{trust="ask"}, C{files="/some/directory"} or C{faults="stall@in3"}.
        """
        words = {"count": count, **options}
        self._source = ":".join(["simulated", *(f"{k}={_quoted(v)}" for k, v in words.items())])
        self._preflight = preflight
        self._patience = patience
        self._lock = Lock()
        self._answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._process: subprocess.Popen[bytes] | None = None
        self._directory: Path | None = None
        self._log = ""
        self.address = ""
        self.phones: tuple[SimulatedPhone, ...] = ()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def environment(self) -> dict[str, str]:
        """
        The environment of a program that is to use this daemon.
        """
        return {**os.environ, "USBMUXD_SOCKET_ADDRESS": self.address}

    @property
    def log(self) -> str:
        """
        What the daemon has logged so far.
        """
        if self._directory is None:
            return self._log
        return self._logFile(self._directory).read_text(errors="replace")

    def start(self) -> None:
        """
        Start the daemon, and wait until it lists its phones.

        @raise SimulationError: It does not start; the text has its log.
        """
        if self._process is not None:
            raise SimulationError("the simulation has been started already")
        # In /tmp where there is one: the path of a UNIX socket is limited to 107 bytes.
        place = "/tmp" if os.path.isdir("/tmp") else None
        self._directory = directory = Path(tempfile.mkdtemp(prefix="muxd-", dir=place))
        self._answers = queue.SimpleQueue()
        try:
            self._process = self._run(directory)
            Thread(target=self._read, args=(self._process,), daemon=True).start()
            self._begin(self._answer("start"))
        except BaseException:
            self._end()
            raise

    def stop(self) -> None:
        """
        Stop the daemon; harmless if it is not running.

        @raise SimulationError: It did not end well; the text has its log.
        """
        status = self._end()
        if status is None:
            raise self._error(f"the daemon did not end within {self._patience:g} s")
        if status:
            raise self._error(f"the daemon ended with status {status}")

    def command(self, line: str) -> Any:
        """
        Give a command to all phones, or to the one whose number is in it.

        @return: the answer; None if there is nothing to tell.
        @raise SimulationError: It was not done.
        """
        with self._lock:
            process = self._process
            if process is None:
                raise SimulationError(f"{line!r}: the simulation is not running")
            assert process.stdin is not None
            try:
                process.stdin.write(" ".join(line.split()).encode() + b"\n")
                process.stdin.flush()
            except OSError as error:
                raise self._error(f"{line!r}: the daemon has ended") from error
            answer = self._answer(line)
        return None if answer == "ok" else answer

    def listed(self) -> set[str]:
        """
        The UDIDs of the phones that the daemon lists.
        """
        return {device.udid for device in blocking.devices(address=self.address)}

    def waitUntil(self, condition: Callable[[], bool], expected: str) -> None:
        """
        Wait until something is true.

        @param expected: What it is, for the error.
        @raise SimulationError: It takes too long.
        """
        end = time.monotonic() + self._patience
        while not condition():
            if time.monotonic() > end:
                raise self._error(f"expected {expected} within {self._patience:g} s")
            time.sleep(PAUSE)

    def _end(self) -> int | None:
        """
        End the process, and remove all but its log.

        @return: its exit status; None if it had to be killed.
        """
        process, self._process = self._process, None
        directory = self._directory
        status: int | None = 0
        if process is not None:
            assert process.stdin is not None
            try:
                with process.stdin:
                    process.stdin.write(GOODBYE + b"\n")
            except OSError:
                # It has ended before it has read all.
                pass
            try:
                status = process.wait(self._patience)
            except subprocess.TimeoutExpired:
                status = None
                process.kill()
                process.wait()
        if directory is not None:
            self._log, self._directory = self.log, None
            shutil.rmtree(directory, ignore_errors=True)
        return status

    def _run(self, directory: Path) -> subprocess.Popen[bytes]:
        words = ["--directory", str(directory), "--source", self._source]
        if self._preflight:
            words.append("--preflight")
        with open(self._logFile(directory), "wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "muxd.testing.simulator", *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                **_apart(),
            )

    def _begin(self, ready: Mapping[str, Any]) -> None:
        self.address = ready["address"]
        self.phones = tuple(
            SimulatedPhone(self, udid, number) for number, udid in enumerate(ready["udids"], 1)
        )
        self.waitUntil(lambda: self.listed().issuperset(ready["udids"]), "all phones to be listed")

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        """
        Queue what the process answers, in a thread; an empty line is the end.
        """
        answers = self._answers
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                answers.put(line)
        answers.put(b"")

    def _answer(self, line: str) -> Any:
        try:
            text = self._answers.get(timeout=self._patience)
        except queue.Empty:
            # An answer that comes later must not be taken for that of another command.
            if self._process is not None:
                self._process.kill()
            raise self._error(f"{line!r}: no answer within {self._patience:g} s") from None
        if not text:
            raise self._error(f"{line!r}: the daemon has ended")
        answer = json.loads(text)
        if isinstance(answer, dict) and answer.keys() == {"error"}:
            raise SimulationError(f"{line!r}: {answer['error']}")
        return answer

    def _error(self, text: str) -> SimulationError:
        return SimulationError(f"{text}; the end of its log:\n{self.log[-LOG_TAIL:]}")

    @staticmethod
    def _logFile(directory: Path) -> Path:
        return directory / "log"


def _apart() -> dict[str, Any]:
    """
    What keeps Control-C from the daemon: it is the test runner's, which stops the daemon
    in its own time.
    """
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _quoted(value: str | int) -> str:
    """
    A value in a source's description.
    """
    return "".join(f"\\{c}" if c in "\\:=" else c for c in str(value))
