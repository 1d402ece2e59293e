# -*- test-case-name: tests.fleet.test_host -*-
"""
A host of a fleet: a daemon's phones, announced to a hub, and reached by a door.

It connects out to the hub, again whenever it has lost it.  What the hub says of reservations
is enforced here, also while the hub is out of reach (L{muxd.fleet.gate}).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import random
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.client.persistent import PersistentClient
from muxd.fleet.codec import BadMessage
from muxd.fleet.door import Door
from muxd.fleet.frames import FrameProtocol
from muxd.fleet.messages import (
    FROM_HUB,
    LONGEST_LABEL,
    LONGEST_NAME,
    LONGEST_OF_HUB,
    MOST_LABELS,
    PHONES_AT_ONCE,
    TO_HUB,
    UDID,
    VERSION,
    Alive,
    Confirm,
    Deny,
    Gone,
    Grant,
    Hello,
    Leave,
    Phones,
    Refused,
    Revoke,
    Role,
    Welcome,
)
from muxd.fleet.roster import MOST_PHONES
from muxd.fleet.terms import Times
from muxd.fleet.values import PhoneRecord
from muxd.fleet.ways import Hubs, doorOf, listeningAt
from muxd.interfaces import AttachedDevice, IDeviceListener
from muxd.net.tlsreasons import tlsReason
from muxd.ratelimit import RateLimit
from muxd.service import MuxService
from muxd.status.phonedetails import PhoneDetails

ALONE = 10.0
"""Seconds until the first word of the only hub that there is."""

LOOK = 2.0
"""Seconds between two looks at what phones have said of themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPlace:
    """
    What an operator says of a host of a fleet.

    @ivar hub: The client endpoint's description of the hub.
    @ivar door: The server endpoint's description of its own door.
    @ivar name: What it is called.
    @ivar address: Where others find the door, C{HOST} or C{HOST:PORT}, if it is not where it
        listens.
    """

    hub: str
    door: str
    name: str
    address: str | None = None

    def check(self, reactor: Any) -> None:
        """
        See that it makes sense.

        @raise ValueError: It does not.
        """
        try:
            Hubs(reactor, self.hub)
        except ValueError as error:
            raise ValueError(f"--hub: {error}") from error
        listeningAt(reactor, self.door, "--door")
        doorOf(self.door, 1, self.address)
        if not self.name or len(self.name) > LONGEST_NAME or not self.name.isprintable():
            raise ValueError(
                f"--fleet-name: expected 1 to {LONGEST_NAME} printable characters,"
                f" got {self.name!r:.80}"
            )


@implementer(IDeviceListener)
class FleetHost(Service):
    """
    The host, while it runs.

    @ivar door: Its door.
    @ivar hub: Its connection to the hub; None while there is none.
    @ivar hubs: The ways to all hubs that it may be connected to.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        service: MuxService,
        place: FleetPlace,
        retryPolicy: Callable[[int], float] | None = None,
    ) -> None:
        """
        @param service: Has the phones.
        @param retryPolicy: See C{ClientService}; if None, as the hub's term has it.
        @raise ValueError: What was said makes no sense.
        """
        place.check(reactor)
        self.clock = reactor
        self.place = place
        self.door = Door(reactor, service.server)
        self.hub: HostProtocol | None = None
        self._service = service
        self._listening = listeningAt(reactor, place.door, "--door")
        self._details = PhoneDetails(reactor)
        self._told: dict[str, PhoneRecord] = {}
        self._looking = LoopingCall(self._look)
        self._looking.clock = reactor
        self._limit = RateLimit(reactor, lambda kind, count: None, burst=2)
        self.hubs = Hubs(reactor, place.hub)
        self._trouble = ""
        self._connecting = PersistentClient(
            _TellingEndpoint(self.hubs, self.notReached),
            _HostFactory(self),
            retryPolicy=retryPolicy or self._delay,
            clock=reactor,
        )

    def privilegedStartService(self) -> None:
        """
        Open the door.

        @raise CannotListen: That is not possible.
        """
        super().privilegedStartService()
        self._listening.takePlace(self.door, self._acceptFailed)

    def startService(self) -> None:
        """
        Connect to the hub.
        """
        super().startService()
        self._service.registry.subscribe(self)
        self._looking.start(LOOK, now=False)
        self._connecting.startService()

    def stopService(self) -> Deferred[None]:
        """
        Take leave, and cut what came by the door.
        """
        super().stopService()
        self._service.registry.unsubscribe(self)
        if self._looking.running:
            self._looking.stop()
        if self.hub is not None:
            self.hub.send(Leave())
        self.door.stop()
        self._limit.stop()
        stopped: Deferred[Any] = maybeDeferred(self._connecting.stopService)
        closed = self._listening.close()
        return stopped.addCallback(lambda _: closed)

    # Phones

    def deviceAttached(self, attached: AttachedDevice) -> None:
        """
        See L{IDeviceListener}.
        """
        self._look()

    def deviceDetached(self, attached: AttachedDevice) -> None:
        """
        See L{IDeviceListener}.
        """
        udid = attached.device.identity.udid
        if self._service.registry.findByUDID(udid) is None:
            self.door.gate.gone(udid)
        self._look()

    def devicePaired(self, attached: AttachedDevice) -> None:
        """
        See L{IDeviceListener}.
        """

    def records(self) -> dict[str, PhoneRecord]:
        """
        The phones that there are to announce.
        """
        registry = self._service.registry
        found: dict[str, PhoneRecord] = {}
        numbers = set()
        for attached in registry.attached():
            identity = attached.device.identity
            isTwin = identity.connectionType != "USB" and registry.findByUDID(
                identity.udid
            ) not in (attached, None)
            if identity.host or isTwin or registry.isDoubtful(attached.deviceID):
                continue
            if len(found) >= MOST_PHONES or not _isUDID(identity.udid):
                continue
            numbers.add(attached.deviceID)
            record = self._record(attached)
            found[record.key] = record
        self._details.keepOnly(numbers)
        return found

    def _record(self, attached: AttachedDevice) -> PhoneRecord:
        identity = attached.device.identity
        said = self._details.of(attached)
        labels = [
            name
            for name, selection in self._service.labels.items()
            if len(name) <= LONGEST_LABEL and name.isprintable() and selection.hasDevice(identity)
        ]
        return PhoneRecord(
            udid=identity.udid,
            host=self.place.name,
            labels=tuple(sorted(labels)[:MOST_LABELS]),
            version=said.get("version", "")[:LONGEST_NAME],
            model=said.get("model", "")[:LONGEST_NAME],
            name=said.get("name", "")[:LONGEST_NAME],
            productID=identity.productID & 0xFFFF,
            locationID=identity.locationID & 0xFFFFFFFF,
            speed=max(0, identity.speed),
        )

    def _look(self) -> None:
        """
        Tell the hub what has changed.
        """
        hub = self.hub
        if hub is None or not hub.isWelcome:
            return
        records = self.records()
        gone = [phone.udid for key, phone in self._told.items() if key not in records]
        new = [phone for key, phone in records.items() if self._told.get(key) != phone]
        self._told = records
        if gone:
            hub.send(Gone(udids=tuple(gone)))
        hub.sendPhones(new, isComplete=False)

    # The hub

    def welcomed(self, hub: HostProtocol, welcome: Welcome) -> None:
        """
        A hub knows this host.
        """
        self._log.info(
            "the hub knows this host as {name}, for {term:g} s at a time",
            name=welcome.name,
            term=welcome.term,
        )
        self._trouble = ""
        self.hub = hub
        self.door.gate.keepOnly(frozenset(welcome.tokens))
        self.door.gate.share(welcome.key)
        self._told = self.records()
        hub.sendPhones(list(self._told.values()), isComplete=True)

    def granted(self, hub: HostProtocol, grant: Grant) -> None:
        """
        A job has a phone.
        """
        does = self.door.gate.grant(grant.token, grant.key, grant.udid, grant.user, grant.term)
        hub.send(Confirm(token=grant.token) if does else Deny(token=grant.token))

    def refused(self, refused: Refused) -> None:
        """
        The hub does not want this host.
        """
        if self._limit.admit(f"refused {refused.why.name}"):
            self._log.warn(
                "the hub refuses this host: {detail}", detail=refused.detail or refused.why.value
            )

    def lost(self, hub: HostProtocol, reason: Failure) -> None:
        """
        The hub is lost, or was none; what it has said of reservations holds for its time.
        """
        # It has one connection at a time.
        self.hubs.moveOn(self.hubs.first)
        if self.hub is hub:
            self.hub = None
            if self.running:
                self._log.warn("the hub is lost; trying to reach it again")
        elif not hub.isRefused:
            self.notReached(reason)

    def notReached(self, reason: Failure) -> None:
        """
        There is no hub, for a reason that is told once and not at each attempt.
        """
        trouble = tlsReason(reason.value) or reason.getErrorMessage().rstrip(".")
        if self.running and trouble != self._trouble:
            self._trouble = trouble
            self._log.warn(
                "the hub at {where} is not reached: {trouble}; it is tried again and again",
                where=self.place.hub,
                trouble=trouble,
            )

    def doorAddress(self) -> Any:
        """
        Where others find the door.
        """
        return doorOf(self.place.door, self._listening.portNumber, self.place.address)

    def _delay(self, attempt: int) -> float:
        return self.hubs.times.delay(attempt, random())

    def _acceptFailed(self, error: OSError) -> None:
        if self._limit.admit("accept"):
            self._log.error("the door lets nothing in at present: {error}", error=error)


class HostProtocol(FrameProtocol):
    """
    A host's connection to its hub.

    @ivar isWelcome: Whether the hub knows the host.
    @ivar isRefused: Whether it has said that it does not want it.
    """

    reads = FROM_HUB
    writes = TO_HUB
    MAX_LENGTH = LONGEST_OF_HUB

    def __init__(self, host: FleetHost) -> None:
        hubs = host.hubs
        super().__init__(host.clock, hubs.times.answer if hubs.count > 1 else ALONE)
        self.isWelcome = False
        self.isRefused = False
        self._host = host
        self._living = LoopingCall(self.send, Alive())
        self._living.clock = host.clock

    def __str__(self) -> str:
        return "the hub"

    def connectionMade(self) -> None:
        """
        Say what this is.
        """
        super().connectionMade()
        name, door = self._host.place.name, self._host.doorAddress()
        others = self._host.hubs.count > 1
        self.send(Hello(version=VERSION, role=Role.HOST, name=name, door=door, hasOthers=others))
        # Also before it is welcome: when all hosts come at once, some wait for that.
        assert self.patience is not None
        self._living.start(self.patience / 4, now=False)

    def sendPhones(self, phones: list[PhoneRecord], isComplete: bool) -> None:
        """
        Tell of phones, some at a time.
        """
        parts = [phones[at : at + PHONES_AT_ONCE] for at in range(0, len(phones), PHONES_AT_ONCE)]
        if isComplete and not parts:
            parts = [[]]
        for number, each in enumerate(parts, 1):
            isLast = isComplete and number == len(parts)
            self.send(Phones(phones=tuple(each), isComplete=isLast))

    def messageReceived(self, message: Any) -> None:
        """
        The hub says something.
        """
        match message:
            case Refused():
                self.isRefused = True
                self._host.refused(message)
                self.finish()
            case Welcome() if not self.isWelcome:
                self.isWelcome = True
                times = self._host.hubs.times = Times(message.term)
                self.patience = times.silence(self._host.hubs.count)
                self._living.stop()
                self._living.start(times.alive, now=False)
                self._host.welcomed(self, message)
            case Grant() if self.isWelcome:
                self._host.granted(self, message)
            case Revoke(token=token) if self.isWelcome:
                self._host.door.gate.revoke(token)
            case Alive():
                pass
            case _:
                self._refuse("this is nothing that a hub says to a host")

    def ended(self, reason: Failure) -> None:
        """
        The hub is lost.
        """
        if self._living.running:
            self._living.stop()
        self._host.lost(self, reason)


@implementer(IStreamClientEndpoint)
class _TellingEndpoint:
    """
    An endpoint that tells why a connection has failed.
    """

    def __init__(self, endpoint: Hubs, failed: Callable[[Failure], None]) -> None:
        self._endpoint = endpoint
        self._failed = failed

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        return self._endpoint.connect(protocolFactory).addErrback(self._tell)

    def _tell(self, reason: Failure) -> Failure:
        self._failed(reason)
        return reason


class _HostFactory(Factory):
    noisy = False

    def __init__(self, host: FleetHost) -> None:
        self._host = host

    def buildProtocol(self, addr: IAddress | None) -> HostProtocol:
        protocol = HostProtocol(self._host)
        protocol.factory = self
        return protocol


def _isUDID(text: str) -> bool:
    try:
        UDID.read(text)
    except BadMessage:
        return False
    return True
