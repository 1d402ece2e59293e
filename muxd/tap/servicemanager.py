# -*- test-case-name: tests.tap.test_servicemanager -*-
"""
What systemd is told of a daemon: that it is ready, how it is doing, that it is alive
(sd_notify(3), sd_watchdog_enabled(3)).

It is a datagram to a socket that the environment names, so no library is needed.  That the
daemon is alive is told by its reactor, three times in the time that systemd waits: one that
is stuck says nothing, and is killed and started again.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

ADDRESS = "NOTIFY_SOCKET"
INTERVAL = "WATCHDOG_USEC"
PROCESS = "WATCHDOG_PID"

LOOK = 5.0
"""Seconds from one look at how the daemon is doing to the next."""

BEATS = 3
"""How often it is told that the daemon is alive in the time that systemd waits for it."""

_log = Logger()

Send = Callable[[str, bytes], object]


def sendDatagram(address: str, data: bytes) -> None:
    """
    Send a datagram to a UNIX socket, whose name begins with C{@} if it has no file.

    @raise OSError: That is not possible, also if it would have to be waited for.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        name = "\0" + address[1:] if address.startswith("@") else address
        sender.sendto(data, name)


def watchdogInterval(environ: Mapping[str, str], pid: int) -> float:
    """
    The seconds within which systemd wants to hear that a process is alive; 0 for never.
    """
    text = environ.get(INTERVAL, "")
    whose = environ.get(PROCESS, str(pid))
    if not text.isdecimal() or whose != str(pid):
        return 0.0
    return int(text) / 1e6


class ServiceManager:
    """
    The way to systemd, where a process has been started by it; to nowhere otherwise.
    """

    def __init__(
        self,
        clock: IReactorTime,
        status: Callable[[], str],
        environ: Mapping[str, str] = os.environ,
        send: Send = sendDatagram,
    ) -> None:
        """
        @param status: Tells in a line how the daemon is doing.
        """
        self._status = status
        self._send = send
        self._address = environ.get(ADDRESS, "")
        interval = watchdogInterval(environ, os.getpid())
        self._period = min(interval / BEATS, LOOK) if interval else LOOK
        self._isWatched = interval > 0
        self._told = ""
        self._beat = LoopingCall(self._alive)
        self._beat.clock = clock

    def ready(self) -> None:
        """
        The daemon serves its clients, and from now on tells that it is alive.
        """
        if not self._address:
            return
        self._tell("READY=1")
        self._beat.start(self._period).addErrback(self._failed)

    def reloading(self) -> None:
        """
        It reads its configuration again; L{ready} is to follow.
        """
        self._stop()
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """
        It ends.
        """
        self._stop()
        self._tell("STOPPING=1\nSTATUS=stopping")

    def _stop(self) -> None:
        if self._beat.running:
            self._beat.stop()

    def _alive(self) -> None:
        """
        Tell that the reactor runs, and what has changed.
        """
        words = ["WATCHDOG=1"] if self._isWatched else []
        status = self._status()
        if status != self._told:
            self._told = status
            words.append(f"STATUS={status}")
        if words:
            self._tell("\n".join(words))

    def _tell(self, text: str) -> None:
        if not self._address:
            return
        try:
            self._send(self._address, text.encode())
        except OSError as error:
            _log.debug("systemd is not told {text!r}: {error}", text=text, error=error)

    def _failed(self, failure: Failure) -> None:
        _log.failure("systemd is told nothing any more", failure)
