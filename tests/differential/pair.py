"""
Both daemons, each with the same phone, and what they have stored.
"""

from __future__ import annotations

import os
import plistlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import muxd
from tests.differential.exchange import Exchange, perform
from tests.differential.grammar import Case
from tests.differential.host import OURS, THEIRS

PROJECT = Path(muxd.__file__).parent.parent
PATIENCE = 60.0
IDENTITY = "SystemConfiguration.plist"
BUID = "11111111-2222-3333-4444-555555555555"
"""Of the host that both are on."""


class CannotCompare(Exception):
    """
    A daemon does not start; the text says why.
    """


class Host:
    """
    One daemon.  One that has died is started again when it is asked.

    @ivar which: L{OURS} or L{THEIRS}.
    @ivar deaths: How often it has died.
    """

    def __init__(self, which: str) -> None:
        self.which = which
        self.deaths = 0
        self._process: subprocess.Popen[str] | None = None
        self._start()

    def _start(self) -> None:
        unshare = shutil.which("unshare")
        if unshare is None:
            raise CannotCompare("unshare (util-linux) is needed to give the daemons a bus")
        # Short, as the path of a UNIX socket has to be.
        self._directory = Path(tempfile.mkdtemp(prefix="muxd-", dir="/tmp"))
        asRoot = [] if os.geteuid() == 0 else ["--map-root-user"]
        self._process = subprocess.Popen(
            [
                *(unshare, "--net", *asRoot, "--", sys.executable, "-m"),
                *("tests.differential.host", self.which, str(self._directory)),
            ],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        ready, _, pid = self._process.stdout.readline().partition(" ")
        if ready != "ready":
            errors = self._process.communicate(timeout=PATIENCE)[1]
            raise CannotCompare(f"{self.which} does not start: {errors}")
        self._socket = str(self._directory / "run" / "usbmuxd")
        self._records = Path(f"/proc/{int(pid)}/root/var/lib/lockdown")
        (self._records / IDENTITY).write_bytes(plistlib.dumps({"SystemBUID": BUID}))

    def log(self) -> str:
        """
        What the daemon has written.
        """
        return (self._directory / "daemon.log").read_text(errors="replace")

    def perform(self, case: Case, patience: float) -> Exchange:
        """
        Have a conversation with it.
        """
        try:
            exchange = perform(self._socket, case, patience)
            if exchange.ending != "closed" or self._isAlive():
                return exchange
        except ConnectionRefusedError:
            # It died of the last one when that had been looked at.
            self._restart()
            return self.perform(case, patience)
        self._restart()
        return Exchange(exchange.answers, exchange.rest, "died")

    def _isAlive(self) -> bool:
        """
        Whether it answers what any daemon answers.
        """
        try:
            return perform(self._socket, Case("", ()), PATIENCE).ending == "open"
        except OSError:
            return False

    def _restart(self) -> None:
        self.deaths += 1
        self.close()
        self._start()

    def takeRecords(self) -> dict[str, Any]:
        """
        Take the pair records out that it has stored.
        """
        taken: dict[str, Any] = {}
        try:
            for path in sorted(self._records.iterdir()):
                if path.name != IDENTITY:
                    taken[path.name] = path.read_bytes()
                    path.unlink()
        except (FileNotFoundError, ProcessLookupError):
            pass  # It has died, and its view of the file system with it.
        return taken

    def close(self) -> None:
        """
        End it.
        """
        if self._process is not None:
            self._process.communicate(timeout=PATIENCE)
            self._process = None
        shutil.rmtree(self._directory)


class Pair:
    """
    The two.
    """

    def __init__(self) -> None:
        self.theirs = Host(THEIRS)
        try:
            self.ours = Host(OURS)
        except BaseException:
            self.theirs.close()
            raise

    def __enter__(self) -> Pair:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.ours.close()
        self.theirs.close()
