# -*- test-case-name: tests.fleet.test_jobs -*-
"""
What a job can do, by each of the two ways that programs have: L{muxd.fleet.client} and
L{muxd.fleet.blocking}, with a hub and a host on real sockets.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Factory
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from muxd.fleet import blocking, conversation
from muxd.fleet.client import FleetClient
from muxd.fleet.conversation import FleetView, HubLost
from muxd.fleet.frames import FrameProtocol
from muxd.fleet.host import FleetHost, FleetPlace
from muxd.fleet.service import HubService
from muxd.fleet.values import FleetError, Why
from muxd.service import MuxService

ECHO = 7
PATIENCE = 60.0


class Face(Protocol):
    """
    A way that a program has.
    """

    async def reserve(self, phone: str = "", **more: Any) -> Any:
        """
        Have a phone, which is renewed.
        """

    async def release(self, held: Any) -> None:
        """
        Be done with it.
        """

    async def whenLost(self, held: Any) -> str:
        """
        Wait until it is over.
        """

    async def echo(self, held: Any, data: bytes) -> bytes:
        """
        What the phone answers.
        """

    async def fleet(self) -> FleetView:
        """
        What there is.
        """

    async def drain(self, host: str, isDraining: bool) -> None:
        """
        Drain a host.
        """


class Echoed(TwistedProtocol):
    """
    Waits for an answer.
    """

    def __init__(self, data: bytes) -> None:
        self.answer: Deferred[bytes] = Deferred()
        self._data = data
        self._received = b""

    def connectionMade(self) -> None:
        """
        Say it.
        """
        assert self.transport is not None
        self.transport.write(self._data)

    def dataReceived(self, data: bytes) -> None:
        """
        It comes.
        """
        self._received += data
        if len(self._received) >= len(self._data):
            assert self.transport is not None
            self.transport.loseConnection()
            self.answer.callback(self._received)


class TwistedFace:
    """
    With Twisted.
    """

    def __init__(self, reactor: Any, hub: str) -> None:
        self._client = FleetClient(reactor, hub, "ann")

    async def reserve(self, phone: str = "", **more: Any) -> Any:
        """
        See L{Face}.
        """
        holding = await self._client.reserve(phone, **more)
        return holding, holding.reserved

    async def release(self, held: Any) -> None:
        """
        See L{Face}.
        """
        await held[0].release()

    async def whenLost(self, held: Any) -> str:
        """
        See L{Face}.
        """
        why: str = await held[0].over
        return why

    async def echo(self, held: Any, data: bytes) -> bytes:
        """
        See L{Face}.
        """
        phone = self._client.phone(held[1])
        factory = Factory.forProtocol(lambda: Echoed(data))
        protocol: Any = await phone.endpoint(ECHO).connect(factory)
        answer: bytes = await protocol.answer
        return answer

    async def fleet(self) -> FleetView:
        """
        See L{Face}.
        """
        session = await self._client.connect()
        try:
            return await session.fleet()
        finally:
            session.close()

    async def drain(self, host: str, isDraining: bool) -> None:
        """
        See L{Face}.
        """
        session = await self._client.connect()
        try:
            await session.drain(host, isDraining)
        finally:
            session.close()


class BlockingFace:
    """
    Without.
    """

    def __init__(self, reactor: Any, hub: str) -> None:
        self._hub = hub

    async def reserve(self, phone: str = "", **more: Any) -> Any:
        """
        See L{Face}.
        """
        return await deferToThread(blocking.reserve, phone, hub=self._hub, name="ann", **more)

    async def release(self, held: blocking.Reservation) -> None:
        """
        See L{Face}.
        """
        await deferToThread(held.release)

    async def whenLost(self, held: blocking.Reservation) -> str:
        """
        See L{Face}.
        """
        assert await deferToThread(held.waitUntilLost, PATIENCE)
        return held.lost

    async def echo(self, held: blocking.Reservation, data: bytes) -> bytes:
        """
        See L{Face}.
        """

        def speak() -> bytes:
            with held.connect(ECHO, PATIENCE) as phone:
                phone.settimeout(PATIENCE)
                phone.sendall(data)
                answer = b""
                while len(answer) < len(data):
                    answer += phone.recv(1024)
                return answer

        return await deferToThread(speak)

    async def fleet(self) -> FleetView:
        """
        See L{Face}.
        """
        return await deferToThread(blocking.fleet, hub=self._hub, name="ann")

    async def drain(self, host: str, isDraining: bool) -> None:
        """
        See L{Face}.
        """
        await deferToThread(blocking.drain, host, isDraining, hub=self._hub, name="ann")


class JobContract:
    """
    What holds for both.
    """

    makeFace: Callable[[Any, str], Face]
    timeout = 120

    async def begin(self) -> None:
        """
        A hub, and a host with two phones.
        """
        from twisted.internet import reactor

        self.reactor: Any = reactor
        case: Any = self
        case.patch(os, "fsync", lambda descriptor: None)
        directory = tempfile.mkdtemp(prefix="muxd-")
        case.addCleanup(shutil.rmtree, directory)
        case.addCleanup(self.untilClosed)
        where = f"unix:{directory}/hub"
        self.hub = HubService(reactor, fleet=where, state=f"{directory}/state", term=2)
        self.hub.privilegedStartService()
        self.hub.startService()
        case.addCleanup(self.hub.stopService)
        service = MuxService(reactor, sources=["simulated:2"], configDir=directory)
        place = FleetPlace(hub=where, door=f"unix:{directory}/door", name="rack1")
        host = FleetHost(reactor, service, place, retryPolicy=lambda _: 0.05)
        host.privilegedStartService()
        for each in (service, host):
            each.startService()
            case.addCleanup(each.stopService)
        self.face: Face = type(self).makeFace(reactor, where)
        await self.until(lambda: len(self.hub.hub.phones) == 2)

    async def until(self, condition: Callable[[], bool]) -> None:
        """
        Wait until something is so.
        """
        while not condition():
            await deferLater(self.reactor, 0.01)

    async def untilClosed(self) -> None:
        """
        Wait until the ends of all connections are closed.
        """

        def areOpen() -> bool:
            owners = (getattr(one.func, "__self__", None) for one in self.reactor.getDelayedCalls())
            return any(isinstance(each, FrameProtocol) for each in owners)

        await self.until(lambda: not areOpen())

    async def untilWaiting(self) -> None:
        """
        Wait until a job waits.
        """
        while not await self.hub.registry.waiting():
            await deferLater(self.reactor, 0.01)

    def cut(self) -> None:
        """
        Cut the connections of all jobs.
        """
        for job in tuple(self.hub.hub.jobs):
            connected: Any = job
            connected._connection.abort()

    def waitingLinks(self) -> set[Any]:
        """
        The connections of jobs that wait.
        """
        links: Any = self.hub.hub.jobs
        return {each for each in links if each._waiting}

    async def cutWaiting(self) -> None:
        """
        Cut these, and wait until there are as many others.
        """
        before = self.waitingLinks()
        for each in before:
            each._connection.abort()
        await self.until(lambda: not self.waitingLinks() & before)
        await self.until(lambda: len(self.waitingLinks()) == len(before))

    async def refused(self, why: Why, phone: str = "", **more: Any) -> None:
        """
        A phone is not to be had.
        """
        case: Any = self
        try:
            held = await self.face.reserve(phone, **more)
        except FleetError as error:
            case.assertIs(error.why, why)
        else:
            case.fail(f"got {held!r}")

    async def test_fleet(self) -> None:
        """
        All phones are listed, with the jobs that have them, which are free again afterwards.
        """
        case: Any = self
        held = await self.face.reserve(reason="a test")
        view = await self.face.fleet()
        users = [(each.user, each.reason) for each in view.phones]
        case.assertEqual(sorted(users), [("", ""), ("ann", "a test")])
        case.assertEqual([each.name for each in view.hosts], ["rack1"])
        await self.face.release(held)
        view = await self.face.fleet()
        case.assertEqual([each.user for each in view.phones], ["", ""])

    async def test_stream(self) -> None:
        """
        A port of the phone is reached by way of its host.
        """
        case: Any = self
        held = await self.face.reserve("host=rack1")
        case.assertEqual(await self.face.echo(held, b"hello"), b"hello")
        await self.face.release(held)

    async def test_none(self) -> None:
        """
        A phone that there is not is refused, and so is one that is taken, at once or in time.
        """
        await self.refused(Why.NO_SUCH_PHONE, "label=nothing")
        held = [await self.face.reserve() for _ in range(2)]
        await self.refused(Why.TAKEN)
        await self.refused(Why.WAITED, wait=0.01)
        for each in held:
            await self.face.release(each)

    async def test_waits(self) -> None:
        """
        A job that waits has the phone when it becomes free.
        """
        first, second = [await self.face.reserve() for _ in range(2)]
        waiting = Deferred.fromCoroutine(self.face.reserve(wait=PATIENCE))
        await self.untilWaiting()
        await self.face.release(first)
        third = await waiting
        for each in (second, third):
            await self.face.release(each)

    async def test_renewed(self) -> None:
        """
        It is renewed in time, again and again.
        """
        case: Any = self
        case.patch(conversation, "RENEWED", 0.01)
        renewals: list[int] = []
        renew = self.hub.registry.renew

        def noted(token: int, key: str) -> Any:
            renewals.append(token)
            return renew(token, key)

        case.patch(self.hub.registry, "renew", noted)
        held = await self.face.reserve(term=10)
        await self.until(lambda: len(renewals) >= 3)
        await self.face.release(held)

    async def test_otherConnection(self) -> None:
        """
        It is renewed and released over another connection when the first is lost.
        """
        case: Any = self
        case.patch(conversation, "RENEWED", 0.01)
        case.patch(conversation, "RETRY", 0.01)
        held = await self.face.reserve(term=10)
        (job,) = self.hub.hub.jobs
        self.cut()
        await self.until(lambda: bool(self.hub.hub.jobs) and job not in self.hub.hub.jobs)
        await self.face.release(held)
        await self.until(lambda: not self.hub.hub.holders)

    async def test_lost(self) -> None:
        """
        A job is told when another has taken its phone.
        """
        case: Any = self
        first = await self.face.reserve()
        second = await self.face.reserve()
        third = await self.face.reserve(take=True)
        lost = Deferred.fromCoroutine(self.face.whenLost(first))
        why = await lost
        case.assertIn("taken", why)
        for each in (first, second, third):
            await self.face.release(each)

    async def test_drain(self) -> None:
        """
        A host that is drained gives no more phones, until it does again.
        """
        await self.face.drain("rack1", True)
        await self.refused(Why.TAKEN)
        await self.face.drain("rack1", False)
        await self.face.release(await self.face.reserve())

    async def test_hubGone(self) -> None:
        """
        A job that waits is told that the hub is lost, when it has not come back for a while.
        """
        case: Any = self
        case.patch(conversation, "KEPT", 0.05)
        case.patch(conversation, "RETRY", 0.01)
        held = [await self.face.reserve(term=600) for _ in range(2)]
        waiting = Deferred.fromCoroutine(self.face.reserve(wait=PATIENCE))
        await self.untilWaiting()
        await self.hub._fleet.close()
        self.cut()
        await case.assertFailure(waiting, HubLost, ConnectError)
        for each in held:
            await self.face.release(each)

    async def test_hubBack(self) -> None:
        """
        Jobs that wait ask again when their connections are lost, and are served in the order in
        which they had asked first.
        """
        case: Any = self
        case.patch(conversation, "RETRY", 0.01)
        held = [await self.face.reserve(term=600) for _ in range(2)]
        waiting: list[Deferred[Any]] = []
        for reason in ("first", "second"):
            asked = self.face.reserve(wait=PATIENCE, reason=reason)
            waiting.append(Deferred.fromCoroutine(asked))
            while len(await self.hub.registry.waiting()) < len(waiting):
                await deferLater(self.reactor, 0.01)
        for _ in range(2):
            await self.cutWaiting()
        for number, each in enumerate(held):
            case.assertFalse(waiting[number].called)
            await self.face.release(each)
            held[number] = await waiting[number]
        for each in held:
            await self.face.release(each)


class TwistedJobTests(JobContract, TestCase):
    """
    A job with Twisted.
    """

    makeFace = TwistedFace

    def setUp(self) -> Deferred[None]:  # type: ignore[override]
        """
        See L{JobContract.begin}.
        """
        return Deferred.fromCoroutine(self.begin())


class BlockingJobTests(JobContract, TestCase):
    """
    A job without.
    """

    makeFace = BlockingFace

    def setUp(self) -> Deferred[None]:  # type: ignore[override]
        """
        See L{JobContract.begin}.
        """
        return Deferred.fromCoroutine(self.begin())
