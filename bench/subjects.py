# -*- test-case-name: tests.bench.test_subjects -*-
"""
Subjects of a measurement: daemons, each with its relay, and how they are started.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_DAEMONS = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"


class SubjectError(Exception):
    """
    A subject cannot be had; the text says why, and what to do.
    """


class Build(Enum):
    """
    A build of muxd that has goals of its own.
    """

    COMPILED = "compiled"
    PURE = "pure"


@dataclass(frozen=True, slots=True)
class Command:
    """
    A command line, with places that are filled in when it is run.

    @ivar text: As for a shell: words may be quoted, and C{NAME=value} before the first word is
        put into the environment.  C{{socket}} and other names in braces are places.
    """

    text: str

    def filled(self, places: Mapping[str, object]) -> tuple[list[str], dict[str, str]]:
        """
        Take the command apart, and fill in the places.

        @return: The words, and what the environment has besides.
        @raise SubjectError: It has no words, or is no command line.
        """
        try:
            words = shlex.split(self.text)
        except ValueError as error:
            raise SubjectError(f"{self.text!r} is no command line: {error}") from None
        words = [_filled(word, places) for word in words]
        environment: dict[str, str] = {}
        while words and _ASSIGNMENT.match(words[0]):
            name, _, value = words.pop(0).partition("=")
            environment[name] = value
        if not words:
            raise SubjectError(f"{self.text!r} has no command in it")
        return words, environment

    def has(self, place: str) -> bool:
        """
        Whether there is such a place to fill in.
        """
        return f"{{{place}}}" in self.text


def _filled(word: str, places: Mapping[str, object]) -> str:
    for name, value in places.items():
        word = word.replace(f"{{{name}}}", str(value))
    return word


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """
    A daemon to be measured, and the relay that belongs to it.

    @ivar key: A short name: on the command line, and in files of results.
    @ivar name: The same for the table.
    @ivar daemon: Starts the daemon.  Places: C{{socket}}, where it is to listen; C{{directory}},
        a directory of its own; C{{source}}, where its phones come from (C{usb}, unless told
        otherwise); C{{port}}, a TCP port that it also listens on.
    @ivar overTCP: Starts the daemon with a TCP listener; None if it cannot have one.
    @ivar relay: Starts the relay.  Places: C{{socket}}, the daemon's; C{{echo}}, C{{discard}} and
        C{{chargen}}, the ports for the phone's 7, 9 and 19.  None if there is no relay.
    @ivar build: Which build of muxd it is, if its goals are to be judged.
    """

    key: str
    name: str
    daemon: Command
    overTCP: Command | None = None
    relay: Command | None = None
    build: Build | None = None


def builds(subjects: Sequence[Subject]) -> tuple[Sequence[Subject], Sequence[str]]:
    """
    Leave out what runs as another build than it is started as.

    @return: The other subjects, and why these are not among them.
    """
    present, notes = [], []
    for subject in subjects:
        if subject.build is not None:
            found = _found(subject)
            if found != subject.build.value:
                notes.append(f"{subject.name} is not in the table: what runs here is {found}")
                continue
        present.append(subject)
    return present, notes


def _found(subject: Subject) -> str:
    """
    Ask muxd which build of it runs in a subject's environment.
    """
    _, environment = subject.daemon.filled({})
    done = subprocess.run(
        [sys.executable, "-c", "from muxd.build import description; print(description())"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    return done.stdout.strip() or f"broken: {done.stderr.strip()}"


def _script(name: str) -> str:
    beside = Path(sys.executable).parent / name
    return str(beside if beside.exists() else name)


def _muxd(build: Build | None, key: str = "muxd", name: str = "muxd", more: str = "") -> Subject:
    """
    Make the subject of a build of this tree's muxd, without preflight, as the C daemon.

    @param build: None: whichever there is, without goals.
    @param key: Of one without goals.
    @param name: The same for the table.
    @param more: Options of its own.
    """
    choice = "MUXD_PURE=1 " if build is Build.PURE else ""
    daemon = (
        f"{choice}{shlex.quote(_script('twistd'))} --nodaemon --pidfile= usbmuxd --no-preflight"
        f" --listen unix:{{socket}} --source {{source}} --config-dir {{directory}}/lockdown{more}"
    )
    relay = (
        f"{choice}{shlex.quote(_script('muxctl'))} relay --socket UNIX:{{socket}}"
        " 7:{echo} 9:{discard} 19:{chargen}"
    )
    return Subject(
        key=build.value if build else key,
        name=f"muxd, {build.value}" if build else name,
        daemon=Command(daemon),
        overTCP=Command(f"{daemon} --listen tcp:{{port}}:interface=127.0.0.1"),
        relay=Command(relay),
        build=build,
    )


def _usbmuxd() -> Subject:
    """
    Make the subject of Debian's C daemon, without its own conversation with each new phone,
    which the rig's phones lack; its relay is iproxy.

    @raise SubjectError: It is not installed.
    """
    installed = shutil.which("usbmuxd", path=_DAEMONS)
    if installed is None:
        raise SubjectError("there is no usbmuxd to compare with: apt install usbmuxd")
    iproxy = shutil.which("iproxy", path=_DAEMONS)
    relay = (
        f"USBMUXD_SOCKET_ADDRESS=UNIX:{{socket}} {iproxy} {{echo}}:7 {{discard}}:9 {{chargen}}:19"
    )
    return Subject(
        key="c",
        name="C usbmuxd",
        daemon=Command(f"{installed} --foreground --no-preflight"),
        relay=Command(relay) if iproxy else None,
    )


BUILT_IN: Mapping[str, Callable[[], Subject]] = {
    "compiled": lambda: _muxd(Build.COMPILED),
    "pure": lambda: _muxd(Build.PURE),
    "muxd": lambda: _muxd(None),
    # What it costs that operators may look: the others have a status socket, and this has none.
    "unobserved": lambda: _muxd(None, "unobserved", "muxd, no status", " --status none"),
    "c": _usbmuxd,
}
USUAL = ("compiled", "pure", "c")
"""The subjects of a run, unless others are asked for."""


def named(text: str) -> Subject:
    """
    Make a subject of what the command line says of it.

    @param text: The key of a subject that is built in, or C{name=command}.
    @raise SubjectError: It is neither, or cannot be had.
    """
    if text in BUILT_IN:
        return BUILT_IN[text]()
    name, equals, command = text.partition("=")
    if not name or not equals:
        raise SubjectError(
            f"{text!r} is no subject: expected {', '.join(BUILT_IN)}, or name=command"
        )
    daemon = Command(command)
    daemon.filled({})
    return Subject(
        key=name, name=name, daemon=daemon, overTCP=daemon if daemon.has("port") else None
    )
