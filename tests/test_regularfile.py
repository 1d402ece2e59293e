"""
Tests for L{muxd.atomicfiles}.
"""

from __future__ import annotations

import os
import socket
from errno import ENOENT
from pathlib import Path
from unittest import skipUnless

from twisted.trial.unittest import SynchronousTestCase

from muxd.atomicfiles import NotARegularFile, readRegularFile


class ReadPlainFileTests(SynchronousTestCase):
    """
    Tests for L{readRegularFile}.
    """

    def setUp(self) -> None:
        """
        A directory with a file.
        """
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.file = self.directory / "file"
        self.file.write_bytes(b"content")

    def refused(self, path: Path, names: int = 1) -> str:
        """
        Why something is not read; to clients it is not there.
        """
        before = set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else set()
        error = self.assertRaises(NotARegularFile, readRegularFile, str(path), 100, names)
        self.assertEqual(error.errno, ENOENT)
        if before:
            self.assertEqual(len(os.listdir("/proc/self/fd")), len(before))
        return str(error)

    def test_plain(self) -> None:
        """
        A plain file is read, up to its largest size.
        """
        self.assertEqual(readRegularFile(str(self.file), 7), b"content")
        self.file.write_bytes(b"")
        self.assertEqual(readRegularFile(str(self.file), 7), b"")

    def test_missing(self) -> None:
        """
        What is not there is not there.
        """
        self.assertRaises(FileNotFoundError, readRegularFile, str(self.directory / "no"), 100)

    def test_tooLarge(self) -> None:
        """
        A large file, also one that is nothing but a hole, is not read.
        """
        os.truncate(self.file, 1 << 40)
        self.assertIn("1099511627776 bytes", self.refused(self.file))

    def test_symbolicLinks(self) -> None:
        """
        Links are not followed, wherever they lead.
        """
        for number, target in enumerate((str(self.file), "/dev/zero", "nowhere", "link3")):
            link = self.directory / f"link{number}"
            link.symlink_to(target)
            self.assertIn("symbolic link", self.refused(link))

    def test_hardLinks(self) -> None:
        """
        A file that is somewhere else as well is not read, unless that is expected.
        """
        other = self.directory / "other"
        os.link(self.file, other)
        self.assertIn("1 more names", self.refused(other))
        self.assertEqual(readRegularFile(str(other), 100, names=2), b"content")

    @skipUnless(hasattr(os, "mkfifo"), "there are no FIFOs here")
    def test_noFiles(self) -> None:
        """
        A FIFO, which would make who opens it wait, a socket, and a directory.
        """
        fifo = self.directory / "fifo"
        os.mkfifo(fifo)
        self.assertIn("no file", self.refused(fifo))
        self.assertIn("no file", self.refused(self.directory))
        here = os.getcwd()
        os.chdir(self.directory)
        self.addCleanup(os.chdir, here)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("socket")
            self.assertIn("no file", self.refused(Path("socket")))

    def test_exchanged(self) -> None:
        """
        What was a plain file when it was looked at, and is something else when it
        is opened, is not read either.
        """
        status = os.lstat(self.file)
        link, fifo = self.directory / "link", self.directory / "fifo"
        link.symlink_to(self.file)
        os.mkfifo(fifo)
        self.patch(os, "stat", lambda path, **keywords: status)
        self.assertIn("symbolic link", self.refused(link))
        self.assertIn("no file", self.refused(fifo))
