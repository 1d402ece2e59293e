# -*- test-case-name: tests.fleet.test_jobs,tests.fleet.test_hubs -*-
"""
For programs that want phones of a fleet::

    client = FleetClient(reactor, "tcp:127.0.0.1:7300", "nightly")
    holding = await client.reserve("label=fast,version>=17", wait=600)
    phone = client.phone(holding.reserved)         # an IDevice: phone.endpoint(62078)
    ...
    await holding.release()

It is renewed until then, also over another connection, and at another hub if there are several.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, gatherResults, succeed
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IAddress, IDelayedCall, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from muxd.fleet.codec import BadMessage
from muxd.fleet.conversation import (
    PATIENCE,
    TERM,
    Answered,
    Asking,
    Conversation,
    Ended,
    FleetView,
    HubLost,
    Lease,
    Rejected,
    Unwanted,
    Welcomed,
    makeTicket,
    signsOfLife,
    wholeFleet,
)
from muxd.fleet.frames import FrameProtocol
from muxd.fleet.messages import (
    FROM_HUB,
    LONGEST_OF_HUB,
    TO_HUB,
    Alive,
    Drain,
    HostLine,
    Leave,
    Page,
    Release,
    Renew,
    Reserve,
    Reserved,
    Show,
)
from muxd.fleet.phone import FleetPhone
from muxd.fleet.terms import Times
from muxd.fleet.values import FleetError, Why
from muxd.fleet.ways import Hubs, Ways

__all__ = [
    "FleetClient",
    "FleetError",
    "FleetSession",
    "FleetView",
    "Holding",
    "HubLost",
    "Reserved",
    "Why",
]


class FleetSession(FrameProtocol):
    """
    A job's connection to its hub.

    @ivar ready: Fires with this when the hub has said welcome.
    @ivar holdings: Those that are told when they are over, by token.
    @ivar place: Where its hub is; None until it is connected.
    """

    reads = FROM_HUB
    writes = TO_HUB
    MAX_LENGTH = LONGEST_OF_HUB

    def __init__(self, clock: Any, name: str, hubs: Hubs) -> None:
        super().__init__(clock, PATIENCE)
        self._hubs = hubs
        self.ready: Deferred[FleetSession] = Deferred()
        self.holdings: dict[int, Holding] = {}
        self.place: IStreamClientEndpoint | None = None
        self._talk = Conversation(name, hubs.count)
        self._asked: dict[int, Deferred[Any]] = {}
        self._living = LoopingCall(self.send, Alive())
        self._living.clock = clock
        self._isGone = False
        self._untilGone: list[Deferred[None]] = []

    def __str__(self) -> str:
        return "the hub"

    def reserve(
        self,
        phone: str = "",
        *,
        reason: str = "",
        term: float = TERM,
        wait: float = 0.0,
        take: bool = False,
        ticket: str = "",
        asked: int = 0,
    ) -> Deferred[Reserved]:
        """
        Have a phone for oneself, by this connection alone (see L{FleetClient.reserve}).
        Cancelling it gives up waiting.

        @param phone: What it has to be, such as C{label=fast,version>=17}; any if empty.
        @param term: Seconds that it lasts unless it is renewed.
        @param wait: Seconds to wait for one.
        @param take: Whether to take it from another job of the same name.
        @param ticket: 32 random hexadecimal digits, by which the job can ask again when the
            connection is lost, and has its place in the queue; it cannot if empty.
        @param asked: How often it has asked with that before.
        @return: fires with it.  It fails with a C{FleetError} or C{HubLost}.
        """
        return self._ask(
            Reserve,
            phone=phone,
            reason=reason,
            term=term,
            wait=wait,
            take=take,
            ticket=ticket,
            asked=asked,
        )

    def renew(self, reserved: Reserved) -> Deferred[None]:
        """
        Go on for another term.
        """
        return self._ask(Renew, token=reserved.token, key=reserved.key).addCallback(_nothing)

    def release(self, reserved: Reserved) -> Deferred[None]:
        """
        Be done with it.
        """
        return self._ask(Release, token=reserved.token, key=reserved.key).addCallback(_nothing)

    def drain(self, host: str, isDraining: bool = True) -> Deferred[None]:
        """
        Have no more of a host's phones given to jobs, or have them given again.
        """
        return self._ask(Drain, host=host, isDraining=isDraining).addCallback(_nothing)

    def fleet(self) -> Deferred[FleetView]:
        """
        See what there is.
        """
        return Deferred.fromCoroutine(wholeFleet(self._ask))

    @property
    def isIdle(self) -> bool:
        """
        Whether nothing is asked, and nothing held, in it.
        """
        return not self._asked and not self.holdings

    def host(self, name: str) -> Deferred[HostLine | None]:
        """
        See one host alone.

        @return: fires with it; None if there is none of this name.
        """

        def found(page: Page) -> HostLine | None:
            # A hub of an older version tells of all.
            return next((one for one in page.hosts if one.name == name), None)

        return self._ask(Show, host=name).addCallback(found)

    def close(self) -> None:
        """
        Go.
        """
        self.finish(Leave())

    def whenGone(self) -> Deferred[None]:
        """
        Wait until the connection is over.  One that was closed is, soon after, and everything that
        was said before has been taken by then, unless the hub takes nothing.
        """
        if self._isGone:
            return succeed(None)
        gone: Deferred[None] = Deferred()
        self._untilGone.append(gone)
        return gone

    def _ask(self, kind: Any, **fields: Any) -> Deferred[Any]:
        if self.isOver or self.transport is None:
            return fail(self._talk.lost())
        question = self._talk.ask(kind, **fields)
        number: int = question.number

        def withdraw(_: object) -> None:
            del self._asked[number]
            self.send(self._talk.withdraw(number))

        asked: Deferred[Any] = Deferred(withdraw)
        self._asked[number] = asked
        self.send(question)
        return asked

    def connectionMade(self) -> None:
        """
        Say what this is.
        """
        super().connectionMade()
        self.send(self._talk.hello)

    def badMessage(self, problem: str) -> None:
        """
        The hub says what makes no sense.
        """
        super().badMessage(problem)
        self._talk.problem = f"the hub says what makes no sense: {problem}"

    def messageReceived(self, message: Any) -> None:
        """
        The hub says something.
        """
        try:
            heard = self._talk.heard(message)
        except BadMessage as error:
            self._refuse(str(error))
            return
        match heard:
            case Welcomed(term):
                times = self._hubs.times = Times(term)
                interval, self.patience = signsOfLife(times, self._hubs.count)
                self._living.start(interval, now=False)
                self.ready.callback(self)
            case Rejected():
                self.finish()
            case Answered(number, FleetError() as refusal):
                self._asked.pop(number).errback(refusal)
            case Answered(number, answer):
                self._asked.pop(number).callback(answer)
            case Unwanted(release):
                self.send(release)
            case Ended(token, why):
                holding = self.holdings.get(token)
                if holding is not None:
                    holding.ended(why)

    def ended(self, reason: Failure) -> None:
        """
        The hub is lost.
        """
        if self._living.running:
            self._living.stop()
        lost = self._talk.lost()
        asked, self._asked = self._asked, {}
        for each in asked.values():
            each.errback(lost)
        if not self.ready.called:
            self.ready.errback(lost)
        self._isGone = True
        waiting, self._untilGone = self._untilGone, []
        for each in waiting:
            each.callback(None)


class _SessionFactory(Factory):
    noisy = False

    def __init__(self, clock: Any, name: str, hubs: Hubs) -> None:
        self._clock = clock
        self._name = name
        self._hubs = hubs

    def buildProtocol(self, addr: IAddress | None) -> FleetSession:
        return FleetSession(self._clock, self._name, self._hubs)


class FleetClient:
    """
    A hub, for a job; or several, of which one is used.
    """

    _log = Logger()

    def __init__(
        self, reactor: Any, hub: str, name: str, makeTicket: Callable[[], str] = makeTicket
    ) -> None:
        """
        @param hub: The description of a client endpoint, such as C{tcp:127.0.0.1:7300}; of
            several hubs, with spaces between them.
        @param name: What the job is called; where there are certificates, one of its names.
        @param makeTicket: Makes what cannot be guessed, of 32 hexadecimal digits.
        @raise ValueError: The description makes no sense.
        """
        self._makeTicket = makeTicket
        self.clock = reactor
        self._hubs = Hubs(reactor, hub)
        self._ways = Ways(reactor, hub)
        self._name = name
        self._sessions: set[FleetSession] = set()

    def connect(self) -> Deferred[FleetSession]:
        """
        Connect.

        @return: fires with a session that is welcome.  It fails with C{HubLost} if it is not,
            or as the endpoint does.
        """
        return self._hubs.reach(lambda place: Deferred.fromCoroutine(self._begin(place)))

    async def _begin(self, place: IStreamClientEndpoint) -> FleetSession:
        """
        Connect to one hub, and be welcome.
        """
        session: Any = await place.connect(_SessionFactory(self.clock, self._name, self._hubs))
        session.place = place
        self._sessions.add(session)
        session.whenGone().addCallback(lambda _: self._sessions.discard(session))
        try:
            ready: FleetSession = await session.ready
            return ready
        except BaseException:
            # It is not waited for any more.
            session.abort()
            raise

    def reserve(
        self,
        phone: str = "",
        *,
        reason: str = "",
        term: float = TERM,
        wait: float = 0.0,
        take: bool = False,
    ) -> Deferred[Holding]:
        """
        Have a phone for oneself, which is renewed until it is released.  When the hub is lost
        meanwhile, or has lost its registry, the next one is asked, or the same once it is there
        again, for as long as is left to wait; where that hub can know, the job has the place in
        the queue that it had.  Cancelling it gives up waiting.

        @param phone: What it has to be, such as C{label=fast,version>=17}; any if empty.
        @param term: Seconds that it lasts unless it is renewed.
        @param wait: Seconds to wait for one.
        @param take: Whether to take it from another job of the same name.
        @return: fires with it.  It fails with a C{FleetError} or C{HubLost}, or as the endpoint
            does.
        """
        wanted = {"phone": phone, "reason": reason, "term": term, "take": take}
        return Deferred.fromCoroutine(self._reserve(wait, wanted))

    async def _reserve(self, wait: float, wanted: dict[str, Any]) -> Holding:
        asking = Asking(wait, self._makeTicket(), self._hubs.count)
        while True:
            session = None
            try:
                session = await self.connect()
                return await self._reserveIn(session, asking, wanted)
            except (CancelledError, ConnectingCancelledError):
                raise
            except Exception as error:
                pause = asking.again(error, self.clock.seconds())
                if pause is None:
                    raise
                self._log.info("{error}; asking for a phone again", error=error)
                if session is not None:
                    self.moveOn(session)
            await deferLater(self.clock, pause)

    async def _reserveIn(
        self, session: FleetSession, asking: Asking, wanted: dict[str, Any]
    ) -> Holding:
        try:
            reserved = await session.reserve(**wanted, **asking.fields(self.clock.seconds()))
        except BaseException:
            session.close()
            raise
        holding = Holding(self, session, reserved)
        holding.start()
        return holding

    def settled(self) -> Deferred[None]:
        """
        Wait until the hubs have heard all that they were told by connections which are closed by
        now, such as that a job gives up.  A process that ends before may take it with it.
        """
        closed = [one.whenGone() for one in self._sessions if one.isOver]
        return gatherResults(closed).addCallback(_nothing)

    @property
    def hasOthers(self) -> bool:
        """
        Whether there is more than one hub.
        """
        return self._hubs.count > 1

    def moveOn(self, session: FleetSession) -> None:
        """
        A session's hub is of no use: try another one first the next time.
        """
        if session.place is not None:
            self._hubs.moveOn(session.place)

    def phone(self, reserved: Reserved) -> FleetPhone:
        """
        The phone of a reservation, by way of its host.

        @raise FleetError: It is gone, or its host's door is not to be used.
        """
        if reserved.door is None or reserved.phone is None:
            raise FleetError(Why.NO_SUCH_PHONE, "it was unplugged, or its host has gone")
        try:
            way = self._ways.to(reserved.door)
        except ValueError as error:
            raise FleetError(Why.NOT_ALLOWED, str(error)) from error
        return FleetPhone(self.clock, way, reserved.phone, reserved.key)


class Holding:
    """
    A reservation that is renewed as long as it is wanted.

    @ivar reserved: What was reserved.
    @ivar over: Fires with why it is over, if it ends before it is released.
    """

    _log = Logger()

    def __init__(self, client: FleetClient, session: FleetSession, reserved: Reserved) -> None:
        """
        @param session: That it was made in, which is this one's from now on.
        """
        self.over: Deferred[str] = Deferred()
        self._client = client
        self._clock = client.clock
        self._session: FleetSession | None = None
        self.reserved = reserved
        self._lease = Lease(reserved.term, self._clock.seconds())
        self._timer: IDelayedCall | None = None
        self._renewing: Deferred[None] | None = None
        self._isDone = False
        self._use(session)

    def start(self) -> None:
        """
        Begin to renew it.
        """
        self._schedule()

    def ended(self, why: str) -> None:
        """
        It is over.
        """
        if not self._isDone:
            self._finish()
            self.over.callback(why)

    def release(self) -> Deferred[None]:
        """
        Be done with it, and with the connection.

        @return: fires when the hub knows, or cannot be reached, in which case it is over by
            itself.
        """
        wasDone = self._isDone
        self._finish()
        return Deferred.fromCoroutine(self._release(wasDone))

    async def _release(self, wasDone: bool) -> None:
        session = self._session
        try:
            if not wasDone and (session is None or session.isOver):
                # The hub may have been started anew since it was renewed last.
                session = await self._client.connect().addTimeout(PATIENCE, self._clock)
            if not wasDone and session is not None:
                await session.release(self.reserved).addTimeout(PATIENCE, self._clock)
        except Exception as error:
            self._log.debug("the hub does not know of a release: {error}", error=error)
        if session is not None:
            session.close()

    def _use(self, session: FleetSession) -> None:
        self._session = session
        session.holdings[self.reserved.token] = self

    def _leaveHub(self) -> None:
        """
        It does not answer, or has lost its registry: another one may be well.
        """
        session = self._session
        if session is None or not (session.isOver or self._client.hasOthers):
            return
        self._session = None
        session.holdings.pop(self.reserved.token, None)
        self._client.moveOn(session)
        if session.isIdle and not session.isOver:
            session.abort()

    def _finish(self) -> None:
        self._isDone = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._renewing is not None:
            self._renewing.cancel()
        if self._session is not None:
            self._session.holdings.pop(self.reserved.token, None)

    def _schedule(self) -> None:
        self._timer = self._clock.callLater(self._lease.wait(self._clock.seconds()), self._renew)

    def _renew(self) -> None:
        now = self._clock.seconds()
        if self._lease.isOver(now):
            self.ended("it could not be renewed in time")
            return
        renewing = Deferred.fromCoroutine(self._renewOnce())
        left = self._lease.deadline - now
        patience = self._lease.patience(now) if self._client.hasOthers else left
        self._renewing = renewing.addTimeout(patience, self._clock)
        self._renewing.addCallbacks(self._renewed, self._notRenewed)

    async def _renewOnce(self) -> None:
        if self._session is not None and self._session.isOver:
            self._leaveHub()
        if self._session is None:
            self._use(await self._client.connect())
        assert self._session is not None
        began = self._clock.seconds()
        await self._session.renew(self.reserved)
        self._lease.renewed(began, self._clock.seconds())

    def _renewed(self, _: None) -> None:
        self._renewing = None
        if not self._isDone:
            self._schedule()

    def _notRenewed(self, failure: Failure) -> None:
        self._renewing = None
        if self._isDone:
            return
        error = failure.value
        if isinstance(error, FleetError) and error.why is Why.OVER:
            self.ended(str(error))
            return
        self._log.debug("not renewed, trying again: {error}", error=failure.getErrorMessage())
        if not isinstance(error, FleetError) or error.why is Why.STALE:
            self._leaveHub()
        self._lease.failed(self._clock.seconds())
        self._schedule()


def _nothing(_: object) -> None:
    """
    What is done has no result.
    """
