# -*- test-case-name: tests.netns.test_embedded,tests.netns.test_etcd -*-
"""
The processes of a fleet, each in a place of its own: what is done to them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.integration.daemon import PROJECT
from tests.netns.network import Network

PATIENCE = 60.0
"""Seconds until a process counts as one that hangs."""

ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(PROJECT),
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONFAULTHANDLER": "1",
}


class Member:
    """
    A process that is started, killed, frozen, and started again.

    @ivar place: Where it runs.
    @ivar log: What it has written.
    @ivar more: Of its environment, from its next start on.
    """

    def __init__(
        self, network: Network, place: str, log: Path, words: Callable[[], Sequence[str]]
    ) -> None:
        """
        @param words: Makes its command.
        """
        self.place = place
        self.log = log
        self.more: Mapping[str, str] = {}
        self._network = network
        self._words = words
        self._process: subprocess.Popen[bytes] | None = None
        self._isFrozen = False

    def __str__(self) -> str:
        return self.place

    def start(self) -> None:
        """
        Start it.
        """
        self._isFrozen = False
        environment = {**ENVIRONMENT, **self.more}
        self._process = self._network.start(self.place, self._words(), self.log, environment)

    def kill(self) -> None:
        """
        Kill it.  Harmless if it does not run.
        """
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)
            self._process = None

    def freeze(self) -> None:
        """
        Let it do nothing, until L{thaw}.
        """
        self._send(signal.SIGSTOP)
        self._isFrozen = True

    def thaw(self) -> None:
        """
        Let it go on.  Harmless if it does.
        """
        if self._isFrozen and self._process is not None:
            self._send(signal.SIGCONT)
        self._isFrozen = False

    def restore(self) -> None:
        """
        Have it run as it should, whatever has been done to it.
        """
        self.thaw()
        if self._process is None:
            self.start()
        elif self._process.poll() is not None:
            raise AssertionError(f"{self} has ended: {self.text()[-2000:]}")

    def text(self) -> str:
        """
        Its log.
        """
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def lines(self) -> Iterator[dict[str, Any]]:
        """
        The lines of its log, which is in JSON.
        """
        for line in self.text().splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                # One that was cut when it was killed.
                continue

    def says(self, *words: str) -> bool:
        """
        Whether all of this is in one line of its log.
        """
        return any(all(word in line for word in words) for line in self.text().splitlines())

    def _send(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)


class Job:
    """
    A C{muxctl reserve} with a command that uses its phone (L{tests.netns.job}).

    @ivar name: What it is called.
    @ivar log: What it has written.
    @ivar isKilled: Whether it has been killed.
    """

    def __init__(self, name: str, log: Path, process: subprocess.Popen[bytes]) -> None:
        self.name = name
        self.log = log
        self.isKilled = False
        self._process = process

    @property
    def hasBegun(self) -> bool:
        """
        Whether it has had its phone.
        """
        return "began " in self.text()

    @property
    def hasEnded(self) -> bool:
        """
        Whether it has ended by itself.
        """
        return self._process.poll() is not None

    def text(self) -> str:
        """
        Its log.
        """
        return self.log.read_text(errors="replace")

    def kill(self) -> None:
        """
        Kill C{muxctl}; its command sees its end.
        """
        self.isKilled = True
        self._process.kill()

    def close(self) -> None:
        """
        Let its command end.
        """
        assert self._process.stdin is not None
        self._process.stdin.close()

    def status(self) -> int:
        """
        Its exit status, once it has ended.
        """
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise AssertionError(f"job {self.name} is neither served nor told") from None

    def end(self) -> int:
        """
        Let it end.

        @return: its exit status.
        """
        self.close()
        return self.status()
