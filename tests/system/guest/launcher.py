"""
Twisted's programs, started without being loaded each time.

Loading takes an emulated machine half a minute.  So one process loads, and
forks whenever a program is wanted: the child is that program, which is entered where
C{twistd} enters it and ends as an interpreter ends.  No reactor is loaded before.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins

from muxd.interfaces import IDeviceSourceParser
from tests.system.guest.processes import Command, User

_LONGEST = 65536

_LOADED = (
    "twisted.scripts.twistd",
    "usb.backend.libusb1",
    "usb.util",
    "muxd.phone.iphone",
    "muxd.phone.usbip.vhci",
    "muxd.server.preflight",
    "muxd.tap.iphone",
    "muxd.tap.usbmuxd",
    "muxd.usb.asynchronous.link",
    "muxd.usb.source",
    "muxd.usb.threaded.link",
)
"""All that programs would load for themselves in the course of time."""

_SAFE_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


class Launcher:
    """
    The near end: asks the process that has everything loaded.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def launch(self, command: Command) -> Launched:
        """
        Start one of Twisted's programs.

        @param command: Its words are those behind C{twistd}.
        """
        fields = asdict(command)
        fields["log"], fields["directory"] = str(command.log), str(command.directory)
        return Launched(self, self._ask("launch", fields))

    def poll(self, pid: int) -> int | None:
        """
        The exit status of a process.
        """
        status: int | None = self._ask("poll", pid)
        return status

    def killAll(self) -> None:
        """
        End all that still run.
        """
        self._ask("killAll", None)

    def _ask(self, what: str, argument: object) -> Any:
        self._connection.send(json.dumps([what, argument]).encode())
        return json.loads(self._connection.recv(_LONGEST))


class Launched:
    """
    A process of the launcher's.
    """

    def __init__(self, launcher: Launcher, pid: int) -> None:
        self.pid = pid
        self._launcher = launcher
        self._status: int | None = None

    def poll(self) -> int | None:
        """
        Its exit status.
        """
        if self._status is None:
            self._status = self._launcher.poll(self.pid)
        return self._status


class _Template:
    """
    The far end.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._running: set[int] = set()
        self._ended: dict[int, int] = {}

    def serve(self) -> Callable[[], None] | None:
        """
        Do as we are told.

        @return: In a child that was forked, what to do; C{None} in the parent when
            nobody is there any more.
        """
        while message := self._connection.recv(_LONGEST):
            what, argument = json.loads(message)
            if what == "launch":
                command = _decode(argument)
                pid = os.fork()
                if not pid:
                    self._connection.close()
                    return lambda: _become(command)
                self._running.add(pid)
                answer: int | None = pid
            elif what == "poll":
                self._reap(os.WNOHANG)
                answer = self._ended.get(argument)
            else:
                for pid in self._running:
                    os.kill(pid, signal.SIGKILL)
                self._reap(0)
                answer = None
            self._connection.send(json.dumps(answer).encode())
        return None

    def _reap(self, options: int) -> None:
        for pid in list(self._running):
            found, status = os.waitpid(pid, options)
            if found:
                self._running.remove(pid)
                self._ended[pid] = os.waitstatus_to_exitcode(status)


def startLauncher() -> Launcher | None:
    """
    Fork the process that loads, and wait until it has.

    @return: C{None} where one of Twisted's programs has come to its end: whoever
        called this must return.
    """
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork():
        far.close()
        if not near.recv(_LONGEST):
            raise RuntimeError("Twisted's programs cannot be loaded")
        return Launcher(near)
    near.close()
    _load()
    far.send(b"loaded")
    program = _Template(far).serve()
    if program is not None:
        program()
    return None


def _load() -> None:
    for name in _LOADED:
        importlib.import_module(name)
    for interface in (IServiceMaker, IDeviceSourceParser):
        list(getPlugins(interface))
    assert "twisted.internet.reactor" not in sys.modules


def _decode(fields: dict[str, Any]) -> Command:
    command = Command(**fields)
    user = fields["user"]
    return replace(
        command,
        log=Path(fields["log"]),
        directory=Path(fields["directory"]),
        user=user and User(user["uid"], user["gid"], tuple(user["groups"])),
    )


def _become(command: Command) -> None:
    """
    What a shell does for a program, and then the program.
    """
    from twisted.scripts import twistd

    for each in _SAFE_SIGNALS:
        signal.signal(each, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDONLY)
    log = os.open(command.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for descriptor, number in ((null, 0), (log, 1), (log, 2)):
        os.dup2(descriptor, number)
    os.close(null)
    os.close(log)
    os.environ.update(command.environment)
    os.chdir(command.directory)
    if command.user is not None:
        os.setgroups(command.user.groups)
        os.setgid(command.user.gid)
        os.setuid(command.user.uid)
    sys.argv = ["twistd", *command.words]
    twistd.run()
