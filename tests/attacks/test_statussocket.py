# -*- test-case-name: tests.attacks.test_statussocket -*-
"""
Connections to the status socket that say nothing, or begin and never end: as many as there may be
kept all others out, for half a minute each time.
"""

from __future__ import annotations

from muxd.status.channel import SILENCE
from tests.status.asking import TINY, Reply, StatusTestCase, request

MOST = TINY.statusConnections


class SilentVisitorTests(StatusTestCase):
    """
    A crowd that waits, and another program.
    """

    def test_silent(self) -> None:
        """
        The one that has been silent for the longest gives way.
        """
        crowd = [self.client() for _ in range(MOST)]
        self.reactor.advance(SILENCE)
        self.assertEqual(self.get("/health").status, 200)
        self.assertEqual([each.aborted for each in crowd], [True] + [False] * (MOST - 1))

    def test_halfRequests(self) -> None:
        """
        So do those that have said some of a request.
        """
        for _ in range(10 * MOST):
            self.client().deliver(request("/health")[:-2])
            self.reactor.advance(SILENCE)
            self.assertEqual(self.get("/health").status, 200)
            self.assertLessEqual(self.server.site.connections, MOST)

    def test_kept(self) -> None:
        """
        A connection that is kept between questions is as old as its last answer.
        """
        kept = self.client()
        for _ in range(3 * MOST):
            kept.deliver(request("/health"))
            self.assertEqual(Reply.parse(kept.value()).status, 200)
            self.reactor.advance(SILENCE)
            self.client()
        self.assertFalse(kept.aborted)

    def test_hardlyThere(self) -> None:
        """
        One that has only just connected is not taken for silent, as its request may be on its
        way: it is the next one that is told that there are too many.
        """
        crowd = [self.client() for _ in range(MOST)]
        self.reactor.advance(SILENCE / 2)
        self.assertEqual(self.get("/health").status, 503)
        for each in crowd:
            each.deliver(request("/health"))
            self.assertEqual(Reply.parse(each.value()).status, 200)

    def test_lines(self) -> None:
        """
        That is a line of the log, and not one for each.
        """
        for _ in range(100 * MOST):
            self.client()
        told = [each for each in self.log if "kind" in each]
        self.assertLessEqual(len(told), 10)
