# -*- test-case-name: tests.fleet.test_hubs -*-
"""
Tests of hosts and jobs that know of two hubs, of which one is of no use.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.protocol import Factory, Protocol

from muxd.fleet.client import FleetClient, Holding, HubLost
from muxd.fleet.conversation import PATIENCE
from muxd.fleet.hub import ENTERING, Hub
from muxd.fleet.peers import HubFactory
from muxd.fleet.terms import CONNECT, TERM, USUAL
from muxd.fleet.values import FleetError, Why
from tests.fleet.fleets import udid
from tests.fleet.world import HUB, WorldCase

OTHER = "/other"
BOTH = f"unix:{HUB} unix:{OTHER}"


class DeafRegistry:
    """
    One that takes what it is told, and says nothing.
    """

    def __getattr__(self, name: str) -> Any:
        return lambda *told: Deferred()


class TwoHubsTests(WorldCase):
    """
    Two hubs that have one registry, and a host that is connected to the first of them.
    """

    def setUp(self) -> None:
        """
        Make them.
        """
        super().setUp()
        self.other = Hub(self.world.reactor, self.world.registry)
        self.other.start()
        self.addCleanup(self.other.stop)
        self.world.listeners[OTHER] = HubFactory(self.other)
        self.host = self.world.addHost("a", 1, hubs=BOTH)
        self.assertIn("a", self.world.hub.hosts)

    def makeMute(self, *paths: str) -> list[Protocol]:
        """
        What connects there from now on hears nothing.

        @return: what has connected.
        """
        connected: list[Protocol] = []

        def connect() -> Protocol:
            connected.append(Protocol())
            return connected[-1]

        for path in paths:
            self.world.listeners[path] = Factory.forProtocol(connect)
        return connected

    def session(self) -> Any:
        """
        A job's connection to whichever hub answers.
        """
        connecting = self.world.client(hubs=BOTH).connect()
        self.world.advance(PATIENCE + 1)
        return self.world.result(connecting)

    def held(self, client: FleetClient, term: float = 30) -> Holding:
        """
        A job that has the phone, and renews it.
        """
        session = self.world.result(client.connect())
        reserved = self.world.result(session.reserve(term=term))
        holding = Holding(client, session, reserved)
        holding.start()
        return holding

    def makeStale(self) -> None:
        """
        The first hub renews nothing, as it has lost its registry.
        """
        why = FleetError(Why.STALE, "etcd does not answer")
        self.patch(self.world.hub, "renew", lambda token, key: fail(why))

    def test_hostOfFrozenHub(self) -> None:
        """
        A host leaves a hub that says nothing for the other one, and is on the list again within
        two terms.
        """
        self.world.freezeHub()
        self.makeMute(HUB)
        self.world.advance(USUAL.returned)
        self.assertIn("a", self.other.hosts)
        self.assertEqual(len(self.other.phones), 1)

    def test_hostOfThree(self) -> None:
        """
        One that knows of another hub that is lost as well, without a word, has not to wait long.
        """
        host = self.world.addHost("b", 2, hubs=f"unix:{HUB} unix:/black unix:{OTHER}")
        self.world.blackHoles.add("/black")
        self.world.freezeHub()
        self.makeMute(HUB)
        self.world.advance(USUAL.returned)
        self.assertIn("b", self.other.hosts)
        host.host.stopService()
        self.world.settle()
        self.assertNotIn("b", self.other.hosts)

    def test_hostOfNone(self) -> None:
        """
        One that has reached none for as long as you like is back soon after the network is.
        """
        for path in (HUB, OTHER):
            self.world.blackHoles.add(path)
        self.world.hub.hosts["a"].dismiss()
        self.world.advance(10 * TERM)
        self.world.blackHoles.clear()
        self.world.advance(CONNECT + USUAL.longestDelay)
        self.assertEqual(len(self.world.hub.hosts) + len(self.other.hosts), 1)

    def test_clientOfFrozenHub(self) -> None:
        """
        A client that is connected to a frozen hub knows so before its hosts are elsewhere, and is
        with the other one soon; so is one that comes anew.
        """
        client = self.world.client(hubs=BOTH)
        session = self.world.result(client.connect())
        self.world.freezeHub()
        self.makeMute(HUB)
        asked = session.fleet()
        self.world.advance(USUAL.silence(2))
        self.assertIsInstance(self.world.failure(asked), HubLost)
        for each in (client, self.world.client(hubs=BOTH)):
            connecting = each.connect()
            self.world.advance(USUAL.apart)
            connected = self.world.result(connecting)
            self.world.advance(USUAL.returned - USUAL.silence(2) - USUAL.apart)
            self.assertEqual(len(self.world.result(connected.fleet()).phones), 1)
            connected.close()

    def test_hostOfStaleHub(self) -> None:
        """
        A hub that has lost its registry sends its hosts away after a while, and not before.
        """
        self.world.hub.stale("etcd does not answer")
        self.world.advance(USUAL.grace)
        self.assertNotIn("a", self.other.hosts)
        self.world.advance(USUAL.returned - USUAL.unsure - USUAL.canary - USUAL.grace)
        self.assertIn("a", self.other.hosts)

    def test_hostsComeToStaleHub(self) -> None:
        """
        A hub that has lost its registry for a while sends away hosts that come to it at once,
        and those that wait there for others which come in; so all are with the other one soon.
        """
        names = [f"h{number}" for number in range(3 * ENTERING)]
        self.world.hub.stale("etcd does not answer")
        # Two hubs with one registry: of the first's, nothing is answered.
        hub: Any = self.world.hub
        hub.registry = DeafRegistry()
        for number, name in enumerate(names):
            self.world.addHost(name, number + 2, hubs=BOTH)
        self.assertEqual(len(self.world.hub.hosts), len(names) + 1)
        self.world.advance(USUAL.grace + USUAL.alive + USUAL.delay(0, 1.0) + USUAL.apart)
        self.assertEqual(sorted(self.other.hosts), sorted(["a", *names]))
        self.world.addHost("late", 100, hubs=BOTH)
        self.world.advance(USUAL.delay(1, 1.0))
        self.assertIn("late", self.other.hosts)

    def test_hostOfTheOnlyHub(self) -> None:
        """
        It keeps a host that knows of no other one, which would come back, and be announced anew.
        """
        self.world.addHost("b", 2)
        before = self.world.hub.hosts["b"]
        self.world.hub.stale("etcd does not answer")
        self.world.advance(3 * TERM)
        self.assertIs(self.world.hub.hosts.get("b"), before)
        self.world.hub.fresh()
        self.world.advance(TERM)
        self.assertIn("b", self.world.hub.hosts)

    def test_hostOfFreshHub(self) -> None:
        """
        One whose registry is away for moments keeps them.
        """
        for _ in range(5):
            self.world.hub.stale("etcd does not answer")
            self.world.advance(USUAL.grace)
            self.world.hub.fresh()
            self.world.advance(TERM / 2)
        self.assertIn("a", self.world.hub.hosts)

    def test_neverSure(self) -> None:
        """
        How long a hub has known nothing for sure is counted from when that is asked first, as
        its clock may be another one before its reactor runs; and is nothing once it does know.
        """
        hub = Hub(self.world.reactor, self.world.registry)
        self.world.reactor.advance(1000)
        self.assertEqual(hub.staleness(), 0)
        self.world.reactor.advance(5)
        self.assertEqual(hub.staleness(), 5)
        hub.fresh()
        self.world.reactor.advance(5)
        self.assertEqual(hub.staleness(), 0)
        hub.stale("etcd does not answer")
        self.world.reactor.advance(7)
        self.assertEqual(hub.staleness(), 7)

    def test_connect(self) -> None:
        """
        A job goes on to the other hub if the first one lets connect and says nothing.
        """
        self.makeMute(HUB)
        self.session()
        self.assertEqual((len(self.world.hub.jobs), len(self.other.jobs)), (0, 1))

    def test_connectInVain(self) -> None:
        """
        If none says anything, that is an error.
        """
        self.makeMute(HUB, OTHER)
        connecting = self.world.client(hubs=BOTH).connect()
        self.world.advance(2 * PATIENCE + 1)
        self.assertIsInstance(self.world.failure(connecting), HubLost)

    def test_givesUpConnecting(self) -> None:
        """
        A job that does not wait for a hub's welcome any more leaves no connection.
        """
        silent = Protocol()
        self.world.listeners[HUB] = Factory.forProtocol(lambda: silent)
        connecting = self.world.client().connect()
        self.world.settle()
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError)
        self.world.settle()
        transport: Any = silent.transport
        self.assertTrue(transport.closed)

    def test_renewedElsewhere(self) -> None:
        """
        A job whose hub is frozen renews its reservation by the other one, before it is over.
        """
        for term in (30, 60):
            holding = self.held(self.world.client(hubs=BOTH), term)
            self.world.freezeHub()
            tried = self.makeMute(HUB)
            self.world.advance(term + 10, 1)
            self.assertNoResult(holding.over)
            self.assertEqual(len(self.host.gate.tokens), 1)
            self.assertEqual(tried, [])
            self.world.result(holding.release())
            self.assertEqual(self.other.holders, {})
            self.world.listeners[HUB] = HubFactory(self.world.hub)

    def test_twoRenewedElsewhere(self) -> None:
        """
        Two reservations of one connection: both find out that its hub is frozen, which leads to
        the other one all the same.
        """
        self.host.plug(2)
        client = self.world.client(hubs=BOTH)
        session = self.world.result(client.connect())
        holdings = []
        for number in (1, 2):
            reserved = self.world.result(session.reserve(f"udid={udid(number)}", term=30))
            holdings.append(Holding(client, session, reserved))
            holdings[-1].start()
        self.world.freezeHub()
        tried = self.makeMute(HUB)
        self.world.advance(60, 1)
        for each in holdings:
            self.assertNoResult(each.over)
        self.assertEqual((tried, len(self.host.gate.tokens)), ([], 2))
        for each in holdings:
            self.world.result(each.release())

    def test_connectTwice(self) -> None:
        """
        Two that connect at once, and find that the first hub does not answer, have the other one.
        """
        self.world.killHub()
        client = self.world.client(hubs=BOTH)
        connecting = [client.connect(), client.connect()]
        for each in connecting:
            self.world.result(each)
        self.assertEqual(len(self.other.jobs), 2)

    def test_connectTwiceToMute(self) -> None:
        """
        The same if it lets connect and says nothing.
        """
        tried = self.makeMute(HUB)
        client = self.world.client(hubs=BOTH)
        connecting = [client.connect(), client.connect()]
        self.world.advance(PATIENCE + 1)
        for each in connecting:
            self.world.result(each)
        self.assertEqual((len(tried), len(self.other.jobs)), (2, 2))

    def test_renewedWhereNotStale(self) -> None:
        """
        The same if its hub has lost its registry.
        """
        holding = self.held(self.world.client(hubs=BOTH))
        self.makeStale()
        self.world.advance(100)
        self.assertNoResult(holding.over)
        self.assertEqual((len(self.world.hub.jobs), len(self.other.jobs)), (0, 1))
        self.world.result(holding.release())

    def test_oneHub(self) -> None:
        """
        A job that knows of one hub stays with it, however long that takes to answer.
        """
        holding = self.held(self.world.client(), term=60)
        self.makeStale()
        self.world.advance(40)
        self.assertEqual(len(self.world.hub.jobs), 1)
        self.world.result(holding.release())

    def test_waitsOn(self) -> None:
        """
        What else a job has asked by its connection goes on there.
        """
        client = self.world.client(hubs=BOTH)
        session = self.world.result(client.connect())
        reserved = self.world.result(session.reserve(term=30))
        holding = Holding(client, session, reserved)
        holding.start()
        waiting = session.reserve(udid(1), wait=1000)
        self.makeStale()
        self.world.advance(100)
        self.assertNoResult(waiting)
        self.world.result(holding.release())
        self.world.result(waiting)
