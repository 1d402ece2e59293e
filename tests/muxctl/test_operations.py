# -*- test-case-name: tests.muxctl.test_operations -*-
"""
Tests of L{muxd.muxctl.operations}.
"""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from tests.muxctl.console import Outcome, muxctl
from tests.muxctl.fakestatus import FakeStatus, answered
from tests.server.viewing import udid


class OperationTests(SynchronousTestCase):
    """
    The commands, with a status socket that answers as it is told.
    """

    def outcome(self, values: object, *words: str, status: str = "200 OK") -> tuple[Outcome, bytes]:
        """
        What comes of a command, and what it has asked for.
        """
        fake = FakeStatus(self, answered(values, status))
        return muxctl(*words, address=fake.daemon), fake.asked

    def test_release(self) -> None:
        """
        A phone is released, and it is said if it is not there.
        """
        seen, asked = self.outcome({"attached": 1}, "release", udid(1))
        self.assertEqual((seen.status, seen.out), (0, f"{udid(1)} is released\n"))
        self.assertIn(b"POST /api/release HTTP", asked)
        self.assertIn(json.dumps({"udid": udid(1)}).encode(), asked)
        seen, _ = self.outcome({"attached": 0}, "release", udid(1))
        self.assertEqual(seen.out, f"{udid(1)} is released, and is not here at present\n")

    def test_take(self) -> None:
        """
        One is taken back; if it was not released, that is an error.
        """
        seen, asked = self.outcome({"released": []}, "take", udid(1))
        self.assertEqual((seen.status, seen.out), (0, f"{udid(1)} is taken back\n"))
        self.assertIn(b"POST /api/take HTTP", asked)
        seen, _ = self.outcome(
            {"error": "X was not released", "remedy": "released are: none"},
            "take",
            "X",
            status="404 Not Found",
        )
        self.assertEqual(seen.status, 1)
        self.assertIn("X was not released", seen.err)

    def test_phone(self) -> None:
        """
        A command for simulated phones is passed on; what it answers is shown, if it is anything.
        """
        seen, asked = self.outcome({"answer": "ok"}, "phone", "unplug", "2", "-71")
        self.assertEqual((seen.status, seen.out), (0, ""))
        self.assertIn(b"POST /api/phone HTTP", asked)
        self.assertIn(json.dumps({"command": "unplug 2 -71"}).encode(), asked)
        seen, _ = self.outcome({"answer": ["plug [N]", "quit"]}, "phone", "help")
        self.assertEqual(seen.out, "plug [N]\nquit\n")
        seen, _ = self.outcome({"answer": {"udid": "X"}}, "phone", "stats")
        self.assertEqual(json.loads(seen.out), {"udid": "X"})
        seen, _ = self.outcome({"answer": "ok"}, "--json", "phone", "trust")
        self.assertEqual(json.loads(seen.out), "ok")

    def test_reload(self) -> None:
        """
        It is said how many places there are, and what changes later.
        """
        seen, asked = self.outcome({"listening": 2, "later": []}, "reload")
        self.assertEqual((seen.status, seen.out), (0, "listening addresses: 2\n"))
        self.assertIn(b"POST /api/reload HTTP", asked)
        seen, _ = self.outcome({"listening": 2, "later": ["source", "limits"]}, "reload")
        self.assertIn("; at the next start: source, limits", seen.out)

    def test_json(self) -> None:
        """
        Programs get the answer itself.
        """
        values = {"attached": 1, "released": [udid(1)], "udid": udid(1)}
        seen, _ = self.outcome(values, "--json", "release", udid(1))
        self.assertEqual(json.loads(seen.out), values)
