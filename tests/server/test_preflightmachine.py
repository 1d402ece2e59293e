"""
Tests of L{muxd.server.preflightmachine}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muxd.server.preflightmachine import FINAL, SHOWN, TRANSITIONS, Outcome, Stage


class MachineTests(SynchronousTestCase):
    """
    The machine, looked at as a graph.
    """

    def test_complete(self) -> None:
        """
        There is nothing for which it does not say what follows.
        """
        self.assertEqual(set(TRANSITIONS), set(Stage))
        used = {outcome for outcomes in TRANSITIONS.values() for outcome in outcomes}
        self.assertEqual(used, set(Outcome))

    def test_reachable(self) -> None:
        """
        Every stage can come about.
        """
        found, waiting = {Stage.ASKING_TYPE}, [Stage.ASKING_TYPE]
        while waiting:
            for stage in TRANSITIONS[waiting.pop()].values():
                if stage not in found:
                    found.add(stage)
                    waiting.append(stage)
        self.assertEqual(found, set(Stage))

    def test_noDeadEnd(self) -> None:
        """
        Wherever it ends, the phone is visible; and from everywhere else a
        visible stage can be reached.
        """
        self.assertLess(FINAL, SHOWN)
        hidden = set(Stage) - SHOWN
        for stage in hidden:
            found, waiting = {stage}, [stage]
            while waiting:
                for follower in TRANSITIONS[waiting.pop()].values():
                    if follower not in found:
                        found.add(follower)
                        waiting.append(follower)
            self.assertTrue(found & SHOWN, stage)

    def test_retried(self) -> None:
        """
        Every failure is tried again.
        """
        for outcomes in TRANSITIONS.values():
            if Outcome.FAILED in outcomes:
                self.assertIs(outcomes[Outcome.FAILED], Stage.RESTING)
        self.assertEqual(TRANSITIONS[Stage.RESTING], {Outcome.NEWS: Stage.ASKING_TYPE})
