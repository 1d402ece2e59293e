# -*- test-case-name: tests.muxctl.test_activity -*-
"""
Tests of L{muxd.muxctl.activity}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muxd.muxctl.activity import Activity, eventsOf
from tests.muxctl.fakestatus import event, phone, session, state, tick


class ActivityTests(SynchronousTestCase):
    """
    A daemon's events.
    """

    def setUp(self) -> None:
        """
        Begin with a state.
        """
        self.activity = Activity()
        self.activity.take("state", state())

    def test_events(self) -> None:
        """
        Events are read from lines, whatever is between them.
        """
        lines = (event("tick", {"a": 1}) + b": comment\n\n" + event("phones", [])).splitlines(True)
        self.assertEqual(list(eventsOf(lines)), [("tick", {"a": 1}), ("phones", [])])
        self.assertRaises(ValueError, list, eventsOf([b"event: x\n", b"data: {\n"]))

    def test_rates(self) -> None:
        """
        What was carried in a second is a rate.
        """
        self.activity.take(
            "tick", tick(10.0, phones={"1": [1500, 2_000_000], "2": [1500, 2_000_000]})
        )
        self.activity.take(
            "tick", tick(12.0, phones={"1": [1700, 2_000_000], "2": [1500, 2_000_050]})
        )
        rates = [(use.up, use.down) for use in self.activity.phones.values()]
        self.assertEqual(rates, [(100.0, 0.0), (0.0, 25.0)])

    def test_sessions(self) -> None:
        """
        Sessions open, move and close.
        """
        self.activity.take(
            "tick",
            tick(1.0, opened=[session(2)], moved={"1-7": [100, 10, 5, 1], "9-9": [1, 1, 1, 1]}),
        )
        (first,) = self.activity.sessionsOf(1)
        self.assertEqual((first.up, first.down, first.values["held"]), (100.0, 0.0, 5))
        self.assertEqual(len(self.activity.sessionsOf(2)), 1)
        self.activity.take("tick", tick(2.0, closed=["2-7", "8-8"]))
        self.assertEqual((list(self.activity.sessions), first.up), (["1-7"], 0.0))

    def test_phones(self) -> None:
        """
        Phones come and go.
        """
        self.activity.take("phones", [phone(2), phone(3)])
        self.assertEqual(list(self.activity.phones), [2, 3])

    def test_problems(self) -> None:
        """
        Whatever else is told is kept.
        """
        self.activity.take("problems", [{"severity": "error", "text": "x"}])
        self.assertEqual(len(self.activity.daemon["problems"]), 1)

    def test_nonsense(self) -> None:
        """
        What makes no sense is an error of one kind.
        """
        for name, values in (
            ("state", {}),
            ("state", []),
            ("tick", {"time": "x"}),
            ("tick", tick(1.0, opened=[{}])),
            ("tick", tick(1.0, moved={"1-7": [1]})),
            ("tick", tick(1.0, phones={"1": [1]})),
            ("phones", [{}]),
            ("phones", None),
        ):
            self.assertRaises(ValueError, self.activity.take, name, values)
