"""
The kinds of clients that there are, with one set of words for what they can do.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from contextlib import aclosing, closing
from itertools import islice
from typing import Any
from typing import Protocol as TypingProtocol

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from muxd.client import aio, blocking
from muxd.client.access import accessAt
from muxd.client.address import UnixAddress
from muxd.client.answers import Device, Event, ListenerRecord
from muxd.client.client import UsbmuxClient
from muxd.client.endpoint import UsbmuxClientEndpoint
from muxd.client.feed import EventReceiver, FeedFactory
from muxd.limits import Limits
from tests.client.fakedaemon import PATIENCE


class Kind(TypingProtocol):
    """
    One kind of client, of one daemon.
    """

    def __init__(self, address: UnixAddress) -> None: ...

    def limit(self, limits: Limits) -> None:
        """
        Have other limits.
        """

    async def devices(self) -> list[Device]:
        """
        The phones that are there.
        """

    async def listeners(self) -> list[ListenerRecord]:
        """
        The programs that listen.
        """

    async def buid(self) -> str:
        """
        The host's identity.
        """

    async def readPairRecord(self, udid: str) -> bytes:
        """
        A pair record.
        """

    async def savePairRecord(
        self, udid: str, record: bytes | Mapping[str, Any], deviceID: int | None = None
    ) -> None:
        """
        Store one.
        """

    async def deletePairRecord(self, udid: str) -> None:
        """
        Forget one.
        """

    async def events(self, count: int) -> list[Event]:
        """
        The first events that a listener is told.
        """

    async def talk(self, words: bytes, udid: str | None = None, **options: Any) -> bytes:
        """
        Connect to port 22, say something, end, and read all that comes.
        """


class BlockingKind:
    """
    L{muxd.client.blocking}.
    """

    def __init__(self, address: UnixAddress) -> None:
        self._address = address

    def limit(self, limits: Limits) -> None:
        """
        Have other limits.
        """
        blocking._remembered(self._address).limits = limits

    async def devices(self) -> list[Device]:
        """
        The phones that are there.
        """
        return blocking.devices(address=self._address)

    async def listeners(self) -> list[ListenerRecord]:
        """
        The programs that listen.
        """
        return blocking.listeners(address=self._address)

    async def buid(self) -> str:
        """
        The host's identity.
        """
        return blocking.buid(address=self._address)

    async def readPairRecord(self, udid: str) -> bytes:
        """
        A pair record.
        """
        return blocking.readPairRecord(udid, address=self._address)

    async def savePairRecord(
        self, udid: str, record: bytes | Mapping[str, Any], deviceID: int | None = None
    ) -> None:
        """
        Store one.
        """
        blocking.savePairRecord(udid, record, deviceID=deviceID, address=self._address)

    async def deletePairRecord(self, udid: str) -> None:
        """
        Forget one.
        """
        blocking.deletePairRecord(udid, address=self._address)

    async def events(self, count: int) -> list[Event]:
        """
        The first events that a listener is told.
        """
        with closing(blocking.watch(address=self._address)) as events:
            return list(islice(events, count))

    async def talk(self, words: bytes, udid: str | None = None, **options: Any) -> bytes:
        """
        Connect to port 22, say something, end, and read all that comes.
        """
        with blocking.connect(22, udid, address=self._address, **options) as phone:
            phone.settimeout(PATIENCE)
            phone.sendall(words)
            phone.shutdown(socket.SHUT_WR)
            return phone.makefile("rb").read()


class AsyncioKind:
    """
    L{muxd.client.aio}, each call in a loop of its own.
    """

    def __init__(self, address: UnixAddress) -> None:
        self._address = address

    def limit(self, limits: Limits) -> None:
        """
        Have other limits.
        """
        aio._remembered(self._address).limits = limits

    async def devices(self) -> list[Device]:
        """
        The phones that are there.
        """
        return asyncio.run(aio.devices(address=self._address))

    async def listeners(self) -> list[ListenerRecord]:
        """
        The programs that listen.
        """
        return asyncio.run(aio.listeners(address=self._address))

    async def buid(self) -> str:
        """
        The host's identity.
        """
        return asyncio.run(aio.buid(address=self._address))

    async def readPairRecord(self, udid: str) -> bytes:
        """
        A pair record.
        """
        return asyncio.run(aio.readPairRecord(udid, address=self._address))

    async def savePairRecord(
        self, udid: str, record: bytes | Mapping[str, Any], deviceID: int | None = None
    ) -> None:
        """
        Store one.
        """
        asyncio.run(aio.savePairRecord(udid, record, deviceID=deviceID, address=self._address))

    async def deletePairRecord(self, udid: str) -> None:
        """
        Forget one.
        """
        asyncio.run(aio.deletePairRecord(udid, address=self._address))

    async def events(self, count: int) -> list[Event]:
        """
        The first events that a listener is told.
        """

        async def listen() -> list[Event]:
            heard: list[Event] = []
            async with aclosing(aio.watch(address=self._address)) as events:
                async for event in events:
                    heard.append(event)
                    if len(heard) == count:
                        break
            return heard

        return asyncio.run(listen())

    async def talk(self, words: bytes, udid: str | None = None, **options: Any) -> bytes:
        """
        Connect to port 22, say something, end, and read all that comes.
        """

        async def speak() -> bytes:
            reader, writer = await aio.connect(22, udid, address=self._address, **options)
            writer.write(words)
            writer.write_eof()
            heard = await asyncio.wait_for(reader.read(), PATIENCE)
            writer.close()
            await writer.wait_closed()
            return heard

        return asyncio.run(speak())


class _Talk(Protocol):
    def __init__(self, words: bytes) -> None:
        self.heard = b""
        self.done: Deferred[bytes] = Deferred()
        self._words = words

    def connectionMade(self) -> None:
        """
        Say it.
        """
        transport: Any = self.transport
        transport.write(self._words)
        transport.loseWriteConnection()

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it.
        """
        self.heard += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        All has come.
        """
        self.done.callback(self.heard)


class _Factory(Factory):
    noisy = False

    def __init__(self, built: Protocol) -> None:
        self._built = built

    def buildProtocol(self, addr: object) -> Protocol:
        """
        The one.
        """
        return self._built


class TwistedKind:
    """
    L{UsbmuxClient} and L{UsbmuxClientEndpoint}.
    """

    def __init__(self, address: UnixAddress) -> None:
        self._access = accessAt(reactor, address)
        self._client = UsbmuxClient(reactor, self._access)

    def limit(self, limits: Limits) -> None:
        """
        Have other limits.
        """
        self._access.limits = limits

    async def devices(self) -> list[Device]:
        """
        The phones that are there.
        """
        return await self._client.listDevices()

    async def listeners(self) -> list[ListenerRecord]:
        """
        The programs that listen.
        """
        return await self._client.listListeners()

    async def buid(self) -> str:
        """
        The host's identity.
        """
        return await self._client.readBUID()

    async def readPairRecord(self, udid: str) -> bytes:
        """
        A pair record.
        """
        return await self._client.readPairRecord(udid)

    async def savePairRecord(
        self, udid: str, record: bytes | Mapping[str, Any], deviceID: int | None = None
    ) -> None:
        """
        Store one.
        """
        await self._client.savePairRecord(udid, record, deviceID)

    async def deletePairRecord(self, udid: str) -> None:
        """
        Forget one.
        """
        await self._client.deletePairRecord(udid)

    async def events(self, count: int) -> list[Event]:
        """
        The first events that a listener is told.
        """
        events: list[Event] = []
        enough: Deferred[None] = Deferred()
        lost: Deferred[None] = Deferred()

        def came(event: Event) -> None:
            events.append(event)
            if len(events) == count:
                enough.callback(None)

        feed = EventReceiver(self._access.where, came, lambda *_: lost.callback(None))
        await self._client.listen(FeedFactory(lambda: feed))
        await enough
        assert feed.transport is not None
        feed.transport.loseConnection()
        await lost
        return events[:count]

    async def talk(self, words: bytes, udid: str | None = None, **options: Any) -> bytes:
        """
        Connect to port 22, say something, end, and read all that comes.
        """
        endpoint = UsbmuxClientEndpoint(reactor, 22, udid, self._access, **options)
        talk = _Talk(words)
        await endpoint.connect(_Factory(talk))
        return await talk.done
