# -*- test-case-name: tests.client.test_daemon,tests.client.test_protocolchoice -*-
"""
One daemon as a blocking program sees it: commands, listening, connecting.

Every command has a connection of its own, as all clients do it.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, TypeVar

from muxd.client import socketerrors
from muxd.client.address import Address
from muxd.client.answers import Answer, Device, DeviceTable, Event
from muxd.client.exchange import connecting
from muxd.client.requests import Dialect, Request, connectRequest
from muxd.client.selection import Network
from muxd.client.socketdaemon import SocketDaemon
from muxd.client.socketio import Clock, DaemonConnection, Deadline, Sleep, openSocket
from muxd.limits import LIMITS, Limits

T = TypeVar("T")

Opener = Callable[[Address, Deadline, Sleep], socket.socket]


class Daemon(SocketDaemon[DaemonConnection, Deadline]):
    """
    The daemon at an address, which may be used by several threads at once.

    Each of the L{commands} is done when its coroutine is L{completed}.
    """

    def __init__(
        self,
        address: Address,
        program: str,
        *,
        limits: Limits = LIMITS,
        clock: Clock = time.monotonic,
        sleep: Sleep = time.sleep,
        opener: Opener = openSocket,
    ) -> None:
        """
        @param program: The name of the program that asks, for the daemon.
        """
        super().__init__(address, program, limits)
        self.clock = clock
        self.sleep = sleep
        self._opener = opener

    def deadline(self, seconds: float | None) -> Deadline:
        """
        A deadline by this daemon's clock.
        """
        return Deadline(seconds, self.clock)

    def devices(self, deadline: Deadline) -> list[Device]:
        """
        All phones that are there now.
        """
        return completed(self.commands(deadline).listDevices())

    def choose(self, udid: str | None, network: Network, deadline: Deadline) -> Device:
        """
        The phone that is meant, of those that are there.
        """
        return completed(self._choose(udid, network, deadline))

    def listen(self, deadline: Deadline, table: DeviceTable) -> Listener:
        """
        Be told of phones from now on, first of those that are there.

        @param table: What the listener knows already, and adds to.
        """
        return Listener(completed(self._listen(deadline, table)), table)

    def connect(self, device: Device, port: int, deadline: Deadline) -> socket.socket:
        """
        A connection to a port of a phone, and nothing else on it.

        @raise PortRefused: Nothing listens there.
        @raise PhoneGone: The phone has gone meanwhile.
        """
        request = connectRequest(device.deviceID, port)
        with connecting(device, port, self.where, socketerrors):
            _, connection = completed(self._speak(request, deadline))
        return connection.release()

    async def _reach(self, deadline: Deadline, subject: str) -> DaemonConnection:
        opened = self._opener(self._address, deadline, self.sleep)
        return DaemonConnection(opened, self.where, self._program, self.limits)

    async def _ask(
        self, connection: DaemonConnection, request: Request, dialect: Dialect, deadline: Deadline
    ) -> Answer:
        return connection.ask(request, dialect, deadline)

    async def _nextEvent(self, connection: DaemonConnection, deadline: Deadline) -> Event:
        return connection.nextEvent(deadline)


class Listener:
    """
    A connection on which the daemon tells what happens.

    @ivar table: The phones that are there.
    """

    def __init__(self, connection: DaemonConnection, table: DeviceTable) -> None:
        self.table = table
        self._connection = connection

    def __enter__(self) -> Listener:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()

    def next(self, deadline: Deadline) -> Event:
        """
        Wait for the next event.

        @raise TimedOut: There was none.
        """
        return self._connection.nextEvent(deadline)


def completed(coroutine: Coroutine[Any, Any, T]) -> T:
    """
    Run a coroutine that blocks instead of waiting, to its end.

    @return: what it returns.
    """
    try:
        coroutine.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    raise RuntimeError("expected a coroutine that does not wait, got one that does")
