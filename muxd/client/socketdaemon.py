# -*- test-case-name: tests.client.test_socketdaemon,tests.client.test_everyclient -*-
"""
What the clients without Twisted, L{muxd.client.blocking} and L{muxd.client.aio}, have in common:
which daemon is meant, what is known of it, and what its loss is to a program that watches.

What differs is how they wait, and that is all that each of them adds.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

from muxd.client import socketerrors
from muxd.client.address import Address, daemonAddress, parseAddress
from muxd.client.answers import Answer, Device, DeviceTable, Event
from muxd.client.commands import DaemonCommands
from muxd.client.exchange import DialectChoice
from muxd.client.requests import Dialect, Request, listenRequest
from muxd.client.selection import Network, chooseDevice
from muxd.client.socketerrors import DaemonLost, DaemonNonsense, NoDaemon, TimedOut, UsbmuxError
from muxd.client.socketio import Deadline, Talk
from muxd.limits import Limits

Lost = Callable[[UsbmuxError], None]
"""Told why the daemon was lost."""

LOSSES = (NoDaemon, DaemonLost, DaemonNonsense, TimedOut)
"""What watching fails with when there is no daemon, or none that makes sense, any more."""


def meantAddress(address: Address | str | None) -> Address:
    """
    Where the daemon is that a program means.

    @param address: The address, or a text in any spelling of one; None for where the
        environment says, or the platform's usual place.
    @raise InvalidAddress: It makes no sense.
    """
    if address is None:
        return daemonAddress(os.environ)
    return parseAddress(address) if isinstance(address, str) else address


def checkPort(port: int) -> None:
    """
    See that a phone can have a port.

    @raise ValueError: It cannot.
    """
    if not 0 < port < 65536:
        raise ValueError(f"expected a port from 1 to 65535, got {port}")


def ignoreLoss(error: UsbmuxError) -> None:
    """
    A loss that is of no interest.
    """


class Outage:
    """
    The losses of a daemon that is watched, of which each is told once however long it lasts.
    """

    def __init__(self, lost: Lost | None) -> None:
        """
        @param lost: None if a loss ends the watching.
        """
        self._lost = lost
        self._isPresent = True

    def over(self) -> None:
        """
        The daemon is there.
        """
        self._isPresent = True

    def outlived(self, error: UsbmuxError, end: Deadline) -> bool:
        """
        Whether to go on after one of the L{LOSSES}: not if it is only the end of the watching.

        @raise UsbmuxError: The loss, if it is to be raised.
        """
        if end.expired:
            return False
        if self._lost is None:
            raise error
        if self._isPresent:
            self._lost(error)
        self._isPresent = False
        return True


T = TypeVar("T", bound=Talk)
D = TypeVar("D", bound=Deadline)


class SocketDaemon(ABC, Generic[T, D]):
    """
    The daemon at an address.  It holds no connection, only what it learned of the protocol spoken
    there.

    A coroutine here waits as the client does: the blocking one's never do.

    @ivar where: The address as a person would write it.
    @ivar choice: Which dialect it is believed to speak.
    """

    def __init__(self, address: Address, program: str, limits: Limits) -> None:
        """
        @param program: The name of the program that asks, for the daemon.
        """
        self.where = str(address)
        self.choice = DialectChoice(self.where, socketerrors)
        self.limits = limits
        self._address = address
        self._program = program

    def commands(self, deadline: D) -> DaemonCommands:
        """
        The commands, in the time that there is.
        """

        async def ask(request: Request) -> Answer:
            answer, connection = await self._speak(request, deadline)
            connection.close()
            return answer

        async def collect() -> list[Device]:
            return await self._devicesHeard(deadline)

        return DaemonCommands(self.choice, self.where, socketerrors, ask, collect)

    async def _choose(self, udid: str | None, network: Network, deadline: D) -> Device:
        """
        The phone that is meant, of those that are there.
        """
        within = deadline.within(self.limits.answerTimeout)
        found = await self.commands(within).listDevices()
        return chooseDevice(found, udid, network, self.where, socketerrors)

    async def _devicesHeard(self, deadline: D) -> list[Device]:
        """
        The phones that are there by listening until nothing more comes: the binary
        protocol has no command for it.
        """
        table = DeviceTable()
        connection = await self._listen(deadline, table)
        try:
            while True:
                await self._nextEvent(connection, deadline.within(self.limits.listSilence))
        except TimedOut:
            return list(table)
        finally:
            connection.close()

    async def _listen(self, deadline: D, table: DeviceTable) -> T:
        """
        A connection on which the daemon tells what happens.
        """
        _, connection = await self._speak(listenRequest(), deadline)
        connection.listen(table)
        return connection

    async def _speak(self, request: Request, deadline: D) -> tuple[Answer, T]:
        """
        Make a request in a dialect that the daemon speaks, on a connection of its own.
        """
        subject = f"{request.name}, usbmuxd at {self.where}"

        async def attempt(dialect: Dialect) -> tuple[Answer, T]:
            connection = await self._reach(deadline, subject)
            try:
                return await self._ask(connection, request, dialect, deadline), connection
            except BaseException:
                connection.close()
                raise

        return await self.choice.speak(request, attempt)

    @abstractmethod
    async def _reach(self, deadline: D, subject: str) -> T:
        """
        A new connection.

        @param subject: What it is for, for the error's text.
        """

    @abstractmethod
    async def _ask(self, connection: T, request: Request, dialect: Dialect, deadline: D) -> Answer:
        """
        Make a request on a connection.
        """

    @abstractmethod
    async def _nextEvent(self, connection: T, deadline: D) -> Event:
        """
        Wait for the next event on a connection.
        """
