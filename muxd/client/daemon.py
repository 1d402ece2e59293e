# -*- test-case-name: tests.client.test_daemon,tests.client.test_protocolchoice -*-
"""
One daemon as a blocking program sees it: commands, listening, connecting.

Every command has a connection of its own, as all clients do it.  Property lists
come first; a daemon that answers them with Result 6 is old and gets the binary
protocol, on a new connection, now and from then on (protocol 4.3).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from errno import ENOENT
from types import TracebackType
from typing import Any

from muxd import __version__
from muxd.client.address import Address
from muxd.client.answers import Answer, Device, DeviceTable, Event, devicesFrom, parseAnswer
from muxd.client.socketerrors import (
    DaemonLost,
    DaemonNonsense,
    DaemonRefused,
    NoPairRecord,
    NotSupported,
    PairRecordError,
    PhoneGone,
    PortRefused,
    TimedOut,
)
from muxd.client.socketio import Clock, DaemonConnection, Deadline, Sleep, openSocket
from muxd.limits import LIMITS, Limits
from muxd.wire.messages import (
    BINARY_VERSION,
    PLIST_VERSION,
    MalformedMessage,
    Message,
    MessageType,
    Result,
    connectMessage,
    plistMessage,
    swapPort,
)

TAG = 1
"""Of our commands.  There is one on each connection, so it tells nothing."""

MALFORMED = 5
"""What Apple's daemon answers to a command that it does not like (protocol 4.4)."""

Opener = Callable[[Address, Deadline, Sleep], socket.socket]


@dataclass(frozen=True, slots=True)
class Request:
    """
    A command in both forms.

    @ivar name: Its MessageType.
    @ivar keys: What else is in the property list.
    @ivar binary: The same as a binary message; None if there is none.
    """

    name: str
    keys: Mapping[str, Any] = field(default_factory=dict)
    binary: Message | None = None

    def versions(self, known: int) -> tuple[int, ...]:
        """
        The protocols to try, the one that is known to be spoken first.
        """
        if self.binary is None:
            return (PLIST_VERSION,)
        if known == BINARY_VERSION:
            return (BINARY_VERSION, PLIST_VERSION)
        return (PLIST_VERSION, BINARY_VERSION)


class Daemon:
    """
    The daemon at an address.

    It holds no connection, only what it learned of the protocol spoken there,
    and may be used by several threads at once.

    @ivar where: The address as a person would write it.
    @ivar version: Of the protocol that the last answer was in.
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
        self.where = str(address)
        self.version = PLIST_VERSION
        self.limits = limits
        self.clock = clock
        self.sleep = sleep
        self._address = address
        self._opener = opener
        self._introduction = {
            "BundleID": "muxd.client",
            "ClientVersionString": f"muxd {__version__}",
            "ProgName": program,
            "kLibUSBMuxVersion": 3,
        }

    def deadline(self, seconds: float | None) -> Deadline:
        """
        A deadline by this daemon's clock.
        """
        return Deadline(seconds, self.clock)

    def command(self, name: str, deadline: Deadline, **keys: Any) -> Mapping[str, Any]:
        """
        A command that exists as a property list only.

        @return: the answer; empty for a binary Result 0.
        @raise DaemonRefused: It was answered with another Result.
        @raise NotSupported: The daemon has no such command.
        """
        connection, answer, _ = self._ask(Request(name, keys), deadline)
        connection.close()
        if answer.result:
            raise self._failure(name, answer.result)
        return answer.values

    def recordCommand(
        self, name: str, udid: str, deadline: Deadline, **keys: Any
    ) -> Mapping[str, Any]:
        """
        A command about a pair record, whose Results are C{errno} values
        (protocol 9, edge 49).

        @raise NoPairRecord: There is none.
        """
        try:
            return self.command(name, deadline, PairRecordID=udid, **keys)
        except DaemonRefused as refusal:
            kind = NoPairRecord if refusal.result == ENOENT else PairRecordError
            raise kind(self.where, name, udid, refusal.result) from refusal

    def devices(self, deadline: Deadline) -> list[Device]:
        """
        All phones that are there now.
        """
        try:
            values = self.command("ListDevices", deadline)
        except NotSupported:
            return self._devicesHeard(deadline)
        with self.understanding("the answer to ListDevices"):
            return devicesFrom(values)

    def listen(self, deadline: Deadline, table: DeviceTable) -> Listener:
        """
        Be told of phones from now on, first of those that are there.

        @param table: What the listener knows already, and adds to.
        """
        request = Request("Listen", binary=Message(BINARY_VERSION, MessageType.LISTEN, TAG))
        connection, answer, early = self._ask(request, deadline)
        if answer.result != Result.OK:
            connection.close()
            raise self._failure("Listen", answer.result)
        return Listener(self, connection, table, early)

    def connect(self, device: Device, port: int, deadline: Deadline) -> socket.socket:
        """
        A connection to a port of a phone, and nothing else on it.
        """
        request = Request(
            "Connect",
            {"DeviceID": device.deviceID, "PortNumber": swapPort(port)},
            connectMessage(device.deviceID, port, TAG),
        )
        connection, answer, _ = self._ask(request, deadline)
        if answer.result == Result.OK:
            return connection.release()
        connection.close()
        if answer.result == Result.CONNECTION_REFUSED:
            raise PortRefused(device.udid, port)
        if answer.result == Result.BAD_DEVICE:
            reason = f"the usbmuxd at {self.where} does not know it any more"
            raise PhoneGone(device.udid, port, reason)
        raise self._failure("Connect", answer.result)

    @contextmanager
    def understanding(self, awaited: str) -> Iterator[None]:
        """
        Turn what cannot be read into the error that says whose fault it is.
        """
        try:
            yield
        except MalformedMessage as error:
            raise DaemonNonsense(self.where, awaited, error) from error

    def _devicesHeard(self, deadline: Deadline) -> list[Device]:
        """
        The same by listening until nothing more comes: the binary protocol has
        no command for it.
        """
        table = DeviceTable()
        with self.listen(deadline, table) as listener:
            try:
                while True:
                    listener.next(deadline.within(self.limits.listSilence))
            except TimedOut:
                return list(table)

    def _ask(
        self, request: Request, deadline: Deadline
    ) -> tuple[DaemonConnection, Answer, list[Message]]:
        """
        Send a command in a protocol that the daemon speaks and read the answer.

        @return: the connection, the answer, and the events that came before it.
        """
        for version in request.versions(self.version):
            opened = self._opener(self._address, deadline, self.sleep)
            connection = DaemonConnection(opened, self.where, self.limits)
            try:
                connection.send(self._encode(request, version), deadline, request.name)
                answer, early = self._answer(connection, request.name, deadline)
            except BaseException as error:
                connection.close()
                if isinstance(error, DaemonLost):
                    # Perhaps there is another daemon now: begin anew with it.
                    self.version = PLIST_VERSION
                raise
            if answer.result != Result.BAD_VERSION:
                self.version = version
                return connection, answer, early
            connection.close()
        raise NotSupported(self.where, request.name)

    def _encode(self, request: Request, version: int) -> Message:
        if version == BINARY_VERSION and request.binary is not None:
            return request.binary
        values = {"MessageType": request.name, **self._introduction, **request.keys}
        return plistMessage(values, TAG)

    def _answer(
        self, connection: DaemonConnection, name: str, deadline: Deadline
    ) -> tuple[Answer, list[Message]]:
        """
        The first message that is no event.  Some daemons send events ahead of
        the Result (protocol 9, edges 42 and 57); a listener wants them.
        """
        early: list[Message] = []
        size = 0
        while True:
            awaited = f"the answer to {name}"
            message = connection.receive(deadline, awaited)
            with self.understanding(awaited):
                answer = parseAnswer(message)
            if answer is not None:
                return answer, early
            size += len(message.body)
            if size > self.limits.clientQueue:
                raise DaemonNonsense(self.where, awaited, "there are only events")
            early.append(message)

    def _failure(self, name: str, result: int | None) -> OSError:
        if result is None:
            return DaemonNonsense(self.where, f"the answer to {name}", "there is no Result in it")
        if result in (Result.BAD_COMMAND, MALFORMED):
            return NotSupported(self.where, name)
        return DaemonRefused(self.where, name, result)


class Listener:
    """
    A connection on which the daemon tells what happens.

    @ivar table: The phones that are there.
    """

    def __init__(
        self,
        daemon: Daemon,
        connection: DaemonConnection,
        table: DeviceTable,
        early: list[Message],
    ) -> None:
        self.table = table
        self._daemon = daemon
        self._connection = connection
        self._early = early[::-1]

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
        while True:
            if self._early:
                message = self._early.pop()
            else:
                message = self._connection.receive(deadline, "events")
            with self._daemon.understanding("events"):
                event = self.table.update(message)
            if event is not None:
                return event
