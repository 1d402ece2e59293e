# -*- test-case-name: tests.fleet.test_hub -*-
"""
The connections of a hub: each a host's or a job's, once it has said which.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from muxd.fleet.frames import FrameProtocol
from muxd.fleet.hub import Hub
from muxd.fleet.identify import checkName, isProved
from muxd.fleet.jobpeer import JobPeer
from muxd.fleet.messages import (
    FROM_HUB,
    LONGEST_HELLO,
    LONGEST_OF_HOST,
    LONGEST_OF_JOB,
    TO_HUB,
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
from muxd.fleet.peer import LOST_HERE, Peer
from muxd.fleet.roster import MOST_PHONES
from muxd.fleet.terms import JOB_PATIENCE, LONE
from muxd.fleet.values import (
    Door,
    FleetError,
    HostRecord,
    PhoneRecord,
    Why,
)
from muxd.identity import udidKey
from muxd.net.credentials import ownerOf
from muxd.net.ending import Ending

HELLO_PATIENCE = 10.0
"""Seconds in which something that has connected has to say what it is."""

MOST_CONNECTIONS = 8192

MOST_UNTOLD = 4 * MOST_PHONES
"""Phones of a host, some of which have gone, of which the registry has not heard yet."""


class PeerState(Enum):
    """
    What a connection is.

    @cvar HELLO: It has not said so yet.
    """

    HELLO = "hello"
    HOST = "host"
    JOB = "job"
    CLOSED = "closed"


TRANSITIONS: dict[PeerState, frozenset[PeerState]] = {
    PeerState.HELLO: frozenset({PeerState.HOST, PeerState.JOB, PeerState.CLOSED}),
    PeerState.HOST: frozenset({PeerState.CLOSED}),
    PeerState.JOB: frozenset({PeerState.CLOSED}),
    PeerState.CLOSED: frozenset(),
}


class HubFactory(Factory):
    """
    Makes a connection of a hub's of whatever connects.
    """

    noisy = False

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    def buildProtocol(self, addr: IAddress | None) -> HubProtocol | None:
        """
        Something has connected.
        """
        if self.hub.connections >= MOST_CONNECTIONS:
            return None
        protocol = HubProtocol(self.hub)
        protocol.factory = self
        return protocol


class HubProtocol(FrameProtocol):
    """
    A connection.

    @ivar state: See L{PeerState}.
    """

    reads = TO_HUB
    writes = FROM_HUB
    MAX_LENGTH = LONGEST_HELLO

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub.clock, HELLO_PATIENCE)
        self.state = PeerState.HELLO
        self._hub = hub
        self._peer: HostPeer | JobPeer | None = None
        self._ending = Ending(None)

    def __str__(self) -> str:
        return "a connection" if self._peer is None else str(self._peer)

    def connectionMade(self) -> None:
        """
        Something has connected.
        """
        self._hub.connections += 1
        self._ending = Ending(self.transport)
        super().connectionMade()

    def messageReceived(self, message: Any) -> None:
        """
        A message has come.
        """
        if self._peer is not None:
            self._peer.received(message)
        elif isinstance(message, Hello):
            self._greeted(message)
        else:
            self.refuse(Why.NOT_ALLOWED, "expected hello first")

    def badMessage(self, problem: str) -> None:
        """
        Something has come that makes no sense.
        """
        super().badMessage(problem)
        self.refuse(Why.NOT_ALLOWED, problem)

    def complain(self, problem: str) -> None:
        """
        Tell the operator, a few times a minute.
        """
        kind = "connections that are refused or disconnected"
        if self._hub.limit.admit(kind, ownerOf(self.transport)):
            super().complain(problem)

    def refuse(self, why: Why, detail: str) -> None:
        """
        Say why the connection ends, and end it.
        """
        shown = "".join(each if each.isprintable() else "?" for each in detail)
        self.finish(Refused(why=why, detail=shown[:400]))

    def ended(self, reason: Failure) -> None:
        """
        It is over.
        """
        self._hub.connections -= 1
        self._enter(PeerState.CLOSED)
        if self._peer is not None:
            # What was silent for so long has asked another hub since, or is gone for good.
            self._peer.ended(not (self._ending.isClosed(reason) or self.wasSilent))

    def _greeted(self, hello: Hello) -> None:
        if hello.version != VERSION:
            self.refuse(Why.NOT_ALLOWED, f"this hub speaks version {VERSION}")
            return
        try:
            checkName(self.transport, hello)
        except FleetError as error:
            self.complain(f"refused {hello.name}: {error}")
            self.refuse(error.why, str(error))
            return
        if hello.role is Role.JOB:
            self._enter(PeerState.JOB)
            self.MAX_LENGTH, self.patience = LONGEST_OF_JOB, JOB_PATIENCE
            self._peer = JobPeer(
                self._hub, self, hello.name, isProved(self.transport), hello.hasOthers
            )
            self._peer.begin()
        elif hello.door is None:
            self.refuse(Why.NOT_ALLOWED, "expected a host's door")
        else:
            self._enter(PeerState.HOST)
            # Its lease says when it is gone; this is for what never closes.
            self.MAX_LENGTH, self.patience = LONGEST_OF_HOST, LONE * self._hub.term
            self._peer = HostPeer(self._hub, self, hello.name, hello.door, hello.hasOthers)
            self._peer.begin()

    def _enter(self, state: PeerState) -> None:
        assert state in TRANSITIONS[self.state], (self.state, state)
        self.state = state


class HostPeer(Peer):
    """
    A host.
    """

    def __init__(
        self, hub: Hub, connection: HubProtocol, name: str, door: Door, hasOthers: bool
    ) -> None:
        """
        @param hasOthers: Whether it knows of other hubs, too.
        """
        super().__init__(hub, connection, name)
        self._hasOthers = hasOthers
        self._record = HostRecord(name=name, door=door)
        self._lease = 0
        # By their keys, what is to be told of phones; of those that have gone, the UDIDs.
        self._untold: dict[str, PhoneRecord | str] = {}
        self._isComplete = False
        self._isLeaving = False
        self._isWorking = False
        self._renewing: Deferred[None] | None = None
        self._entering: Deferred[Any] | None = None
        self._entry: IDelayedCall | None = None

    def __str__(self) -> str:
        return f"host {self.name}"

    def begin(self) -> None:
        """
        It has said what it is.
        """
        before = self.hub.hosts.get(self.name)
        if before is not None:
            # The same host, which has lost that connection, or will have.
            before.dismiss()
        self.hub.hosts[self.name] = self
        self._isWorking = True
        self._start(self._begin())

    def dismiss(self) -> None:
        """
        It has a newer connection.
        """
        self._connection.refuse(Why.OVER, "this host has another connection")

    def fresh(self) -> None:
        """
        The registry can be relied on again: it hears what it has missed.
        """
        self._renewLease()
        self._catchUp()

    def ended(self, isLost: bool) -> None:
        """
        The connection is over; the lease goes on for its time.
        """
        if self._entering is not None:
            self._entering.cancel()
        self._entered()
        if self.hub.hosts.get(self.name) is self:
            del self.hub.hosts[self.name]
            self._log.info("host {name} is not connected any more", name=self.name)

    def grant(self, grant: Grant) -> None:
        """
        It has a reservation to enforce.
        """
        self._connection.send(grant)

    def revoke(self, token: int) -> None:
        """
        It has it no longer.
        """
        self._connection.send(Revoke(token=token))

    def received(self, message: Any) -> None:
        """
        It says something.
        """
        match message:
            case Confirm(token=token):
                self.hub.confirmed(self.name, token, True)
            case Deny(token=token):
                self.hub.confirmed(self.name, token, False)
            case Alive():
                self._alive()
            case Phones(phones=phones, isComplete=isComplete):
                self._isComplete |= isComplete
                self._news({each.key: each.of(self.name) for each in phones})
            case Gone(udids=udids):
                self._news({udidKey(each): each for each in udids})
            case Leave():
                self._isLeaving = True
                self._work()
            case _:
                self._connection.refuse(Why.NOT_ALLOWED, "this is nothing that a host says")

    def _news(self, news: Mapping[str, PhoneRecord | str]) -> None:
        """
        There is something to tell of phones.  When much is told already, the last of each is what
        counts: so a host that has more to say than the registry takes makes nothing grow.
        """
        self._untold.update(news)
        if len(self._untold) > MOST_UNTOLD:
            self._connection.refuse(Why.TOO_MANY, f"expected up to {MOST_PHONES} phones")
        self._work()

    def _work(self) -> None:
        if not self._isWorking:
            self._isWorking = True
            self._start(self._tell())

    async def _begin(self) -> None:
        hub = self.hub
        try:
            self._checkUse()
            await self._enter()
            self._checkUse()
            self._lease = await hub.registry.announce(self._record, hub.term)
        except CancelledError:
            return
        except FleetError:
            self._entered()
            raise
        welcome = Welcome(
            name=self.name,
            term=hub.term,
            key=hub.keyOf(self.name),
            tokens=hub.tokensOf(self.name),
        )
        self._connection.send(welcome)
        for grant in hub.grantsOf(self.name):
            self.grant(grant)
        self._log.info(
            "host {name} is connected, its door is {door}", name=self.name, door=self._record.door
        )
        await self._tell()

    async def _enter(self) -> None:
        """
        Wait until it is this host's turn to announce itself; it is until it has told of all its
        phones, or is too slow to have others wait for it.
        """
        self._entering = self.hub.entrance.acquire()
        await self._entering
        self._entering = None
        self._entry = self.hub.clock.callLater(self.hub.times.turn, self._entered)

    def _entered(self) -> None:
        entry, self._entry = self._entry, None
        if entry is not None:
            if entry.active():
                entry.cancel()
            self.hub.entrance.release()

    def _alive(self) -> None:
        """
        It is there; its lease is renewed whatever else is being done for it.  It has none yet
        while it waits to come in.
        """
        self._connection.send(Alive())
        self._renewLease()
        self._catchUp()

    def _renewLease(self) -> None:
        if self._renewing is None or self._renewing.called:
            self._renewing = self._start(self._renew())

    def _catchUp(self) -> None:
        """
        Tell what could not be told before, if that is so.
        """
        if self.hub.isFresh and (self._untold or self._isComplete):
            self._work()

    async def _renew(self) -> None:
        if not await self._keepAlive():
            self._leaseOver()

    def _leaseOver(self) -> None:
        self._disconnect(Why.OVER, "the lease is over; connect again")

    async def _tell(self) -> None:
        """
        Tell the registry what there is to tell, until there is nothing more.
        """
        registry, goesOn = self.hub.registry, True
        self._isWorking = True
        try:
            while self._isLeaving or self._untold or self._isComplete:
                if self._isLeaving:
                    self._isLeaving = False
                    self._untold.clear()
                    await registry.leave(self._lease)
                    self._connection.finish()
                if self._connection.isOver:
                    # It is back with another one, or has gone.
                    return
                untold, self._untold = self._untold, {}
                isComplete, self._isComplete = self._isComplete, False
                gone = [each for each in untold.values() if isinstance(each, str)]
                told = [each for each in untold.values() if not isinstance(each, str)]
                try:
                    if gone:
                        goesOn = await registry.untell(self._lease, gone)
                    if goesOn and (told or isComplete):
                        goesOn = await registry.tell(self._lease, told, isComplete)
                except FleetError as error:
                    if error.why is not Why.STALE:
                        raise
                    # What has been said since is newer.
                    self._untold = {**untold, **self._untold}
                    self._isComplete |= isComplete
                    self._complainStale(error)
                    return
                if isComplete:
                    self._entered()
                if not goesOn:
                    self._leaseOver()
        finally:
            self._isWorking = False

    def _complainStale(self, error: FleetError) -> None:
        kind = "hosts of whose phones nothing can be told at present"
        if not self._connection.isOver and self.hub.limit.admit(kind):
            self._log.warn(
                "what host {name} says of its phones is told when the registry is back: {error}",
                name=self.name,
                error=error,
            )

    def _checkUse(self) -> None:
        """
        See that this hub is of use to the host, also if it has no lease yet.

        @raise FleetError: It has been without its registry for a while, and another one may do
            better.
        """
        if self._hasOthers and self.hub.isOfNoUse:
            raise FleetError(Why.STALE, LOST_HERE)

    async def _keepAlive(self) -> bool:
        # While the registry is away for a moment, what becomes of the lease is seen later, and
        # nothing is to pile up.
        self._checkUse()
        if not self._lease or not self.hub.isFresh:
            return True
        try:
            return await self.hub.registry.keepAlive(self._lease)
        except FleetError as error:
            if error.why is not Why.STALE:
                raise
            return True
