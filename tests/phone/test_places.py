"""
Tests of L{muxd.phone.places}.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.places import checkFeed, checkKept


class PlaceTests(SynchronousTestCase):
    """
    L{checkFeed} and L{checkKept}.
    """

    def setUp(self) -> None:
        """
        A directory with a file, and a directory in it.
        """
        self.root = Path(self.mktemp()).absolute()
        (self.root / "d").mkdir(parents=True)
        (self.root / "f").write_text("")
        self.forbidden: set[str] = set()

        def access(path: str, mode: int) -> bool:
            return str(path) not in self.forbidden

        # Root may do everything.
        self.patch(os, "access", access)

    def test_feed(self) -> None:
        """
        A file that feeds a log is there or can come to be there.
        """
        for name in ("f", "later", "d/later"):
            checkFeed("log", str(self.root / name))
        self.forbidden = {str(self.root / "f")}
        for name, said in (
            ("d", "is a directory; name a file or a pipe"),
            ("none/x", f"there is no directory {self.root}/none; make it, or choose another place"),
            ("f/x", f"there is no directory {self.root}/f; make it, or choose another place"),
            ("f", "this user may not read it; change its mode, or choose another one"),
        ):
            path = self.root / name
            error = self.assertRaises(ValueError, checkFeed, "log", str(path))
            self.assertEqual(str(error), f"log: {path}: {said}")

    def test_kept(self) -> None:
        """
        A directory is there and can be written to, or can be made.
        """
        for name in ("d", "later", "d/later/still"):
            checkKept("state", str(self.root / name))
        os.symlink("nowhere", self.root / "l")
        self.forbidden = {str(self.root / "d")}
        for name, said in (
            ("f", f"{self.root}/f is no directory; choose another place"),
            ("f/x/y", f"{self.root}/f is no directory; choose another place"),
            ("l", f"{self.root}/l is no directory; choose another place"),
            ("d/x", f"this user may not write to {self.root}/d; change its mode, or choose"),
        ):
            path = self.root / name
            error = self.assertRaises(ValueError, checkKept, "state", str(path))
            self.assertIn(f"state: {path}: {said}", str(error))

    def test_empty(self) -> None:
        """
        An empty name, as a script's variable may be, is no default.
        """
        for check in (checkFeed, checkKept):
            error = self.assertRaises(ValueError, check, "log", "")
            self.assertEqual(str(error), "log: expected a path, got ''")
