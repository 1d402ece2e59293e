"""
Tests of L{muxd.device.states}, the table and that sessions keep to it.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muxd.device.states import (
    CLOSED,
    DRAINING,
    ESTABLISHED,
    FLUSHING,
    HALF_CLOSED,
    TRANSITIONS,
    SessionState,
)
from tests.device.links import ScriptedPhone


class TransitionTests(SynchronousTestCase):
    """
    What may follow what.
    """

    def test_complete(self) -> None:
        """
        Every state is in the table, can be reached, and ends in CLOSED at once if it must.
        """
        self.assertEqual(set(TRANSITIONS), set(SessionState))
        reached = set().union(*TRANSITIONS.values())
        self.assertEqual(reached, set(SessionState) - {ESTABLISHED})
        for state in set(SessionState) - {CLOSED}:
            self.assertIn(CLOSED, TRANSITIONS[state])

    def test_end(self) -> None:
        """
        Nothing comes after CLOSED, nor does anything of a session that is draining begin
        again.
        """
        self.assertEqual(TRANSITIONS[CLOSED], frozenset())
        self.assertEqual(TRANSITIONS[DRAINING], {DRAINING, CLOSED})

    def test_checked(self) -> None:
        """
        A session does not go where the table knows no way.
        """
        session = ScriptedPhone.ready().open().session.session
        session.close()
        self.assertIs(session.state, CLOSED)
        error = self.assertRaises(AssertionError, session._enter, FLUSHING)
        self.assertEqual(str(error), f"session {session.sourcePort}: closed to flushing")

    def test_notBack(self) -> None:
        """
        One that has said everything does not begin again.
        """
        session = ScriptedPhone.ready().open().session.session
        session.closeHalf()
        self.assertIs(session.state, HALF_CLOSED)
        self.assertRaises(AssertionError, session._enter, ESTABLISHED)
        session.abort()
