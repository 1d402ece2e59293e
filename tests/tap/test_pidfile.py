"""
Tests of L{muxd.tap.pidfile}.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from muxd.tap.pidfile import removeStalePidFile

SELF = 7


class StaleTests(SynchronousTestCase):
    """
    Tests of L{removeStalePidFile}.
    """

    def setUp(self) -> None:
        """
        A directory, and a system with processes.
        """
        self.directory = Path(self.mktemp())
        self.path = self.directory / "twistd.pid"
        self.processes = self.directory / "proc"
        self.processes.mkdir(parents=True)

    def process(self, number: int, *words: str) -> None:
        """
        A process that is alive.
        """
        directory = self.processes / str(number)
        directory.mkdir()
        (directory / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in words))

    def removed(self, content: str) -> bool:
        """
        Whether a pid file with this content is removed.
        """
        self.path.write_text(content)
        removed = removeStalePidFile(str(self.path), SELF, str(self.processes))
        self.assertEqual(removed, not self.path.exists())
        return removed

    def test_ourselves(self) -> None:
        """
        A file that names this process is of one before it: in a container all are number 1.
        """
        self.assertTrue(self.removed(f"{SELF}\n"))

    def test_empty(self) -> None:
        """
        A file without a number is of a daemon that was killed while it wrote it.
        """
        self.assertTrue(self.removed(""))
        self.assertTrue(self.removed("\n"))

    def test_noDaemon(self) -> None:
        """
        A process that is alive and no daemon has the number by chance.
        """
        self.process(8, "/bin/sh", "-c", "sleep 1")
        self.assertTrue(self.removed("8"))

    def test_daemon(self) -> None:
        """
        The file of a daemon that is alive stays.
        """
        for number, words in (
            (8, ("/usr/bin/python3", "/usr/bin/twistd", "-n", "usbmuxd")),
            (9, ("python", "-m", "twisted", "usbmuxd")),
            (10, ("/opt/muxd/bin/python", "/opt/muxd/bin/usbmuxd")),
        ):
            self.process(number, *words)
            self.assertFalse(self.removed(str(number)), words)

    def test_unknown(self) -> None:
        """
        The file of a process of which nothing can be told stays: twistd sees if it has ended.
        """
        self.assertFalse(self.removed("11"))
        self.process(12)
        self.assertFalse(self.removed("12"))

    def test_somethingElse(self) -> None:
        """
        What is no pid file is not removed.
        """
        self.assertFalse(self.removed("my diary"))
        self.assertFalse(self.removed("7" * 65))
        self.path.unlink()
        os.symlink("/etc/passwd", self.path)
        self.assertFalse(removeStalePidFile(str(self.path), SELF, str(self.processes)))
        self.path.unlink()
        self.assertFalse(removeStalePidFile(str(self.path), SELF, str(self.processes)))
