# -*- test-case-name: tests.server.test_fastlane,tests.server.test_laneports -*-
"""
Connects of clients on plain sockets, served without a Twisted transport.

Most clients of a daemon connect to it, say one thing, which is a Connect, and are led to a
phone.  Where there is an event loop (L{muxd.net.eventloop}), such a client's socket goes
from C{accept} to its session (L{muxd.device.socketend}) directly.

What a request means is for the ordinary parser to say (L{muxd.server.quickplist}).  Programs
repeat themselves, to the byte, so for the last few Connects it is remembered which device
and port they asked for.  Every client that says anything else than one whole Connect to a
phone that is there, or says it in pieces, becomes an ordinary one (L{ControlProtocol}) with
what was read of it, and so does one whose Connect was refused.

Clients are let in, counted, and told about in the log as on the other way.
"""

from __future__ import annotations

import os
import socket
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.protocol import Factory
from twisted.internet.tcp import Port
from twisted.logger import Logger
from twisted.python.failure import Failure

from muxd.device.device import MuxedDevice
from muxd.device.socketend import SocketEnd, SocketOwner
from muxd.interfaces import AttachedDevice
from muxd.net.credentials import UNKNOWN, ownerOfSocket
from muxd.net.eventloop import PEER_ENDED, READABLE, EventLoop
from muxd.net.laneport import LanePort, peerAddress
from muxd.net.packetmemory import PacketMemory
from muxd.net.streams import BLOCKED, StreamSocket
from muxd.server.accounts import Account
from muxd.server.commands import connectTarget
from muxd.server.connect import resultOf
from muxd.server.quickplist import KEPT, LONGEST_KEPT, parseRequest
from muxd.server.replies import encodeResult
from muxd.wire.messages import (
    HEADER,
    PLIST_VERSION,
    MalformedMessage,
    MessageType,
    Result,
)

if TYPE_CHECKING:
    from muxd.server.factory import ControlFactory, Entrance
    from muxd.server.protocol import ControlProtocol

# A member of an enumeration is slow to look up, and these are needed for each client.
PLIST = int(MessageType.PLIST)
OK = int(Result.OK)

AF_UNIX = int(socket.AF_UNIX)

AT_ONCE = 64
"""
How many clients are let in at once: those for whom there is no time wait here, in their user's
place, and not in the kernel's queue in front of another user's client.
"""

READ_SIZE = 4096
"""How much is read of a client to see what it wants."""


class FastLane:
    """
    The lane of one daemon, which may have several listening sockets.

    @ivar device: Which device the request was for that has been L{understood<understands>}
        last.
    @ivar port: Which port of it.
    @ivar tag: The request's.
    """

    _log = Logger()

    def __init__(self, reactor: Any, loop: EventLoop, server: ControlFactory) -> None:
        """
        @param reactor: Gets the clients that become ordinary ones.
        @param server: Counts all of them.
        """
        self.loop = loop
        self.server = server
        self.attendance = server.attendance
        self.accounts = server.accounts
        self.turns = server.turns
        self.counters = server.counters
        self.memory = PacketMemory(READ_SIZE)
        self.device = self.port = self.tag = 0
        self._request = b""
        self._reactor = reactor
        self._known: OrderedDict[bytes, tuple[int, int]] = OrderedDict()

    def takeOver(
        self, port: IListeningPort, acceptFailed: Callable[[OSError], object]
    ) -> LanePort | None:
        """
        Let the clients of a port in, in its place.

        @return: None if its clients need more than a socket, as with TLS.
        """
        if not isinstance(port, Port):
            return None
        entrance = self.server.entranceOf(port.factory)
        if entrance is None:
            return None
        arrived = partial(self._arrived, entrance)
        return LanePort(self.loop, port, acceptFailed, arrived, AT_ONCE)

    def _arrived(self, entrance: Entrance, client: StreamSocket, family: int) -> None:
        one = LaneClient(self, client, family, entrance)
        one.begin()

    def understands(self, request: bytes) -> bool:
        """
        Whether a request is one whole Connect; then L{device}, L{port} and L{tag} are what
        it says.
        """
        if request == self._request:
            return True  # it is like the last one, and nothing needs to be looked at
        if len(request) <= HEADER.size:
            return False
        length, version, kind, tag = HEADER.unpack_from(request)
        if length != len(request) or version != PLIST_VERSION or kind != PLIST:
            return False
        target = self.target(request[HEADER.size :])
        if target is None:
            return False
        self.device, self.port = target
        self.tag, self._request = tag, request
        return True

    def target(self, body: bytes) -> tuple[int, int] | None:
        """
        Which device and port a request asks for; None if it asks for anything else.
        """
        known = self._known.get(body)
        if known is not None:
            return known
        if b"Connect" not in body:
            return None
        try:
            values = parseRequest(body)
        except MalformedMessage:
            return None
        if values.get("MessageType") != "Connect":
            return None
        target = connectTarget(values)
        if isinstance(target, Result):
            return None
        if len(body) <= LONGEST_KEPT:
            self._known[body] = target
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        return target

    def handOver(
        self,
        client: StreamSocket,
        family: int,
        entrance: Entrance,
        data: bytes,
        answered: bytes = b"",
        account: Account | None = None,
    ) -> bool:
        """
        Make an ordinary client of one that has said this much.

        @param answered: The property list that it has had an answer to before, if any.
        @param account: Of its user, which it is in.
        @return: Whether it has worked; if not, the client is gone.
        """
        descriptor = client.detach()
        spare = -1
        try:
            # The reactor will have a copy, and clients are counted by their numbers: so
            # it has to be the copy that gets the number.
            spare = os.dup(descriptor)
            os.close(descriptor)
            descriptor = -1
            self._reactor.adoptStreamConnection(
                spare, family, _Adopter(entrance, data, answered, account)
            )
        except OSError as error:
            # It has gone meanwhile, or there is no descriptor for the moment it needs two.
            self._log.debug("a client is let go of: {error}", error=error)
            return False
        finally:
            for each in (descriptor, spare):
                if each >= 0:
                    os.close(each)
        return True


class _Adopter(Factory):
    """
    Makes the protocol of a client from which something has been read.
    """

    noisy = False

    def __init__(
        self, entrance: Entrance, data: bytes, answered: bytes, account: Account | None
    ) -> None:
        self._entrance = entrance
        self._account = account
        self._data = data
        self._answered = answered

    def buildProtocol(self, addr: IAddress | None) -> ControlProtocol:
        """
        An ordinary one.
        """
        protocol = self._entrance.buildProtocol(addr)
        protocol.early = self._data
        protocol.account = self._account
        if self._answered:
            protocol.requestAnswered(self._answered)
        return protocol


class _Described:
    """
    A socket, as one whose peer can be named in the log.
    """

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected

    def getPeer(self) -> IAddress:
        """
        Its address, where that means something.
        """
        return peerAddress(self.socket)


class LaneClient(SocketOwner):
    """
    A client that has come in on the lane, until it has gone or become an ordinary one.
    """

    __slots__ = (
        "_account",
        "_attached",
        "_end",
        "_family",
        "_isWatched",
        "_lane",
        "_port",
        "_request",
        "_socket",
        "_tag",
        "entrance",
    )

    def __init__(
        self, lane: FastLane, client: StreamSocket, family: int, entrance: Entrance
    ) -> None:
        self.entrance = entrance
        self._lane = lane
        self._socket = client
        self._family = family
        self._isWatched = False
        self._account: Account | None = None
        self._end: SocketEnd | None = None
        self._attached: AttachedDevice | None = None
        self._port = 0
        self._request = b""
        self._tag = 0

    def fileno(self) -> int:
        """
        The descriptor that it takes.
        """
        return self._socket.fileno()

    def begin(self) -> None:
        """
        Hear what it wants, if its user may have one more.
        """
        lane = self._lane
        owner: Hashable = -1
        if self._family == AF_UNIX:
            owner = self._socket.peerUser()
        if owner == -1:
            owner = ownerOfSocket(self._socket.fileno(), self._family)
        self._account = account = lane.accounts.enter(owner)
        if account is None:
            lane.server.clientRefused(owner)
            lane.counters.connections += 1
            self._socket.close()
            return
        lane.attendance.comeOnSocket(self, self._socket.fileno())
        self._read()

    def disconnect(self) -> None:
        """
        The daemon wants it to go.
        """
        end = self._end
        if end is not None:
            end.cut()
        else:
            self._leave()
            self._lane.turns.forget(self)
            self._socket.close()
            self._gone()

    def dropSilent(self) -> None:
        """
        Descriptors are short, and this client has been silent for the longest.
        """
        if self._account is not None:
            self._lane.server.clientSilent(self._account.owner)
        self.disconnect()

    def _gone(self) -> None:
        account, self._account = self._account, None
        self._lane.attendance.gone(self, account)

    # Its request

    def happened(self, events: int) -> None:
        """
        It has said something.
        """
        self._read()

    def failed(self, failure: Failure) -> None:
        """
        It is lost to a mistake of ours.
        """
        self.disconnect()

    def _leave(self) -> None:
        if self._isWatched:
            self._isWatched = False
            self._lane.loop.forget(self._socket.fileno())
            if self._account is not None:
                self._account.forget(self)

    def _read(self) -> None:
        lane = self._lane
        memory = lane.memory
        count = memory.receive(self._socket, 0, READ_SIZE)
        if count > 0:
            if self._isWatched:
                self._leave()
            data, turns = memory.read(0, count), lane.turns
            if turns.isBusy or not turns.begin():
                self._request = data
                turns.wait(self)
            else:
                try:
                    self._requested(data)
                finally:
                    turns.end()
        elif count != BLOCKED:
            # It has gone without a word, as those do that look whether we are here.
            lane.counters.connections += 1
            self.disconnect()
        elif not self._isWatched:
            lane.loop.watch(self._socket.fileno(), READABLE | PEER_ENDED, self)
            self._isWatched = True
            if self._account is not None:
                self._account.silent(self, lane.server.clock.seconds())

    @property
    def owner(self) -> Hashable:
        """
        Whose turn it waits for: that of its user's newcomers.  There may be thousands, and the
        clients that the user has already do not wait behind them.
        """
        return "newcomers", self._user

    @property
    def _user(self) -> Hashable:
        return UNKNOWN if self._account is None else self._account.owner

    def takeTurn(self) -> None:
        """
        It has waited long enough, with others of its user.
        """
        data, self._request = self._request, b""
        turns = self._lane.turns
        if turns.begin():
            try:
                self._requested(data)
            finally:
                turns.end()

    def _requested(self, data: bytes) -> None:
        lane, account = self._lane, self._account
        if lane.understands(data):
            port, tag = lane.port, lane.tag
            attached = self.entrance.audience.devices.find(lane.device)
            if (
                attached is not None
                and isinstance(attached.device, MuxedDevice)
                and account is not None
                and account.streams < lane.accounts.mostStreams
            ):
                try:
                    if self._isPermitted(attached, port):
                        self._request = data
                        self._connect(attached, attached.device, port, tag)
                        return
                except OSError as error:
                    # There is no descriptor to look at its peer with.
                    lane._log.debug("a client is let go of: {error}", error=error)
                    self.disconnect()
                    return
        self._becomeOrdinary(data)

    def _isPermitted(self, attached: AttachedDevice, port: int) -> bool:
        """
        Whether its view permits a stream; an ordinary client is told if not.
        """
        access = self.entrance.audience.access
        if access is None:
            return True
        if not access.view.peers:
            return access.permitsConnect(None, attached, port)
        with self._described() as described:
            return access.permitsConnect(described, attached, port)

    @contextmanager
    def _described(self) -> Iterator[_Described]:
        """
        Its socket, for those that ask which client it is.
        """
        with socket.socket(fileno=os.dup(self._socket.fileno())) as same:
            yield _Described(same)

    @property
    def hasStream(self) -> bool:
        """
        Whether it is connected to a phone, or about to be.
        """
        return self._end is not None

    def checkAccess(self) -> None:
        """
        Another view is there: a stream that it does not permit ends.
        """
        if self._end is not None:
            assert self._attached is not None
            if not self._isPermitted(self._attached, self._port):
                self.disconnect()

    def _becomeOrdinary(self, data: bytes, answered: bytes = b"") -> None:
        lane = self._lane
        # It is there twice meanwhile, and must not be taken for the last one to go.
        account, self._account = self._account, None
        if lane.handOver(self._socket, self._family, self.entrance, data, answered, account):
            lane.attendance.replaced(self)
        else:
            lane.attendance.gone(self, account)

    # Its stream

    def _connect(self, attached: AttachedDevice, device: MuxedDevice, port: int, tag: int) -> None:
        lane = self._lane
        counters = lane.counters
        counters.connections += 1
        counters.commands["Connect"] += 1
        self._attached, self._port, self._tag = attached, port, tag
        if lane.server.connectWatchers:
            with self._described() as described:
                lane.server.connecting(described, attached, port)
        self._end = end = SocketEnd(self._socket, lane.loop, lane.server.halfClosed, self)
        # From now on the end of that is told.
        if self._account is not None:
            self._account.streams += 1
        muxer = device.muxer
        try:
            opening = muxer.open(port, end)
        except Exception:
            self.sessionRefused(Failure())
            return
        try:
            end.begin(opening)
        except OSError:
            # Its socket cannot be watched.
            opening.ended(Failure(), reset=True)

    def sessionOpened(self) -> None:
        """
        Tell it, before anything that the phone says.
        """
        self._lane.counters.connects += 1
        self._request = b""
        # There is always room for the first words to a client.
        self._socket.send(encodeResult(PLIST_VERSION, self._tag, OK))

    def sessionRefused(self, reason: Failure) -> None:
        """
        Tell it; it may go on with other commands.
        """
        assert self._attached is not None
        lane = self._lane
        self._end = None
        lane.server.connectRefused(self._attached, self._port, reason, self._user)
        self._socket.send(encodeResult(PLIST_VERSION, self._tag, resultOf(reason)))
        # It has been counted, and will be once more.
        lane.counters.connections -= 1
        self._streamOver()
        self._becomeOrdinary(b"", self._request[HEADER.size :])

    def requestCancelled(self) -> None:
        """
        It has gone before the phone has answered.
        """
        self._lane.counters.cancelledConnects += 1

    def socketClosed(self) -> None:
        """
        It is gone.
        """
        self._end = None
        self._streamOver()
        self._gone()

    def _streamOver(self) -> None:
        if self._account is not None:
            self._account.streams -= 1

    def streamEnded(self, sent: int, received: int) -> None:
        """
        So much has been said.
        """
        self._lane.counters.moved(sent, received)
