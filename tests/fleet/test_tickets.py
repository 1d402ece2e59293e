# -*- test-case-name: tests.fleet.test_tickets -*-
"""
Tests of jobs that ask again when their hub is lost: L{muxd.fleet.jobpeer}, and
L{muxd.fleet.client}.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from muxd.fleet.client import FleetClient, FleetSession, Holding, HubLost
from muxd.fleet.conversation import RETRY, Asking, makeTicket, signsOfLife
from muxd.fleet.hub import CONFIRM
from muxd.fleet.messages import LONGEST_TERM, Grant
from muxd.fleet.peers import HubFactory
from muxd.fleet.terms import JOB_PATIENCE, Times
from muxd.fleet.values import KEPT, FleetError, Why
from muxd.fleet.ways import Hubs
from tests.fleet.etcd.test_twohubs import OTHER, TwoHubsWorld
from tests.fleet.fleets import udid
from tests.fleet.world import HUB, World, WorldCase

try:
    from twisted.protocols.tls import TLSMemoryBIOFactory

    from muxd.net.mutualtls import MutualClient, MutualServer
    from tests.net.tlsfarm import TLSFarm
except ImportError:
    TLSFarm = None  # type: ignore[assignment,misc]

TICKET = "7" * 32
BOTH = f"unix:{HUB} unix:{OTHER}"


class AskingTests(SynchronousTestCase):
    """
    Tests of L{Asking}.
    """

    def test_tickets(self) -> None:
        """
        Each has 128 bits, and is another one.
        """
        self.assertNotEqual(makeTicket(), makeTicket())
        self.assertEqual(len(makeTicket()), 32)

    def test_neverThere(self) -> None:
        """
        A hub that was never reached is not asked again.
        """
        self.assertIsNone(Asking(60, TICKET).again(HubLost(), 1))

    def test_lost(self) -> None:
        """
        One that is lost is asked again, at once, for what is left of the time, which begins when
        one is asked first.
        """
        asking = Asking(60, TICKET)
        expected = {"wait": 60.0, "ticket": TICKET, "asked": 0}
        self.assertEqual(asking.fields(100), expected)
        self.assertEqual(asking.again(HubLost(), 110), 0.0)
        self.assertEqual(asking.fields(112), {**expected, "wait": 48.0, "asked": 1})

    def test_stale(self) -> None:
        """
        One that has lost its registry is left for another one; where all have, they are asked in
        turn until the time is over, as they may have it again.
        """
        asking, now = Asking(60, TICKET, 2), 0.0
        while now < 60:
            asking.fields(now)
            now += 6
            pause = asking.again(FleetError(Why.STALE), now)
            self.assertEqual(pause, 0.0 if now < 60 else None)
        asking = Asking(60, TICKET, 2)
        asking.fields(0)
        self.assertEqual(asking.again(FleetError(Why.STALE), 0.1), RETRY)
        # All are gone.
        self.assertEqual(asking.again(HubLost(), 10), RETRY)
        self.assertIsNone(asking.again(HubLost(), KEPT + 0.2))

    def test_staleAtOnce(self) -> None:
        """
        A job that does not wait asks each once.
        """
        asking = Asking(0, TICKET, 2)
        asking.fields(0)
        self.assertEqual(asking.again(FleetError(Why.STALE), 6), 0.0)
        asking.fields(6)
        self.assertIsNone(asking.again(FleetError(Why.STALE), 12))

    def test_notFound(self) -> None:
        """
        If none is there, that is tried for as long as places are kept.
        """
        asking = Asking(60, TICKET)
        asking.fields(0)
        self.assertEqual(asking.again(HubLost(), 5), 0.0)
        for error in (HubLost(), FleetError(Why.STALE), ConnectionError()):
            self.assertEqual(asking.again(error, 5 + KEPT - 0.1), RETRY)
        self.assertIsNone(asking.again(HubLost(), 5 + KEPT))

    def test_comesAndGoes(self) -> None:
        """
        A hub that is lost again and again is asked once a second, until the time is over.
        """
        asking, now = Asking(60, TICKET), 0.0
        count = 0
        while True:
            asking.fields(now)
            count += 1
            pause = asking.again(HubLost(), now)
            if pause is None:
                break
            self.assertEqual(pause, RETRY)
            now += pause
        self.assertEqual((count, now), (61, 60.0))

    def test_told(self) -> None:
        """
        A job that is told why it has no phone asks no more, nor does one that does not wait; one
        whose hub stops does.
        """
        for why in set(Why) - {Why.STOPPED}:
            asking = Asking(60, TICKET)
            asking.fields(0)
            self.assertIsNone(asking.again(FleetError(why), 5), why)
        for wait, pause in ((60, 0.0), (0, None)):
            asking = Asking(wait, TICKET)
            asking.fields(0)
            self.assertEqual(asking.again(FleetError(Why.STOPPED), 5), pause)


class SignsOfLifeTests(SynchronousTestCase):
    """
    Tests of L{signsOfLife}.
    """

    def test_often(self) -> None:
        """
        With another hub, whatever a hub's term is, several signs have no answer before it counts
        as lost, and there is time left to go to the other; with one, there is more patience.
        """
        for term in (2.0, 5.0, 10.0, 60.0, 3600.0):
            interval, patience = signsOfLife(Times(term), 2)
            self.assertLessEqual(2 * interval, patience)
            self.assertLessEqual(patience, KEPT - 2)
            self.assertLessEqual(interval, term / 2)
        times = Times(10.0)
        self.assertEqual(signsOfLife(times, 1), (times.alive, times.silence(1)))


class LongTermTests(SynchronousTestCase):
    """
    Jobs that wait at the only hub, which has a long term.
    """

    def setUp(self) -> None:
        """
        Another job has the only phone.
        """
        self.patch(os, "fsync", lambda descriptor: None)
        self.world = World(self.mktemp(), term=LONGEST_TERM)
        self.addCleanup(self.end)
        self.host = self.world.addHost("a", 1)
        self.holder = self.world.client("holder")
        self.held = self.world.result(self.holder.reserve(term=600))

    def end(self) -> None:
        """
        Stop what was started.
        """
        self.host.host.stopService()
        self.world.registry.stop()

    def waiting(self) -> list[str]:
        """
        The queue, as one sees it that comes for that.
        """
        session = self.world.session("looks")
        found = self.world.result(session.fleet())
        session.close()
        return [one.user for one in found.waiting]

    def test_order(self) -> None:
        """
        They keep their places, however long they wait.
        """
        wanted = []
        for name in "xy":
            wanted.append(self.world.client(name).reserve(wait=3600))
            self.world.advance(JOB_PATIENCE / 2)
        for _ in range(10):
            self.assertEqual(self.waiting(), ["x", "y"])
            self.world.advance(JOB_PATIENCE / 2, 1.0)
        self.world.result(self.held.release())
        self.assertEqual([each.called for each in wanted], [True, False])
        self.assertEqual(self.waiting(), ["y"])
        for each in wanted:
            each.addErrback(lambda _: None)

    def test_hubBack(self) -> None:
        """
        A phone that is reserved for a usual term is its job's still when the hub has been started
        again: the phone's host is back before that is over.
        """
        self.world.result(self.held.release())
        holding = self.world.result(self.holder.reserve())
        (token,) = self.host.gate.tokens
        over: list[str] = []
        holding.over.addCallback(over.append)
        self.world.killHub()
        self.world.advance(2)
        self.world.startHub()
        self.world.advance(3 * holding.reserved.term)
        self.assertEqual(over, [])
        self.assertEqual(self.host.gate.tokens, [token])
        self.world.result(holding.release())

    def test_silently(self) -> None:
        """
        One whose connection is lost with nothing that says so has its place when it is back.
        """
        wanted = [self.world.client(name).reserve(wait=3600) for name in "xy"]
        self.world.settle()
        self.world.cutSilently("job of x")
        self.world.advance(JOB_PATIENCE + 1, 1.0)
        self.assertEqual(self.waiting(), ["x", "y"])
        for each in wanted:
            each.addErrback(lambda _: None)


class OneHubTests(WorldCase):
    """
    A hub that lives on, and connections that are lost.
    """

    def setUp(self) -> None:
        """
        Another job has the only phone.
        """
        super().setUp()
        self.host = self.world.addHost("a", 1)
        self.holder = self.world.session("holder")
        self.held = self.world.result(self.holder.reserve(term=600))

    def waiting(self) -> list[str]:
        """
        Who waits.
        """
        return [one.user for one in self.world.result(self.holder.fleet()).waiting]

    def asks(self, session: FleetSession, asked: int = 0) -> Deferred[Any]:
        """
        A job waits, with a ticket.
        """
        wanted = session.reserve(wait=100, ticket=TICKET, asked=asked)
        self.world.settle()
        return wanted

    def test_lost(self) -> None:
        """
        A job whose connection is lost has its place when it is back, and as long as it is not,
        the phone is kept for it.
        """
        first, second = self.world.session("x"), self.world.session("y")
        lost, later = self.asks(first), self.asks(second)
        lost.addErrback(lambda _: None)
        first.abort()
        self.world.settle()
        self.assertEqual(self.waiting(), ["x", "y"])
        self.world.result(self.holder.release(self.held))
        self.assertNoResult(later)
        again = self.world.session("x")
        reserved = self.world.result(self.asks(again, 1))
        self.world.result(again.release(reserved))
        self.world.result(later)

    def test_gone(self) -> None:
        """
        One that takes leave, or ends as a process does, or was silent for too long, keeps no
        place.
        """
        for end in (FleetSession.close, FleetSession.finish, None):
            session = self.world.session("x")
            lost = self.asks(session)
            lost.addErrback(lambda _: None)
            self.assertEqual(self.waiting(), ["x"])
            if end is not None:
                end(session)
                self.world.settle()
            else:
                session._living.stop()
                session.patience = 2 * JOB_PATIENCE
                session._listen(session.patience)
                self.world.advance(JOB_PATIENCE + 1)
            self.assertEqual(self.waiting(), [])

    def test_goneByTLS(self) -> None:
        """
        So it is with TLS, which is told nothing of the end of a process that is killed; one whose
        connection is lost has its place there, too.
        """
        if TLSFarm is None:
            raise SkipTest("pyOpenSSL is not installed")
        directory = Path(self.mktemp())
        directory.mkdir()
        farm, clock = TLSFarm(directory), self.world.reactor
        server: Any = MutualServer(clock, farm.host("hub.example.org"))
        hubs: Any = TLSMemoryBIOFactory(server, False, HubFactory(self.world.hub), clock=clock)
        self.world.listeners["/tls"] = hubs
        client: Any = MutualClient(farm.issue("x"), "hub.example.org", clock)
        for isLost in (False, True):
            sessions = Factory.forProtocol(
                lambda: FleetSession(clock, "x", Hubs(clock, f"unix:{HUB}"))
            )
            factory = TLSMemoryBIOFactory(client, True, sessions, clock=clock)
            tls: Any = factory.buildProtocol(None)
            self.world.join("/tls", tls)
            self.world.settle()
            session: Any = tls.wrappedProtocol
            lost = self.asks(session)
            lost.addErrback(lambda _: None)
            self.assertEqual(self.waiting(), ["x"])
            # As a kernel does it when a process has ended.
            tls.transport.aborted, tls.transport.closed = isLost, True
            self.world.settle()
            self.assertEqual(self.waiting(), ["x"] if isLost else [])
            session.connectionLost()

    def test_withdrawn(self) -> None:
        """
        One that gives up has no place either.
        """
        session = self.world.session("x")
        lost = self.asks(session)
        lost.addErrback(lambda _: None)
        lost.cancel()
        self.world.settle()
        self.assertEqual(self.waiting(), [])

    def test_withoutTicket(self) -> None:
        """
        A job of an older version has no place when its connection is lost.
        """
        session = self.world.session("x")
        session.reserve(wait=100).addErrback(lambda _: None)
        self.world.settle()
        session.abort()
        self.world.settle()
        self.assertEqual(self.waiting(), [])

    def test_lostMeanwhile(self) -> None:
        """
        A job that is lost while its phone's host confirms has the phone when it is back; if it is
        not, the next one has it after a while.
        """
        self.muteHost()
        for isBack in (True, False):
            session, other = self.world.session("x"), self.world.session("y")
            lost = self.asks(session)
            later = other.reserve(wait=100)
            lost.addErrback(lambda _: None)
            self.world.settle()
            self.world.result(self.holder.release(self.held))
            session.abort()
            self.world.settle()
            self.assertEqual(self.waiting(), ["y"])
            self.assertEqual([one.user for one in self.world.hub.holders.values()], ["x"])
            if isBack:
                again = self.world.session("x")
                wanted = self.asks(again, 1)
                self.speak()
                self.world.result(again.release(self.world.result(wanted)))
            else:
                self.world.advance(KEPT + 1)
            self.speak()
            self.held = self.world.result(later)
            self.holder = other
            self.muteHost()

    def test_stoppedMeanwhile(self) -> None:
        """
        A job that is told that its hub stops, while its phone's host confirms, has the phone when
        it is back: the hub gives up only what those have who cannot ask for it.
        """
        for ticket, held in ((TICKET, ["x"]), ("", [])):
            self.muteHost()
            session = self.world.session("x")
            lost = session.reserve(wait=100, ticket=ticket)
            lost.addErrback(lambda _: None)
            self.world.result(self.holder.release(self.held))
            self.assertEqual([one.user for one in self.world.hub.holders.values()], ["x"])
            del self.world.listeners[HUB]
            registry = self.world.registry
            self.world.hub.stop()
            self.world.settle()
            kept = [one.user for one in registry._ledger.snapshot().reservations]
            self.assertEqual(kept, held)
            registry.stop()
            self.world.startHub()
            self.world.advance(10)
            self.holder = self.world.session("x")
            self.held = self.world.result(self.asks(self.holder, 1))

    def muteHost(self) -> None:
        """
        The host does not confirm, until L{speak}.
        """
        link = self.world.hub.hosts["a"]
        self.silent: list[Grant] = []
        link.grant = self.silent.append  # type: ignore[assignment,method-assign]

    def speak(self) -> None:
        """
        It does so now.
        """
        link: Any = self.world.hub.hosts["a"]
        if "grant" in vars(link):
            del link.grant
        for each in self.silent:
            link.grant(each)
        self.silent.clear()
        self.world.settle()

    def test_toldTooLate(self) -> None:
        """
        A job whose answer is lost on its way has the phone by asking again, which ends what that
        answer has told it.
        """
        self.world.result(self.holder.release(self.held))
        session = self.world.session("x")
        first = self.world.result(self.asks(session))
        session.abort()
        self.world.settle()
        again = self.world.session("x")
        second = self.world.result(self.asks(again, 1))
        self.assertEqual(self.host.gate.tokens, [second.token])
        self.assertGreater(second.token, first.token)

    def test_silentHost(self) -> None:
        """
        A job with a ticket whose phone's host says nothing goes on waiting, as others do, and is
        not given the same again and again.
        """
        self.world.result(self.holder.release(self.held))
        self.muteHost()
        session = self.world.session("x")
        wanted = self.asks(session)
        self.world.advance(CONFIRM + 1)
        self.assertNoResult(wanted)
        self.world.addHost("b", 2)
        self.world.advance(CONFIRM)
        reserved = self.world.result(wanted)
        assert reserved.phone is not None
        self.assertEqual(reserved.phone.udid, udid(2))

    def test_client(self) -> None:
        """
        A program's job asks again by itself, and is served in its turn.
        """
        wanted = self.world.client("x").reserve(wait=100)
        self.world.settle()
        later = self.asks(self.world.session("y"))
        self.world.advance(2)
        self.cutJobs("x")
        self.world.settle()
        self.assertEqual(self.waiting(), ["x", "y"])
        self.world.result(self.holder.release(self.held))
        holding: Holding = self.world.result(wanted)
        self.assertNoResult(later)
        self.world.result(holding.release())
        self.world.result(later)

    def cutJobs(self, name: str) -> None:
        """
        The connections of a name are lost.
        """
        for job in tuple(self.world.hub.jobs):
            link: Any = job
            if link.name == name:
                link._connection.abort()
        self.world.settle()

    def test_clientSettles(self) -> None:
        """
        A program that gives up, and waits until the hub knows, is out of the queue by then.
        """
        client = self.world.client("x")
        wanted = client.reserve(wait=100)
        self.world.settle()
        self.assertEqual(self.waiting(), ["x"])
        self.successResultOf(client.settled())
        wanted.cancel()
        self.failureResultOf(wanted, CancelledError)
        settled = client.settled()
        self.assertNoResult(settled)
        self.world.result(settled)
        self.assertEqual(self.waiting(), [])
        self.successResultOf(client.settled())

    def test_clientGivesUp(self) -> None:
        """
        One that is cancelled while it asks again leaves nothing behind.
        """
        for seconds in (0.0, 3.0):
            wanted = self.world.client("x").reserve(wait=100)
            self.world.settle()
            self.cutJobs("x")
            self.world.advance(seconds)
            wanted.cancel()
            self.failureResultOf(wanted, CancelledError)
            self.world.advance(KEPT + 1)
            self.assertEqual(self.waiting(), [])
            self.assertEqual(len(self.world.hub.jobs), 1)

    def test_clientOfLostHub(self) -> None:
        """
        When the hub does not come back, that is told after a while; when it does, the job waits
        there.
        """
        wanted = self.world.client("x").reserve(wait=100)
        self.world.advance(2)
        self.world.killHub()
        self.world.advance(KEPT - 1)
        self.assertNoResult(wanted)
        self.world.advance(3)
        self.assertIn("No such file", str(self.world.failure(wanted)))
        self.world.startHub()

    def test_restarted(self) -> None:
        """
        The queue of a hub that has its registry in itself is lost with it: jobs wait in the order
        in which they are back.  A phone whose job has not heard of it is that one's still.
        """
        self.world.advance(1)
        first = self.world.session("x")
        lost = self.asks(first)
        lost.addErrback(lambda _: None)
        unheard = self.world.client("z").reserve(wait=100)
        self.world.result(self.holder.release(self.held))
        self.world.result(lost)
        self.world.advance(1)
        self.world.killHub()
        self.world.startHub()
        self.world.advance(10)
        self.assertNoResult(unheard)
        again = self.world.session("x")
        reserved = self.world.result(self.asks(again, 1))
        self.assertEqual(self.host.gate.tokens, [reserved.token])
        self.world.result(again.release(reserved))
        self.world.result(unheard)


class SplitWorld(TwoHubsWorld):
    """
    The hubs reach etcd by ways of their own.
    """

    def nodesOf(self, path: str) -> Sequence[str]:
        """
        Of each another one.
        """
        return [f"http://{path.strip('/')}:2379"]

    def cutOff(self, path: str) -> None:
        """
        Nothing goes between a hub and etcd any more, and nothing says so.
        """
        self.etcd.frozen.update(self.nodesOf(path))
        registry: Any = self.hubs[path].registry
        stream = registry._following._stream
        self.etcd.watches = [one for one in self.etcd.watches if one.protocol is not stream]

    def heal(self, path: str) -> None:
        """
        It is reached again.
        """
        self.etcd.frozen.difference_update(self.nodesOf(path))


class LostRegistryTests(WorldCase):
    """
    Two hubs, of which one reaches etcd no more, and lives on.
    """

    world: SplitWorld

    def setUp(self) -> None:
        """
        A host is connected to both in turn, and a job at the second has its phone.
        """
        self.world = SplitWorld(self.mktemp())
        self.addCleanup(self._end)
        self.host = self.world.addHost("a", 1, hubs=BOTH)
        self.holder = self.world.sessionAt(OTHER, "holder")
        self.held = self.world.result(self.holder.reserve(term=600))

    def _end(self) -> None:
        for path in (HUB, OTHER):
            self.world.heal(path)
        self.world.advance(10)
        super()._end()
        registry: Any = self.world.hubs[OTHER].registry
        registry.stop()

    def jobsAt(self, path: str) -> list[str]:
        """
        What is connected there.
        """
        return sorted(map(str, self.world.hubs[path].jobs))

    def test_waitsElsewhere(self) -> None:
        """
        A job that waits there is at the other one before its place is given away, and is served in
        its turn.
        """
        for seconds in (5.0, 6.3, 7.9, 9.6):
            wanted = FleetClient(self.world.reactor, BOTH, "x").reserve(wait=300)
            self.world.settle()
            session = self.world.sessionAt(OTHER, "w")
            later = session.reserve(wait=300)
            self.world.advance(seconds)
            self.assertIn("job of x", self.jobsAt(HUB))
            self.world.cutOff(HUB)
            self.world.advance(KEPT)
            self.assertIn("job of x", self.jobsAt(OTHER))
            view = self.world.result(self.holder.fleet())
            self.assertEqual([one.user for one in view.waiting], ["x", "w"])
            self.world.result(self.holder.release(self.held))
            holding = self.world.result(wanted)
            self.assertNoResult(later)
            self.world.heal(HUB)
            self.world.advance(KEPT)
            self.assertNoResult(holding.over)
            self.world.result(holding.release())
            self.world.result(session.release(self.world.result(later)))
            self.held = self.world.result(self.holder.reserve(term=600))

    def test_comesAnew(self) -> None:
        """
        A job that comes to it later, waiting or not, is served by the other one.
        """
        self.world.cutOff(HUB)
        self.world.advance(2 * KEPT)
        wanted = FleetClient(self.world.reactor, BOTH, "x").reserve(wait=300)
        self.world.advance(KEPT)
        self.world.result(self.holder.release(self.held))
        self.world.result(self.world.result(wanted).release())
        now = FleetClient(self.world.reactor, BOTH, "x").reserve()
        self.world.advance(KEPT)
        self.world.result(self.world.result(now).release())

    def test_runs(self) -> None:
        """
        A job that has a phone by it goes on by the other one, with the reservation that it has.
        """
        self.world.result(self.holder.release(self.held))
        client = FleetClient(self.world.reactor, BOTH, "x")
        holding = self.world.result(client.reserve(term=30))
        self.assertIn("job of x", self.jobsAt(HUB))
        token = holding.reserved.token
        self.world.cutOff(HUB)
        self.world.advance(100)
        self.assertNoResult(holding.over)
        self.assertEqual(self.host.gate.tokens, [token])
        self.assertIn("job of x", self.jobsAt(OTHER))
        self.world.result(holding.release())

    def test_allLost(self) -> None:
        """
        Where all hubs have lost it, a job that waits goes on asking, for as long as it waits; and
        is served when one has it again.
        """
        wanted = FleetClient(self.world.reactor, BOTH, "x").reserve(wait=300)
        self.world.settle()
        for path in (HUB, OTHER):
            self.world.cutOff(path)
        self.world.advance(100)
        self.assertNoResult(wanted)
        self.world.heal(OTHER)
        self.world.advance(KEPT)
        self.assertIn("job of x", self.jobsAt(OTHER))
        self.world.result(self.holder.release(self.held))
        self.world.result(self.world.result(wanted).release())

    def test_allLostForGood(self) -> None:
        """
        When its time is over, it is told.
        """
        wanted = FleetClient(self.world.reactor, BOTH, "x").reserve(wait=60)
        failures: list[Any] = []
        wanted.addErrback(failures.append)
        for path in (HUB, OTHER):
            self.world.cutOff(path)
        self.world.advance(58)
        self.assertEqual(failures, [])
        self.world.advance(10)
        self.assertIn(failures[0].value.why, (Why.STALE, Why.WAITED))

    def test_onlyHub(self) -> None:
        """
        A job that knows of no other one waits where it is.
        """
        wanted = FleetClient(self.world.reactor, f"unix:{HUB}", "x").reserve(wait=300)
        self.world.advance(7)
        self.world.cutOff(HUB)
        self.world.advance(2 * KEPT)
        self.assertNoResult(wanted)
        self.assertIn("job of x", self.jobsAt(HUB))
        self.world.heal(HUB)
        self.world.advance(KEPT)
        self.world.result(self.holder.release(self.held))
        self.world.result(self.world.result(wanted).release())


class TwoHubsTests(WorldCase):
    """
    Two hubs that have their registry in etcd.
    """

    world: TwoHubsWorld

    def setUp(self) -> None:
        """
        A host is connected to both in turn, and a job at the second has its phone.
        """
        self.world = TwoHubsWorld(self.mktemp())
        self.addCleanup(self._end)
        self.host = self.world.addHost("a", 1, hubs=BOTH)
        self.holder = self.world.sessionAt(OTHER, "holder")
        self.held = self.world.result(self.holder.reserve(term=600))

    def _end(self) -> None:
        super()._end()
        registry: Any = self.world.hubs[OTHER].registry
        registry.stop()

    def test_frozen(self) -> None:
        """
        A job finds out that its hub does nothing any more in time to have its place at the other.
        """
        wanted = FleetClient(self.world.reactor, BOTH, "x").reserve(wait=300)
        self.world.advance(7)
        other = self.world.sessionAt(OTHER, "w").reserve(wait=300)
        self.world.freezeHub()
        self.world.listeners[HUB] = Factory.forProtocol(Protocol)
        self.world.advance(KEPT)
        self.assertIn("job of x", map(str, self.world.hubs[OTHER].jobs))
        self.world.result(self.holder.release(self.held))
        holding = self.world.result(wanted)
        self.assertNoResult(other)
        self.world.result(holding.release())
        self.world.result(other)

    def test_goesOn(self) -> None:
        """
        Jobs that wait at a hub that is lost go to the other one, and are served in the order in
        which they had asked first.
        """
        names = ("x", "y", "z")
        wanted = []
        for name in names:
            wanted.append(FleetClient(self.world.reactor, BOTH, name).reserve(wait=300))
            self.world.settle()
        other = self.world.sessionAt(OTHER, "w").reserve(wait=300)
        self.world.advance(30)
        self.assertEqual(len(self.world.hub.jobs), 3)
        # Those that are back first had asked last.
        del self.world.listeners[HUB]
        for job in sorted(self.world.hub.jobs, key=str, reverse=True):
            link: Any = job
            link._connection.abort()
            self.world.settle()
        self.world.advance(5)
        view = self.world.result(self.holder.fleet())
        self.assertEqual([one.user for one in view.waiting], [*names, "w"])
        self.world.result(self.holder.release(self.held))
        for each in wanted:
            holding = self.world.result(each)
            self.world.result(holding.release())
        self.world.result(other)
