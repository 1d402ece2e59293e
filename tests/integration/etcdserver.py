"""
Debian's etcd in processes of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import urllib.request
from pathlib import Path
from unittest import SkipTest

from bench.daemons import freePort
from tests.integration.conversation import PATIENCE
from tests.integration.daemon import REQUIRED


def etcdOrSkip() -> str:
    """
    Where etcd is; the test is skipped where it is not installed, unless nothing may be missing.
    """
    found = shutil.which("etcd")
    if found is not None:
        return found
    reason = "etcd is not installed (Debian: etcd-server)"
    if REQUIRED in os.environ:
        raise AssertionError(reason)
    raise SkipTest(reason)


class EtcdServer:
    """
    One node.

    @ivar port: Where it answers.
    @ivar scheme: C{http}, or C{https} if it has a certificate.
    """

    def __init__(self, directory: Path, *words: str, scheme: str = "http") -> None:
        """
        @param directory: For all of its files.
        @param words: More of its options.
        """
        self.port = freePort()
        self.scheme = scheme
        self._directory = directory
        self._words = words
        self._peers = freePort()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """
        Start it, perhaps once more, and wait until it answers.
        """
        client = f"{self.scheme}://127.0.0.1:{self.port}"
        peers = f"http://127.0.0.1:{self._peers}"
        words = [
            *(etcdOrSkip(), "--name", "a", "--data-dir", str(self._directory / "etcd")),
            *("--listen-client-urls", client, "--advertise-client-urls", client),
            *("--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers),
            *("--initial-cluster", f"a={peers}", *self._words),
        ]
        with (self._directory / "etcd.log").open("ab") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if self.scheme == "http":
            self._waitUntilHealthy()

    def _waitUntilHealthy(self) -> None:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                with urllib.request.urlopen(
                    f"http://127.0.0.1:{self.port}/health", timeout=2
                ) as it:
                    if b"true" in it.read():
                        return
            except OSError:
                pass
            if time.monotonic() > end:
                raise AssertionError(f"etcd is not healthy; see {self._directory}/etcd.log")
            time.sleep(0.02)

    def signal(self, number: int) -> None:
        """
        Send it a signal.
        """
        assert self.process is not None
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """
        Kill it, if it runs.
        """
        if self.process is not None:
            self.signal(signal.SIGKILL)
            self.process.wait(PATIENCE)
            self.process = None
