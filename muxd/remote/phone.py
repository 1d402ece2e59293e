# -*- test-case-name: tests.remote.test_phone -*-
"""
A phone that is plugged into another host.
"""

from __future__ import annotations

from collections.abc import Callable
from errno import EHOSTUNREACH, ENOENT
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from zope.interface import implementer

from muxd.client.answers import Device
from muxd.client.client import UsbmuxClient
from muxd.client.errors import (
    DaemonLost,
    NoDaemon,
    NoPairRecord,
    PairRecordError,
    PhoneGone,
    UsbmuxError,
)
from muxd.client.requests import CONNECT_TIMEOUT
from muxd.identity import DeviceIdentity, serialFromUDID, udidKey
from muxd.interfaces import IForeignDevice

_T = TypeVar("_T")


def foreignIdentity(device: Device, owner: str) -> DeviceIdentity:
    """
    The identity under which clients see a phone of another host.

    Only what is true here as well is taken over.  Whichever way its host reaches it, ours is
    Connect, which clients use for phones on a cable alone: libimobiledevice would dial the
    address of one on the network, which is an address of another host's network.  Its port
    is another machine's, too.

    @param owner: The name of its host.
    """
    return DeviceIdentity(
        udid=device.udid,
        serial=serialFromUDID(device.udid),
        productID=device.productID & 0xFFFF,
        locationID=device.locationID & 0xFFFFFFFF,
        speed=max(0, device.speed),
        name=f"phone of {owner}",
        host=owner,
    )


@implementer(IForeignDevice)
class RemotePhone:
    """
    A phone of another daemon.

    @ivar owner: The name of its host.
    @ivar identity: As clients see it.
    """

    def __init__(
        self, client: UsbmuxClient, device: Device, owner: str, isCurrent: Callable[[], bool]
    ) -> None:
        """
        @param device: As its daemon has described it.
        @param isCurrent: Tells whether the daemon's number for it still holds, as far as is
            known: one that was started anew may give it to another phone.
        """
        self.owner = owner
        self.identity = foreignIdentity(device, owner)
        self._client = client
        self._device = device
        self._isCurrent = isCurrent

    @property
    def device(self) -> Device:
        """
        As its daemon describes it.
        """
        return self._device

    def renumber(self, device: Device) -> None:
        """
        Its daemon has another number for it, although it was never gone.
        """
        self._device = device

    def endpoint(self, port: int) -> IStreamClientEndpoint:
        """
        The way to a TCP port, by way of its daemon.

        @raise ValueError: There is no such port.
        """
        if not 0 <= port <= 65535:
            raise ValueError(f"expected a port from 0 to 65535, got {port}")
        return _RemoteEndpoint(self, port)

    async def connect(self, port: int, factory: IProtocolFactory) -> IProtocol:
        """
        Connect to a port.  A number that its daemon does not know any more is looked up once.

        @raise ConnectionLost: The phone or its daemon is gone.
        @raise UsbmuxError: Any other one of L{UsbmuxClient.connect}.
        """
        try:
            if self._isCurrent():
                try:
                    return await self._client.connect(self._device, port, factory)
                except PhoneGone:
                    pass
            return await self._client.connect(await self._lookUp(port), port, factory)
        except (NoDaemon, DaemonLost) as error:
            raise ConnectionLost(str(error)) from error

    async def _lookUp(self, port: int) -> Device:
        """
        The phone as its daemon describes it now.
        """
        key = udidKey(self.identity.udid)
        for device in await self._client.listDevices(CONNECT_TIMEOUT):
            same = udidKey(device.udid) == key
            if same and device.connectionType == self._device.connectionType:
                self._device = device
                return device
        raise PhoneGone(self.identity.udid, port, f"{self.owner} does not list it")

    def readPairRecord(self) -> Deferred[bytes]:
        """
        See L{IForeignDevice}.
        """
        return self._record(self._client.readPairRecord(self.identity.udid))

    def savePairRecord(self, data: bytes) -> Deferred[None]:
        """
        See L{IForeignDevice}.
        """
        return self._record(
            self._client.savePairRecord(self.identity.udid, data, self._device.deviceID)
        )

    def deletePairRecord(self) -> Deferred[None]:
        """
        See L{IForeignDevice}.
        """
        return self._record(self._client.deletePairRecord(self.identity.udid))

    def readBUID(self) -> Deferred[str]:
        """
        See L{IForeignDevice}.
        """
        return self._record(self._client.readBUID())

    def _record(self, asked: Deferred[_T]) -> Deferred[_T]:
        async def ask() -> _T:
            try:
                return await asked
            except NoPairRecord as error:
                raise OSError(ENOENT, str(error)) from error
            except PairRecordError as error:
                raise OSError(error.result, str(error)) from error
            except UsbmuxError as error:
                raise OSError(EHOSTUNREACH, str(error)) from error

        return Deferred.fromCoroutine(ask())


@implementer(IStreamClientEndpoint)
class _RemoteEndpoint:
    """
    A port of a remote phone.
    """

    def __init__(self, phone: RemotePhone, port: int) -> None:
        self._phone = phone
        self._port = port

    def __repr__(self) -> str:
        return f"<port {self._port} of {self._phone.identity.udid} at {self._phone.owner}>"

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect by way of its daemon, see L{RemotePhone.connect}.
        """
        return Deferred.fromCoroutine(self._phone.connect(self._port, protocolFactory))
