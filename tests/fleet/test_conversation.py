# -*- test-case-name: tests.fleet.test_conversation -*-
"""
Tests of L{muxd.fleet.conversation}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from muxd.fleet.codec import BadMessage
from muxd.fleet.conversation import (
    RETRY,
    Answered,
    Conversation,
    Ended,
    Lease,
    Rejected,
    Unwanted,
    Welcomed,
)
from muxd.fleet.messages import Alive, Done, Drain, Over, Refused, Renew, Reserved, Welcome
from muxd.fleet.values import FleetError, Why
from tests.running.properties import examples

WELCOME = Welcome(name="ann", term=10.0)


class ConversationTests(SynchronousTestCase):
    """
    Tests of L{Conversation}.
    """

    def setUp(self) -> None:
        """
        One.
        """
        self.talk = Conversation("ann")

    def reserved(self, number: int) -> Reserved:
        """
        A phone for a job.
        """
        return Reserved(number=number, token=5, key="k", term=30.0)

    def test_welcome(self) -> None:
        """
        The hub says welcome once.
        """
        self.assertEqual(self.talk.hello.name, "ann")
        self.assertEqual(self.talk.heard(WELCOME), Welcomed(10.0))
        self.assertRaises(BadMessage, self.talk.heard, WELCOME)

    def test_rejected(self) -> None:
        """
        A hub that does not talk to the job says why, which is then why it is lost.
        """
        self.assertEqual(str(self.talk.lost()), "the hub is lost")
        refused = Refused(number=0, why=Why.NOT_ALLOWED, detail="go away")
        self.assertEqual(self.talk.heard(refused), Rejected())
        self.assertEqual(str(self.talk.lost()), "go away")

    def test_answers(self) -> None:
        """
        Each answer is that to its question, and comes once.
        """
        first = self.talk.ask(Renew, token=1, key="k")
        second = self.talk.ask(Renew, token=2, key="k")
        self.assertNotEqual(first.number, second.number)
        for question in (second, first):
            done = Done(number=question.number)
            self.assertEqual(self.talk.heard(done), Answered(question.number, done))
            self.assertIsNone(self.talk.heard(done))

    def test_refused(self) -> None:
        """
        A question that is refused is answered with the reason, whose words are there once.
        """
        question = self.talk.ask(Renew, token=1, key="k")
        detail = f"{Why.OVER.value}: it was taken"
        heard = self.talk.heard(Refused(number=question.number, why=Why.OVER, detail=detail))
        assert isinstance(heard, Answered) and isinstance(heard.answer, FleetError)
        self.assertEqual((heard.answer.why, str(heard.answer)), (Why.OVER, detail))

    def test_withdrawn(self) -> None:
        """
        A phone that comes after it was withdrawn is given back; another answer is nothing.
        """
        first, second = (self.talk.ask(Drain, host="a", isDraining=True) for _ in range(2))
        self.assertEqual(self.talk.withdraw(first.number).number, first.number)
        self.talk.withdraw(second.number)
        heard = self.talk.heard(self.reserved(first.number))
        assert isinstance(heard, Unwanted)
        self.assertEqual((heard.release.token, heard.release.key), (5, "k"))
        self.assertIsNone(self.talk.heard(Done(number=second.number)))

    def test_others(self) -> None:
        """
        What is over is told, signs of life are nothing, and what no hub says is an error.
        """
        self.assertEqual(self.talk.heard(Over(token=5, detail="why")), Ended(5, "why"))
        self.assertIsNone(self.talk.heard(Alive()))
        self.assertRaises(BadMessage, self.talk.heard, self.talk.hello)


class LeaseTests(SynchronousTestCase):
    """
    Tests of L{Lease}.
    """

    def test_renewed(self) -> None:
        """
        It is to be renewed after a third of its term, and counts from when that was asked for.
        """
        lease = Lease(30.0, 100.0)
        self.assertEqual((lease.wait(100.0), lease.wait(110.0), lease.wait(120.0)), (10.0, 0, 0))
        lease.renewed(111.0, 112.0)
        self.assertEqual((lease.deadline, lease.wait(112.0)), (141.0, 10.0))
        self.assertFalse(lease.isOver(140.9))
        self.assertTrue(lease.isOver(141.0))

    def test_failed(self) -> None:
        """
        A renewal that failed is tried again soon, and not after the end.
        """
        lease = Lease(30.0, 100.0)
        lease.failed(110.0)
        self.assertEqual(lease.wait(110.0), RETRY)
        lease.failed(129.5)
        self.assertEqual(lease.wait(129.5), 0.5)

    @settings(deadline=None, max_examples=examples(20))
    @given(some.lists(some.tuples(some.booleans(), some.floats(0, 40)), max_size=10))
    def test_neverLate(self, steps: list[tuple[bool, float]]) -> None:
        """
        Whatever comes of renewals, the next look is not after its end.
        """
        lease, now = Lease(30.0, 0.0), 0.0
        for works, passed in steps:
            now += passed
            if works:
                lease.renewed(now, now)
            else:
                lease.failed(now)
            self.assertLessEqual(now + lease.wait(now), max(now, lease.deadline))
