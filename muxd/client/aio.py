# -*- test-case-name: tests.client.test_aio,tests.client.test_everyclient -*-
"""
Phones for programs on asyncio::

    from muxd.client import aio

    for device in await aio.devices():
        print(device.udid)

    reader, writer = await aio.connect(22)      # the only phone, its port 22
    print(await reader.read(100))

    async for event in aio.watch():
        print(event)

The functions, their arguments and their errors are those of L{muxd.client.blocking},
as coroutines.  Everything can be cancelled at any moment, and no socket is left then.

There is no thread, but for one case: a daemon at a host that is given by name is
looked up as asyncio does it, in a thread of its loop.

Nothing here imports Twisted.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from functools import lru_cache
from typing import Any

from muxd.client import socketerrors
from muxd.client.address import (
    Address,
    InvalidAddress,
    TCPAddress,
    TLSAddress,
    UnixAddress,
)
from muxd.client.answers import (
    Answer,
    Attached,
    Detached,
    Device,
    DeviceTable,
    Event,
    ListenerRecord,
    Paired,
)
from muxd.client.exchange import connecting
from muxd.client.problems import Stage
from muxd.client.requests import (
    CONNECT_TIMEOUT,
    Dialect,
    Request,
    connectRequest,
    programName,
)
from muxd.client.selection import Network, fits
from muxd.client.socketdaemon import (
    LOSSES,
    Lost,
    Outage,
    SocketDaemon,
    checkPort,
    ignoreLoss,
    meantAddress,
)
from muxd.client.socketerrors import (
    DaemonLost,
    DaemonNonsense,
    DaemonRefused,
    NoDaemon,
    NoPairRecord,
    NoPhone,
    NotSupported,
    PairRecordError,
    PhoneGone,
    PortRefused,
    SeveralPhones,
    TimedOut,
    UsbmuxError,
)
from muxd.client.socketio import (
    BACKLOG_PAUSE,
    CHUNK,
    Deadline,
    MessagePatience,
    Talk,
    openSocket,
    remedyFor,
    unixSocket,
    unreachable,
    whyEnded,
)
from muxd.limits import LIMITS, Limits
from muxd.net.nodelay import sendAtOnce

__all__ = [
    "Attached",
    "DaemonLost",
    "DaemonNonsense",
    "DaemonRefused",
    "Detached",
    "Device",
    "Event",
    "InvalidAddress",
    "ListenerRecord",
    "Network",
    "NoDaemon",
    "NoPairRecord",
    "NoPhone",
    "NotSupported",
    "PairRecordError",
    "Paired",
    "PhoneGone",
    "PortRefused",
    "SeveralPhones",
    "TimedOut",
    "UsbmuxError",
    "buid",
    "connect",
    "deletePairRecord",
    "devices",
    "listeners",
    "readPairRecord",
    "savePairRecord",
    "watch",
]

ANSWER = LIMITS.answerTimeout


async def devices(
    timeout: float | None = ANSWER, *, address: Address | str | None = None
) -> list[Device]:
    """
    All phones that are there now.
    """
    return await _daemonAt(address).devices(_deadline(timeout))


async def watch(
    timeout: float | None = None,
    *,
    reconnect: bool = False,
    lost: Lost | None = None,
    address: Address | str | None = None,
) -> AsyncGenerator[Event, None]:
    """
    Yield what happens to phones, beginning with one L{Attached} for each that is
    there; end after C{timeout} seconds.

    The connection is made when the first event is asked for and closed with the
    generator; C{contextlib.aclosing} closes it at once.

    @param reconnect: Outlive the daemon: when it goes away, its phones are
        yielded as L{Detached}, and it is waited for.  It need not be there yet
        either.  Otherwise its loss is raised.
    @param lost: With C{reconnect}: called once whenever the daemon is lost.
    """
    daemon = _daemonAt(address)
    report = (lost or ignoreLoss) if reconnect else None
    async with aclosing(daemon.watch(_deadline(timeout), report)) as events:
        async for event in events:
            yield event


async def connect(
    port: int,
    udid: str | None = None,
    *,
    network: Network = Network.NO,
    wait: float | None = None,
    timeout: float | None = CONNECT_TIMEOUT,
    address: Address | str | None = None,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """
    Connect to a TCP port of a phone.

    @param udid: Which phone, with or without the dash; None for the only one.
    @param network: Whether phones on the network count; they do not unless asked
        for.
    @param wait: How many seconds to wait for the phone (or for the daemon, which
        some systems start when a phone comes) if it is not there; this time is
        not counted as part of C{timeout}.
    @return: streams, as C{asyncio.open_connection} has them.
    @raise NoPhone: It is not there.
    @raise TimedOut: It did not come within C{wait}, or all the rest took longer
        than C{timeout}.
    @raise SeveralPhones: Several are, and C{udid} does not say which.
    @raise PortRefused: Nothing listens on that port.
    """
    checkPort(port)
    daemon = _daemonAt(address)
    deadline = _deadline(timeout)
    try:
        device = await daemon.choose(udid, network, deadline)
    except (NoPhone, NoDaemon) as absence:
        if wait is None:
            raise
        clock = asyncio.get_running_loop().time
        began = clock()
        device = await daemon.waitFor(udid, network, wait, absence)
        deadline.extend(clock() - began)
    return await daemon.connect(device, port, deadline)


async def listeners(
    timeout: float | None = ANSWER, *, address: Address | str | None = None
) -> list[ListenerRecord]:
    """
    The programs that the daemon tells of phones.
    """
    return await _daemonAt(address).commands(_deadline(timeout)).listListeners()


async def buid(timeout: float | None = ANSWER, *, address: Address | str | None = None) -> str:
    """
    The identity of the daemon's host, which phones trust.
    """
    return await _daemonAt(address).commands(_deadline(timeout)).readBUID()


async def readPairRecord(
    udid: str, timeout: float | None = ANSWER, *, address: Address | str | None = None
) -> bytes:
    """
    The pair record of a phone: a property list, with private keys in it.

    @raise NoPairRecord: There is none.
    """
    return await _daemonAt(address).commands(_deadline(timeout)).readPairRecord(udid)


async def savePairRecord(
    udid: str,
    record: bytes | Mapping[str, Any],
    timeout: float | None = ANSWER,
    *,
    deviceID: int | None = None,
    address: Address | str | None = None,
) -> None:
    """
    Store a pair record, instead of one that may be there.

    @param record: A property list, or what to make one of.
    @param deviceID: Of the phone if it is there; listeners are then told that it
        is paired.
    """
    commands = _daemonAt(address).commands(_deadline(timeout))
    await commands.savePairRecord(udid, record, deviceID)


async def deletePairRecord(
    udid: str, timeout: float | None = ANSWER, *, address: Address | str | None = None
) -> None:
    """
    Forget a pair record: the phone will ask again whether to trust this host.

    @raise NoPairRecord: There is none.
    """
    await _daemonAt(address).commands(_deadline(timeout)).deletePairRecord(udid)


def _deadline(seconds: float | None) -> _Deadline:
    """
    A deadline by the clock of the loop that runs.
    """
    return _Deadline(seconds, asyncio.get_running_loop().time)


class _Deadline(Deadline):
    """
    A deadline that ends what is waited for.
    """

    @asynccontextmanager
    async def watching(self, stage: Stage, subject: str) -> AsyncIterator[None]:
        """
        End what is done within it when the moment has come.

        @raise TimedOut: It has.
        """
        try:
            async with asyncio.timeout_at(self._end) as limit:
                yield
        except TimeoutError as error:
            if isinstance(error, TimedOut) or not limit.expired():
                raise
            raise self.error(stage, subject) from None


class _Daemon(SocketDaemon["_Connection", _Deadline]):
    """
    The daemon at an address, which belongs to no loop.
    """

    def __init__(self, address: Address, program: str, limits: Limits = LIMITS) -> None:
        super().__init__(address, program, limits)

    async def devices(self, deadline: _Deadline) -> list[Device]:
        """
        All phones that are there now.
        """
        return await self.commands(deadline).listDevices()

    async def choose(self, udid: str | None, network: Network, deadline: _Deadline) -> Device:
        """
        The phone that is meant, of those that are there.
        """
        return await self._choose(udid, network, deadline)

    async def connect(
        self, device: Device, port: int, deadline: _Deadline
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """
        A connection to a port of a phone.
        """
        request = connectRequest(device.deviceID, port)
        with connecting(device, port, self.where, socketerrors):
            _, connection = await self._speak(request, deadline)
        return await connection.streams()

    async def watch(self, end: _Deadline, lost: Lost | None) -> AsyncGenerator[Event, None]:
        """
        What happens to phones.

        @param lost: None to raise what is wrong with the daemon.
        """
        table = DeviceTable()
        outage = Outage(lost)
        while True:
            try:
                connection = await self._listen(end.within(self.limits.answerTimeout), table)
                outage.over()
                try:
                    while True:
                        yield await connection.nextEvent(end)
                finally:
                    connection.close()
            except LOSSES as error:
                if not outage.outlived(error, end):
                    return
            for event in table.clear():
                yield event
            await asyncio.sleep(end.atMost(self.limits.reconnectDelay))

    async def waitFor(
        self, udid: str | None, network: Network, wait: float, absence: UsbmuxError
    ) -> Device:
        """
        Wait for a phone.  What listening tells is only the reason to look again:
        the list says whether it is the only one.
        """
        troubles = [absence]
        end = _deadline(wait)
        async with aclosing(self.watch(end, troubles.append)) as events:
            async for event in events:
                if isinstance(event, Attached) and fits(event.device, udid, network):
                    with suppress(NoPhone):
                        return await self.choose(udid, network, _deadline(None))
        # The latest trouble says more than the first absence.
        raise TimedOut(Stage.WAIT, wait, str(troubles[-1]))

    async def _reach(self, deadline: _Deadline, subject: str) -> _Connection:
        async with deadline.watching(Stage.REACH, subject):
            sock = await self._open()
        return _Connection(sock, self.where, self._program, self.limits)

    async def _ask(
        self, connection: _Connection, request: Request, dialect: Dialect, deadline: _Deadline
    ) -> Answer:
        return await connection.ask(request, dialect, deadline)

    async def _nextEvent(self, connection: _Connection, deadline: _Deadline) -> Event:
        return await connection.nextEvent(deadline)

    async def _open(self) -> socket.socket:
        """
        A connected socket, which does not block.

        @raise NoDaemon: Nothing listens there, or we are not allowed to.
        """
        try:
            if isinstance(self._address, UnixAddress):
                return await _openUnix(self._address)
            if isinstance(self._address, TLSAddress):
                return await _openTLS(self._address)
            return await _openTCP(self._address)
        except UsbmuxError:
            # As the blocking client, which connects by way of TLS here, says it.
            raise
        except OSError as error:
            raise NoDaemon(self.where, unreachable(error), remedyFor(error)) from error


class _Connection(Talk):
    """
    One connection to a daemon.

    As long as it speaks in messages the socket is ours, not a stream's: so it is
    closed at the very moment at which it should be.
    """

    async def ask(self, request: Request, dialect: Dialect, deadline: _Deadline) -> Answer:
        """
        Make a request and read its answer, and not a byte more.
        """
        subject = f"{request.name}, usbmuxd at {self.where}"
        exchange = self._exchange
        data = exchange.ask(request, dialect)
        try:
            async with deadline.watching(request.stage, subject):
                await asyncio.get_running_loop().sock_sendall(self._socket, data)
        except TimedOut:
            raise
        except OSError as error:
            raise exchange.lost(whyEnded(self._socket)) from error
        patience = MessagePatience(exchange, self._limits)
        while True:
            within = patience.of(deadline)
            async with within.watching(request.stage, subject):
                data = await self._read(min(exchange.wanted, CHUNK))
            if not data:
                raise exchange.lost(whyEnded(self._socket))
            answer = exchange.receive(data)
            if answer is not None:
                return answer

    async def nextEvent(self, deadline: _Deadline) -> Event:
        """
        Wait for the next event.
        """
        events = self._events
        patience = MessagePatience(events, self._limits)
        while (event := events.next()) is None:
            within = patience.of(deadline)
            async with within.watching(Stage.EVENT, f"usbmuxd at {self.where}"):
                data = await self._read(CHUNK)
            if not data:
                raise events.lost(whyEnded(self._socket))
            events.feed(data)
        return event

    async def streams(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """
        Give the socket to asyncio's streams.
        """
        try:
            return await asyncio.open_connection(sock=self._socket)
        except BaseException:
            self._socket.close()
            raise

    async def _read(self, atMost: int) -> bytes:
        """
        Some bytes; a connection that is reset has ended.
        """
        # What is there already is read without waiting: a daemon that says more than
        # can be read must not keep the loop from everything else, time-outs included.
        await asyncio.sleep(0)
        try:
            return await asyncio.get_running_loop().sock_recv(self._socket, atMost)
        except OSError:
            return b""


async def _openUnix(address: UnixAddress) -> socket.socket:
    while True:
        sock = unixSocket()
        try:
            sock.setblocking(False)
            # Never under way: it is done, or the daemon's backlog is full, which
            # asyncio's own way of connecting would take for done.
            sock.connect(address.path)
        except BlockingIOError:
            sock.close()
            await asyncio.sleep(BACKLOG_PAUSE)
        except BaseException:
            sock.close()
            raise
        else:
            return sock


async def _openTCP(address: TCPAddress) -> socket.socket:
    refusal: OSError | None = None
    for family, kind, protocol, _, destination in await _resolved(address):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, destination)
        except OSError as error:
            sock.close()
            refusal = refusal or error
        except BaseException:
            sock.close()
            raise
        else:
            sendAtOnce(sock)
            return sock
    raise refusal or OSError("the name has no address")


async def _openTLS(address: TLSAddress) -> socket.socket:
    """
    Connect in a thread, as the blocking client does.
    """
    loop = asyncio.get_running_loop()
    opening = loop.run_in_executor(
        None, openSocket, address, Deadline(float(address.target.timeout))
    )
    try:
        sock = await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_closeUnwanted)
        raise
    sock.setblocking(False)
    return sock


def _closeUnwanted(opening: asyncio.Future[socket.socket]) -> None:
    """
    It has come too late.
    """
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


async def _resolved(address: TCPAddress) -> list[Any]:
    """
    The addresses of a host; one that is given as an address needs no thread.
    """
    wanted = {"type": socket.SOCK_STREAM}
    with suppress(socket.gaierror):
        return socket.getaddrinfo(address.host, address.port, flags=socket.AI_NUMERICHOST, **wanted)
    loop = asyncio.get_running_loop()
    return list(await loop.getaddrinfo(address.host, address.port, **wanted))


def _daemonAt(address: Address | str | None) -> _Daemon:
    return _remembered(meantAddress(address))


@lru_cache(maxsize=64)
def _remembered(address: Address) -> _Daemon:
    """
    One daemon for each address, which knows the dialect spoken there.
    """
    return _Daemon(address, programName(sys.argv[0]))
