# -*- test-case-name: tests.fleet.test_blocking,tests.fleet.test_jobs -*-
"""
Phones of a fleet for programs without a reactor::

    from muxd.fleet import blocking

    with blocking.reserve("label=fast,version>=17", wait=600) as reservation:
        print(reservation.udid)
        lockdown = reservation.connect(62078)      # an ordinary socket
        ...

The reservation is renewed by a thread of its own until it is released, also over another
connection, if the hub was started anew.  This is what L{muxd.fleet.client} is for programs with
Twisted, of which nothing is imported here.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from getpass import getuser
from threading import Event, Thread
from types import TracebackType
from typing import Any

from muxd.client.address import (
    Address,
    InvalidAddress,
    TCPAddress,
    TLSAddress,
    UnixAddress,
    parseAddress,
)
from muxd.client.daemon import Daemon, completed
from muxd.client.problems import Stage
from muxd.client.requests import CONNECT_TIMEOUT, programName
from muxd.client.socketerrors import NoDaemon, TimedOut
from muxd.client.socketio import Clock, Deadline, Sleep, openSocket
from muxd.description import Description
from muxd.fleet.codec import BadMessage
from muxd.fleet.conversation import (
    PATIENCE,
    TERM,
    Asking,
    FleetView,
    HubLost,
    Lease,
    hubPlace,
    makeTicket,
    wholeFleet,
)
from muxd.fleet.hubsession import HEADER, HubSession, framed, readable
from muxd.fleet.messages import (
    AT_DOOR,
    FROM_DOOR,
    LONGEST_HELLO,
    VERSION,
    Drain,
    Knock,
    Refused,
    Release,
    Renew,
    Reserve,
    Reserved,
)
from muxd.fleet.race import Race
from muxd.fleet.terms import USUAL
from muxd.fleet.values import Door, DoorKind, FleetError, Why

__all__ = [
    "FleetError",
    "FleetView",
    "HubLost",
    "Reservation",
    "Why",
    "drain",
    "fleet",
    "reserve",
]


def reserve(
    phone: str = "",
    *,
    hub: str | None = None,
    name: str | None = None,
    reason: str = "",
    term: float = TERM,
    wait: float = 0.0,
    take: bool = False,
) -> Reservation:
    """
    Have a phone for oneself.  When the hub is lost meanwhile, or has lost its registry, the next
    one is asked, or the same once it is there again; where that hub can know, the job has the place
    in the queue that it had.

    @param phone: What it has to be, such as C{label=fast,version>=17}; any if empty.
    @param hub: Where the hub is, as a client endpoint is described; several with spaces between
        them; C{MUXD_HUB} or C{tcp:127.0.0.1:7300} if None.
    @param name: What the job is called; the user if None.
    @param reason: What for, for others to see.
    @param term: Seconds that it lasts unless it is renewed.
    @param wait: Seconds to wait for one.
    @param take: Whether to take it from another job of the same name.
    @return: it, which is renewed until it is released.
    @raise FleetError: There is none.
    @raise HubLost: There is no hub, or it went while it was waited for, and no other one is
        there.
    @raise InvalidAddress: That is none where a hub may be.
    """
    return reserveBy(
        HubWay.named(hub, name), wait, phone=phone, reason=reason, term=term, take=take
    )


def reserveBy(way: HubWay, wait: float, **wanted: Any) -> Reservation:
    """
    See L{reserve}.

    @param wanted: Fields of the message.
    """
    asking = Asking(wait, makeTicket(), way.count)
    while True:
        try:
            return _reserveOnce(way, asking, wanted)
        except (HubLost, FleetError) as error:
            pause = asking.again(error, way.clock())
            if pause is None:
                raise
        way.sleep(pause)


def _reserveOnce(way: HubWay, asking: Asking, wanted: dict[str, Any]) -> Reservation:
    session = way.connect()
    try:
        fields = asking.fields(way.clock())
        deadline = Deadline(fields["wait"] + PATIENCE, way.clock)
        reserved = session.ask(Reserve, deadline, **wanted, **fields)
    except BaseException:
        session.close()
        way.moveOn(session)
        raise
    return Reservation(way, session, reserved)


def fleet(*, hub: str | None = None, name: str | None = None) -> FleetView:
    """
    See what there is.

    @param hub: As of L{reserve}.
    @raise HubLost: There is no hub.
    """
    with HubWay.named(hub, name).connect() as session:
        deadline = session.deadline(PATIENCE)

        async def ask(kind: Any, **fields: Any) -> Any:
            return session.ask(kind, deadline, **fields)

        return completed(wholeFleet(ask))


def drain(
    host: str, isDraining: bool = True, *, hub: str | None = None, name: str | None = None
) -> None:
    """
    Have no more of a host's phones given to jobs, or have them given again.

    @param hub: As of L{reserve}.
    @raise FleetError: This is not allowed.
    @raise HubLost: There is no hub.
    """
    with HubWay.named(hub, name).connect() as session:
        session.ask(Drain, session.deadline(PATIENCE), host=host, isDraining=isDraining)


class HubWay:
    """
    Where a hub is, or several are, and as what to come there.

    @ivar name: Of the job.
    @ivar clock: Of all that takes time.
    @ivar sleep: Lets time pass.
    @ivar times: As the term has them that a hub has told of last.
    """

    def __init__(
        self,
        address: Address,
        name: str,
        clock: Clock = time.monotonic,
        opener: Callable[[Address, Deadline], socket.socket] = openSocket,
        others: Sequence[Address] = (),
        sleep: Sleep = time.sleep,
    ) -> None:
        """
        @param others: Of other hubs.
        @raise InvalidAddress: They are not reached in the same way.
        """
        self._addresses = [address, *others]
        if len({type(each) for each in self._addresses}) > 1:
            raise InvalidAddress("expected hubs that are reached in the same way")
        self.sleep = sleep
        self.name = name
        self.clock = clock
        self.times = USUAL
        self._opener = opener

    @classmethod
    def named(
        cls, hub: str | None, name: str | None, environ: Mapping[str, str] = os.environ
    ) -> HubWay:
        """
        From what a program or its environment says.

        @raise InvalidAddress: It makes no sense.
        """
        text = hubPlace(hub, environ)
        first, *others = map(hubAddress, text.split() if " " in text.strip() else [text])
        return cls(first, name or getuser(), others=others)

    @property
    def address(self) -> Address:
        """
        Of the hub that is tried first: that one which has answered the last time.
        """
        return self._addresses[0]

    @property
    def count(self) -> int:
        """
        How many hubs there are.
        """
        return len(self._addresses)

    def moveOn(self, session: HubSession) -> None:
        """
        A session's hub is of no use: try another one first the next time.
        """
        self._moveFrom(session.place)

    def _moveFrom(self, place: Address | None) -> None:
        # A thread that renews may look at it at the same time.
        first, *others = self._addresses
        if first == place:
            self._addresses = [*others, first]

    def connect(self) -> HubSession:
        """
        Connect to one of them, and be welcome: to that which answers first, where the next one is
        tried beside one that does not answer.

        @raise HubLost: None can be reached, or wants this job.
        """
        places = self._addresses
        if len(places) == 1:
            return self._connectTo(places[0])
        race = Race(self._connectTo, self.times.apart, self._moveFrom, HubSession.close)
        place, session = race.run(places, HubLost)
        self.times = session.times
        self._addresses = [place, *(one for one in self._addresses if one != place)]
        return session

    def _connectTo(self, place: Address) -> HubSession:
        deadline = Deadline(PATIENCE, self.clock)
        session = HubSession(
            self.open(place, deadline),
            self.name,
            self.clock,
            place,
            hubs=self.count,
        )
        try:
            session.begin(deadline)
        except BaseException:
            session.close()
            raise
        return session

    def open(self, address: Address, deadline: Deadline) -> socket.socket:
        """
        A connection to some place of the fleet.

        @raise HubLost: It cannot be reached.
        """
        try:
            return self._opener(address, deadline)
        except NoDaemon as error:
            reason = error.__cause__ or error
            raise HubLost(f"{address} cannot be reached: {reason}") from error
        except TimedOut as error:
            raise HubLost(f"{address} does not answer") from error

    def addressOf(self, door: Door) -> Address:
        """
        Where a host's door is.

        @raise FleetError: It is not to be used: what is reached by TLS leads to TLS alone.
        """
        isSafe = isinstance(self.address, TLSAddress)
        if isSafe != (door.kind is DoorKind.TLS):
            way = "by TLS" if isSafe else "in plain text"
            raise FleetError(
                Why.NOT_ALLOWED, f"the hub is reached {way}, and the door {door} is not"
            )
        if isinstance(self.address, TLSAddress):
            from muxd.net.tlstarget import TLSTarget

            target = TLSTarget(door.where, door.port, self.address.target.files, door.where)
            return TLSAddress(target)
        if door.kind is DoorKind.UNIX:
            return UnixAddress(door.where)
        return TCPAddress(door.where, door.port)


class Reservation:
    """
    A phone that a job has for itself, until L{release} or the end of the C{with} statement.

    @ivar udid: Which phone it is.
    @ivar host: Its host.
    """

    def __init__(self, way: HubWay, session: HubSession, reserved: Reserved) -> None:
        """
        @param session: That it was made in, which is this one's from now on.
        """
        self.udid = "" if reserved.phone is None else reserved.phone.udid
        self.host = "" if reserved.phone is None else reserved.phone.host
        self._way = way
        self._reserved = reserved
        self._why = ""
        self._over = Event()
        self._keeper = _Keeper(way, session, reserved, self._lost)
        self._keeper.start()

    def __enter__(self) -> Reservation:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    @property
    def lost(self) -> str:
        """
        Why it is over, if it has ended before it was released.
        """
        return self._why

    def check(self) -> None:
        """
        Do nothing, as long as the phone is this job's.

        @raise FleetError: It is over.
        """
        if self._why:
            raise FleetError(Why.OVER, self._why)

    def waitUntilLost(self, timeout: float | None = None) -> bool:
        """
        Wait until it is over.

        @param timeout: Seconds to wait at most.
        @return: whether it is.
        """
        return self._over.wait(timeout)

    def release(self) -> None:
        """
        Be done with it, and wait until the hub knows; if that cannot be reached, it is over by
        itself.
        """
        self._keeper.end()

    def connect(self, port: int, timeout: float | None = CONNECT_TIMEOUT) -> socket.socket:
        """
        An ordinary socket that is connected to a port of the phone, by way of its host.

        @param timeout: Seconds that it may take.
        @raise FleetError: The reservation is over.
        @raise HubLost: The phone's host cannot be reached.
        @raise UsbmuxError: As from L{muxd.client.blocking.connect}.
        """
        self.check()
        door = self._reserved.door
        if door is None or not self.udid:
            raise FleetError(Why.NO_SUCH_PHONE, "it was unplugged, or its host has gone")
        knock = Knock(version=VERSION, udid=self.udid, key=self._reserved.key)
        daemon = Daemon(
            self._way.addressOf(door),
            programName(sys.argv[0]),
            clock=self._way.clock,
            opener=partial(_knocked, self._way, knock),
        )
        deadline = daemon.deadline(timeout)
        for device in daemon.devices(deadline):
            if device.udid == self.udid:
                return daemon.connect(device, port, deadline)
        raise FleetError(Why.NO_SUCH_PHONE, f"host {self.host} has no {self.udid} any more")

    def _lost(self, why: str) -> None:
        self._why = why
        self._over.set()


class _Keeper(Thread):
    """
    Renews a reservation until it is released or over.
    """

    def __init__(
        self,
        way: HubWay,
        session: HubSession,
        reserved: Reserved,
        lost: Callable[[str], None],
    ) -> None:
        # A daemon thread: a program may end without releasing, which its lease sees to.
        super().__init__(name=f"reservation {reserved.token}", daemon=True)
        self._way = way
        self._session: HubSession | None = session
        self._reserved = reserved
        self._lost = lost
        self._lease = Lease(reserved.term, way.clock())
        self._isEnding = False
        self._wake, self._alarm = socket.socketpair()

    def end(self) -> None:
        """
        Release it, and wait until that is done.
        """
        if not self._isEnding:
            self._isEnding = True
            with suppress(OSError):
                # It may have come to its end by itself.
                self._alarm.send(b"x")
        self.join()

    def run(self) -> None:
        """
        Until it is over.
        """
        try:
            why = self._keep()
            if why:
                self._lost(why)
            else:
                self._release()
        finally:
            if self._session is not None:
                self._session.close()
            self._wake.close()
            self._alarm.close()

    def _keep(self) -> str:
        """
        Renew it.

        @return: why it is over, or nothing if it is to be released.
        """
        clock, token = self._way.clock, self._reserved.token
        while not self._isEnding:
            now = clock()
            if self._lease.isOver(now):
                return "it could not be renewed in time"
            deadline = Deadline(self._lease.wait(now), clock)
            try:
                if self._session is None:
                    self._pause(deadline)
                else:
                    self._session.listen(deadline, self._wake)
                    if token in self._session.over:
                        return self._session.over[token] or Why.OVER.value
                if deadline.expired and not self._isEnding:
                    self._renew()
            except HubLost:
                self._drop()
                self._lease.failed(clock())
            except FleetError as error:
                if error.why is Why.OVER:
                    return str(error)
                self._lease.failed(clock())
        return ""

    def _renew(self) -> None:
        asked = self._way.clock()
        if self._lease.isOver(asked):
            return
        if self._session is None:
            self._session = self._way.connect()
        left = Deadline(self._lease.deadline - asked, self._way.clock)
        self._session.ask(Renew, left, token=self._reserved.token, key=self._reserved.key)
        self._lease.renewed(asked, self._way.clock())

    def _pause(self, deadline: Deadline) -> None:
        readable(deadline.atMost(PATIENCE), self._wake)

    def _release(self) -> None:
        try:
            if self._session is None:
                # The hub may have been started anew since it was renewed last.
                self._session = self._way.connect()
            deadline = self._session.deadline(PATIENCE)
            reserved = self._reserved
            self._session.ask(Release, deadline, token=reserved.token, key=reserved.key)
        except (HubLost, FleetError):
            # It is over by itself.
            pass

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()
            self._way.moveOn(session)


def _knocked(
    way: HubWay, knock: Knock, address: Address, deadline: Deadline, sleep: Sleep
) -> socket.socket:
    """
    A connection to the daemon behind a host's door.

    @raise FleetError: It is not opened.
    @raise HubLost: The host cannot be reached.
    """
    sock = way.open(address, deadline)
    subject = f"the door of a host at {address}"
    try:
        sock.settimeout(deadline.remaining(Stage.REACH, subject))
        sock.sendall(framed(AT_DOOR.encode(knock)))
        size = int.from_bytes(_exactly(sock, HEADER), "big")
        if size > LONGEST_HELLO:
            raise HubLost(f"{subject} answers with nonsense")
        answer = FROM_DOOR.decode(_exactly(sock, size))
    except BadMessage as error:
        sock.close()
        raise HubLost(f"{subject} answers with nonsense: {error}") from error
    except OSError as error:
        sock.close()
        raise HubLost(f"{subject} is lost: {error}") from error
    except BaseException:
        sock.close()
        raise
    if isinstance(answer, Refused):
        sock.close()
        raise FleetError(answer.why, answer.detail)
    return sock


def _exactly(sock: socket.socket, size: int) -> bytes:
    """
    So many bytes, and not one more: what follows is the daemon's.
    """
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise ConnectionError("it has closed the connection")
        data += more
    return data


def hubAddress(text: str) -> Address:
    """
    Where a hub is, from the description of a client endpoint.

    @raise InvalidAddress: It is none that a blocking program can use.
    """
    try:
        parsed = Description.fromString(text)
        match parsed.name.lower():
            case "tcp" | "tcp6" if not text.startswith("tcp://"):
                host, port = (*parsed.positional, "", "")[:2]
                host = parsed.keywords.get("host", host)
                return TCPAddress(host, int(parsed.keywords.get("port", port)))
            case "unix":
                path = (*parsed.positional, parsed.keywords.get("path", ""))[0]
                return UnixAddress(path)
    except ValueError as error:
        raise InvalidAddress(f"{text!r:.200} is no place of a hub: {error}") from error
    return parseAddress(text)
