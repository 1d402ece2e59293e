# -*- test-case-name: tests.fleet.test_tickets -*-
"""
Tests of jobs that ask again when their hub is lost: L{muxd.fleet.jobpeer}, and
L{muxd.fleet.client}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase

from muxd.fleet.client import FleetClient, FleetSession, Holding, HubLost
from muxd.fleet.conversation import RETRY, Asking, makeTicket, signsOfLife
from muxd.fleet.hub import CONFIRM
from muxd.fleet.messages import Grant
from muxd.fleet.peers import JOB_PATIENCE
from muxd.fleet.terms import Times
from muxd.fleet.values import KEPT, FleetError, Why
from tests.fleet.etcd.test_twohubs import OTHER, TwoHubsWorld
from tests.fleet.fleets import udid
from tests.fleet.world import HUB, WorldCase

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
        self.assertIsNone(Asking(60, TICKET, 0).again(HubLost(), 1))

    def test_lost(self) -> None:
        """
        One that is lost is asked again, at once, for what is left of the time.
        """
        asking = Asking(60, TICKET, 100)
        expected = {"wait": 60.0, "ticket": TICKET, "asked": 0}
        self.assertEqual(asking.fields(100), expected)
        self.assertEqual(asking.again(HubLost(), 110), 0.0)
        self.assertEqual(asking.fields(112), {**expected, "wait": 48.0, "asked": 1})

    def test_notFound(self) -> None:
        """
        If none is there, that is tried for as long as places are kept.
        """
        asking = Asking(60, TICKET, 0)
        asking.fields(0)
        self.assertEqual(asking.again(HubLost(), 5), 0.0)
        for error in (HubLost(), FleetError(Why.STALE), ConnectionError()):
            self.assertEqual(asking.again(error, 5 + KEPT - 0.1), RETRY)
        self.assertIsNone(asking.again(HubLost(), 5 + KEPT))

    def test_comesAndGoes(self) -> None:
        """
        A hub that is lost again and again is asked once a second, until the time is over.
        """
        asking, now = Asking(60, TICKET, 0), 0.0
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
            asking = Asking(60, TICKET, 0)
            asking.fields(0)
            self.assertIsNone(asking.again(FleetError(why), 5), why)
        for wait, pause in ((60, 0.0), (0, None)):
            asking = Asking(wait, TICKET, 0)
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
        times = Times(60.0)
        self.assertEqual(signsOfLife(times, 1), (times.alive, times.silence(1)))


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
