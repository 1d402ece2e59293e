# -*- test-case-name: tests.server.test_records -*-
"""
Tests of L{muxd.server.records}: files in a real, temporary directory.
"""

from __future__ import annotations

import io
import os
import plistlib
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable
from errno import EACCES, EDQUOT, EINVAL, EIO, EMFILE, ENFILE, ENOENT, ENOMEM, ENOSPC, EPERM
from typing import Any, NoReturn
from uuid import UUID

from twisted.logger import formatEvent
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.interfaces import IPairRecordStore
from muxd.server import records
from muxd.server.records import PairRecordStore, defaultDirectory
from tests.server.serving import observeLog

UDID = "00008030-001A35D22E38802E"
RECORD = {"HostID": "A", "HostCertificate": b"-----BEGIN", "SystemBUID": "B"}
BUID = "30142955-4440-4379-AB8E-0DD0D7E6C3A9"


class Killed(BaseException):
    """
    The process was killed here.
    """


class RecordTestCase(SynchronousTestCase):
    """
    A store in a directory of its own.
    """

    def setUp(self) -> None:
        """
        Make the store; its directory is not there yet.
        """
        self.directory: FilePath[str] = self.temporary().child("lockdown")
        self.store = self.another(BUID)
        self.logged = observeLog(self)

    def temporary(self) -> FilePath[str]:
        """
        An empty directory that goes away with the test.
        """
        path = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        return FilePath(path)

    def another(self, buid: str) -> PairRecordStore:
        """
        Another process's store in the same directory.
        """
        return PairRecordStore(self.directory, lambda: UUID(buid))

    def assertErrno(self, number: int, call: Callable[..., object], *args: object) -> None:
        """
        Fail unless a call raises an C{OSError} with this number.
        """
        error = self.assertRaises(OSError, call, *args)
        self.assertEqual(error.errno, number, error)

    def names(self) -> list[str]:
        """
        The files that are there.
        """
        return sorted(os.listdir(self.directory.path))

    def mode(self, name: str) -> int:
        """
        The permissions of a file.
        """
        return stat.S_IMODE(os.stat(self.directory.child(name).path).st_mode)

    def errors(self) -> list[Any]:
        """
        What was logged as an error.
        """
        return [event for event in self.logged if event["log_level"].name == "error"]


def failing(number: int) -> Callable[..., NoReturn]:
    """
    A system call that fails.
    """

    def fail(*args: object, **kwargs: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return fail


def killing(*args: object, **kwargs: object) -> NoReturn:
    """
    A system call in which the process is killed.
    """
    raise Killed


class PairRecordTests(RecordTestCase):
    """
    Reading, saving and deleting records.
    """

    def test_interface(self) -> None:
        """
        It is a store of pair records.
        """
        verifyObject(IPairRecordStore, self.store)

    def test_roundTrip(self) -> None:
        """
        What was saved is read; a binary property list has become XML.
        """
        for format in (plistlib.FMT_XML, plistlib.FMT_BINARY):
            self.store.save(UDID, plistlib.dumps(RECORD, fmt=format))
            data = self.store.read(UDID)
            self.assertTrue(data.startswith(b"<?xml"))
            self.assertEqual(plistlib.loads(data), RECORD)
        self.assertEqual(self.names(), [f"{UDID}.plist"])

    def test_unspeakable(self) -> None:
        """
        What XML cannot hold is not stored: the file would be damaged.
        """
        self.store.save(UDID, plistlib.dumps(RECORD))
        for letter in ("\x1b", "\ufffe"):
            data = plistlib.dumps({"HostID": f"a{letter}"}, fmt=plistlib.FMT_BINARY)
            self.assertErrno(EINVAL, self.store.save, UDID, data)
        self.assertEqual(plistlib.loads(self.store.read(UDID)), RECORD)

    def test_parents(self) -> None:
        """
        The directory is made, and what it is in, too (protocol 9, edge 66).
        """
        directory = self.directory.child("var").child("lib").child("lockdown")
        store = PairRecordStore(directory, lambda: UUID(BUID))
        store.save(UDID, plistlib.dumps(RECORD))
        self.assertEqual(plistlib.loads(store.read(UDID)), RECORD)
        self.assertTrue(directory.child(f"{UDID}.plist").isfile())

    def test_readAsItIs(self) -> None:
        """
        A record that another program wrote is read as it is.
        """
        self.directory.makedirs()
        self.directory.child("x.plist").setContent(b"whatever")
        self.assertEqual(self.store.read("x"), b"whatever")

    def test_missing(self) -> None:
        """
        A record that is not there is ENOENT, also if the directory is not.
        """
        self.assertErrno(ENOENT, self.store.read, UDID)
        self.assertErrno(ENOENT, self.store.delete, UDID)
        self.assertEqual(self.errors(), [])

    def test_badIDs(self) -> None:
        """
        What is no name of a record is EINVAL for everybody, and no path
        (protocol 9, edge 62).
        """
        self.store.readBUID()
        bad = ["", "../x", "a/b", "a.plist", "a\n", "a\0", "ü", "x" * 65, "x" * 300, " "]
        bad += ["SystemConfiguration", "systemconfiguration", "..", "-\\..\\x"]
        data = plistlib.dumps(RECORD)
        for recordID in bad:
            self.assertErrno(EINVAL, self.store.read, recordID)
            self.assertErrno(EINVAL, self.store.save, recordID, data)
            self.assertErrno(EINVAL, self.store.delete, recordID)
        self.assertEqual(self.names(), ["SystemConfiguration.plist"])
        self.store.save("x" * 64, data)

    def test_badData(self) -> None:
        """
        What is too short, no property list, no dictionary, or cannot be said in
        XML is EINVAL, and what was stored stays.
        """
        self.store.save(UDID, plistlib.dumps(RECORD))
        hostile = plistlib.dumps({"HostID": "\x00"}, fmt=plistlib.FMT_BINARY)
        for data in (b"", b"1234567", b"garbage!", plistlib.dumps([RECORD]), hostile):
            self.assertErrno(EINVAL, self.store.save, UDID, data)
        self.assertEqual(plistlib.loads(self.store.read(UDID)), RECORD)

    def test_rootIsTheDictionary(self) -> None:
        """
        The file can be read by other daemons (protocol 9, edge 58).
        """
        self.store.save(UDID, plistlib.dumps(RECORD))
        content = self.directory.child(f"{UDID}.plist").getContent()
        self.assertEqual(plistlib.loads(content), RECORD)

    def test_delete(self) -> None:
        """
        A record that was deleted is gone.
        """
        self.store.save(UDID, plistlib.dumps(RECORD))
        self.store.delete(UDID)
        self.assertErrno(ENOENT, self.store.read, UDID)
        self.assertErrno(ENOENT, self.store.delete, UDID)

    def test_modes(self) -> None:
        """
        Nobody else may read records: also not one that anybody could before
        (protocol 9, edge 64).
        """
        self.store.save(UDID, plistlib.dumps(RECORD))
        self.assertEqual(self.mode(f"{UDID}.plist"), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(self.directory.path).st_mode), 0o700)
        self.directory.child(f"{UDID}.plist").chmod(0o644)
        self.store.save(UDID, plistlib.dumps(RECORD))
        self.assertEqual(self.mode(f"{UDID}.plist"), 0o600)


class CrashTests(RecordTestCase):
    """
    Whatever is killed at whatever moment.
    """

    def test_killedWhileSaving(self) -> None:
        """
        A record keeps its old content until it has its new one.
        """
        self.store.save(UDID, plistlib.dumps(RECORD))
        for call in ("fsync", "replace", "fstat"):
            with self.subTest(call):
                patched = self.patch(os, call, killing)
                self.assertRaises(Killed, self.store.save, UDID, plistlib.dumps({"New": call}))
                patched.restore()
                self.assertEqual(plistlib.loads(self.store.read(UDID)), RECORD)

    def test_strayFiles(self) -> None:
        """
        What a killed writer left behind is not a record, and is removed by the
        next writer once it is old; a younger one may be being written.
        """
        self.store.save(UDID, plistlib.dumps(RECORD))
        old, young = (self.directory.child(f".x.{age}.muxd-temporary") for age in ("old", "young"))
        old.setContent(b"half")
        young.setContent(b"half")
        now = os.stat(young.path).st_mtime
        os.utime(old.path, (now - 3600, now - 3600))
        self.store.save(UDID, plistlib.dumps(RECORD))
        self.assertEqual((old.exists(), young.exists()), (False, True))

    def test_flushed(self) -> None:
        """
        The file is on the disk before it is renamed, and the rename after.
        """
        order: list[str] = []

        def note(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
            def noted(*args: Any) -> Any:
                order.append(name)
                return call(*args)

            return noted

        self.patch(os, "fsync", note("fsync", os.fsync))
        self.patch(os, "replace", note("replace", os.replace))
        self.store.save(UDID, plistlib.dumps(RECORD))
        self.assertEqual(order, ["fsync", "replace", "fsync"])


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
        self.patch(os, "makedirs", failing(EACCES))
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
        When the new record has its name, it is there: that the directory cannot be
        flushed is no reason to say that it is not.
        """
        fsync = os.fsync

        def fails(descriptor: int) -> None:
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(ENOSPC, "No space left on device")
            fsync(descriptor)

        self.patch(os, "fsync", fails)
        before = len(os.listdir("/dev/fd"))
        self.store.save(UDID, plistlib.dumps(RECORD))
        self.assertEqual(plistlib.loads(self.store.read(UDID)), RECORD)
        self.assertEqual(len(os.listdir("/dev/fd")), before)

    def test_outOfDescriptors(self) -> None:
        """
        That no file can be opened just now does not mean that there is no record,
        and is nothing that somebody would have to change about the directory.
        """
        self.store.save(UDID, plistlib.dumps(RECORD))
        for number in (EMFILE, ENFILE, ENOMEM):
            patched = self.patch(records, "readPlainFile", failing(number))
            self.assertErrno(number, self.store.read, UDID)
            patched.restore()
        self.assertEqual(plistlib.loads(self.store.read(UDID)), RECORD)
        self.assertEqual(self.errors(), [])

    def test_remedy(self) -> None:
        """
        What is said has to be changed is what would help, wherever it shows.
        """
        for number, change in (
            (EMFILE, "Raise the limit"),
            (ENFILE, "See who has so many files open"),
            (ENOSPC, "Free space on this disk"),
            (EDQUOT, "Free some of this user's space"),
            (EACCES, "Make the directory writable"),
        ):
            for call in ("makedirs", "open"):
                with self.subTest(f"{call}: {change}"):
                    store = PairRecordStore(self.temporary().child("lockdown"))
                    patched = self.patch(os, call, failing(number))
                    self.assertFalse(store.check())
                    patched.restore()
                    (event,) = self.errors()
                    self.assertIn(f"{os.strerror(number)}.  {change}", formatEvent(event))
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


class DefaultDirectoryTests(SynchronousTestCase):
    """
    Where each system keeps pair records (protocol 4.11).
    """

    def test_systems(self) -> None:
        """
        The places of Apple's and of the C daemon.
        """
        self.patch(os, "environ", {"PROGRAMDATA": "D:"})
        for platform, expected in (
            ("linux", "/var/lib/lockdown"),
            ("freebsd14", "/var/lib/lockdown"),
            ("darwin", "/var/db/lockdown"),
            ("win32", os.path.join("D:", "Apple", "Lockdown")),
        ):
            self.patch(sys, "platform", platform)
            self.assertEqual(defaultDirectory(), expected)
