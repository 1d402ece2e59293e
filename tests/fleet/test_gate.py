# -*- test-case-name: tests.fleet.test_gate -*-
"""
Tests of L{muxd.fleet.gate}.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from hypothesis.strategies import floats, integers, sampled_from
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.fleet import gate as module
from muxd.fleet.gate import Gate, Pass
from tests.fleet.fleets import udid
from tests.running.properties import examples


class GateTests(SynchronousTestCase):
    """
    Tests of L{Gate}.
    """

    def setUp(self) -> None:
        """
        A gate that remembers what it cuts.
        """
        self.clock = Clock()
        self.cut: list[tuple[int, str]] = []
        self.gate = Gate(self.clock, lambda ended, why: self.cut.append((ended.token, why)))

    def test_key(self) -> None:
        """
        The key of a reservation opens its phone, and nothing else does.
        """
        self.assertTrue(self.gate.grant(5, "secret", udid(1), "ann", 10))
        opened = self.gate.knock(udid(1).lower(), "secret")
        assert opened is not None
        self.assertEqual((opened.token, opened.user), (5, "ann"))
        self.assertIs(self.gate.knock(udid(1), "secret"), opened)
        self.assertIsNone(self.gate.knock(udid(1), "guessed"))
        self.assertIsNone(self.gate.knock(udid(1), ""))
        self.assertIsNone(self.gate.knock(udid(2), "secret"))
        self.assertEqual(self.gate.holderOf(udid(1)), "ann")

    def test_over(self) -> None:
        """
        A reservation that is not renewed is over at its time, and its job cut, with nothing
        from outside; it does not come back.
        """
        self.gate.grant(5, "secret", udid(1), "ann", 10)
        self.clock.advance(9)
        self.gate.grant(5, "secret", udid(1), "ann", 10)
        self.clock.advance(9.9)
        self.assertEqual(self.cut, [])
        self.clock.advance(0.1)
        self.assertEqual(self.cut, [(5, "it was not renewed in time")])
        self.assertIsNone(self.gate.knock(udid(1), "secret"))
        self.assertFalse(self.gate.grant(5, "secret", udid(1), "ann", 10))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lateTimer(self) -> None:
        """
        What is over is not let in, also if the process was frozen and its timers come late.
        """
        self.gate.grant(5, "secret", udid(1), "ann", 10)
        self.clock.rightNow += 11
        self.assertIsNone(self.gate.knock(udid(1), "secret"))
        self.assertEqual(self.gate.tokens, [])

    def test_later(self) -> None:
        """
        A later token ends the one before it; that one's message, come late, is denied.
        """
        self.gate.grant(5, "five", udid(1), "ann", 10)
        self.assertTrue(self.gate.grant(8, "eight", udid(1), "bob", 10))
        self.assertEqual(self.cut, [(5, "bob has it now")])
        self.assertFalse(self.gate.grant(5, "five", udid(1), "ann", 10))
        self.assertIsNone(self.gate.knock(udid(1), "five"))
        self.assertEqual(self.gate.tokens, [8])

    def test_revoked(self) -> None:
        """
        What is revoked is cut, once, and no other is.
        """
        self.gate.grant(5, "five", udid(1), "ann", 10)
        self.gate.grant(6, "six", udid(2), "bob", 10)
        self.gate.revoke(5)
        self.gate.revoke(5)
        self.assertEqual(self.cut, [(5, "the reservation is over")])
        self.assertEqual(self.gate.tokens, [6])

    def test_keepOnly(self) -> None:
        """
        A hub that is back says which reservations are in force.
        """
        for token in (5, 6, 7):
            self.gate.grant(token, "s", udid(token), "ann", 10)
        self.gate.keepOnly(frozenset({6, 99}))
        self.assertEqual(self.gate.tokens, [6])

    def test_shared(self) -> None:
        """
        A phone that no job has is opened by the hub's key, until a job has it.
        """
        self.assertIsNone(self.gate.knock(udid(1), ""))
        self.gate.share("hub")
        opened = self.gate.knock(udid(1), "hub")
        assert opened is not None
        self.assertEqual(opened.token, 0)
        self.gate.grant(5, "secret", udid(1), "ann", 10)
        self.assertEqual(self.cut, [(0, "ann has it for itself now")])
        self.assertIsNone(self.gate.knock(udid(1), "hub"))
        self.gate.revoke(5)
        self.assertIsNotNone(self.gate.knock(udid(1), "hub"))

    def test_sharedChanges(self) -> None:
        """
        Another key of the hub's ends what the one before has opened; the same one does not.
        """
        self.gate.share("hub")
        self.gate.knock(udid(1), "hub")
        self.gate.share("hub")
        self.assertEqual(self.cut, [])
        self.gate.share("other")
        self.assertEqual(self.cut, [(0, "the hub has another key")])

    def test_gone(self) -> None:
        """
        A phone that is pulled out takes along what all share, and no reservation.
        """
        self.gate.share("hub")
        self.gate.knock(udid(1), "hub")
        self.gate.grant(5, "secret", udid(2), "ann", 10)
        self.gate.gone(udid(1))
        self.gate.gone(udid(2))
        self.assertEqual([token for token, _ in self.cut], [0])
        self.assertEqual(self.gate.tokens, [5])

    def test_stop(self) -> None:
        """
        A gate that is shut lets nothing in, and leaves no timer behind.
        """
        self.gate.share("hub")
        self.gate.knock(udid(1), "hub")
        self.gate.grant(5, "secret", udid(2), "ann", 10)
        self.gate.stop()
        self.assertEqual(sorted(token for token, _ in self.cut), [0, 5])
        self.assertIsNone(self.gate.knock(udid(1), "hub"))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_bounded(self) -> None:
        """
        The last tokens of so many phones are remembered and no more.
        """
        self.patch(module, "MOST_REMEMBERED", 2)
        for token in (5, 6, 7):
            self.gate.grant(token, "s", udid(token), "ann", 10)
            self.gate.revoke(token)
        self.assertEqual(len(self.gate._last), 2)


class GateMachine(RuleBasedStateMachine):
    """
    A hub that says anything in any order, and jobs that knock.
    """

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.inside: dict[int, Pass] = {}
        self.ends: dict[int, float] = {}
        self.latest: dict[str, int] = {}
        self.gate = Gate(self.clock, lambda ended, why: self.inside.pop(ended.token, None))

    @rule(number=integers(1, 3), token=integers(1, 12), term=floats(0.5, 5))
    def grant(self, number: int, token: int, term: float) -> None:
        """
        A grant, perhaps one that comes late.
        """
        phone = udid(number)
        # A token is of one phone.
        token = token * 3 + number
        isIn = token in self.gate.tokens
        if self.gate.grant(token, str(token), phone, "ann", term):
            self.ends[token] = self.clock.seconds() + term
            assert token >= self.latest.get(phone, 0)
            assert isIn or token > self.latest.get(phone, 0)
        self.latest[phone] = max(token, self.latest.get(phone, 0))

    @rule(number=integers(1, 3), token=integers(1, 12))
    def knock(self, number: int, token: int) -> None:
        """
        A job comes in.
        """
        opened = self.gate.knock(udid(number), str(token * 3 + number))
        if opened is not None:
            self.inside[opened.token] = opened

    @rule(token=integers(1, 40))
    def revoke(self, token: int) -> None:
        """
        The hub ends one.
        """
        self.gate.revoke(token)

    @rule(seconds=floats(0.1, 4), how=sampled_from(["awake", "frozen"]))
    def wait(self, seconds: float, how: str) -> None:
        """
        Time passes; a process that was frozen does what is due before anything else.
        """
        if how == "frozen":
            self.clock.rightNow += seconds
            self.clock.advance(0)
        else:
            self.clock.advance(seconds)

    @invariant()
    def excludes(self) -> None:
        """
        Nothing is inside whose time is over; of one phone there is one inside.
        """
        phones = [each.key for each in self.inside.values()]
        assert len(phones) == len(set(phones))
        for token in self.inside:
            assert self.ends[token] > self.clock.seconds()
            assert token in self.gate.tokens


class GateMachineTests(SynchronousTestCase):
    """
    L{Gate} against anything.
    """

    def test_machine(self) -> None:
        """
        Whatever a hub says, no phone has two jobs inside, and none that is over.
        """
        run_state_machine_as_test(
            GateMachine, settings=settings(max_examples=examples(30), stateful_step_count=25)
        )
