# -*- test-case-name: tests.server.test_records -*-
"""
Tests of L{muxd.server.records}: files that are read, written and removed.
"""

from __future__ import annotations

import os
import plistlib
import stat
import time
from collections.abc import Callable
from errno import EINVAL, ENOENT, ENOSPC
from typing import Any
from uuid import UUID

from zope.interface.verify import verifyObject

from muxd.atomicfiles import SWEPT_EVERY
from muxd.interfaces import IPairRecordStore
from muxd.limits import LIMITS
from muxd.server.records import LONG_IN_USE, PairRecordStore
from tests.lockdown.phones import anyRecord
from tests.lockdown.strangekeys import strangeKeys
from tests.server.records import BUID, RECORD, UDID, Killed, RecordTestCase, killing


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

    def test_tooLarge(self) -> None:
        """
        What could not be read again is EINVAL, and what was stored stays: XML may need
        many times as much room as what was sent.
        """
        self.store.save(UDID, plistlib.dumps(RECORD))
        data = plistlib.dumps({"a": ["<" * 3] * 30000}, fmt=plistlib.FMT_BINARY)
        self.assertLess(len(data), LIMITS.recordSize // 4)
        self.assertErrno(EINVAL, self.store.save, UDID, data)
        self.assertEqual(plistlib.loads(self.store.read(UDID)), RECORD)

    def test_largest(self) -> None:
        """
        What can just be read again is stored.
        """
        size = len(plistlib.dumps(RECORD))
        data = plistlib.dumps(RECORD, fmt=plistlib.FMT_BINARY)
        largest = PairRecordStore(self.directory, largest=size)
        largest.save(UDID, data)
        self.assertEqual(plistlib.loads(largest.read(UDID)), RECORD)
        smaller = PairRecordStore(self.directory, largest=size - 1)
        self.assertErrno(EINVAL, smaller.save, UDID, data)

    def test_rootIsTheDictionary(self) -> None:
        """
        The file can be read by other daemons (protocol 9, edge 58).
        """
        self.store.save(UDID, plistlib.dumps(RECORD))
        content = self.directory.child(f"{UDID}.plist").getContent()
        self.assertEqual(plistlib.loads(content), RECORD)

    def test_spellings(self) -> None:
        """
        A record is found, replaced and removed whichever way its UDID is spelled; a new
        one has the usual name.
        """
        other = UDID.replace("-", "").lower()
        for asked in (UDID, UDID.lower(), UDID.replace("-", ""), other):
            with self.subTest(asked):
                self.store.save(asked, plistlib.dumps(RECORD))
                self.assertEqual(self.names(), [f"{UDID}.plist"])
                for name in (UDID, UDID.lower(), UDID.replace("-", ""), other):
                    self.assertEqual(plistlib.loads(self.store.read(name)), RECORD)
                self.store.delete(asked)
                self.assertEqual(self.names(), [])

    def test_veryName(self) -> None:
        """
        A file that has the very name that is asked for counts, beside the usual one.
        """
        other = UDID.replace("-", "")
        self.store.save(UDID, plistlib.dumps(RECORD))
        self.directory.child(f"{other}.plist").setContent(plistlib.dumps({"HostID": "other"}))
        self.assertEqual(plistlib.loads(self.store.read(other))["HostID"], "other")
        self.assertEqual(plistlib.loads(self.store.read(UDID)), RECORD)
        self.store.delete(other)
        self.assertEqual(self.names(), [f"{UDID}.plist"])

    def test_otherNames(self) -> None:
        """
        What is no UDID is another name in another case.
        """
        self.store.save("A-1", plistlib.dumps(RECORD))
        for name in ("a-1", "A1"):
            self.assertErrno(ENOENT, self.store.read, name)

    def test_names(self) -> None:
        """
        The ids of all records can be told, and of nothing else; there is none before the first.
        """
        self.assertEqual(self.store.names(), [])
        for udid in ("B-1", "A-1"):
            self.store.save(udid, plistlib.dumps(RECORD))
        self.store.supersede("A-1", plistlib.dumps({**RECORD, "HostID": "another"}))
        self.store.readBUID()
        self.assertEqual(self.store.names(), ["A-1", "B-1"])

    def test_delete(self) -> None:
        """
        A record that was deleted is gone.
        """
        self.store.save(UDID, plistlib.dumps(RECORD))
        self.store.delete(UDID)
        self.assertErrno(ENOENT, self.store.read, UDID)
        self.assertErrno(ENOENT, self.store.delete, UDID)

    def test_remembered(self) -> None:
        """
        How a phone announces itself is kept beside its record, which is not touched, until it is
        deleted; of a phone without one, or what can be no name, nothing is kept.
        """
        self.store.save(UDID, plistlib.dumps(RECORD))
        path = self.directory.child(f"{UDID}.plist")
        os.utime(path.path, (1, 1))
        for name in ("a@fe80::1._apple-mobdev2._tcp.local.", "b"):
            self.store.remember(UDID, name)
            self.store.remember(UDID, name)
            self.assertEqual(self.store.serviceNames(), {UDID: name})
        self.assertEqual(path.getModificationTime(), 1)
        self.store.remember("OTHER", "c")
        for name in ("", "x" * 256, "a\n"):
            self.assertErrno(EINVAL, self.store.remember, UDID, name)
        self.assertEqual(self.store.serviceNames(), {UDID: "b"})
        self.assertEqual(self.store.names(), [UDID])
        self.store.delete(UDID)
        self.assertEqual((self.store.serviceNames(), self.names()), ({}, []))

    def test_rememberedNonsense(self) -> None:
        """
        What is no name, or lies elsewhere, is none.
        """
        self.assertEqual(self.store.serviceNames(), {})
        self.store.save(UDID, plistlib.dumps(RECORD))
        kept = self.directory.child(f"{UDID}.plist.wireless")
        kept.setContent(b"\xff")
        self.assertEqual(self.store.serviceNames(), {})
        kept.remove()
        os.symlink("/etc/hostname", kept.path)
        self.assertEqual(self.store.serviceNames(), {})
        for name in ("other", "other.wireless"):
            self.directory.child(name).setContent(b"a name")
        self.assertEqual(self.store.serviceNames(), {})

    def test_superseded(self) -> None:
        """
        A record that another takes the place of is kept beside it, as its owner's alone,
        and no client reads or removes it.
        """
        self.store.supersede(UDID, plistlib.dumps({**RECORD, "HostID": "1"}))
        self.assertEqual(self.names(), [f"{UDID}.plist"])
        kept = self.store.read(UDID)
        self.store.supersede(UDID, kept)
        self.assertEqual(self.names(), [f"{UDID}.plist"])
        self.store.supersede(UDID, plistlib.dumps({**RECORD, "HostID": "2"}))
        self.assertEqual(plistlib.loads(self.store.read(UDID))["HostID"], "2")
        previous = self.directory.child(f"{UDID}.plist.previous")
        self.assertEqual(previous.getContent(), kept)
        self.assertEqual(self.store.readPrevious(UDID.lower()), kept)
        self.assertErrno(ENOENT, self.store.readPrevious, "OTHER")
        self.assertErrno(EINVAL, self.store.readPrevious, "../x")
        self.assertEqual(stat.S_IMODE(os.stat(previous.path).st_mode), 0o600)
        for name in (f"{UDID}.plist.previous", f"{UDID}.previous"):
            self.assertErrno(EINVAL, self.store.read, name)
        self.store.delete(UDID)
        self.assertEqual(self.names(), [f"{UDID}.plist.previous"])

    def test_supersededAgainAndAgain(self) -> None:
        """
        Records that have hardly been used do not push out the one that was kept; one that
        was in use for long does.
        """
        self.store.save(UDID, plistlib.dumps({**RECORD, "HostID": "0"}))
        for n in range(1, 4):
            self.store.supersede(UDID, plistlib.dumps({**RECORD, "HostID": str(n)}))
        previous = self.directory.child(f"{UDID}.plist.previous")
        self.assertEqual(plistlib.loads(previous.getContent())["HostID"], "0")
        later = PairRecordStore(self.directory, now=lambda: time.time() + LONG_IN_USE + 1)
        later.supersede(UDID, plistlib.dumps({**RECORD, "HostID": "4"}))
        self.assertEqual(plistlib.loads(previous.getContent())["HostID"], "3")

    def test_notSuperseded(self) -> None:
        """
        Where the one before it cannot be kept, it stays in its place.
        """
        self.store.save(UDID, plistlib.dumps(RECORD))
        stored = self.store.read(UDID)
        replace = os.replace

        def fail(source: str, target: str, **others: Any) -> None:
            if target.endswith(".previous"):
                raise OSError(ENOSPC, "no space left on device")
            replace(source, target, **others)

        self.patch(os, "replace", fail)
        new = plistlib.dumps({**RECORD, "HostID": "2"})
        self.assertErrno(ENOENT, self.store.supersede, UDID, new)
        self.assertEqual(self.store.read(UDID), stored)

    def test_strangeKeys(self) -> None:
        """
        A record whose key is another than RSA of a usual size is EINVAL, and what was stored
        stays; one without a key is a record.
        """
        self.store.save(UDID, plistlib.dumps(RECORD))
        for name, key in strangeKeys().items():
            with self.subTest(name):
                data = plistlib.dumps({**RECORD, "HostPrivateKey": key})
                self.assertErrno(EINVAL, self.store.save, UDID, data)
                self.assertErrno(EINVAL, self.store.supersede, UDID, data)
        self.assertEqual(plistlib.loads(self.store.read(UDID)), RECORD)
        self.store.save(UDID, anyRecord().toBytes())

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


class OwnerTests(RecordTestCase):
    """
    To whom files belong.
    """

    def given(self, euid: int, directory: tuple[int, int]) -> list[tuple[int, int]]:
        """
        To which user and group the files of a save were given by a user, in a directory
        of this user and group.
        """
        self.store.save(UDID, plistlib.dumps(RECORD))
        given: list[tuple[int, int]] = []
        real = os.fstat

        def owned(descriptor: int) -> os.stat_result:
            status = list(real(descriptor))
            if stat.S_ISDIR(int(status[0])):
                status[4:6] = directory
            return os.stat_result(status)

        self.patch(os, "geteuid", lambda: euid)
        self.patch(os, "fstat", owned)
        self.patch(os, "fchown", lambda descriptor, *owner: given.append(owner))
        self.store.save(UDID, plistlib.dumps(RECORD))
        self.another(BUID).readBUID()
        return given

    def test_ofDirectory(self) -> None:
        """
        What root writes, records and identity, belongs to who owns the directory: the C
        daemon as its own user has to read it.
        """
        given = self.given(0, (103, 46))
        self.assertGreaterEqual(len(given), 3)
        self.assertEqual(set(given), {(103, 46)})

    def test_ofRoot(self) -> None:
        """
        In a directory of root's it is root's.
        """
        self.assertEqual(self.given(0, (0, 0)), [])

    def test_others(self) -> None:
        """
        Anybody else cannot give files away, and does not try.
        """
        self.assertEqual(self.given(1000, (103, 46)), [])


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
        next process once it is old; a younger one may be being written.
        """
        self.store.save(UDID, plistlib.dumps(RECORD))
        sweeper = self.another(BUID)
        old, young = (self.directory.child(f".x.{age}.muxd-temporary") for age in ("old", "young"))
        old.setContent(b"half")
        young.setContent(b"half")
        now = os.stat(young.path).st_mtime
        os.utime(old.path, (now - 3600, now - 3600))
        sweeper.save(UDID, plistlib.dumps(RECORD))
        self.assertEqual((old.exists(), young.exists()), (False, True))

    def test_sweptHourly(self) -> None:
        """
        A directory is not looked through at each save, which takes long where there are many
        records, but at most once an hour.
        """
        now = [1000.0]
        store = PairRecordStore(self.directory, now=lambda: now[0])
        listed: list[object] = []
        listdir = os.listdir

        def list_(path: Any) -> list[str]:
            listed.append(path)
            return listdir(path)

        patched = self.patch(os, "listdir", list_)
        for seconds, times in ((0, 1), (0, 1), (SWEPT_EVERY - 1, 1), (1, 2), (1, 2), (-9999, 3)):
            now[0] += seconds
            store.save(UDID, plistlib.dumps(RECORD))
            self.assertEqual(len(listed), times)
        patched.restore()

    def test_directoryFlushed(self) -> None:
        """
        So are the names of the directories that had to be made, which no other user
        may write in, whatever the umask.
        """
        flushed: list[int] = []
        fsync = os.fsync

        def note(descriptor: int) -> None:
            flushed.append(os.fstat(descriptor).st_ino)
            fsync(descriptor)

        above = self.temporary()
        directory = above.child("var").child("lib").child("lockdown")
        self.patch(os, "fsync", note)
        self.addCleanup(os.umask, os.umask(0))
        PairRecordStore(directory).save(UDID, plistlib.dumps(RECORD))
        made = [above, above.child("var"), above.child("var").child("lib")]
        self.assertEqual(flushed[:3], [os.stat(one.path).st_ino for one in made])
        modes = [stat.S_IMODE(os.stat(one.path).st_mode) for one in (*made[1:], directory)]
        self.assertEqual(modes, [0o755, 0o755, 0o700])

    def test_swapped(self) -> None:
        """
        A directory whose name is taken by another one while a record is written gets the whole
        record, and the other one nothing.
        """
        self.store.save(UDID, plistlib.dumps(RECORD))
        aside, other = self.directory.sibling("aside"), self.temporary()
        replace = os.replace

        def swap(*args: Any, **keywords: Any) -> None:
            os.rename(self.directory.path, aside.path)
            os.symlink(other.path, self.directory.path)
            replace(*args, **keywords)

        self.patch(os, "replace", swap)
        self.store.save(UDID, plistlib.dumps({**RECORD, "HostID": "new"}))
        content = aside.child(f"{UDID}.plist").getContent()
        self.assertEqual(plistlib.loads(content)["HostID"], "new")
        self.assertEqual(aside.listdir(), [f"{UDID}.plist"])
        self.assertEqual(other.listdir(), [])

    def test_flushed(self) -> None:
        """
        The file is on the disk before it is renamed, and the rename after.
        """
        order: list[str] = []

        def note(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
            def noted(*args: Any, **keywords: Any) -> Any:
                order.append(name)
                return call(*args, **keywords)

            return noted

        self.store.readBUID()
        self.patch(os, "fsync", note("fsync", os.fsync))
        self.patch(os, "replace", note("replace", os.replace))
        self.store.save(UDID, plistlib.dumps(RECORD))
        self.assertEqual(order, ["fsync", "replace", "fsync"])
