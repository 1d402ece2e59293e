# -*- test-case-name: tests.fleet.test_turns -*-
"""
Tests of L{muxd.fleet.turns}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis.strategies import DataObject, data, integers, permutations, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from muxd.fleet.requirement import ANY_PHONE, Requirement
from muxd.fleet.turns import Turns
from muxd.fleet.values import PhoneRecord
from tests.fleet.fleets import phone, udid
from tests.running.properties import examples

WANTED = ("", "label=x", udid(1), udid(4), "host=b")


def offered(number: int) -> PhoneRecord:
    """
    A phone; each second one has a label, and each third another host.
    """
    host = "b" if number % 3 == 0 else "a"
    return phone(number, host, labels=("x",) if number % 2 == 0 else ())


class TurnsTests(SynchronousTestCase):
    """
    Tests of L{Turns}.
    """

    def setUp(self) -> None:
        """
        Make one.
        """
        self.turns: Turns[str] = Turns()

    def come(self, *jobs: str, wanted: str = "") -> None:
        """
        Jobs come, in the order of their names.
        """
        for job in jobs:
            self.turns.come(job, ord(job), Requirement.fromString(wanted))

    def meant(self, jobs: str) -> list[str | None]:
        """
        What is meant for each.
        """
        self.turns.settle()
        return [self.turns.of(job) for job in jobs]

    def test_oneEach(self) -> None:
        """
        Each job has the turn with one phone, in the order of their coming; others may be had.
        """
        self.come("a", "b")
        for number in (1, 2, 3):
            self.turns.offer(phone(number))
        self.assertEqual(self.turns.settle(), ["a", "b"])
        self.assertEqual(self.meant("ab"), [phone(1).key, phone(2).key])
        self.assertEqual(list(self.turns.unmeant(ANY_PHONE)), [phone(3)])
        self.assertEqual(list(self.turns.unmeant(Requirement.fromString(udid(1)))), [])
        self.assertEqual(self.turns.settle(), [])

    def test_leave(self) -> None:
        """
        What was meant for a job that has gone is the next one's; that is harmless for another.
        """
        self.come("a", "b")
        self.turns.offer(phone(1))
        self.assertEqual(self.meant("ab"), [phone(1).key, None])
        self.turns.leave("a")
        self.turns.leave("z")
        self.assertEqual(self.turns.settle(), ["b"])
        self.assertEqual(self.meant("ab"), [None, phone(1).key])

    def test_gone(self) -> None:
        """
        A job whose phone has gone has the one that is free, or that of the last that has come
        after it; not that of one which has come before.
        """
        self.come("a", "b", "c")
        for number in (1, 2, 3):
            self.turns.offer(phone(number))
        self.assertEqual(self.meant("abc"), [phone(each).key for each in (1, 2, 3)])
        self.turns.withhold(phone(2).key)
        self.assertEqual(self.meant("abc"), [phone(1).key, phone(3).key, None])
        self.turns.offer(phone(4))
        self.turns.settle()
        self.turns.withhold(phone(1).key)
        self.assertEqual(self.meant("abc"), [phone(4).key, phone(3).key, None])

    def test_changed(self) -> None:
        """
        A phone that is another one in some way is looked at anew.
        """
        self.come("a", wanted="label=x")
        self.come("b")
        self.turns.offer(phone(1))
        self.assertEqual(self.meant("ab"), [None, phone(1).key])
        self.turns.offer(phone(1, labels=("x",)))
        self.assertEqual(self.turns.settle(), ["a"])
        self.assertEqual(self.meant("ab"), [phone(1).key, None])

    def test_unordered(self) -> None:
        """
        A queue that is not told of in its order is served in it all the same.
        """
        self.turns.offer(phone(1))
        self.come("c", "b", "a")
        self.assertEqual(self.meant("abc"), [phone(1).key, None, None])
        self.turns.offer(phone(2))
        self.assertEqual(self.meant("abc"), [phone(1).key, phone(2).key, None])

    def test_comesAgain(self) -> None:
        """
        A job that comes once more has what it has; but not if it wants something else.
        """
        self.come("a")
        self.turns.offer(phone(1))
        self.assertEqual(self.meant("a"), [phone(1).key])
        self.come("a")
        self.assertEqual(self.turns.settle(), [])
        self.come("a", wanted=udid(2))
        self.assertEqual(self.meant("a"), [None])

    @settings(max_examples=examples(100), deadline=None)
    @given(data())
    def test_settled(self, drawn: DataObject) -> None:
        """
        Whatever happens, nothing is meant for two, and no job is without a phone that it fits and
        that is meant for none, or for a later one.
        """
        turns: Turns[int] = Turns()
        jobs: dict[int, Requirement] = {}
        orders = drawn.draw(permutations(range(6)))
        for _ in range(drawn.draw(integers(1, 30))):
            number = drawn.draw(integers(1, 6))
            order = orders[number - 1]
            match drawn.draw(sampled_from(("offer", "withhold", "come", "leave", "settle"))):
                case "offer":
                    turns.offer(offered(number))
                case "withhold":
                    turns.withhold(phone(number).key)
                case "come" if order not in jobs:
                    jobs[order] = Requirement.fromString(drawn.draw(sampled_from(WANTED)))
                    turns.come(order, order, jobs[order])
                case "leave":
                    jobs.pop(order, None)
                    turns.leave(order)
                case "settle":
                    before = {job: turns.of(job) for job in jobs}
                    news = turns.settle()
                    has = {job: turns.of(job) for job in jobs}
                    changed = {job for job in jobs if has[job] not in (None, before[job])}
                    assert changed <= set(news) <= {job for job in jobs if has[job] is not None}
                    self.assertSettled(turns, jobs)
        turns.settle()
        self.assertSettled(turns, jobs)

    def assertSettled(self, turns: Turns[int], jobs: dict[int, Requirement]) -> None:
        """
        It is as L{Turns} says.
        """
        has = {job: key for job in jobs if (key := turns.of(job)) is not None}
        assert len(set(has.values())) == len(has)
        meant = {key: job for job, key in has.items()}
        for job, key in has.items():
            assert jobs[job].fits(turns.free[key])
        for job in jobs.keys() - has.keys():
            for key, free in turns.free.items():
                assert not jobs[job].fits(free) or meant.get(key, job + 1) < job
        unmeant = [one.key for one in turns.unmeant(ANY_PHONE)]
        assert unmeant == [key for key in turns.free if key not in meant]
