"""
Tests of L{muxd.phone.services.afcfiles}.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.services.afcfiles import (
    HARD,
    LARGEST_SIZE,
    LOCKS,
    MOST_OPEN,
    SYMBOLIC,
    Files,
    statuses,
)
from muxd.phone.services.afcpackets import AFCError, Status
from tests.phone.services.test_trees import DEEP
from tests.running.properties import examples


class FilesCase(SynchronousTestCase):
    """
    A directory, beside which there is a secret.
    """

    def setUp(self) -> None:
        """
        Make them.
        """
        self.outside = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.outside)
        self.root = os.path.join(self.outside, "root")
        os.makedirs(self.root)
        self.secret = os.path.join(self.outside, "secret")
        with open(self.secret, "w") as file:
            file.write("secret")
        self.files = Files(FilePath(self.root))
        self.addCleanup(self.files.close)

    def put(self, path: str, data: bytes = b"data") -> None:
        """
        Write a file.
        """
        handle = self.files.open(path, 3)
        self.files.write(handle, data)
        self.files.closeFile(handle)

    def get(self, path: str) -> bytes:
        """
        Read one.
        """
        handle = self.files.open(path, 1)
        data = self.files.read(handle, 1 << 30)
        self.files.closeFile(handle)
        return data

    def refused(self, status: Status, action: Callable[..., object], *arguments: Any) -> None:
        """
        An operation fails in this way.
        """
        self.assertIs(self.assertRaises(AFCError, action, *arguments).status, status)


class FilesTests(FilesCase):
    """
    What a host can do.
    """

    def test_files(self) -> None:
        """
        Files are written, read, renamed, linked and removed.
        """
        self.put("/a")
        self.files.makeDirectory("d/e")
        self.files.makeDirectory("d/e")
        self.files.rename("a", "d/b")
        self.files.link(HARD, "d/b", "hard")
        self.files.link(SYMBOLIC, "d/b", "soft")
        self.assertEqual(self.get("hard"), b"data")
        self.assertEqual(self.get("soft"), b"data")
        self.assertEqual(self.files.names("/"), [".", "..", "d", "hard", "soft"])
        self.assertEqual(self.files.info("soft")["LinkTarget"], "d/b")
        self.refused(Status.NOT_EMPTY, self.files.remove, "d")
        self.files.removeAll("d")
        self.files.remove("hard")
        self.files.removeAll("soft")
        self.assertEqual(self.files.names(""), [".", ".."])

    def test_empty(self) -> None:
        """
        An empty directory is removed like a file.
        """
        self.files.makeDirectory("d")
        self.files.remove("d")
        self.refused(Status.NOT_FOUND, self.files.names, "d")

    def test_info(self) -> None:
        """
        What is known of a file, as phones tell it.
        """
        self.put("a", b"12345")
        self.files.setTime("a", 1_500_000_000)
        info = self.files.info("a")
        self.assertEqual(
            (info["st_size"], info["st_nlink"], info["st_ifmt"], info["st_mtime"]),
            ("5", "1", "S_IFREG", "1500000000"),
        )
        self.assertEqual(self.files.info("/")["st_ifmt"], "S_IFDIR")
        self.files.link(SYMBOLIC, "a", "l")
        self.assertEqual(self.files.info("l")["st_ifmt"], "S_IFLNK")
        self.assertEqual(
            set(self.files.deviceInfo()), {"Model", "FSTotalBytes", "FSFreeBytes", "FSBlockSize"}
        )

    def test_handles(self) -> None:
        """
        An open file is read and written where it stands.
        """
        handle = self.files.open("a", 2)
        self.files.write(handle, b"0123456789")
        self.files.seek(handle, -4, 2)
        self.assertEqual(self.files.read(handle, 2), b"67")
        self.assertEqual(self.files.tell(handle), 8)
        self.files.setSize(handle, 3)
        self.files.seek(handle, 0, 0)
        self.assertEqual(self.files.read(handle, 100), b"012")
        self.assertEqual(self.files.read(handle, 100), b"")
        self.files.closeFile(handle)
        self.refused(Status.INVALID_ARGUMENT, self.files.read, handle, 1)
        self.files.truncate("a", 1)
        self.assertEqual(self.get("a"), b"0")

    def test_modes(self) -> None:
        """
        A file is opened as C would.
        """
        self.refused(Status.NOT_FOUND, self.files.open, "a", 1)
        self.refused(Status.INVALID_ARGUMENT, self.files.open, "a", 7)
        for mode, expected in ((3, b"x"), (5, b"xx"), (6, b"xxx"), (2, b"xxx"), (4, b"x")):
            handle = self.files.open("a", mode)
            self.files.write(handle, b"x")
            self.files.closeFile(handle)
            self.assertEqual(self.get("a"), expected, mode)

    def test_refusals(self) -> None:
        """
        What cannot be done has a word of its own.
        """
        self.files.makeDirectory("d")
        self.put("a")
        self.refused(Status.READ_ERROR, self.files.names, "a")
        self.refused(Status.EXISTS, self.files.makeDirectory, "a/b")
        self.refused(Status.EXISTS, self.files.makeDirectory, "a")
        self.refused(Status.IS_DIRECTORY, self.files.open, "d", 3)
        self.refused(Status.NOT_FOUND, self.files.info, "a/b")
        self.refused(Status.EXISTS, self.files.link, SYMBOLIC, "x", "a")
        self.refused(Status.INVALID_ARGUMENT, self.files.link, 3, "a", "b")
        self.refused(Status.NO_SPACE, self.files.truncate, "a", LARGEST_SIZE + 1)
        self.refused(Status.INVALID_ARGUMENT, self.files.info, "nul\0byte")
        self.refused(Status.INVALID_ARGUMENT, self.files.setTime, "a", 1 << 99)

    def test_locks(self) -> None:
        """
        A lock excludes another host until it is let go of, or its file closed.
        """
        other = Files(FilePath(self.root))
        self.addCleanup(other.close)
        self.put("a")
        shared, exclusive, none = LOCKS
        mine, theirs = self.files.open("a", 2), other.open("a", 2)
        self.files.lock(mine, exclusive)
        self.refused(Status.WOULD_BLOCK, other.lock, theirs, exclusive)
        self.refused(Status.WOULD_BLOCK, other.lock, theirs, shared)
        self.files.lock(mine, none)
        other.lock(theirs, shared)
        self.files.lock(mine, shared)
        self.refused(Status.WOULD_BLOCK, self.files.lock, mine, exclusive)
        other.closeFile(theirs)
        self.files.lock(mine, exclusive)
        self.refused(Status.INVALID_ARGUMENT, self.files.lock, mine, 77)

    def test_birth(self) -> None:
        """
        When a file was made does not change with its name, size and time.
        """
        self.put("a")
        born = self.files.info("a")["st_birthtime"]
        self.put("a", b"more")
        self.files.setTime("a", int(born) + 10**9)
        self.files.rename("a", "b")
        self.assertEqual(self.files.info("b")["st_birthtime"], born)

    def test_directoryInfo(self) -> None:
        """
        A directory has the size of its entries and no blocks, whatever it has on this machine.
        """
        self.files.makeDirectory("d")
        kept = ("st_size", "st_blocks", "st_nlink")
        info = self.files.info("d")
        self.assertEqual([info[key] for key in kept], ["64", "0", "2"])
        self.put("d/a")
        self.files.makeDirectory("d/e")
        info = self.files.info("d")
        self.assertEqual([info[key] for key in kept], ["128", "0", "4"])

    def test_blocks(self) -> None:
        """
        A file takes whole blocks of 4 KiB, and one with holes less than its size.
        """
        for size, blocks in ((0, "0"), (1, "8"), (4096, "8"), (4097, "16")):
            self.put("a", b"x" * size)
            self.assertEqual(self.files.info("a")["st_blocks"], blocks)

    def test_sparse(self) -> None:
        """
        A file of 10 GB is made at once, and is written and read at its end.
        """
        size = 10_000_000_000
        handle = self.files.open("a", 4)
        self.files.setSize(handle, size)
        self.files.seek(handle, -4, 2)
        self.files.write(handle, b"end.")
        self.assertEqual(self.files.tell(handle), size)
        self.files.seek(handle, size - 6, 0)
        self.assertEqual(self.files.left(handle), 6)
        self.assertEqual(self.files.read(handle, 1 << 62), b"\0\0end.")
        self.files.closeFile(handle)
        info = self.files.info("a")
        self.assertEqual(info["st_size"], str(size))
        self.assertLess(int(info["st_blocks"]) * 512, size)

    def test_many(self) -> None:
        """
        Of a directory with thousands of entries each is listed.
        """
        names = [f"{number:05}" for number in range(5000)]
        for name in names:
            with open(os.path.join(self.root, name), "w"):
                pass
        self.assertEqual(self.files.names("/"), [".", "..", *names])
        self.assertEqual(self.files.info("/")["st_size"], str(32 * 5002))

    def test_normalisation(self) -> None:
        """
        A name is found in either normalisation, and stays as it was given.
        """
        composed, apart = "\xe4\xf6", "a\u0308o\u0308"
        self.files.makeDirectory(composed)
        self.put(f"{apart}/{apart}", b"1")
        self.assertEqual(self.files.names("/"), [".", "..", composed])
        self.assertEqual(self.files.names(apart), [".", "..", apart])
        self.put(f"{composed}/{composed}", b"22")
        self.assertEqual(self.files.names(apart), [".", "..", apart])
        self.assertEqual(self.get(f"{composed}/{apart}"), b"22")
        self.files.removeAll(apart)
        self.assertEqual(self.files.names("/"), [".", ".."])

    def test_normalisationOutside(self) -> None:
        """
        Names outside are not looked through.
        """
        os.makedirs(os.path.join(self.outside, "\xe4"))
        self.files.link(SYMBOLIC, "..", "parent")
        self.refused(Status.PERMISSION_DENIED, self.files.names, "parent/a\u0308")

    def test_symbolicLinks(self) -> None:
        """
        A link is told of as itself, with where it leads; also one that leads nowhere.
        """
        self.files.link(SYMBOLIC, "none", "l")
        info = self.files.info("l")
        self.assertEqual(
            (info["st_ifmt"], info["LinkTarget"], info["st_size"]), ("S_IFLNK", "none", "4")
        )
        self.refused(Status.NOT_FOUND, self.files.open, "l", 1)
        self.put("none", b"1")
        self.assertEqual(self.get("l"), b"1")

    def test_errors(self) -> None:
        """
        What nobody has thought of is an input or output error.
        """

        def fail(number: int) -> None:
            with statuses():
                raise OSError(number, "?")

        self.refused(Status.NO_SPACE, fail, errno.ENOSPC)
        self.refused(Status.IO_ERROR, fail, errno.EIO)

    def test_bounds(self) -> None:
        """
        A host does not open files without end.
        """
        self.put("a", b"12345")
        for _ in range(MOST_OPEN):
            self.files.open("a", 1)
        self.refused(Status.NO_RESOURCES, self.files.open, "a", 1)
        self.files.close()
        self.files.open("a", 1)

    def test_closeFails(self) -> None:
        """
        A disk that is full when the host has gone is nobody's trouble.
        """

        class Full:
            def close(self) -> None:
                raise OSError(errno.ENOSPC, "full")

        self.files._open[1] = Full()  # type: ignore[assignment]
        self.files.close()


class OutsideTests(FilesCase):
    """
    What is outside stays outside.
    """

    def test_paths(self) -> None:
        """
        No path leads there: the top is its own parent.
        """
        for path in ("../secret", "/../../secret", "a/../../secret", self.secret):
            self.refused(Status.NOT_FOUND, self.files.open, path, 1)
        self.files.makeDirectory("../d")
        self.assertEqual(os.listdir(self.root), ["d"])
        self.assertEqual(self.files.names("../.."), [".", "..", "d"])

    def test_links(self) -> None:
        """
        A link that leads there leads nowhere, however it came to be.
        """
        self.files.link(SYMBOLIC, self.secret, "absolute")
        self.files.link(SYMBOLIC, "../secret", "relative")
        self.files.link(SYMBOLIC, "..", "parent")
        for path in ("absolute", "relative", "parent/secret"):
            for action in (
                lambda path=path: self.files.open(path, 1),
                lambda path=path: self.files.open(path, 3),
                lambda path=path: self.files.truncate(path, 0),
                lambda path=path: self.files.setTime(path, 0),
                lambda path=path: self.files.link(HARD, path, "mine"),
                lambda path=path: self.files.names(path),
            ):
                self.refused(Status.PERMISSION_DENIED, action)
        self.refused(Status.PERMISSION_DENIED, self.files.names, "parent")
        self.refused(Status.PERMISSION_DENIED, self.files.makeDirectory, "parent/d")
        self.refused(Status.PERMISSION_DENIED, self.files.rename, "absolute", "parent/x")
        self.refused(Status.PERMISSION_DENIED, self.files.removeAll, "parent/secret")
        self.files.removeAll("parent")
        self.assertTrue(os.path.exists(self.secret))

    def test_top(self) -> None:
        """
        The top itself can be neither removed nor renamed.
        """
        for action in (self.files.remove, self.files.removeAll):
            self.refused(Status.PERMISSION_DENIED, action, "/")
        self.refused(Status.PERMISSION_DENIED, self.files.rename, "..", "a")

    def test_loop(self) -> None:
        """
        A link that leads to itself leads nowhere.
        """
        self.files.link(SYMBOLIC, "loop", "loop")
        self.assertRaises(AFCError, self.files.open, "loop", 1)

    def test_deep(self) -> None:
        """
        Directories are made and removed however deep they are.
        """
        self.files.makeDirectory(DEEP)
        self.assertEqual(self.files.names(DEEP), [".", ".."])
        self.files.makeDirectory("/e" + DEEP)
        self.files.rename("/e", DEEP + "/e")
        self.refused(Status.INVALID_ARGUMENT, self.files.makeDirectory, DEEP * 2)
        self.files.removeAll("/d")
        self.assertEqual(os.listdir(self.root), [])

    def test_linksOfLinks(self) -> None:
        """
        More links of links than Python can follow lead nowhere.
        """
        self.files.link(SYMBOLIC, ".", "0")
        for number in range(1, 2 * sys.getrecursionlimit()):
            self.files.link(SYMBOLIC, str(number - 1), str(number))
        for action in (self.files.names, self.files.info, self.files.removeAll):
            self.refused(Status.NOT_FOUND, action, f"{number}/x")

    def test_fifo(self) -> None:
        """
        What would be waited for is not opened.
        """
        os.mkfifo(os.path.join(self.root, "fifo"))
        self.refused(Status.PERMISSION_DENIED, self.files.open, "fifo", 1)
        self.assertEqual(self.files.info("fifo")["st_ifmt"], "S_IFIFO")


NAMES = st.sampled_from(["a", "b", "/a", "d/../b", "c"])


class FilesMachine(RuleBasedStateMachine):
    """
    The directory does what a dictionary does.
    """

    def __init__(self) -> None:
        super().__init__()
        self.root = tempfile.mkdtemp()
        os.makedirs(os.path.join(self.root, "d"))
        self.files = Files(FilePath(self.root))
        self.model: dict[str, bytes] = {}

    def teardown(self) -> None:
        """
        Tidy up.
        """
        self.files.close()
        shutil.rmtree(self.root)

    @rule(path=NAMES, data=st.binary(max_size=20))
    def write(self, path: str, data: bytes) -> None:
        """
        Write a file.
        """
        handle = self.files.open(path, 3)
        self.files.write(handle, data)
        self.files.closeFile(handle)
        self.model[path[-1]] = data

    @rule(path=NAMES)
    def remove(self, path: str) -> None:
        """
        Remove it.
        """
        try:
            self.files.remove(path)
        except AFCError as error:
            assert error.status is Status.NOT_FOUND and path[-1] not in self.model
        else:
            del self.model[path[-1]]

    @rule(old=NAMES, new=NAMES)
    def rename(self, old: str, new: str) -> None:
        """
        Rename it.
        """
        try:
            self.files.rename(old, new)
        except AFCError as error:
            assert error.status is Status.NOT_FOUND and old[-1] not in self.model
        else:
            self.model[new[-1]] = self.model.pop(old[-1])

    @rule(path=NAMES, size=st.integers(0, 30))
    def truncate(self, path: str, size: int) -> None:
        """
        Cut it, or make it longer.
        """
        try:
            self.files.truncate(path, size)
        except AFCError as error:
            assert error.status is Status.NOT_FOUND and path[-1] not in self.model
        else:
            self.model[path[-1]] = self.model[path[-1]][:size].ljust(size, b"\0")

    @invariant()
    def agrees(self) -> None:
        """
        They have the same in them.
        """
        assert self.files.names("/") == [".", "..", *sorted([*self.model, "d"])]
        for name, data in self.model.items():
            handle = self.files.open(name, 1)
            assert self.files.read(handle, 100) == data
            self.files.closeFile(handle)


class ModelTests(SynchronousTestCase):
    """
    L{FilesMachine}, for a while.
    """

    def test_model(self) -> None:
        """
        No sequence of operations tells them apart.
        """
        from hypothesis.stateful import run_state_machine_as_test

        run_state_machine_as_test(
            FilesMachine,
            settings=settings(max_examples=examples(30), deadline=None, stateful_step_count=20),
        )
