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
from muxd.client.commands import DaemonCommands
from muxd.client.exchange import DialectChoice, connecting
from muxd.client.requests import Dialect, Request, connectRequest, listenRequest
from muxd.client.socketerrors import TimedOut
from muxd.client.socketio import Clock, DaemonConnection, Deadline, Sleep, openSocket
from muxd.limits import LIMITS, Limits

T = TypeVar("T")

Opener = Callable[[Address, Deadline, Sleep], socket.socket]


class Daemon:
    """
    The daemon at an address.

    It holds no connection, only what it learned of the protocol spoken there,
    and may be used by several threads at once.

    @ivar where: The address as a person would write it.
    @ivar choice: Which dialect it is believed to speak.
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
        self.where = str(address)
        self.choice = DialectChoice(self.where, socketerrors)
        self.limits = limits
        self.clock = clock
        self.sleep = sleep
        self._address = address
        self._program = program
        self._opener = opener

    def deadline(self, seconds: float | None) -> Deadline:
        """
        A deadline by this daemon's clock.
        """
        return Deadline(seconds, self.clock)

    def commands(self, deadline: Deadline) -> DaemonCommands:
        """
        The commands, each of which is done when its coroutine is L{completed}.
        """

        async def ask(request: Request) -> Answer:
            answer, connection = await self._speak(request, deadline)
            connection.close()
            return answer

        async def collect() -> list[Device]:
            return self._devicesHeard(deadline)

        return DaemonCommands(self.choice, self.where, socketerrors, ask, collect)

    def devices(self, deadline: Deadline) -> list[Device]:
        """
        All phones that are there now.
        """
        return completed(self.commands(deadline).listDevices())

    def listen(self, deadline: Deadline, table: DeviceTable) -> Listener:
        """
        Be told of phones from now on, first of those that are there.

        @param table: What the listener knows already, and adds to.
        """
        _, connection = completed(self._speak(listenRequest(), deadline))
        connection.listen(table)
        return Listener(connection, table)

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

    def _devicesHeard(self, deadline: Deadline) -> list[Device]:
        """
        The phones that are there by listening until nothing more comes: the binary
        protocol has no command for it.
        """
        table = DeviceTable()
        with self.listen(deadline, table) as listener:
            try:
                while True:
                    listener.next(deadline.within(self.limits.listSilence))
            except TimedOut:
                return list(table)

    async def _speak(self, request: Request, deadline: Deadline) -> tuple[Answer, DaemonConnection]:
        """
        Make a request in a dialect that the daemon speaks.
        """

        async def attempt(dialect: Dialect) -> tuple[Answer, DaemonConnection]:
            opened = self._opener(self._address, deadline, self.sleep)
            connection = DaemonConnection(opened, self.where, self._program, self.limits)
            try:
                return connection.ask(request, dialect, deadline), connection
            except BaseException:
                connection.close()
                raise

        return await self.choice.speak(request, attempt)


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
