# -*- test-case-name: tests.fuzz.test_corpus -*-
"""
The targets, and the inputs that are kept for each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from tests.fuzz.metering import confirmed

CORPUS = Path(__file__).parent / "corpus"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """
    One thing that strangers talk to.

    @ivar name: Also of its module here, whose function C{run} takes an input, and
        of its directory in L{CORPUS}.
    @ivar longest: Bytes of its longest input.
    @ivar about: What is fed to what, in a few words.
    @ivar isSanitized: Whether it is about memory, and code that looks after that.
    """

    name: str
    longest: int
    about: str
    isSanitized: bool = False

    def load(self) -> Callable[[bytes], None]:
        """
        The function that takes an input, and raises if something happens that
        should not.  What an input costs is held against it only if it costs that again.
        """
        run: Callable[[bytes], None] = import_module(f"tests.fuzz.{self.name}").run
        return confirmed(run)

    @property
    def corpus(self) -> Path:
        """
        Where its inputs are kept.
        """
        return CORPUS / self.name

    def inputs(self) -> list[Path]:
        """
        Those that are kept.
        """
        return sorted(self.corpus.iterdir()) if self.corpus.is_dir() else []


TARGETS = (
    Target(name="clients", longest=4096, about="clients, to a server with a phone behind it"),
    Target(name="phones", longest=4096, about="a phone's packets, to a muxer with sessions open"),
    Target(name="sockets", longest=4096, about="clients on plain sockets, and their phone"),
    Target(name="lockdown", longest=8192, about="a phone's lockdownd, to preflight"),
    Target(name="tunnels", longest=8192, about="a phone in its tunnel, to a host's end"),
    Target(name="hosts", longest=8192, about="a host, to the simulated lockdownd and services"),
    Target(name="messages", longest=4096, about="messages and property lists, to their codec"),
    Target(name="packets", longest=4096, about="transfers, to the codec of packets"),
    Target(
        name="configuration",
        longest=4096,
        about="descriptions of addresses and views, and configuration files",
    ),
    Target(name="status", longest=4096, about="programs and pages, to the status socket"),
    Target(name="fleet", longest=4096, about="hosts and jobs, to a hub and a host's door"),
    Target(name="etcd", longest=2048, about="an etcd that lies, to a hub's registry"),
    Target(
        name="calls",
        longest=1024,
        about="rules that are wrong, to the compiled modules",
        isSanitized=True,
    ),
)


def targetNamed(name: str) -> Target:
    """
    The target with this name.

    @raise ValueError: There is none.
    """
    for target in TARGETS:
        if target.name == name:
            return target
    names = ", ".join(target.name for target in TARGETS)
    raise ValueError(f"expected one of {names}, got {name!r}")
