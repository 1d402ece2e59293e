# -*- test-case-name: tests.netns.test_network -*-
"""
Network namespaces with a router between them, which can lose packets.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO
from unittest import SkipTest

PATIENCE = 60.0
"""Seconds for a command of C{ip}."""

_numbers = itertools.count()


class Network:
    """
    Places, each a namespace that has one link, to the router.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """
        @param names: Of the places; short.
        @raise SkipTest: Networks cannot be made here.
        """
        if shutil.which("ip") is None or os.geteuid() != 0:
            raise SkipTest("ip and root are needed to make networks")
        self._prefix = f"mf{os.getpid()}x{next(_numbers)}-"
        self._numbers = {name: number for number, name in enumerate(names, 1)}
        self._lost: set[tuple[str, str]] = set()
        try:
            self._make()
        except subprocess.CalledProcessError as error:
            self.close()
            raise SkipTest(f"networks cannot be made here: {error.stderr}") from error

    def address(self, place: str) -> str:
        """
        A place's address.
        """
        return f"10.214.{self._numbers[place]}.2"

    def command(self, place: str, words: Sequence[str]) -> list[str]:
        """
        What runs a command in a place; the process is the command's own.
        """
        return ["ip", "netns", "exec", self._space(place), *words]

    def start(
        self, place: str, words: Sequence[str], log: Path, environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        """
        Start a process in a place.
        """
        with log.open("ab") as output:
            return self._start(place, words, output, environment)

    def _start(
        self, place: str, words: Sequence[str], output: IO[bytes], environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command(place, words),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )

    def lose(self, *ways: tuple[str, str]) -> None:
        """
        Lose from now on what goes from the first place of each of these to its second.
        """
        for way in ways:
            if way not in self._lost:
                self._lost.add(way)
                self._rule("add", way)

    def split(self, *pairs: tuple[str, str]) -> None:
        """
        Lose what goes between the places of each pair.
        """
        for one, other in pairs:
            self.lose((one, other), (other, one))

    def heal(self) -> None:
        """
        Lose nothing any more.
        """
        for way in list(self._lost):
            self._lost.discard(way)
            self._rule("del", way)

    def close(self) -> None:
        """
        Remove it.  What runs in it has to have ended.
        """
        for name in (*self._numbers, "router"):
            subprocess.run(
                ["ip", "netns", "del", self._space(name)],
                check=False,
                capture_output=True,
                timeout=PATIENCE,
            )

    def _space(self, name: str) -> str:
        return self._prefix + name

    def _rule(self, verb: str, way: tuple[str, str]) -> None:
        source, target = map(self.address, way)
        self._ip(
            ["-n", self._space("router")], [f"rule {verb} from {source} to {target} blackhole"]
        )

    def _make(self) -> None:
        router = self._space("router")
        self._ip([], [f"netns add {self._space(name)}" for name in (*self._numbers, "router")])
        self._ip(
            [],
            [
                f"link add v{number} netns {router}"
                f" type veth peer name wire netns {self._space(name)}"
                for name, number in self._numbers.items()
            ],
        )
        self._ip(
            ["-n", router],
            [
                line
                for number in self._numbers.values()
                for line in (
                    f"addr add 10.214.{number}.1/24 dev v{number}",
                    f"link set v{number} up",
                )
            ],
        )
        for name in self._numbers:
            self._ip(
                ["-n", self._space(name)],
                [
                    "link set lo up",
                    f"addr add {self.address(name)}/24 dev wire",
                    "link set wire up",
                    f"route add default via {self.address(name)[:-1]}1",
                ],
            )
        forward = "echo 1 > /proc/sys/net/ipv4/ip_forward"
        subprocess.run(
            ["ip", "netns", "exec", router, "sh", "-c", forward],
            check=True,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    def _ip(self, options: Sequence[str], lines: Sequence[str]) -> None:
        subprocess.run(
            ["ip", *options, "-batch", "-"],
            input="".join(f"{line}\n" for line in lines),
            check=True,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
