# -*- test-case-name: tests.client.test_client,tests.client.test_clientconnect -*-
"""
A daemon's commands, as methods that return C{Deferred}s::

    client = UsbmuxClient(reactor)
    for device in await client.listDevices():
        print(device.udid, await client.readPairRecord(device.udid))
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
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

from muxd.client import errors
from muxd.client.access import DaemonAccess, daemonAccess
from muxd.client.answers import Answer, Device, ListenerRecord
from muxd.client.collection import DeviceCollection
from muxd.client.commands import DaemonCommands
from muxd.client.exchange import connecting
from muxd.client.feed import FeedFactory
from muxd.client.requests import CONNECT_TIMEOUT, Request, connectRequest, listenRequest


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

    All methods fail with a L{muxd.client.errors.UsbmuxError}: C{NoDaemon},
    C{DaemonLost}, C{DaemonNonsense}, C{DaemonRefused}, C{NotSupported} and
    C{TimedOut} anywhere, others where they say so.  Cancelling closes the
    connection.  A command takes C{timeout}, the seconds that all of it may take;
    without it, the limits' C{answerTimeout}.

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

    def listDevices(self, timeout: float | None = None) -> Deferred[list[Device]]:
        """
        Which phones are there.  One that is reached by a cable and by the
        network is two devices with one UDID.
        """
        return Deferred.fromCoroutine(self._commands(timeout).listDevices())

    def listListeners(self, timeout: float | None = None) -> Deferred[list[ListenerRecord]]:
        """
        Which programs listen to the daemon's events.
        """
        return Deferred.fromCoroutine(self._commands(timeout).listListeners())

    def readBUID(self, timeout: float | None = None) -> Deferred[str]:
        """
        The host's identity.
        """
        return Deferred.fromCoroutine(self._commands(timeout).readBUID())

    def readPairRecord(self, udid: str, timeout: float | None = None) -> Deferred[bytes]:
        """
        What this host has to prove to a phone that it is trusted: a property
        list, as it is stored.

        Fails with C{NoPairRecord} or C{PairRecordError}.
        """
        return Deferred.fromCoroutine(self._commands(timeout).readPairRecord(udid))

    def savePairRecord(
        self,
        udid: str,
        record: bytes | Mapping[str, Any],
        deviceID: int | None = None,
        timeout: float | None = None,
    ) -> Deferred[None]:
        """
        Store a pair record.  Fails with C{PairRecordError}.

        @param record: A property list, or what to make one of.
        @param deviceID: Of the phone, if it is there: listeners are then told
            that it has been paired.
        """
        return Deferred.fromCoroutine(
            self._commands(timeout).savePairRecord(udid, record, deviceID)
        )

    def deletePairRecord(self, udid: str, timeout: float | None = None) -> Deferred[None]:
        """
        Forget a pair record.  Fails with C{NoPairRecord} or C{PairRecordError}.
        """
        return Deferred.fromCoroutine(self._commands(timeout).deletePairRecord(udid))

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
            with C{PortRefused} or C{PhoneGone}.
        """
        return Deferred.fromCoroutine(self._connect(device, port, factory, timeout))

    def listen(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Open a feed of events.

        @param factory: Builds the protocol that takes it, such as an
            L{muxd.client.feed.EventReceiver}.
        """
        return self.access.become(listenRequest(), factory, FeedAddress(self.access.where))

    def _commands(self, timeout: float | None) -> DaemonCommands:
        """
        The commands, of which one may take as long as it should from now on.
        """
        access = self.access
        end = access.clock.seconds() + (access.limits.answerTimeout if timeout is None else timeout)

        def left() -> float:
            return max(0.0, end - access.clock.seconds())

        def ask(request: Request) -> Deferred[Answer]:
            return access.ask(request, left())

        async def collect() -> list[Device]:
            return await self._collectDevices(left)

        return DaemonCommands(access.choice, access.where, errors, ask, collect)

    async def _collectDevices(self, left: Callable[[], float]) -> list[Device]:
        """
        Listen until it has been silent for a moment: how to list devices where
        there is no command for it (protocol 4.12).

        @param left: How many seconds it may still take.
        """
        access = self.access
        collection = DeviceCollection(access, left)
        factory = FeedFactory(collection.buildFeed)
        await access.become(listenRequest(), factory, FeedAddress(access.where), left())
        return await collection.finished

    async def _connect(
        self, device: Device, port: int, factory: IProtocolFactory, timeout: float
    ) -> IProtocol:
        address = PhoneAddress(udid=device.udid, port=port, deviceID=device.deviceID)
        request = connectRequest(device.deviceID, port)
        with connecting(device, port, self.access.where, errors):
            return await self.access.become(request, factory, address, timeout)
