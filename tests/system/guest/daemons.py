"""
The daemons under test.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import sys
from pathlib import Path

from tests.integration.conversation import Conversation
from tests.system.contenders import Contender
from tests.system.guest.clients import Listener, Stream
from tests.system.guest.launcher import Launcher
from tests.system.guest.processes import Command, Executed, Footprint, Process, User, end
from tests.system.guest.waiting import PATIENCE, waitFor
from tests.system.scenario import Failed

PROJECT = Path(__file__).resolve().parent.parent.parent.parent

TROUBLE = re.compile(r"Traceback|Unhandled|#(error|critical)\](?!.* took longer than )")
"""What no log of ours should have in it.  How long a stop takes is the machine's business."""


class Daemon:
    """
    One of them.

    @ivar contender: Which.
    @ivar socket: Where its clients connect.
    @ivar isMuxd: Whether it is ours.
    """

    def __init__(self, contender: Contender, launcher: Launcher | None, directory: Path) -> None:
        self.contender = contender
        self.isMuxd = contender.isMuxd
        self._launcher = launcher
        self._logFile = directory / "daemon.log"
        self._home = Path("/run/daemon")
        self._process: Process | None = None
        # Debian's cannot be told to be anywhere else.
        self.socket = str(self._home / "usbmuxd") if self.isMuxd else "/var/run/usbmuxd"

    # Its life

    def start(
        self,
        *words: str,
        preflight: bool = False,
        user: User | None = None,
        loaded: bool = True,
        source: str = "",
    ) -> None:
        """
        Start it, and wait until it listens.

        @param words: Further arguments.
        @param preflight: Whether it asks phones for their trust, which keeps them
            from being listed at once.
        @param user: Whom to run it as.
        @param loaded: For ours: fork it from a process that has loaded it already.
        @param source: Further arguments of the source C{usb}.
        """
        self._home.mkdir(exist_ok=True)
        if user is not None:
            os.chown(self._home, user.uid, user.gid)
            _admit(Path(sys.base_prefix), Path(sys.prefix), PROJECT)
        if self.isMuxd:
            self._startMuxd([*([] if preflight else ["-p"]), *words], user, loaded, source)
        else:
            asUser = [] if user is None else ["-U", pwd.getpwuid(user.uid).pw_name]
            command = ["usbmuxd", "-f", "-v", *([] if preflight else ["-p"]), *asUser, *words]
            path = shutil.which(command[0], path="/usr/sbin:/usr/bin")
            self._process = Executed(self._command([path or command[0], *command[1:]], None))
        waitFor("the daemon to listen", self._listens)

    def _startMuxd(self, words: list[str], user: User | None, loaded: bool, source: str) -> None:
        words = [
            *("--nodaemon", "--pidfile=", "usbmuxd", "--verbose"),
            *("--listen", f"unix:{self.socket}:mode=666"),
            *("--config-dir", str(self._home / "lockdown")),
            *("--source", f"usb:engine={self.contender.value}{source}"),
            *words,
        ]
        if loaded:
            assert self._launcher is not None
            self._process = self._launcher.launch(self._command(words, user))
        else:
            twistd = str(Path(sys.executable).with_name("twistd"))
            self._process = Executed(self._command([twistd, *words], user))

    def _command(self, words: list[str], user: User | None) -> Command:
        return Command(
            words=words,
            log=self._logFile,
            directory=self._home,
            environment={"PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1"},
            user=user,
        )

    def _listens(self) -> bool:
        if self.process.poll() is not None:
            raise Failed(f"the daemon ended with status {self.process.poll()}")
        try:
            Conversation(self.socket, PATIENCE).close()
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True

    def stop(self) -> None:
        """
        End it as an operator does; ours has to tidy up.
        """
        status = end(self.process)
        if self.isMuxd and (status != 0 or os.path.exists(self.socket)):
            raise Failed(f"expected status 0 and no socket file at the end, got status {status}")
        self._process = None

    def kill(self) -> None:
        """
        End it as the kernel does when there is no memory.
        """
        end(self.process, signal.SIGKILL)
        self._process = None

    @property
    def isRunning(self) -> bool:
        """
        Whether it was started and has not ended.
        """
        return self._process is not None and self._process.poll() is None

    @property
    def process(self) -> Process:
        """
        The one that runs.
        """
        assert self._process is not None
        return self._process

    # What it does

    def footprint(self) -> Footprint:
        """
        What it holds.
        """
        return Footprint.of(self.process)

    def listener(self) -> Listener:
        """
        A client that wants to know of phones.
        """
        return Listener(self.socket)

    def stream(self, deviceID: int, port: int) -> Stream:
        """
        A connection to a phone's port.
        """
        return Stream(self.socket, deviceID, port)

    def devices(self) -> dict[str, int]:
        """
        The phones that it lists.
        """
        with Conversation(self.socket, PATIENCE) as conversation:
            reply = conversation.ask("ListDevices", kLibUSBMuxVersion=3)
        return {
            each["Properties"]["SerialNumber"]: each["DeviceID"] for each in reply["DeviceList"]
        }

    @property
    def environment(self) -> dict[str, str]:
        """
        What a program needs to find it.
        """
        return {"USBMUXD_SOCKET_ADDRESS": f"UNIX:{self.socket}"}

    # What it says

    def log(self) -> str:
        """
        All of its log.
        """
        return self._logFile.read_text(errors="replace") if self._logFile.exists() else ""

    def logged(self, pattern: str, patience: float = PATIENCE) -> re.Match[str]:
        """
        The first match of a regular expression in its log, once it is there.
        """
        return waitFor(
            f"{pattern!r} in the daemon's log",
            lambda: re.search(pattern, self.log()),
            patience,
        )

    def troubles(self) -> list[str]:
        """
        What is in its log and should not be.
        """
        return [line for line in self.log().splitlines() if TROUBLE.search(line)]


def _admit(*paths: Path) -> None:
    """
    Let everybody in who knows the way, as far as this machine's layer goes: root's
    home directory may be between a daemon of somebody else's and its interpreter.
    """
    for path in paths:
        for each in (path, *path.parents):
            each.chmod(each.stat().st_mode | 0o055)
