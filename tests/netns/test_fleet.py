# -*- test-case-name: tests.netns.test_fleet -*-
"""
Tests of L{tests.netns.fleet} and L{tests.netns.members} that need no networks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.netns.fleet import Fleet
from tests.netns.members import Member


class Still:
    """
    A network, of which nothing is wanted.
    """

    def heal(self) -> None:
        """
        Nothing is lost.
        """

    close = heal


class Stuck:
    """
    A job that does not end.
    """

    name = "stuck1"
    isKilled = False

    def text(self) -> str:
        """
        Its log.
        """
        return "it waits for ever"

    def close(self) -> None:
        """
        It takes no notice.
        """

    def kill(self) -> None:
        """
        It is killed.
        """
        self.isKilled = True

    def status(self) -> int:
        """
        It has none.
        """
        raise AssertionError("neither served nor told")


class FleetTests(SynchronousTestCase):
    """
    Tests of L{Fleet}.
    """

    def test_jobDoesNotEnd(self) -> None:
        """
        A fleet that does not come to rest, as a job does not end, shows the jobs' logs, and all
        jobs are killed at its end.
        """
        fleet: Any = Fleet.__new__(Fleet)
        fleet.network, fleet.directory, fleet.cluster = Still(), Path(self.mktemp()), None
        fleet.hubs, fleet.hosts = [], []
        jobs = fleet.jobs = [Stuck(), Stuck()]
        self.assertRaises(AssertionError, fleet.rest)
        self.assertIn("it waits for ever", fleet.logs())
        fleet.close()
        self.assertEqual([job.isKilled for job in jobs], [True, True])


class MemberTests(SynchronousTestCase):
    """
    Tests of L{Member}.
    """

    def test_says(self) -> None:
        """
        It says something if all of that is in one line.
        """
        log = Path(self.mktemp())
        log.write_text("no longer holder1's, it was taken\nno longer holder12's, it was lost\n")
        network: Any = Still()
        member = Member(network, "host0", log, list)
        self.assertTrue(member.says("no longer holder1's", "it was taken"))
        self.assertFalse(member.says("no longer holder1's", "it was lost"))
