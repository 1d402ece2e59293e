# -*- test-case-name: tests.server.test_recordtrouble -*-
"""
Tests of L{muxd.server.records}: what the system may object to.
"""

from __future__ import annotations

import io
import os
import plistlib
import stat
from collections.abc import Callable
from errno import EACCES, EDQUOT, EINVAL, EIO, EMFILE, ENFILE, ENOENT, ENOMEM, ENOSPC, EPERM
from typing import Any

from twisted.logger import formatEvent

from muxd import atomicfiles as atomicfiles
from muxd.server.records import PairRecordStore
from tests.server.records import RECORD, UDID, RecordTestCase, failing


class TroubleTests(RecordTestCase):
    """
    What the system may object to, and who is told.
    """

    def test_directoryCannotBeMade(self) -> None:
        """
        Then a save is EPERM, and one loud line says where and who.
        """
        self.directory.setContent(b"a file is in the way")
        for _ in range(3):
            self.assertErrno(EPERM, self.store.save, UDID, plistlib.dumps(RECORD))
        (event,) = self.errors()
        self.assertEqual((event["path"], event["uid"]), (self.directory.path, os.getuid()))

    def test_directoryMayNotBeMade(self) -> None:
        """
        The same is true if the system forbids it.
        """
        self.patch(os, "mkdir", failing(EACCES))
        self.assertErrno(EPERM, self.store.save, UDID, plistlib.dumps(RECORD))
        self.assertEqual(len(self.errors()), 1)

    def test_directoryMadeMeanwhile(self) -> None:
        """
        Another process that makes the directory at the same time is no trouble.
        """
        mkdir = os.mkdir

        def raced(*args: Any) -> None:
            mkdir(*args)
            raise FileExistsError

        self.patch(os, "mkdir", raced)
        self.store.save(UDID, plistlib.dumps(RECORD))
        self.assertEqual(plistlib.loads(self.store.read(UDID)), RECORD)

    def test_cannotBeWritten(self) -> None:
        """
        A write that fails is ENOENT, leaves what was there, and nothing else.
        """
        self.store.save(UDID, plistlib.dumps(RECORD))
        self.patch(os, "replace", failing(EIO))
        self.assertErrno(ENOENT, self.store.save, UDID, plistlib.dumps({"a": 1}))
        self.assertEqual(plistlib.loads(self.store.read(UDID)), RECORD)
        self.assertEqual(self.names(), [f"{UDID}.plist"])
        self.assertEqual(len(self.errors()), 1)

    def test_fullDisk(self) -> None:
        """
        Wherever the disk turns out to be full, what was there stays whole and
        nothing is left of the attempt.
        """
        self.store.save(UDID, plistlib.dumps(RECORD))
        full = failing(ENOSPC)

        class FullFile(io.BytesIO):
            """
            A file that has no room.
            """

            write = full

        class FullBuffer(io.BytesIO):
            """
            One that finds out later.
            """

            flush = full

        def opened(kind: type[io.BytesIO]) -> Callable[..., io.BytesIO]:
            def fdopen(descriptor: int, mode: str) -> io.BytesIO:
                os.close(descriptor)
                return kind()

            return fdopen

        steps: dict[str, tuple[str, Callable[..., object]]] = {
            "create": ("open", full),
            "write": ("fdopen", opened(FullFile)),
            "flush": ("fdopen", opened(FullBuffer)),
            "fsync": ("fsync", full),
            "rename": ("replace", full),
        }
        for step, (call, fails) in steps.items():
            with self.subTest(step):
                patched = self.patch(os, call, fails)
                self.assertErrno(ENOENT, self.store.save, UDID, plistlib.dumps({"New": step}))
                patched.restore()
                self.assertEqual(plistlib.loads(self.store.read(UDID)), RECORD)
                self.assertEqual(self.names(), [f"{UDID}.plist"])
        self.assertEqual(len(self.errors()), 1)
        self.store.save(UDID, plistlib.dumps({"New": "all"}))
        self.assertEqual(plistlib.loads(self.store.read(UDID)), {"New": "all"})

    def test_identityDoesNotFit(self) -> None:
        """
        A disk that gets full between the decision on an identity and its storing
        does not change it: it is the same now, and when there is space again.
        """
        self.directory.makedirs()
        full = self.patch(os, "replace", failing(ENOSPC))
        store = PairRecordStore(self.directory)
        buid = store.readBUID()
        self.assertEqual(store.readBUID(), buid)
        full.restore()
        self.assertEqual(PairRecordStore(self.directory).readBUID(), buid)
        self.assertEqual(self.names(), ["SystemConfiguration.plist"])

    def test_directoryCannotBeFlushed(self) -> None:
        """
        When the new record has its name, it is there: that the system cannot flush
        directories is no reason to say that it is not.
        """
        self.unflushed(EINVAL)
        before = len(os.listdir("/dev/fd"))
        self.store.save(UDID, plistlib.dumps(RECORD))
        self.assertEqual(plistlib.loads(self.store.read(UDID)), RECORD)
        self.assertEqual(len(os.listdir("/dev/fd")), before)

    def unflushed(self, number: int) -> None:
        """
        Have directories refuse to be flushed.
        """
        fsync = os.fsync

        def fails(descriptor: int) -> None:
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(number, os.strerror(number))
            fsync(descriptor)

        self.patch(os, "fsync", fails)

    def test_directoryIsLost(self) -> None:
        """
        That the disk has lost it is one: what was not saved is not said to be, nor what was
        not removed.
        """
        self.store.save(UDID, plistlib.dumps(RECORD))
        self.unflushed(EIO)
        self.assertErrno(ENOENT, self.store.save, UDID, plistlib.dumps(RECORD))
        self.assertErrno(EIO, self.store.delete, UDID)
        (event,) = self.errors()
        self.assertIn(os.strerror(EIO), formatEvent(event))

    def test_outOfDescriptors(self) -> None:
        """
        That no file can be opened just now does not mean that there is no record,
        and is nothing that somebody would have to change about the directory.
        """
        self.store.save(UDID, plistlib.dumps(RECORD))
        for number in (EMFILE, ENFILE, ENOMEM):
            patched = self.patch(atomicfiles, "readRegularFile", failing(number))
            self.assertErrno(number, self.store.read, UDID)
            patched.restore()
        self.assertEqual(plistlib.loads(self.store.read(UDID)), RECORD)
        self.assertEqual(self.errors(), [])

    def test_remedy(self) -> None:
        """
        What is said has to be changed is what would help, wherever it shows.
        """
        for number, change in (
            (EMFILE, "raise the limit"),
            (ENFILE, "see which program has so many files open"),
            (ENOSPC, "free space on this disk"),
            (EDQUOT, "free some of this user's space"),
            (EACCES, "make the directory writable"),
        ):
            for call in ("mkdir", "open"):
                with self.subTest(f"{call}: {change}"):
                    store = PairRecordStore(self.temporary().child("lockdown"))
                    patched = self.patch(os, call, failing(number))
                    self.assertFalse(store.check())
                    patched.restore()
                    (event,) = self.errors()
                    self.assertIn(f"{os.strerror(number)}; {change}", formatEvent(event))
                    self.logged.clear()

    def test_anotherRemedy(self) -> None:
        """
        That something was short for a while does not keep it from being told that the
        directory is not writable; each is told once.
        """
        for number in (EMFILE, EACCES, EMFILE, EACCES):
            patched = self.patch(os, "open", failing(number))
            self.assertFalse(self.store.check())
            patched.restore()
        self.assertEqual([event["error"].errno for event in self.errors()], [EMFILE, EACCES])

    def test_check(self) -> None:
        """
        Whether records can be written can be asked beforehand, which leaves
        nothing; if not, the log says where and for whom.
        """
        self.assertTrue(self.store.check())
        self.assertEqual(self.names(), [])
        self.patch(os, "open", failing(EACCES))
        self.assertFalse(self.store.check())
        (event,) = self.errors()
        self.assertEqual((event["path"], event["uid"]), (self.directory.path, os.getuid()))

    def warned(self) -> list[str]:
        """
        What was logged as a warning.
        """
        return [formatEvent(each) for each in self.logged if each["log_level"].name == "warn"]

    def test_safe(self) -> None:
        """
        Nothing is said of a directory that is its user's alone, or root's.
        """
        self.directory.makedirs()
        self.directory.chmod(0o755)
        self.assertTrue(self.store.check())
        self.assertEqual(self.warned(), [])

    def test_others(self) -> None:
        """
        One that others may write in is used, and said to be what it is.
        """
        self.directory.makedirs()
        for mode in (0o777, 0o770, 0o702, 0o1777):
            self.directory.chmod(mode)
            self.logged.clear()
            self.assertTrue(self.store.check())
            (line,) = self.warned()
            self.assertIn(f"may write in it (mode {mode:o})", line)

    def test_link(self) -> None:
        """
        So is one that is somewhere else.
        """
        elsewhere = self.temporary()
        os.symlink(elsewhere.path, self.directory.path)
        self.assertTrue(self.store.check())
        (line,) = self.warned()
        self.assertIn(f"a symbolic link to {os.path.realpath(elsewhere.path)}", line)

    def test_anothers(self) -> None:
        """
        So is one of another user, but for root, who finds those of the users of daemons.
        """
        self.directory.makedirs()
        owner = os.stat(self.directory.path).st_uid
        self.patch(os, "geteuid", lambda: owner + 1 if owner else 1000)
        real = os.stat

        def owned(path: Any, *args: Any, **keywords: Any) -> os.stat_result:
            status = list(real(path, *args, **keywords))
            status[4] = 4321
            return os.stat_result(status)

        self.patch(os, "stat", owned)
        self.assertTrue(self.store.check())
        (line,) = self.warned()
        self.assertIn("it belongs to another user, uid 4321", line)

    def test_checkIdentity(self) -> None:
        """
        So can whether the identity that is there can be read: where it cannot,
        phones would be asked by a new one at every start.
        """
        self.directory.child("SystemConfiguration.plist").makedirs()
        self.assertFalse(self.store.check())
        (event,) = self.errors()
        self.assertIn("SystemConfiguration.plist", str(event["error"]))

    def test_cannotBeRead(self) -> None:
        """
        A record that is there and cannot be read is ENOENT for the client and a
        line for the operator.
        """
        self.store.save(UDID, plistlib.dumps(RECORD))
        self.patch(os, "open", failing(EACCES))
        for _ in range(2):
            self.assertErrno(ENOENT, self.store.read, UDID)
        self.assertEqual(len(self.errors()), 1)

    def test_isNoFile(self) -> None:
        """
        So is what is no record at all.
        """
        self.directory.child(f"{UDID}.plist").makedirs()
        for _ in range(2):
            self.assertErrno(ENOENT, self.store.read, UDID)
        self.assertEqual(self.errors(), [])
        (line,) = [formatEvent(each) for each in self.logged if each["log_level"].name == "warn"]
        self.assertIn(f"is no file, remove it: '{self.directory.child(UDID).path}.plist'", line)

    def test_cannotBeDeleted(self) -> None:
        """
        What the system says about a removal is passed on.
        """
        self.store.save(UDID, plistlib.dumps(RECORD))
        self.patch(os, "unlink", failing(EACCES))
        self.assertErrno(EACCES, self.store.delete, UDID)
        self.assertEqual(len(self.errors()), 1)

    def test_sweepingIsNoMatter(self) -> None:
        """
        A directory that cannot be listed does not keep a record from being
        written.
        """
        self.patch(os, "listdir", failing(EACCES))
        self.store.save(UDID, plistlib.dumps(RECORD))
        self.assertEqual(plistlib.loads(self.store.read(UDID)), RECORD)
