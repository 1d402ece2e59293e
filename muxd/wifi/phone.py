# -*- test-case-name: tests.wifi.test_phone -*-
"""
One phone on a network, from being found to being gone.

Found, reachable and listed are three things.  A phone is listed when a session with its pair
record has proved that it is the one, and its heartbeat runs.  A heartbeat that is lost is no
loss of the phone: it is tried again at once, and then twice more, before it is detached.  A
phone that says that it is about to sleep stays listed for a while, and refuses connections
meanwhile.  That its announcement has ended says nothing, while its heart beats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionRefusedError,
)
from twisted.internet.interfaces import (
    IDelayedCall,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.logger import Logger
from zope.interface import implementer

from muxd.identity import DeviceIdentity, serialFromUDID
from muxd.interfaces import IDevice, IDeviceReceiver, IWirelessDevice
from muxd.lockdown.errors import LockdownError, LockdownUnavailable, UnknownHost, UnprovedPhone
from muxd.wifi.awake import Wakefulness
from muxd.wifi.heartbeat import HeartbeatClient
from muxd.wifi.session import PhoneReach
from muxd.wifi.settings import WifiSettings
from muxd.wifi.sockaddr import networkAddress, scopeOf

TRIES = 3
"""How often a phone that was listed is tried before it is gone."""

TRY_AGAIN = 7.0
"""Seconds between two of these attempts."""

SLEEP = 60.0
"""Seconds that a phone that is about to sleep stays listed."""


class PhoneState(Enum):
    """
    Where a phone is.

    @cvar IDLE: It is not being tried.
    @cvar TRYING: It is tried for the first time, and not listed.
    @cvar LISTED: Its heart beats.
    @cvar DOUBTFUL: It is listed, and being tried again.
    @cvar ASLEEP: It is listed, and has said that it is about to sleep.
    @cvar STOPPED: It will not be tried again.
    """

    IDLE = auto()
    TRYING = auto()
    LISTED = auto()
    DOUBTFUL = auto()
    ASLEEP = auto()
    STOPPED = auto()


TRANSITIONS: Mapping[PhoneState, frozenset[PhoneState]] = {
    PhoneState.IDLE: frozenset({PhoneState.TRYING, PhoneState.STOPPED}),
    PhoneState.TRYING: frozenset({PhoneState.LISTED, PhoneState.IDLE, PhoneState.STOPPED}),
    PhoneState.LISTED: frozenset({PhoneState.DOUBTFUL, PhoneState.ASLEEP, PhoneState.STOPPED}),
    PhoneState.DOUBTFUL: frozenset({PhoneState.LISTED, PhoneState.IDLE, PhoneState.STOPPED}),
    PhoneState.ASLEEP: frozenset({PhoneState.LISTED, PhoneState.DOUBTFUL, PhoneState.STOPPED}),
    PhoneState.STOPPED: frozenset(),
}
"""What may follow what."""


class WifiPhone:
    """
    A phone that may be at certain addresses.

    @ivar udid: Of the record that it would have to prove.
    @ivar state: Where it is.
    @ivar trouble: Why it was not reached last time, or nothing.
    """

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        receiver: IDeviceReceiver,
        settings: WifiSettings,
        reach: PhoneReach,
        changed: Callable[[WifiPhone], object],
    ) -> None:
        """
        @param reach: The way to it.
        @param changed: Called when the phone has become C{IDLE}, by whatever way.
        """
        self.udid = reach.udid
        self.state = PhoneState.IDLE
        self.trouble = ""
        self._clock = clock
        self._receiver = receiver
        self._settings = settings
        self._reach = reach
        self._changed = changed
        self._places: dict[str, tuple[str, ...]] = {}
        self._serviceName = ""
        self._address = ""
        self._device: IDevice | None = None
        self._heart: HeartbeatClient | None = None
        self._trying: Deferred[None] | None = None
        self._timer: IDelayedCall | None = None
        self._tries = 0
        self._wakefulness: Wakefulness | None = None
        if settings.awake:
            self._wakefulness = Wakefulness(
                clock, self.udid, lambda: self._reach.keepAwake(self._address)
            )

    @property
    def isListed(self) -> bool:
        """
        Whether clients see it.
        """
        return self._device is not None

    def look(self, places: Mapping[str, tuple[str, ...]]) -> None:
        """
        It may be in one of these places; if it is idle, they are tried.

        @param places: Addresses, by the full name of the service's instance, which is empty
            if there was no announcement.
        """
        self._places = dict(places)
        if self.state is PhoneState.IDLE:
            self._go(PhoneState.TRYING)
            self._try()

    def stop(self) -> None:
        """
        Let go of it.
        """
        if self.state is PhoneState.STOPPED:
            return
        self._go(PhoneState.STOPPED)
        self._stopTimer()
        trying, self._trying = self._trying, None
        if trying is not None:
            trying.cancel()
        self._stopHeart()
        self._detach()

    # What is tried

    def _try(self) -> None:
        self._trying = Deferred.fromCoroutine(self._attempt())
        self._trying.addErrback(lambda failure: failure.trap(CancelledError) and None)

    async def _attempt(self) -> None:
        errors: list[Exception] = []
        # Announcements are hints: several may speak for one phone, and one for several.
        for serviceName, addresses in sorted(
            self._places.items(), key=lambda place: place[0] != self._serviceName
        ):
            try:
                address, heart = await self._reach.open(addresses, self._makeHeart)
            except CancelledError:
                raise
            except (
                ConnectError,
                # That is an endpoint's word for what it was told to give up.
                ConnectingCancelledError,
                LockdownError,
                LockdownUnavailable,
                OSError,
            ) as error:
                errors.append(error)
            except Exception as error:
                self._log.failure("a phone on the network was not reached")
                errors.append(error)
            else:
                self._reached(serviceName, address, heart)
                return
            if self.state is PhoneState.STOPPED:
                return
        self._failed(errors)

    def _makeHeart(self) -> HeartbeatClient:
        def lost(reason: str) -> None:
            if heart is self._heart:
                self._heart = None
                self._beatLost(reason)

        heart = HeartbeatClient(self._clock, self._beat, self._sleeps, lost)
        return heart

    def _reached(self, serviceName: str, address: str, heart: HeartbeatClient) -> None:
        self._trying = None
        if self.state is PhoneState.STOPPED:
            heart.stop()
            return
        self._heart = heart
        self._tries = 0
        self.trouble = ""
        if address != self._address:
            # An entry's address never changes.
            self._detach()
            self._address = address
        self._serviceName = serviceName
        self._go(PhoneState.LISTED)
        if self._device is None:
            device = self._device = _WirelessDevice(self._identity(), self._connect)
            self._receiver.deviceAttached(device)

    def _failed(self, errors: Sequence[Exception]) -> None:
        self._trying = None
        told = [str(error) or type(error).__name__ for error in errors]
        self.trouble = "; ".join(dict.fromkeys(told)) or "nothing announces it any more"
        isRefused = any(isinstance(error, UnprovedPhone | UnknownHost) for error in errors)
        self._tries += 1
        if self.state is PhoneState.DOUBTFUL and self._tries < TRIES and not isRefused:
            self._wait(TRY_AGAIN, self._try)
            return
        if isRefused:
            self._log.debug(
                "a phone on the network is not {udid}: {reason}",
                udid=self.udid,
                reason=self.trouble,
            )
        self._go(PhoneState.IDLE)
        self._detach()
        self._changed(self)

    # What its heart says

    def _beat(self) -> None:
        if self.state is PhoneState.ASLEEP:
            self._stopTimer()
            self._go(PhoneState.LISTED)

    def _sleeps(self) -> None:
        if self.state is PhoneState.LISTED:
            self._go(PhoneState.ASLEEP)
            self._wait(SLEEP, self._slept)

    def _slept(self) -> None:
        self._stopHeart()
        self._doubt()

    def _beatLost(self, reason: str) -> None:
        self.trouble = f"its heartbeat ended: {reason}"
        if self.state is PhoneState.LISTED:
            self._doubt()
        # One that is asleep is expected to be silent.

    def _doubt(self) -> None:
        self._go(PhoneState.DOUBTFUL)
        self._tries = 0
        self._try()

    # What clients see

    def _identity(self) -> DeviceIdentity:
        return DeviceIdentity(
            udid=self.udid,
            serial=serialFromUDID(self.udid),
            productID=0x12A8 if self._settings.asUSB else 0,
            locationID=0,
            connectionType="USB" if self._settings.asUSB else "Network",
            name=f"phone at {self._address}",
            networkAddress=networkAddress(self._address, self._settings.layout),
            interfaceIndex=scopeOf(self._address),
            serviceName=self._serviceName,
        )

    def _connect(self, port: int, factory: IProtocolFactory) -> Deferred[IProtocol]:
        if self.state is PhoneState.ASLEEP:
            return fail(ConnectionRefusedError(string="the phone is asleep"))
        connecting = self._reach.endpoint(self._address, port).connect(factory)
        if self._wakefulness is not None:
            connecting.addCallback(self._wakefulness.opened)
        return connecting

    def _detach(self) -> None:
        device, self._device = self._device, None
        self._address = ""
        if self._wakefulness is not None:
            self._wakefulness.stop()
        if device is not None:
            self._receiver.deviceDetached(device)

    # Steps

    def _go(self, state: PhoneState) -> None:
        assert state in TRANSITIONS[self.state], f"{self.state} is not followed by {state}"
        self.state = state

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._stopTimer()
        self._timer = self._clock.callLater(seconds, self._waited, then)

    def _waited(self, then: Callable[[], None]) -> None:
        self._timer = None
        then()

    def _stopTimer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _stopHeart(self) -> None:
        heart, self._heart = self._heart, None
        if heart is not None:
            heart.stop()


@implementer(IWirelessDevice)
class _WirelessDevice:
    """
    A phone on a network, as the floors above see it.
    """

    def __init__(
        self,
        identity: DeviceIdentity,
        connect: Callable[[int, IProtocolFactory], Deferred[IProtocol]],
    ) -> None:
        self.identity = identity
        self._connect = connect

    def endpoint(self, port: int) -> IStreamClientEndpoint:
        """
        The way to a TCP port.

        @raise ValueError: There is no such port.
        """
        if not 0 <= port <= 65535:
            raise ValueError(f"expected a port from 0 to 65535, got {port}")
        return _WirelessEndpoint(self._connect, port)


@implementer(IStreamClientEndpoint)
class _WirelessEndpoint:
    """
    A port of a phone on a network, wherever it is at the time.
    """

    def __init__(
        self, connect: Callable[[int, IProtocolFactory], Deferred[IProtocol]], port: int
    ) -> None:
        self._connect = connect
        self._port = port

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        """
        Connect.
        """
        return self._connect(self._port, protocolFactory)
