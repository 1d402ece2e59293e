"""
Tests of L{muxd.phone.services.birthtimes}.
"""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.services import birthtimes
from muxd.phone.services.birthtimes import birthTime


class BirthTimeTests(SynchronousTestCase):
    """
    Tests of L{birthTime}.
    """

    def setUp(self) -> None:
        """
        A file.
        """
        self.path = self.mktemp()
        with open(self.path, "w") as file:
            file.write("data")

    def birth(self) -> int:
        """
        When it was made.
        """
        return birthTime(self.path, os.lstat(self.path))

    def test_stays(self) -> None:
        """
        It is the same whatever is done to the file: here its other times are all later.
        """
        before = self.birth()
        later = before + 3600 * 10**9
        os.utime(self.path, ns=(later, later))
        os.chmod(self.path, 0o600)
        moved = self.path + ".moved"
        os.rename(self.path, moved)
        self.path = moved
        self.assertEqual(self.birth(), before)

    def test_plausible(self) -> None:
        """
        It is no later than the last change.
        """
        self.assertLessEqual(self.birth(), os.lstat(self.path).st_ctime_ns)

    def test_fromPython(self) -> None:
        """
        Where Python tells it, that is what is told.
        """
        found: Any = SimpleNamespace(st_birthtime=1.5)
        self.assertEqual(birthTime(self.path, found), 1_500_000_000)

    def test_unknown(self) -> None:
        """
        Where it is not kept, it is the earliest time that is known.
        """
        self.patch(birthtimes, "_statx", lambda *_: -1)
        os.utime(self.path, ns=(7, 7))
        self.assertEqual(self.birth(), 7)
