# -*- test-case-name: tests.fleet.test_hub -*-
"""
Tests of a fleet in memory: L{muxd.fleet.hub}, L{muxd.fleet.peers}, L{muxd.fleet.host} and
L{muxd.fleet.client} together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent

from muxd.fleet import peers
from muxd.fleet.client import Holding, HubLost
from muxd.fleet.hub import ENTERING
from muxd.fleet.jobpeer import JobPeer
from muxd.fleet.messages import LONGEST_TERM, Grant
from muxd.fleet.terms import TERM, Times
from muxd.fleet.values import FleetError, Why
from tests.fleet.fleets import udid
from tests.fleet.world import HUB, WorldCase


class HubTests(WorldCase):
    """
    A hub with hosts and jobs.
    """

    def why(self, error: Exception) -> Why:
        """
        The kind of reason.
        """
        assert isinstance(error, FleetError), error
        return error.why

    def test_list(self) -> None:
        """
        A job sees all phones and hosts.
        """
        self.world.addHost("a", 1, 2)
        self.world.addHost("b", 3)
        view = self.world.result(self.world.session().fleet())
        self.assertEqual(
            [(line.phone.udid, line.phone.host, line.user) for line in view.phones],
            [(udid(1), "a", ""), (udid(2), "a", ""), (udid(3), "b", "")],
        )
        self.assertEqual([(one.name, one.phones) for one in view.hosts], [("a", 2), ("b", 1)])

    def test_pages(self) -> None:
        """
        However many there are, each is there once.
        """
        self.world.addHost("a", *range(250))
        view = self.world.result(self.world.session().fleet())
        self.assertEqual([one.phone.udid for one in view.phones], [udid(n) for n in range(250)])

    def test_oneHost(self) -> None:
        """
        What is asked of one host is told of that alone.
        """
        self.world.addHost("a", 1, 2)
        self.world.addHost("b", 3)
        session = self.world.session()
        self.world.result(session.drain("a"))
        told = self.world.result(session.host("a"))
        assert told is not None
        self.assertEqual((told.name, told.phones, told.isDraining), ("a", 2, True))
        self.assertIsNone(self.world.result(session.host("c")))

    def test_oneHostOfOlderHub(self) -> None:
        """
        A hub of an older version tells of all hosts, whichever it is asked for.
        """

        async def perform(peer: Any, message: Any) -> Any:
            return await peer._page(message.number, "")

        self.patch(JobPeer, "_perform", perform)
        self.world.addHost("a", 1, 2)
        self.world.addHost("b", 3)
        session = self.world.session()
        told = self.world.result(session.host("b"))
        assert told is not None
        self.assertEqual((told.name, told.phones), ("b", 1))
        self.assertIsNone(self.world.result(session.host("c")))

    def test_disconnected(self) -> None:
        """
        The log says why a host is disconnected, and names it once; of one whose connection is
        over already there is nothing to say.
        """
        over = "host a: disconnected: the lease is over; connect again"
        gone = f"host a: disconnected: {FleetError(Why.TOO_MANY, 'full')}"
        for answer, line in ((False, over), (FleetError(Why.TOO_MANY, "full"), gone)):
            for isOver in (False, True):
                with self.holdingBack() as held, capturedLogs() as events:
                    host = self.world.addHost("a", 1)
                    if isOver:
                        self.world.hub.hosts["a"].dismiss()
                    if isinstance(answer, FleetError):
                        held[0].errback(answer)
                    else:
                        held[0].callback(answer)
                    self.world.settle()
                host.host.stopService()
                self.world.settle()
                said = [formatEvent(each) for each in events]
                said = [each for each in said if "disconnected" in each]
                self.assertEqual(said, [] if isOver else [line])

    def test_entrance(self) -> None:
        """
        When many hosts come at once, some wait; those that are there have no harm from it, and
        one that does not come any further lets the next one in, by and by.
        """
        with self.holdingBack() as held:
            for number in range(ENTERING + 2):
                self.world.addHost(f"h{number}", number)
            self.assertEqual(len(held), ENTERING)
            # For longer than a host waits for a hub that says nothing.
            self.world.advance(TERM * 0.9)
            self.assertEqual(len(self.world.hub.hosts), ENTERING + 2)
            self.world.advance(TERM * 0.2)
            self.assertEqual(len(held), ENTERING + 2)
        for each in held:
            each.callback(True)
        self.world.advance(1)
        self.assertEqual(len(self.world.hub.phones), ENTERING + 2)

    def test_entranceOfLongTerm(self) -> None:
        """
        With a long term those that come no further have others wait for no longer.
        """
        self.world.hub.term = LONGEST_TERM
        self.world.hub.times = Times(LONGEST_TERM)
        with self.holdingBack() as held:
            for number in range(ENTERING + 2):
                self.world.addHost(f"h{number}", number)
            self.world.advance(TERM * 0.9)
            self.assertEqual(len(held), ENTERING)
            self.world.advance(TERM * 0.2)
            self.assertEqual(len(held), ENTERING + 2)

    def test_leavesEntrance(self) -> None:
        """
        A host that goes while it waits, or while others wait for it, has none wait for that.
        """
        with self.holdingBack() as held:
            for number in range(ENTERING + 3):
                self.world.addHost(f"h{number}", number)
            self.world.hub.hosts[f"h{ENTERING}"].dismiss()
            self.world.hub.hosts["h0"].dismiss()
            self.world.settle()
            self.assertEqual(len(held), ENTERING + 1)

    def test_news(self) -> None:
        """
        While the registry is slow, of a phone that comes and goes the last is what it is told.
        """
        host = self.world.addHost("a", 1, 2)
        with self.holdingBack() as held:
            host.plug(3)
            self.world.settle()
            for _ in range(5):
                host.unplug(1)
                host.plug(1)
                host.unplug(2)
                host.plug(2)
            host.unplug(2)
            self.world.settle()
            self.assertEqual(len(held), 1)
        held[0].callback(True)
        self.world.settle()
        self.assertEqual(
            sorted(one.udid for one in self.world.hub.phones.values()), [udid(1), udid(3)]
        )

    def test_staleNews(self) -> None:
        """
        While the registry refuses, a host is kept whose phones come and go; of each the last is
        told when the registry is back, at once or when the host speaks next, and the log says so.
        """
        host = self.world.addHost("a", 1)
        before = self.world.hub.hosts["a"]
        for isTold in (True, False):
            with self.holdingBack() as held, capturedLogs() as events:
                host.plug(2)
                self.world.settle()
                if isTold:
                    self.world.hub.stale("etcd does not answer")
                held[0].errback(FleetError(Why.STALE, "etcd does not answer"))
                self.world.settle()
                host.unplug(1)
                host.plug(3)
                self.world.settle()
                host.unplug(3)
                self.world.settle()
                held[1].errback(FleetError(Why.STALE, "etcd does not answer"))
                self.world.settle()
            said = [formatEvent(each) for each in events]
            self.assertTrue(any("host a" in one and "is back" in one for one in said), said)
            if isTold:
                self.world.hub.fresh()
                self.world.settle()
            else:
                self.world.advance(TERM / 4)
            known = [one.udid for one in self.world.hub.phones.values()]
            self.assertEqual(known, [udid(2)])
            host.unplug(2)
            host.plug(1)
            self.world.settle()
        self.assertIs(self.world.hub.hosts["a"], before)

    def test_tooManyNews(self) -> None:
        """
        A host that has no end of phones is disconnected, also when the registry is slow.
        """
        self.patch(peers, "MOST_UNTOLD", 3)
        host = self.world.addHost("a", 1)
        with self.holdingBack():
            for number in range(2, 8):
                host.plug(number)
            self.world.settle()
            self.assertNotIn("a", self.world.hub.hosts)

    @contextmanager
    def holdingBack(self) -> Iterator[list[Deferred[bool]]]:
        """
        The registry takes what hosts tell, and does not say so yet.
        """
        held: list[Deferred[bool]] = []
        tell = self.world.registry.tell

        def tellLater(*told: Any) -> Deferred[bool]:
            later: Deferred[bool] = Deferred()
            held.append(later)
            return later.addCallback(lambda does: does and tell(*told))

        registry: Any = self.world.registry
        registry.tell = tellLater
        try:
            yield held
        finally:
            registry.tell = tell

    def test_plugged(self) -> None:
        """
        What is plugged in and pulled out is seen, and so is what a phone says of itself later.
        """
        host = self.world.addHost("a", 1)
        host.plug(2)
        host.unplug(1)
        host.details.said[udid(2)] = {"version": "17.1", "model": "iPhone15,2", "name": "two"}
        self.world.advance(3)
        (line,) = self.world.result(self.world.session().fleet()).phones
        self.assertEqual((line.phone.udid, line.phone.version), (udid(2), "17.1"))
        self.assertEqual((line.phone.model, line.phone.name), ("iPhone15,2", "two"))

    def test_reserved(self) -> None:
        """
        A job has a phone: its host enforces that before the job knows; the job reaches it by
        its host's door.
        """
        host = self.world.addHost("a", 1)
        client = self.world.client()
        session = self.world.result(client.connect())
        reserved = self.world.result(session.reserve(f"udid={udid(1)}", reason="tests"))
        self.assertEqual(host.gate.tokens, [reserved.token])
        stream = self.world.stream(client.phone(reserved))
        stream.transport.write(b"hello")  # type: ignore[union-attr]
        self.world.settle()
        self.assertEqual(host.received(1), b"hello")
        (line,) = self.world.result(session.fleet()).phones
        self.assertEqual((line.user, line.reason), ("ann", "tests"))
        self.world.result(session.release(reserved))
        self.world.settle()
        self.assertFalse(stream.isOpen)
        self.assertEqual((host.gate.tokens, host.streams(1)), ([], 0))

    def test_cutAtOnce(self) -> None:
        """
        Of what a job has sent and its phone has not taken yet, nothing reaches the phone when
        the reservation is over: another job's bytes would be among it.
        """
        host = self.world.addHost("a", 1)
        client = self.world.client()
        session = self.world.result(client.connect())
        reserved = self.world.result(session.reserve())
        stream = self.world.stream(client.phone(reserved))
        (connection,) = host.devices[1].connections
        phone = connection.transport
        assert phone is not None
        phone.budget = 2
        stream.transport.write(b"hello")  # type: ignore[union-attr]
        self.world.settle()
        self.world.result(session.release(reserved))
        self.world.settle()
        self.assertTrue(phone.aborted)
        self.assertEqual((phone.take(), stream.isOpen), (b"he", False))

    def test_others(self) -> None:
        """
        Another job is refused, at the hub and at the door.
        """
        self.world.addHost("a", 1)
        session = self.world.session()
        reserved = self.world.result(session.reserve())
        other = self.world.client("bob")
        otherSession = self.world.result(other.connect())
        self.assertIs(self.why(self.world.failure(otherSession.reserve())), Why.TAKEN)
        phone = other.phone(replace(reserved, key="guessed"))
        opened = phone.endpoint(7).connect(None)  # type: ignore[arg-type]
        self.assertIn(udid(1), str(self.world.failure(opened)))

    def test_waits(self) -> None:
        """
        A job that waits has its turn, in the order of coming.
        """
        self.world.addHost("a", 1)
        first, second, third = (self.world.session(name) for name in ("x", "y", "z"))
        held = self.world.result(first.reserve())
        wanted = [second.reserve(wait=100), third.reserve(wait=100)]
        self.world.settle()
        waiting = self.world.result(first.fleet()).waiting
        self.assertEqual([one.user for one in waiting], ["y", "z"])
        self.world.result(first.release(held))
        held = self.world.result(wanted[0])
        self.world.result(second.release(held))
        self.world.result(wanted[1])

    def test_waitsInVain(self) -> None:
        """
        A job is told when its time is over.
        """
        self.world.addHost("a", 1)
        session = self.world.session()
        self.world.result(session.reserve(term=600))
        wanted = session.reserve(wait=5)
        self.world.advance(6)
        self.assertIs(self.why(self.world.failure(wanted)), Why.WAITED)

    def test_givesUp(self) -> None:
        """
        A job that gives up, or goes, is not in the queue any more.
        """
        self.world.addHost("a", 1)
        session = self.world.session()
        held = self.world.result(session.reserve())
        cancelled = session.reserve(wait=100)
        cancelled.addErrback(lambda _: None)
        gone = self.world.session("bob")
        gone.reserve(wait=100).addErrback(lambda _: None)
        self.world.settle()
        cancelled.cancel()
        gone.close()
        self.world.settle()
        self.assertEqual(self.world.result(session.fleet()).waiting, ())
        self.world.result(session.release(held))
        self.world.result(session.reserve())

    def test_tooMany(self) -> None:
        """
        What a connection may ask at once is bounded.
        """
        self.world.addHost("a", 1)
        session = self.world.session()
        self.world.result(session.reserve(term=600))
        asked = [session.reserve(wait=100) for _ in range(65)]
        self.assertIs(self.why(self.world.failure(asked.pop())), Why.TOO_MANY)
        for each in asked:
            each.addErrback(lambda _: None)

    def test_silentHost(self) -> None:
        """
        A host that does not confirm leaves a job without the phone, and the phone free.
        """
        self.world.addHost("a", 1)
        session = self.world.session()
        host = self.world.hub.hosts["a"]
        host.grant = lambda grant: None  # type: ignore[method-assign]
        wanted = session.reserve()
        self.world.advance(6)
        self.assertIs(self.why(self.world.failure(wanted)), Why.HOST_SILENT)
        self.assertEqual(self.world.hub.holders, {})

    def test_waitsForAnother(self) -> None:
        """
        A job that waits, and has been given the phone of a host that says nothing, goes on
        waiting until its time is over: for that host, or for another one.
        """
        self.world.addHost("a", 1)
        silent = self.world.hub.hosts["a"]
        silent.grant = lambda grant: None  # type: ignore[method-assign]
        first = self.world.session().reserve(wait=12)
        self.world.advance(7)
        self.assertNoResult(first)
        self.world.addHost("b", 2)
        self.world.advance(4)
        reserved = self.world.result(first)
        assert reserved.phone is not None
        self.assertEqual(reserved.phone.host, "b")
        second = self.world.session().reserve(wait=7)
        self.world.advance(11)
        self.assertIs(self.why(self.world.failure(second)), Why.HOST_SILENT)

    def test_waitsForItsReturn(self) -> None:
        """
        A job that waits, and has been given a phone that is gone when its host confirms that,
        goes on waiting, and has it when it is back; one that does not wait is told.
        """
        host = self.world.addHost("a", 1)
        link = self.world.hub.hosts["a"]
        isGone = True

        def grant(grant: Grant, tell: Callable[[Grant], None] = link.grant) -> None:
            if isGone:
                host.unplug(1)
            tell(grant)

        link.grant = grant  # type: ignore[method-assign]
        waits = self.world.session().reserve(wait=30)
        self.world.advance(1)
        self.assertNoResult(waits)
        host.plug(1)
        self.world.settle()
        self.assertNoResult(waits)
        isGone = False
        host.plug(1)
        reserved = self.world.result(waits)
        self.assertEqual(host.gate.tokens, [reserved.token])
        isGone = True
        wanted = self.world.session().reserve(take=True)
        self.assertIs(self.why(self.world.failure(wanted)), Why.NO_SUCH_PHONE)

    def test_deadHost(self) -> None:
        """
        A host that says nothing is gone when its lease is over.
        """
        host = self.world.addHost("a", 1)
        session = self.world.session()
        self.world.listeners.clear()
        host.host.stopService()
        self.world.settle()
        self.assertEqual(self.world.result(session.fleet()).phones, ())

    def test_hostBack(self) -> None:
        """
        A host whose connection was lost is back before its lease is over, and was never away.
        """
        host = self.world.addHost("a", 1)
        session = self.world.session()
        reserved = self.world.result(session.reserve(term=600))
        changes = self.world.hub.revision
        hub = host.host.hub
        assert hub is not None
        hub.abort()
        self.world.advance(3)
        self.assertEqual(len(self.world.result(session.fleet()).phones), 1)
        self.assertEqual(host.gate.tokens, [reserved.token])
        # One number for its lease, and nothing has changed.
        self.assertEqual(self.world.hub.revision, changes)

    def test_hubBack(self) -> None:
        """
        A hub that was killed begins where it was: the job keeps its phone, and its stream.
        """
        host = self.world.addHost("a", 1)
        client = self.world.client()
        session = self.world.result(client.connect())
        reserved = self.world.result(session.reserve(term=20))
        holding = Holding(client, session, reserved)
        holding.start()
        stream = self.world.stream(client.phone(reserved))
        self.world.killHub()
        self.world.advance(5)
        self.assertTrue(stream.isOpen)
        self.world.startHub()
        self.world.advance(60)
        self.assertTrue(stream.isOpen)
        self.assertEqual(host.gate.tokens, [reserved.token])
        other = self.world.session("bob")
        self.assertIs(self.why(self.world.failure(other.reserve())), Why.TAKEN)
        self.world.result(holding.release())
        self.assertGreater(self.world.result(other.reserve()).token, reserved.token)

    def test_releasedLater(self) -> None:
        """
        A job that ends while its connection is lost, and the hub is there again, releases its
        phone all the same.
        """
        self.world.addHost("a", 1)
        client = self.world.client()
        session = self.world.result(client.connect())
        holding = Holding(client, session, self.world.result(session.reserve(term=600)))
        holding.start()
        self.world.killHub()
        self.world.startHub()
        self.world.advance(3)
        self.world.result(holding.release())
        self.world.result(self.world.session("bob").reserve())
        self.assertEqual(len(self.world.hub.jobs), 1)

    def test_partitionedHost(self) -> None:
        """
        A host that the hub cannot reach cuts a job at the end of its term, although the job
        reaches both.
        """
        host = self.world.addHost("a", 1)
        client = self.world.client()
        session = self.world.result(client.connect())
        reserved = self.world.result(session.reserve(term=20))
        stream = self.world.stream(client.phone(reserved))
        self.world.listeners.pop(HUB)
        hub = host.host.hub
        assert hub is not None
        hub.abort()
        for _ in range(9):
            self.world.advance(2)
            session.renew(reserved).addErrback(lambda _: None)
        self.assertTrue(stream.isOpen)
        self.world.advance(3)
        self.assertFalse(stream.isOpen)

    def test_partitionedJob(self) -> None:
        """
        A job that the hub cannot reach loses its phone at the end of its term; it knows that
        by its own clock.
        """
        self.world.addHost("a", 1)
        client = self.world.client()
        session = self.world.result(client.connect())
        reserved = self.world.result(session.reserve(term=20))
        holding = Holding(client, session, reserved)
        holding.start()
        stream = self.world.stream(client.phone(reserved))
        self.world.listeners.pop(HUB)
        session.abort()
        self.world.advance(19)
        self.assertTrue(stream.isOpen)
        self.world.advance(2)
        self.assertFalse(stream.isOpen)
        self.assertIn("renewed", self.successResultOf(holding.over))

    def test_denied(self) -> None:
        """
        A host that has cut a job already does not take it back.
        """
        host = self.world.addHost("a", 1)
        session = self.world.session()
        reserved = self.world.result(session.reserve(term=600))
        host.gate.revoke(reserved.token)
        self.assertIs(self.why(self.world.failure(session.renew(reserved))), Why.HOST_SILENT)
        self.world.settle()
        self.assertIs(self.why(self.world.failure(session.renew(reserved))), Why.OVER)

    def test_taken(self) -> None:
        """
        A job whose phone is taken is told, and cut.
        """
        self.world.addHost("a", 1)
        client = self.world.client()
        session = self.world.result(client.connect())
        reserved = self.world.result(session.reserve())
        holding = Holding(client, session, reserved)
        stream = self.world.stream(client.phone(reserved))
        self.world.result(self.world.session().reserve(take=True))
        self.assertFalse(stream.isOpen)
        self.assertEqual(self.successResultOf(holding.over), "it was taken")
        self.world.result(holding.release())

    def test_drain(self) -> None:
        """
        A drained host's phones go to no job.
        """
        self.world.addHost("a", 1)
        session = self.world.session()
        self.world.result(session.drain("a"))
        self.assertTrue(self.world.result(session.fleet()).hosts[0].isDraining)
        self.assertIs(self.why(self.world.failure(session.reserve())), Why.TAKEN)
        self.world.result(session.drain("a", False))
        self.world.result(session.reserve())

    def test_mayNotDrain(self) -> None:
        """
        Where there are admins, nothing else drains.
        """
        self.world.hub.admins = frozenset({"root"})
        session = self.world.session()
        self.assertIs(self.why(self.world.failure(session.drain("a"))), Why.NOT_ALLOWED)
        self.world.result(self.world.session("root").drain("a"))

    def test_wrongRequirement(self) -> None:
        """
        A job that asks for nonsense is told what was expected.
        """
        error = self.world.failure(self.world.session().reserve("lable=x"))
        self.assertIn("did you mean 'label'", str(error))

    def test_stopped(self) -> None:
        """
        When a hub stops, jobs that wait are told.
        """
        session = self.world.session()
        wanted = session.reserve(wait=100)
        self.world.settle()
        self.world.hub.stop()
        self.assertIsInstance(self.world.failure(wanted), HubLost)

    def test_sameName(self) -> None:
        """
        A host that connects while another connection has its name takes its place.
        """
        first = self.world.addHost("a", 1)
        second = self.world.addHost("a", 2)
        view = self.world.result(self.world.session().fleet())
        self.assertEqual([one.phone.udid for one in view.phones], [udid(2)])
        first.host.stopService()
        second.host.stopService()

    def test_closedAfterwards(self) -> None:
        """
        A job that closes a connection that is lost already leaves nothing behind.
        """
        session = self.world.session()
        self.world.killHub()
        self.world.settle()
        before = list(self.world.reactor.getDelayedCalls())
        session.close()
        self.assertEqual(self.world.reactor.getDelayedCalls(), before)
