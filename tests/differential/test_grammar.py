"""
Tests of L{tests.differential.grammar} and L{tests.differential.kept}.
"""

from __future__ import annotations

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from muxd.wire.messages import MalformedMessage, parsePlist
from tests.differential.grammar import case
from tests.differential.kept import kept
from tests.differential.requests import requestsOf


class GrammarTests(SynchronousTestCase):
    """
    What conversations are made of.
    """

    def test_repeatable(self) -> None:
        """
        A number is always the same conversation, and another number another one.
        """
        first = [case(1, number) for number in range(50)]
        self.assertEqual(first, [case(1, number) for number in range(50)])
        self.assertEqual(len({one.data for one in first}), 50)
        self.assertNotEqual(first, [case(2, number) for number in range(50)])

    def test_bothSides(self) -> None:
        """
        Of the requests some are read and some are not, in good number each; all kinds
        of requests are among those that are read.
        """
        seen: Counter[object] = Counter()
        for number in range(400):
            for request in requestsOf(case(1, number)).values():
                if request.kind != 8:
                    seen["binary"] += 1
                    continue
                try:
                    kind = parsePlist(request.body).get("MessageType")
                    seen[kind if isinstance(kind, str) else "odd"] += 1
                except MalformedMessage:
                    seen["malformed"] += 1
        for kind in ("Listen", "Connect", "ListDevices", "SavePairRecord", "ReadPairRecord"):
            self.assertGreater(seen[kind], 20, seen)
        for kind in ("malformed", "binary", "odd"):
            self.assertGreater(seen[kind], 10, seen)

    def test_cuts(self) -> None:
        """
        Conversations come in one piece and in several, with waiting and without.
        """
        cases = [case(1, number) for number in range(200)]
        pieces = Counter(len(one.pieces) for one in cases)
        self.assertGreater(pieces[1], 20)
        self.assertGreater(sum(pieces.values()) - pieces[1], 50)
        self.assertEqual({one.pieces[-1].waits for one in cases}, {True, False})


class KeptTests(SynchronousTestCase):
    """
    Those that are kept.
    """

    def test_names(self) -> None:
        """
        Each has a name of its own, by which it can be asked for.
        """
        names = [one.name for one in kept()]
        self.assertEqual(len(names), len(set(names)))
        self.assertFalse([name for name in names if ":" in name])
