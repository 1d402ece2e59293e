# -*- test-case-name: tests.fleet.test_states -*-
"""
Tests of L{muxd.fleet.states}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muxd.fleet.states import (
    JOBS,
    LEASES,
    RESERVATIONS,
    Event,
    JobState,
    LeaseState,
    ReservationState,
    WrongStep,
    step,
)


class StatesTests(SynchronousTestCase):
    """
    Tests of the tables.
    """

    def test_whole(self) -> None:
        """
        Every state has a row, and can be reached.
        """
        for table, kind, first in (
            (LEASES, LeaseState, LeaseState.LIVE),
            (RESERVATIONS, ReservationState, ReservationState.HELD),
            (JOBS, JobState, JobState.WAITING),
        ):
            self.assertEqual(set(table), set(kind))
            reached = {first}.union(*(row.values() for row in table.values()))
            self.assertEqual(reached, set(kind))

    def test_ends(self) -> None:
        """
        What has ended stays so, whatever happens.
        """
        for event in Event:
            self.assertRaises(WrongStep, step, LEASES, LeaseState.LAPSED, event)
            self.assertRaises(WrongStep, step, RESERVATIONS, ReservationState.EXPIRED, event)
            self.assertRaises(WrongStep, step, JOBS, JobState.TOLD, event)

    def test_step(self) -> None:
        """
        A step leads where the table says.
        """
        self.assertIs(step(JOBS, JobState.WAITING, Event.GRANT), JobState.SERVED)
