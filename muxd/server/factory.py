# -*- test-case-name: tests.server.test_factory -*-
"""
What all clients of a listening address share.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol as TypingProtocol
from weakref import WeakSet

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from muxd.interfaces import AttachedDevice, IPairRecords
from muxd.limits import LIMITS, Limits
from muxd.net.acceptthrottle import AcceptThrottle
from muxd.net.credentials import peerText
from muxd.net.halfclosed import HalfClosedWatch
from muxd.net.hangup import HangUpWatch
from muxd.net.pipe import Pipe
from muxd.net.turns import Turns
from muxd.ratelimit import RateLimit
from muxd.server.access import Access
from muxd.server.accounts import Account, Accounts
from muxd.server.attendance import Attendance
from muxd.server.audience import Audience
from muxd.server.budget import UnreadBudget
from muxd.server.commands import Commands
from muxd.server.counters import ServerCounters
from muxd.server.firstlook import FirstLook
from muxd.server.listeners import EventBroadcaster, Listener
from muxd.server.protocol import ControlProtocol
from muxd.server.recorddesk import RecordDesk
from muxd.server.registry import DeviceRegistry
from muxd.server.telling import Teller
from muxd.server.view import View
from muxd.server.vieweddevices import ViewedDevices
from muxd.wire.messages import MalformedMessage

ConnectWatcher = Callable[[object, AttachedDevice, int], object]


class Client(TypingProtocol):
    """
    A connection of a client's, in whatever way it is served.
    """

    @property
    def entrance(self) -> Entrance:
        """
        Where it has come in.
        """

    @property
    def hasStream(self) -> bool:
        """
        Whether it is connected to a phone, or about to be.
        """

    def checkAccess(self) -> None:
        """
        Another view is there: disconnect what it does not permit.
        """

    def disconnect(self) -> None:
        """
        The daemon wants this client to go: what is on its way to it is
        delivered first, but a stream whose phone goes on is cut.
        """


class Entrance(Factory):
    """
    Makes a L{ControlProtocol} for each client of one listening address.

    @ivar server: What all clients share.
    @ivar audience: Those that its clients belong to, as it is now.
    """

    noisy = False

    def __init__(self, server: ControlFactory, audience: Audience) -> None:
        self.server = server
        self.audience = audience

    def startFactory(self) -> None:
        """
        A port listens.
        """
        self.server.doStart()

    def stopFactory(self) -> None:
        """
        None does any more.
        """
        self.server.doStop()

    def buildProtocol(self, addr: IAddress | None) -> ControlProtocol:
        """
        Accept a client.
        """
        protocol = ControlProtocol(self.server, self.server.nextNumber(), self)
        protocol.factory = self
        return protocol


class ControlFactory(Factory):
    """
    Makes a L{ControlProtocol} for each client; listen with it on any stream
    server endpoint, or on several.  An address with a view has an L{Entrance} of its own.

    @ivar clock: Makes all timers.
    @ivar limits: What clients may cost.
    @ivar entrance: Of clients from which nothing is kept.
    @ivar feed: Tells those of them that listen of devices.
    @ivar firstLook: What the first lists of devices wait for.
    @ivar commands: Answers their requests.
    @ivar desk: Has pair records read and written for them.
    @ivar teller: Tells listeners of events.
    @ivar throttle: Lets clients in while there is room for them.
    @ivar hangUps: Looks at clients that are not read from.
    @ivar halfClosed: Looks at those that have finished sending.
    @ivar counters: What has happened so far.
    @ivar turns: Whose requests are performed when.
    @ivar accounts: What clients have, by user.
    @ivar unread: What waits for them, by user.
    @ivar attendance: Which clients are there.
    @ivar clients: All of them.
    @ivar connectWatchers: Called with each Connect, before the phone is asked: the
        transport of its client, the device and the port.  To find out which client costs as
        much as a Connect, so they are for operators that look for a fault.
    """

    noisy = False
    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        registry: DeviceRegistry,
        records: IPairRecords,
        limits: Limits = LIMITS,
        recordSaved: Callable[[str], None] | None = None,
        turns: Turns | None = None,
    ) -> None:
        """
        @param recordSaved: Called with the name of each pair record that a client has
            stored.
        @param turns: Those that requests have, if they share them with other work.
        """
        self.clock = clock
        self.limits = limits
        self.throttle = AcceptThrottle(clock, limits)
        self.hangUps = HangUpWatch(clock, limits.flushTimeout)
        self.halfClosed = HalfClosedWatch(clock, limits.halfCloseGrace, limits.flushTimeout)
        self.counters = ServerCounters()
        self.turns = turns or Turns(clock, limits.turnLength)
        self.accounts = Accounts(clock, limits)
        self.throttle.makeRoom = self.accounts.dropSilent
        self.unread = UnreadBudget(limits.unreadBytes, limits.unreadPerUser)
        self.attendance = Attendance(self.accounts, self.throttle)
        self.attendance.emptied = self._emptied
        self.clients: set[Client] = self.attendance.clients
        self.connectWatchers: list[ConnectWatcher] = []
        self.teller = Teller(self.turns)
        self.desk = RecordDesk(clock, limits.absentRecordsPerUser)
        self.firstLook = FirstLook(clock, registry, limits.firstLook)
        self._registry = registry
        self._records = records
        self._recordSaved = recordSaved
        self._limit = RateLimit(clock, self._summarise)
        self._audiences: WeakSet[Audience] = WeakSet()
        self.entrance = Entrance(self, self._audience(registry))
        self.feed = self.entrance.audience.feed
        self.commands = self.entrance.audience.commands
        self._lastNumber = 0
        self._whenEmpty: list[Deferred[None]] = []

    def buildProtocol(self, addr: IAddress | None) -> ControlProtocol:
        """
        Accept a client from which nothing is kept.
        """
        protocol = self.entrance.buildProtocol(addr)
        protocol.factory = self
        return protocol

    def nextNumber(self) -> int:
        """
        A number for a client that no other has.
        """
        self._lastNumber += 1
        return self._lastNumber

    def audienceOf(self, view: View, name: str) -> Audience:
        """
        What there is for the clients of a view.

        @param name: What the view is called in the log.
        """
        devices = ViewedDevices(self._registry, view)
        return self._audience(devices, Access(devices, name, self.counters, self._limit))

    def _audience(
        self, devices: DeviceRegistry | ViewedDevices, access: Access | None = None
    ) -> Audience:
        feed = EventBroadcaster(devices, self.teller)
        commands = Commands(
            devices,
            feed,
            self._records,
            self.desk,
            self.counters,
            self._limit,
            self._recordSaved,
            self.firstLook,
            access,
        )
        audience = Audience(devices, feed, commands, access)
        self._audiences.add(audience)
        return audience

    def listeners(self) -> list[Listener]:
        """
        The clients of all views that are told of devices, by number.
        """
        found = [one for audience in self._audiences for one in audience.feed.listeners()]
        return sorted(found, key=lambda listener: listener.number)

    def entranceOf(self, factory: object) -> Entrance | None:
        """
        The entrance that a port's factory is; None if it is none of this server's.
        """
        if factory is self:
            return self.entrance
        return factory if isinstance(factory, Entrance) and factory.server is self else None

    def startFactory(self) -> None:
        """
        A port listens: the last client that goes is not the last one to come.
        """
        if not self._whenEmpty:
            self.attendance.emptied = None

    def stopFactory(self) -> None:
        """
        No port listens with this factory any more: leave no timer behind.
        """
        self._limit.stop()
        self.throttle.stop()
        self.attendance.emptied = self._emptied
        if not self.clients:
            self._emptied()

    def stop(self) -> Deferred[None]:
        """
        Make all clients go: replies, events and a gone phone's last bytes are
        delivered, streams whose phone goes on are cut.

        @return: fires when the last one has gone.
        """
        self.teller.finish()
        for client in tuple(self.clients):
            client.disconnect()
        empty: Deferred[None] = Deferred()
        self._whenEmpty.append(empty)
        self.attendance.emptied = self._emptied
        if not self.clients:
            self._emptied()
        return empty

    # What protocols tell.

    def clientConnected(self, client: ControlProtocol) -> None:
        """
        A client is here.
        """
        self.counters.connections += 1
        self.attendance.come(client, client.transport)

    def enter(self, owner: Hashable) -> Account | None:
        """
        A client of some user has come.

        @return: The user's account; C{None} if the client is one too many, and has to go.
        """
        account = self.accounts.enter(owner)
        if account is None:
            self.clientRefused(owner)
        return account

    def clientRefused(self, owner: Hashable) -> None:
        """
        A client of some user is one too many, and has to go.
        """
        self.counters.refusedClients += 1
        if self._limit.admit("clients closed because their user has too many", owner):
            self._log.warn(
                "closing a client: its user ({owner}) has {limit} connections already, or wants"
                " records read or written for clients that have left; see which program opens"
                " so many, or raise the limit",
                owner=owner,
                limit=self.limits.connectionsPerUser,
            )

    def mayStream(self, account: Account) -> bool:
        """
        Whether a user may have one stream more.
        """
        if account.streams < self.accounts.mostStreams:
            return True
        self.counters.refusedStreams += 1
        self._tellFull("Connects refused because their user has too many streams", account)
        return False

    def mayListen(self, account: Account) -> bool:
        """
        Whether a user may have one listener more.
        """
        if account.listeners < self.accounts.mostListeners:
            return True
        self.counters.refusedListeners += 1
        self._tellFull("Listens refused because their user has too many listeners", account)
        return False

    def _tellFull(self, kind: str, account: Account) -> None:
        if self._limit.admit(kind, account.owner):
            self._log.warn(
                "{kind}: {owner} has {streams} streams and {listeners} listeners; see which"
                " program opens so many, or raise the limit",
                kind=kind,
                owner=account.owner,
                streams=account.streams,
                listeners=account.listeners,
            )

    def clientGone(self, client: ControlProtocol) -> None:
        """
        A client is gone.
        """
        client.audience.feed.remove(client)
        self.attendance.gone(client, client.account)

    def _emptied(self) -> None:
        """
        The last client has gone, and no other is awaited.
        """
        self.hangUps.stop()
        self.halfClosed.stop()
        if self._whenEmpty:
            waiting, self._whenEmpty = self._whenEmpty, []
            # It may have been needed since the last port was closed.
            self._limit.stop()
            for empty in waiting:
                empty.callback(None)

    def clientDropped(self, client: ControlProtocol) -> None:
        """
        A client did not read what it had asked for.
        """
        self.counters.droppedClients += 1
        if self._limit.admit("clients disconnected because they do not read", client.owner):
            self._log.warn(
                "disconnecting client {number} ({name}): it does not read, and more than"
                " {limit} bytes are waiting for it.",
                number=client.number,
                name=client.details.programName or "unknown",
                limit=self.limits.clientQueue,
            )

    def clientDeaf(self, client: ControlProtocol) -> None:
        """
        A client takes nothing of what it is told of the phones that are here.
        """
        self.counters.droppedClients += 1
        if self._limit.admit("clients disconnected because they take nothing", client.owner):
            self._log.warn(
                "disconnecting client {number} ({name}): it listens, and has taken nothing of what"
                " phones there are for {seconds} s",
                number=client.number,
                name=client.details.programName or "unknown",
                seconds=self.limits.greetingTimeout,
            )

    def clientOverBudget(self, client: ControlProtocol) -> None:
        """
        Too much waits for the clients of a user, and this one has not read for the longest.
        """
        self.counters.clientsOverBudget += 1
        kind = "clients disconnected because others of their user do not read"
        if self._limit.admit(kind, client.owner):
            self._log.warn(
                "disconnecting client {number} ({name}): too much is waiting for the clients of"
                " its user ({owner}); see which program asks and does not read.",
                number=client.number,
                name=client.details.programName or "unknown",
                owner=client.owner,
            )

    def clientHeldTooMuch(self, owner: Hashable) -> None:
        """
        The clients of a user have sent too much that is not done yet, and one sends more.
        """
        self.counters.clientsOverBudget += 1
        if self._limit.admit("clients disconnected because their user asks for too much", owner):
            self._log.warn(
                "disconnecting a client: the clients of its user ({owner}) have sent more than"
                " {limit} bytes that are not done yet; see which program asks for so much",
                owner=owner,
                limit=self.limits.heldPerUser,
            )

    def clientSilent(self, owner: Hashable) -> None:
        """
        A client is disconnected so that others find a free descriptor.
        """
        self.counters.droppedSilent += 1
        kind = "silent clients disconnected because descriptors are short"
        if self._limit.admit(kind, owner):
            self._log.warn(
                "disconnecting a client that says nothing: nearly all file descriptors are in use,"
                " and its user ({owner}) has the most connections; see which program keeps so many"
                " open, or raise the limit (LimitNOFILE= of systemd, ulimit -n)",
                owner=owner,
            )

    def malformed(self, error: MalformedMessage, owner: Hashable) -> None:
        """
        A client sent what is no message.
        """
        self.counters.malformedMessages += 1
        if self._limit.admit("malformed messages", owner):
            self._log.info("malformed message from a client: {error}", error=error)

    def connecting(self, transport: object, attached: AttachedDevice, port: int) -> None:
        """
        A client asks for a port of a phone.
        """
        for watcher in self.connectWatchers:
            watcher(transport, attached, port)

    def logConnect(self, transport: object, attached: AttachedDevice, port: int) -> None:
        """
        Log which client asks for a port of a phone: one of L{connectWatchers}.
        """
        self._log.debug(
            "connect to port {port} of {udid}: {client}",
            port=port,
            udid=attached.device.identity.udid,
            client=peerText(transport),
        )

    def connectRefused(
        self, attached: AttachedDevice, port: int, reason: Failure, owner: Hashable
    ) -> None:
        """
        A phone, or the way to it, refused a Connect.
        """
        self.counters.refusedConnects += 1
        if self._limit.admit("refused Connects", owner):
            self._log.info(
                "connect to port {port} of {udid} failed: {reason}",
                port=port,
                udid=attached.device.identity.udid,
                reason=reason.getErrorMessage(),
            )

    def streamEnded(self, pipe: Pipe) -> None:
        """
        A stream between a client and a phone is over.
        """
        self.counters.moved(pipe.first.received, pipe.second.received)

    def _summarise(self, kind: str, count: int) -> None:
        self._log.info("... and {count} more {kind}.", count=count, kind=kind)
