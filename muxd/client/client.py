# -*- test-case-name: tests.client.test_client,tests.client.test_clientconnect -*-
"""
A daemon's commands, as methods that return C{Deferred}s::

    client = UsbmuxClient(reactor)
    for device in await client.listDevices():
        print(device.udid, await client.readPairRecord(device.udid))
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from zope.interface import implementer

from muxd.client.access import DaemonAccess, daemonAccess
from muxd.client.answers import Answer, Device, devicesFrom
from muxd.client.collection import DeviceCollection
from muxd.client.errors import (
    DaemonLost,
    DaemonNonsense,
    DaemonRefused,
    NoPairRecord,
    NotSupported,
    PairRecordError,
    PhoneGone,
    PortRefused,
)
from muxd.client.feed import FeedFactory
from muxd.client.requests import Dialect, commandRequest, connectRequest, listenRequest
from muxd.wire.messages import MalformedMessage, Result

CONNECT_TIMEOUT = 30.0
"""Seconds from the request to the phone's answer; as Twisted's own endpoints."""


@implementer(IAddress)
@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneAddress:
    """
    A port of a phone: what factories build protocols for.
    """

    udid: str
    port: int
    deviceID: int


@implementer(IAddress)
@dataclass(frozen=True, slots=True)
class FeedAddress:
    """
    A daemon's feed of events.
    """

    where: str


class UsbmuxClient:
    """
    One daemon, whichever it is: this one, the C daemon, Apple's.

    All methods fail with a L{muxd.client.errors.UsbmuxError}: L{NoDaemon},
    L{DaemonLost}, L{DaemonNonsense}, L{DaemonRefused} and L{TimedOut} anywhere,
    others where they say so.  Cancelling closes the connection.

    @ivar access: How the daemon is reached.
    """

    def __init__(
        self,
        reactor: Any,
        via: DaemonAccess | IStreamClientEndpoint | str | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """
        @param via: As in L{daemonAccess}.
        """
        self.access = daemonAccess(reactor, via, environ)

    def listDevices(self) -> Deferred[list[Device]]:
        """
        Which phones are there.  One that is reached by a cable and by the
        network is two devices with one UDID.
        """
        return Deferred.fromCoroutine(self._listDevices())

    def listListeners(self) -> Deferred[list[Mapping[str, Any]]]:
        """
        Which programs listen to the daemon's events, as it describes them
        (protocol 4.7).
        """
        return Deferred.fromCoroutine(self._listListeners())

    def readBUID(self) -> Deferred[str]:
        """
        The host's identity.
        """
        return Deferred.fromCoroutine(self._readKey("ReadBUID", "BUID", str))

    def readPairRecord(self, udid: str) -> Deferred[bytes]:
        """
        What this host has to prove to a phone that it is trusted: a property
        list, as it is stored.

        Fails with L{NoPairRecord} or L{PairRecordError}.
        """
        return Deferred.fromCoroutine(self._readPairRecord(udid))

    def savePairRecord(
        self, udid: str, record: bytes, deviceID: int | None = None
    ) -> Deferred[None]:
        """
        Store a pair record.  Fails with L{PairRecordError}.

        @param deviceID: Of the phone, if it is there: listeners are then told
            that it has been paired.
        """
        keys: dict[str, Any] = {"PairRecordData": record}
        if deviceID is not None:
            keys["DeviceID"] = deviceID
        return Deferred.fromCoroutine(self._changePairRecord("SavePairRecord", udid, keys))

    def deletePairRecord(self, udid: str) -> Deferred[None]:
        """
        Forget a pair record.  Fails with L{NoPairRecord} or L{PairRecordError}.
        """
        return Deferred.fromCoroutine(self._changePairRecord("DeletePairRecord", udid, {}))

    def connect(
        self,
        device: Device,
        port: int,
        factory: IProtocolFactory,
        timeout: float = CONNECT_TIMEOUT,
    ) -> Deferred[IProtocol]:
        """
        Connect to a port of a phone.

        The protocol gets the transport of the daemon's socket.  What the phone
        sent along with the daemon's answer is delivered right after
        C{connectionMade}, even to a protocol that pauses its transport there.

        @return: fires with the protocol, after its C{connectionMade}.  It fails
            with L{PortRefused} or L{PhoneGone}.
        """
        return Deferred.fromCoroutine(self._connect(device, port, factory, timeout))

    def listen(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Open a feed of events.

        @param factory: Builds the protocol that takes it, such as an
            L{muxd.client.feed.EventFeed}.
        """
        return self.access.become(listenRequest(), factory, FeedAddress(self.access.where))

    async def _listDevices(self) -> list[Device]:
        if self.access.dialect is Dialect.BINARY:
            return await self._collectDevices()
        try:
            answer = await self.access.ask(commandRequest("ListDevices"))
        except NotSupported:
            return await self._collectDevices()
        except DaemonRefused as refusal:
            if refusal.result != Result.BAD_COMMAND:
                raise
            return await self._collectDevices()
        try:
            return devicesFrom(answer.values)
        except MalformedMessage as error:
            raise DaemonNonsense(self.access.where, "the answer to ListDevices", error) from error

    async def _collectDevices(self) -> list[Device]:
        """
        Listen until it has been silent for a moment: how to list devices where
        there is no command for it (protocol 4.12).
        """
        collection = DeviceCollection(self.access)
        await self.listen(FeedFactory(collection.buildFeed))
        return await collection.finished

    async def _listListeners(self) -> list[Mapping[str, Any]]:
        listeners: list[Mapping[str, Any]] = await self._readKey(
            "ListListeners", "ListenerList", list
        )
        return listeners

    async def _readPairRecord(self, udid: str) -> bytes:
        try:
            record: bytes = await self._readKey(
                "ReadPairRecord", "PairRecordData", bytes, PairRecordID=udid
            )
        except DaemonRefused as refusal:
            raise self._recordError("ReadPairRecord", udid, refusal.result) from refusal
        return record

    async def _changePairRecord(self, name: str, udid: str, keys: Mapping[str, Any]) -> None:
        try:
            answer = await self.access.ask(commandRequest(name, PairRecordID=udid, **keys))
        except DaemonRefused as refusal:
            raise self._recordError(name, udid, refusal.result) from refusal
        if answer.result is None:
            raise self._nonsense(name, "a Result", answer)

    def _recordError(self, name: str, udid: str, number: int) -> PairRecordError:
        kind = NoPairRecord if number == errno.ENOENT else PairRecordError
        return kind(self.access.where, name, udid, number)

    async def _readKey(self, name: str, key: str, kind: type[Any], **keys: Any) -> Any:
        """
        Ask for something that comes under a key of the answer.
        """
        answer = await self.access.ask(commandRequest(name, **keys))
        value = answer.values.get(key)
        if not isinstance(value, kind):
            raise self._nonsense(name, key, answer)
        return value

    def _nonsense(self, name: str, expected: str, answer: Answer) -> DaemonNonsense:
        got = sorted(answer.values)
        return DaemonNonsense(
            self.access.where, f"the answer to {name}", f"expected {expected}, got {got}"
        )

    async def _connect(
        self, device: Device, port: int, factory: IProtocolFactory, timeout: float
    ) -> IProtocol:
        address = PhoneAddress(udid=device.udid, port=port, deviceID=device.deviceID)
        request = connectRequest(device.deviceID, port)
        where = self.access.where
        try:
            return await self.access.become(request, factory, address, timeout)
        except DaemonRefused as refusal:
            if refusal.result == Result.CONNECTION_REFUSED:
                raise PortRefused(device.udid, port) from refusal
            if refusal.result == Result.BAD_DEVICE:
                reason = f"the usbmuxd at {where} does not know it any more"
                raise PhoneGone(device.udid, port, reason) from refusal
            raise
        except DaemonLost as lost:
            # Daemons close the connection when the phone goes at this moment.
            reason = f"the usbmuxd at {where} closed the connection"
            raise PhoneGone(device.udid, port, reason) from lost
