# -*- test-case-name: tests.fleet.test_overview -*-
"""
Tests of L{muxd.fleet.overview}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import fail

from muxd.fleet import overview as module
from muxd.fleet.overview import PAUSE, FleetOverview
from muxd.fleet.values import FleetError, Why
from tests.fleet.fleets import udid
from tests.fleet.world import WorldCase


class OverviewTests(WorldCase):
    """
    What an operator sees of a fleet.
    """

    def setUp(self) -> None:
        """
        A fleet of two hosts.
        """
        super().setUp()
        self.first = self.world.addHost("a", 1, 2)
        self.world.addHost("b", 3)
        self.overview = FleetOverview(self.world.hub, lambda: 1000.0)

    def hosts(self) -> list[Any]:
        """
        What is shown of each.
        """
        return [tuple(host.values()) for host in self.overview.values()["hosts"]]

    def test_hosts(self) -> None:
        """
        Each host is there with its door, how many phones it has, and how many of them have jobs.
        """
        values = self.overview.values()
        self.assertEqual(
            (values["phones"], values["reserved"], values["fresh"]), (3, 0, True), values
        )
        doors = [host["door"] for host in values["hosts"]]
        self.assertIn("/a", doors[0])
        session = self.world.session()
        self.world.result(session.reserve("host=a"))
        self.world.result(session.drain("b"))
        self.assertEqual(
            [one[:1] + one[2:] for one in self.hosts()],
            [("a", 2, 1, False, True), ("b", 1, 0, True, True)],
        )

    def test_reservations(self) -> None:
        """
        Each reservation is there, without what a job proves itself by.
        """
        reserved = self.world.result(
            self.world.session("ann").reserve(f"udid={udid(3)}", reason="nightly", term=60)
        )
        values = self.overview.values()
        self.assertEqual(
            values["reservations"],
            [{"udid": udid(3), "host": "b", "user": "ann", "reason": "nightly", "term": 60.0}],
        )
        self.assertEqual((values["reserved"], values["jobs"]), (1, 1))
        self.assertNotIn(reserved.key, repr(values) + repr(self.overview.phones()))

    def test_queue(self) -> None:
        """
        Jobs that wait are there in their order, with what they want and until when.
        """
        for _ in range(3):
            self.world.result(self.world.session().reserve(term=600))
        waiting = self.world.session("bob").reserve("host=b", reason="why", wait=50)
        self.world.settle()
        expected = [{"user": "bob", "wants": "host=b", "reason": "why", "until": 1050}]
        self.assertEqual(self.overview.values()["waiting"], expected)
        waiting.addErrback(lambda _: None).cancel()
        self.world.settle()
        self.assertEqual(self.overview.values()["waiting"], [])

    def test_noQueue(self) -> None:
        """
        A queue that cannot be had leaves what there was, and is asked for again.
        """
        asked: list[int] = []

        def waiting() -> Any:
            asked.append(1)
            return fail(FleetError(Why.STALE))

        self.patch(self.world.registry, "waiting", waiting)
        for _ in range(2):
            self.assertEqual(self.overview.values()["waiting"], [])
        self.assertEqual(len(asked), 2)

    def test_phones(self) -> None:
        """
        The phones are there in their order; the list is another one when they are.
        """
        phones = self.overview.phones()
        self.assertEqual(
            [one[:2] for one in phones], [[udid(1), "a"], [udid(2), "a"], [udid(3), "b"]]
        )
        self.world.result(self.world.session().reserve())
        self.assertIs(self.overview.phones(), phones)
        self.first.unplug(1)
        self.world.advance(3)
        self.assertEqual([one[0] for one in self.overview.phones()], [udid(2), udid(3)])

    def test_many(self) -> None:
        """
        Of many phones the list is not made for each that comes or goes, but soon.
        """
        self.patch(module, "MANY", 2)
        before = self.overview.phones()
        self.first.unplug(1)
        self.world.settle()
        self.assertIs(self.overview.phones(), before)
        self.world.advance(PAUSE)
        self.assertEqual(len(self.overview.phones()), 2)
