# -*- test-case-name: tests.server.test_lookup -*-
"""
Which phone a program means that has the daemon in its own process, and waiting for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, ConnectingCancelledError, TimeoutError
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.device.address import DeviceAddress
from muxd.identity import namedInBrief, sameUDID
from muxd.interfaces import AttachedDevice, IDevice, IDeviceListener
from muxd.server.registry import DeviceRegistry


class NoSuchDevice(ConnectError):
    """
    It is not clear to which phone to connect; the text says which ones there
    are.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(string=reason)
        self.reason = reason

    def __str__(self) -> str:
        """
        The reason, without Twisted's preface.
        """
        return self.reason


class _NotAttached(NoSuchDevice):
    """
    The phone may come yet.
    """


class _WaitedInVain(NoSuchDevice, TimeoutError):
    """
    It did not come in time.
    """


@dataclass(frozen=True, slots=True, eq=False)
class _Wait:
    """
    A phone that is waited for.

    @ivar find: Gives it, or raises L{_NotAttached} if it is not there yet.
    """

    find: Callable[[], IDevice]
    found: Deferred[Any]


@implementer(IDeviceListener)
class DeviceLookup:
    """
    Finds the phones of a registry, now or when they come.
    """

    def __init__(self, registry: DeviceRegistry) -> None:
        self._registry = registry
        self._waits: list[_Wait] = []
        registry.subscribe(self)

    def find(self, udid: str | None) -> IDevice:
        """
        The phone that is meant.  The same phone may be attached twice, by cable
        and by network, and counts once.

        @param udid: With or without its dash, in either case; None for the only one.
        @raise NoSuchDevice: It is not there, or nothing says which one it is.
        """
        phones = sorted({one.device.identity.udid for one in self._registry.attached()})
        names = namedInBrief(phones)
        if udid is None:
            if not phones:
                raise _NotAttached("no phone is attached")
            if len(phones) > 1:
                raise NoSuchDevice(f"{len(phones)} phones are attached, choose by UDID: {names}")
            udid = phones[0]
        found = self._registry.findByUDID(udid)
        if found is None:
            if any(sameUDID(udid, phone) for phone in phones):
                raise _NotAttached(
                    f"several devices say that they are {udid}, and none has proved it:"
                    " unplug those that are not yours"
                )
            raise _NotAttached(f"no phone {udid} is attached (attached: {names or 'none'})")
        return found.device

    def whenAttached(self, udid: str | None) -> Deferred[IDevice]:
        """
        Wait for a phone to be visible.

        @param udid: Which; None for whichever is there first.
        @return: fires with it, at once if it is there.
        """

        def find() -> IDevice:
            visible = self._registry.attached()
            if udid is None and visible:
                return visible[0].device
            found = None if udid is None else self._registry.findByUDID(udid)
            if found is None or found not in visible:
                raise _NotAttached("not attached yet")
            return found.device

        return self._when(find)

    def whenFound(self, udid: str | None) -> Deferred[IDevice]:
        """
        Wait until L{find} finds a phone.

        @return: fires with it; it fails with L{NoSuchDevice} if nothing says which
            of several it is.
        """
        return self._when(lambda: self.find(udid))

    def stop(self) -> None:
        """
        End all waiting: no phone will come.
        """
        waits, self._waits = self._waits, []
        for wait in waits:
            wait.found.errback(NoSuchDevice("the service was stopped before the phone came"))

    def deviceAttached(self, attached: AttachedDevice) -> None:
        """
        Perhaps it is one that is waited for.
        """
        self._lookForAll()

    def deviceDetached(self, attached: AttachedDevice) -> None:
        """
        Perhaps a name that several devices claimed is one's alone now.
        """
        self._lookForAll()

    def devicePaired(self, attached: AttachedDevice) -> None:
        """
        The same.
        """
        self._lookForAll()

    def _lookForAll(self) -> None:
        for wait in tuple(self._waits):
            # What is told of one may have ended another.
            if wait in self._waits:
                self._look(wait)

    def _when(self, find: Callable[[], IDevice]) -> Deferred[IDevice]:
        wait = _Wait(find, Deferred(lambda _: self._waits.remove(wait)))
        self._waits.append(wait)
        self._look(wait)
        return wait.found

    def _look(self, wait: _Wait) -> None:
        """
        Look for a phone, and end the waiting if there is something to be said.
        """
        outcome: IDevice | Failure
        try:
            outcome = wait.find()
        except _NotAttached:
            return
        except NoSuchDevice:
            outcome = Failure()
        self._waits.remove(wait)
        wait.found.callback(outcome)


@implementer(IStreamClientEndpoint)
class PhoneEndpoint:
    """
    A port of a phone that is looked up at each attempt to connect.
    """

    def __init__(
        self,
        clock: IReactorTime,
        lookup: DeviceLookup,
        port: int,
        udid: str | None,
        wait: float | None,
    ) -> None:
        """
        @param wait: How many seconds to wait for the phone, if it is not there; None
            for not at all.
        """
        self._clock = clock
        self._lookup = lookup
        self._port = port
        self._udid = udid
        self._wait = wait

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect.

        @return: fires with the protocol.  It fails with L{NoSuchDevice}, which is a
            C{TimeoutError} as well if the phone was waited for in vain; as the
            device's endpoint; or with C{ConnectingCancelledError}.
        """
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        try:
            device = await self._find()
        except CancelledError:
            address = DeviceAddress(self._udid or "any", self._port)
            raise ConnectingCancelledError(address) from None
        return await device.endpoint(self._port).connect(factory)

    async def _find(self) -> IDevice:
        try:
            return self._lookup.find(self._udid)
        except _NotAttached as absence:
            seconds = self._wait
            if seconds is None:
                raise
            reason = f"{absence}, waited {seconds:g} s"

        def waitedInVain(result: object, _: float) -> IDevice:
            raise _WaitedInVain(reason)

        waiting = self._lookup.whenFound(self._udid)
        return await waiting.addTimeout(seconds, self._clock, waitedInVain)
