# -*- test-case-name: tests.wifi.test_phone -*-
"""
A proved conversation with a phone by the network: lockdownd with TLS, and then its heartbeat.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol

from muxd.identity import sameUDID
from muxd.lockdown.certificates import clientContext
from muxd.lockdown.client import LOCKDOWN_PORT, TIMEOUT, ServiceAddress, connectLockdown
from muxd.lockdown.errors import LockdownUnavailable, UnknownHost, UnprovedPhone
from muxd.lockdown.pairrecord import PairRecord
from muxd.lockdown.starttls import securedFactory
from muxd.wifi.awake import AssertionClient
from muxd.wifi.heartbeat import HeartbeatClient
from muxd.wifi.racing import AddressRace
from muxd.wire.text import printable

ANSWER = TIMEOUT
"""Seconds in which a phone has to answer."""

HEARTBEAT = "com.apple.mobile.heartbeat"

ASSERTIONS = "com.apple.mobile.assertion_agent"

Reach = Callable[[int], IStreamClientEndpoint]
"""The way to a port of the phone."""


async def openHeartbeat(
    clock: IReactorTime,
    reach: Reach,
    udid: str,
    record: PairRecord,
    build: Callable[[], HeartbeatClient],
) -> HeartbeatClient:
    """
    See that a phone is the one that a record is of, and start its heartbeat, which is the
    first thing that it is asked to start.

    @param build: Makes the heartbeat's protocol.
    @raise UnprovedPhone: As L{startProved}, and L{LockdownError} and L{LockdownUnavailable}.
    """
    service = await startProved(clock, reach, udid, record, HEARTBEAT)
    heartbeat = build()
    await _joined(clock, reach, service, record, heartbeat, heartbeat.begun)
    return heartbeat


async def openAssertion(
    clock: IReactorTime, reach: Reach, udid: str, record: PairRecord
) -> AssertionClient:
    """
    Keep a phone from sleep, until the connection is closed.

    @raise UnprovedPhone: As L{startProved}, and L{LockdownError} and L{LockdownUnavailable}.
    """
    service = await startProved(clock, reach, udid, record, ASSERTIONS)
    assertion = AssertionClient()
    await _joined(clock, reach, service, record, assertion, assertion.held)
    return assertion


async def startProved(
    clock: IReactorTime, reach: Reach, udid: str, record: PairRecord, name: str
) -> ServiceAddress:
    """
    See that a phone is the one that a record is of, and start a service.

    @raise UnprovedPhone: It is another phone, or does not prove that it is this one.
    @raise LockdownError: It refuses.
    @raise LockdownUnavailable: It does not answer.
    """
    lockdown = await connectLockdown(reach(LOCKDOWN_PORT), clock, timeout=ANSWER)
    try:
        if not await lockdown.startSession(record):
            raise UnprovedPhone("its record has no certificate of the phone's, or it has no TLS")
        told = await lockdown.getValue("UniqueDeviceID")
        if not isinstance(told, str) or not sameUDID(told, udid):
            raise UnprovedPhone(f"it says that it is {printable(repr(told))}")
        service = await lockdown.startService(name, record)
    finally:
        lockdown.close()
    if not service.ssl:
        raise LockdownUnavailable(f"its {name} is without TLS")
    return service


async def _joined(
    clock: IReactorTime,
    reach: Reach,
    service: ServiceAddress,
    record: PairRecord,
    protocol: Protocol,
    begun: Deferred[None],
) -> None:
    """
    Connect a protocol to a service, and wait until it has begun.
    """
    factory = securedFactory(_Only(protocol), clientContext(record), clock, isClient=True)
    connecting: Deferred[Any] = reach(service.port).connect(factory)
    connection = await connecting
    try:
        await begun.addTimeout(ANSWER, clock)
    except BaseException:
        connection.transport.abortConnection()
        raise


class PhoneReach:
    """
    The way to one phone, wherever it is.
    """

    def __init__(
        self,
        clock: IReactorTime,
        endpoint: Callable[[str, int], IStreamClientEndpoint],
        udid: str,
        record: PairRecord,
    ) -> None:
        """
        @param endpoint: Makes the endpoint of an address and a port.
        @param udid: Of the phone.
        @param record: Its pair record.
        """
        self.udid = udid
        self._clock = clock
        self._endpoint = endpoint
        self._record = record

    def endpoint(self, address: str, port: int) -> IStreamClientEndpoint:
        """
        A port of the phone, if it is at this address.
        """
        return self._endpoint(address, port)

    async def open(
        self, addresses: Sequence[str], build: Callable[[], HeartbeatClient]
    ) -> tuple[str, HeartbeatClient]:
        """
        Find the address that leads to the phone, see that it is the one, and start its
        heartbeat.

        @return: the address, and the heartbeat.
        @raise ConnectError: No address leads to anything.
        @raise LockdownError: As L{openHeartbeat}, or L{LockdownUnavailable}.
        """
        left = list(addresses)
        while True:
            race = AddressRace(
                self._clock, left, lambda address: self._endpoint(address, LOCKDOWN_PORT)
            )
            address = await race.run()
            try:
                return address, await self._openAt(address, build)
            except (UnprovedPhone, UnknownHost):
                # Two phones may have one name, on two networks.
                left.remove(address)
                if not left:
                    raise

    async def _openAt(self, address: str, build: Callable[[], HeartbeatClient]) -> HeartbeatClient:
        return await openHeartbeat(
            self._clock,
            lambda port: self._endpoint(address, port),
            self.udid,
            self._record,
            build,
        )

    async def keepAwake(self, address: str) -> AssertionClient:
        """
        Keep the phone at an address from sleep, until what this gives is closed.

        @raise LockdownError: As L{openAssertion}, or L{LockdownUnavailable}.
        """
        return await openAssertion(
            self._clock, lambda port: self._endpoint(address, port), self.udid, self._record
        )


class _Only(Factory):
    """
    Gives out one protocol.
    """

    noisy = False

    def __init__(self, protocol: Protocol) -> None:
        self._only = protocol

    def buildProtocol(self, addr: object) -> Protocol:
        """
        Give it out.
        """
        return self._only
