"""
Tests of L{muxd.phone.services.trees}.
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.services.trees import makeDirectories, removeTree

LONGEST_PATH = os.pathconf("/", "PC_PATH_MAX")
DEEP = "/d" * (sys.getrecursionlimit() + 50)
"""More than functions may call themselves, and more than half of the longest path."""


class TreeCase(SynchronousTestCase):
    """
    A directory for trees.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        self.directory = Path(tempfile.mkdtemp())
        self.addCleanup(self.directory.rmdir)
        self.top = str(self.directory / "top")

    def descriptors(self) -> int:
        """
        How many files are open.
        """
        return len(os.listdir("/dev/fd"))


class MakeDirectoriesTests(TreeCase):
    """
    Making one of any depth.
    """

    def test_deep(self) -> None:
        """
        Its depth is no matter.
        """
        for _ in range(2):
            makeDirectories(self.top + DEEP)
            self.assertTrue(os.path.isdir(self.top + DEEP))
        removeTree(self.top)

    def test_tooLong(self) -> None:
        """
        Where there is no path for it nothing is made.
        """
        error = self.assertRaises(OSError, makeDirectories, self.top + "/d" * LONGEST_PATH)
        self.assertEqual(error.errno, errno.ENAMETOOLONG)
        self.assertFalse(os.path.exists(self.top))

    def test_inTheWay(self) -> None:
        """
        A file is no directory, and has none in it; a link to a directory is one.
        """
        os.mkdir(self.top)
        Path(self.top, "file").touch()
        os.symlink(".", f"{self.top}/link")
        self.assertRaises(FileExistsError, makeDirectories, f"{self.top}/file")
        self.assertRaises(NotADirectoryError, makeDirectories, f"{self.top}/file/a/b")
        makeDirectories(f"{self.top}/link")
        removeTree(self.top)


class RemoveTreeTests(TreeCase):
    """
    Removing one of any depth.
    """

    def test_everything(self) -> None:
        """
        Everything in it is removed, and nothing that a link in it leads to.
        """
        keep = self.directory / "keep"
        keep.mkdir()
        (keep / "file").touch()
        self.addCleanup(keep.rmdir)
        self.addCleanup((keep / "file").unlink)
        for name in ("a/b/c", "a/d", "e"):
            makeDirectories(f"{self.top}/{name}")
            Path(self.top, name, "file").touch()
            os.symlink(keep, f"{self.top}/{name}/link")
        os.mkfifo(f"{self.top}/fifo")
        removeTree(self.top)
        self.assertEqual(os.listdir(self.directory), ["keep"])
        self.assertEqual(os.listdir(keep), ["file"])

    def test_elsewhere(self) -> None:
        """
        Where there is no way to be in a directory, it is removed all the same.
        """
        self.patch(os, "supports_dir_fd", set())
        top = self.mktemp()
        os.makedirs(os.path.join(top, "a", "b"))
        removeTree(top)
        self.assertFalse(os.path.exists(top))

    def test_deep(self) -> None:
        """
        However deep it is: a tree that is moved into another one has no path any more.  Nor
        does it need more open files than another one.
        """
        before = self.descriptors()
        self.assertGreater(2 * len(DEEP), LONGEST_PATH)
        other = str(self.directory / "other")
        for path in (self.top, other):
            makeDirectories(path + DEEP)
        os.rename(other, f"{self.top}{DEEP}/other")
        removeTree(self.top)
        self.assertFalse(os.path.exists(self.top))
        self.assertEqual(self.descriptors(), before)

    def test_cannot(self) -> None:
        """
        What cannot be removed is said, and no file stays open.
        """
        before = self.descriptors()
        self.assertRaises(FileNotFoundError, removeTree, f"{self.top}/none")
        os.mkdir(self.top)
        Path(self.top, "file").touch()
        self.assertRaises(NotADirectoryError, removeTree, f"{self.top}/file")
        os.symlink(self.top, f"{self.top}/link")
        self.assertRaises(OSError, removeTree, f"{self.top}/link")
        self.assertTrue(os.path.exists(f"{self.top}/file"))
        self.assertEqual(self.descriptors(), before)
        removeTree(self.top)
