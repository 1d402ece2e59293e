"""
Tests of L{muxd.server.attendance}, and of what is counted.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.limits import LIMITS
from muxd.net.acceptthrottle import AcceptThrottle
from muxd.server.accounts import Accounts
from muxd.server.attendance import Attendance
from muxd.server.counters import COUNTERS, ServerCounters


class AttendanceTests(SynchronousTestCase):
    """
    L{Attendance}.
    """

    def test_emptied(self) -> None:
        """
        That there is no client any more is told when the last one has gone, and also when
        another one of ours has taken its descriptor over.
        """
        clock = Clock()
        attendance = Attendance(Accounts(clock, LIMITS), AcceptThrottle(clock, LIMITS))
        told: list[None] = []
        for leave in (lambda one: attendance.gone(one, None), attendance.replaced):
            attendance.emptied = None
            for client in ("one", "other"):
                attendance.come(client, None)
            leave("one")
            attendance.emptied = lambda: told.append(None)
            self.assertEqual(told, [])
            leave("other")
            self.assertEqual(len(told), 1)
            told.clear()


class ServerCountersTests(SynchronousTestCase):
    """
    L{ServerCounters}.
    """

    def test_nothingYet(self) -> None:
        """
        All are 0 at first, or empty.
        """
        counters = ServerCounters()
        for name in COUNTERS:
            self.assertIn(getattr(counters, name), (0, {}), name)
