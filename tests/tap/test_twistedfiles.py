"""
Tests of L{muxd.tap.twistedfiles}.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muxd.tap.twistedfiles import complaintAboutFiles, printAndExit


class FileTests(SynchronousTestCase):
    """
    L{complaintAboutFiles}.
    """

    def setUp(self) -> None:
        """
        A directory, and one that may not be written to, whoever runs this.
        """
        self.root = Path(self.mktemp()).absolute()
        self.root.mkdir()
        self.isWritable = True
        self.patch(os, "access", lambda path, mode: self.isWritable)

    def complaint(self, **options: Any) -> str:
        """
        What is said of these options of C{twistd}.
        """
        given = {"pidfile": "", "logfile": None, "nodaemon": False, "rundir": "."}
        return complaintAboutFiles({**given, **options})

    def test_log(self) -> None:
        """
        In the background there has to be a place for the log, if it goes to no other one.
        """
        log = str(self.root / "log")
        self.assertEqual(self.complaint(), "")
        self.isWritable = False
        self.assertIn("--logfile twistd.log: this user may not write there", self.complaint())
        self.assertIn(f"--logfile {log}: this user may", self.complaint(logfile=log, nodaemon=True))
        for elsewhere in ({"syslog": True}, {"logger": "x"}, {"nodaemon": True}, {"chroot": "/x"}):
            self.assertEqual(self.complaint(**elsewhere), "", elsewhere)
        self.assertEqual(self.complaint(logfile="-", nodaemon=True), "")

    def test_pidFile(self) -> None:
        """
        So for the pid file, which need not be.
        """
        known = {"nodaemon": True, "rundir": str(self.root)}
        self.assertEqual(self.complaint(pidfile="x.pid", **known), "")
        complaint = self.complaint(pidfile="none/x.pid", **known)
        self.assertIn(f"--pidfile {self.root}/none/x.pid: there is no directory", complaint)
        self.assertTrue(complaint.endswith(", or write --pidfile= for none"), complaint)
        self.isWritable = False
        self.assertIn("may not write there", self.complaint(pidfile="x.pid", **known))


class PrintTests(SynchronousTestCase):
    """
    L{printAndExit}.
    """

    def outcome(self, number: int) -> tuple[int, str, str]:
        """
        The status, and what was printed, where that fails with this C{errno}.
        """

        class Output(io.StringIO):
            def flush(self) -> None:
                if number:
                    raise OSError(number, os.strerror(number))

        output, errors = Output(), io.StringIO()
        self.patch(sys, "stdout", output)
        self.patch(sys, "stderr", errors)
        ended = self.assertRaises(SystemExit, printAndExit, "usbmuxd", "text")
        assert isinstance(ended.code, int)
        return ended.code, output.getvalue(), errors.getvalue()

    def test_printed(self) -> None:
        """
        It is printed, and that is all.
        """
        self.assertEqual(self.outcome(0), (0, "text\n", ""))

    def test_full(self) -> None:
        """
        What cannot be printed is one line.
        """
        status, _, said = self.outcome(errno.ENOSPC)
        self.assertEqual(status, 1)
        self.assertEqual(
            said, "usbmuxd: standard output cannot be written: No space left on device\n"
        )

    def test_noReader(self) -> None:
        """
        An output that nobody reads any more is no news.
        """
        status, _, said = self.outcome(errno.EPIPE)
        self.assertEqual((status, said), (1, ""))
