# -*- test-case-name: tests.server.test_hostidentity -*-
"""
Tests of L{muxd.server.records}: the host's identity.
"""

from __future__ import annotations

import os
import plistlib
from errno import EACCES, EMFILE, ENFILE, ENOMEM
from typing import Any
from uuid import UUID

from twisted.python.filepath import FilePath

from muxd import atomicfiles as atomicfiles
from muxd.server.records import PairRecordStore
from tests.server.records import BUID, Killed, RecordTestCase, failing, killing


class BUIDTests(RecordTestCase):
    """
    The host's identity.
    """

    FIRST = "11111111-1111-4111-8111-111111111111"
    OTHER = "AAAAAAAA-AAAA-4AAA-8AAA-AAAAAAAAAAAA"

    def host(self) -> FilePath[str]:
        """
        The file it is in.
        """
        return self.directory.child("SystemConfiguration.plist")

    def test_madeOnce(self) -> None:
        """
        It is made when first asked for, in upper case, and is the same for
        everybody from then on.
        """
        store = PairRecordStore(
            self.directory.path, lambda: UUID("abcdefab-cdef-4bcd-8fab-cdefabcdefab")
        )
        self.assertEqual(store.readBUID(), "ABCDEFAB-CDEF-4BCD-8FAB-CDEFABCDEFAB")
        self.assertEqual(self.another(self.OTHER).readBUID(), store.readBUID())
        self.assertEqual(self.names(), ["SystemConfiguration.plist"])
        self.assertEqual(self.mode("SystemConfiguration.plist"), 0o600)

    def test_random(self) -> None:
        """
        Unless told otherwise it is a random UUID.
        """
        buid = PairRecordStore(self.directory).readBUID()
        self.assertEqual((str(UUID(buid)).upper(), UUID(buid).version), (buid, 4))

    def test_existing(self) -> None:
        """
        One that is there, whoever made it, is taken.
        """
        self.directory.makedirs()
        self.host().setContent(plistlib.dumps({"SystemBUID": "theirs"}, fmt=plistlib.FMT_BINARY))
        self.assertEqual(self.store.readBUID(), "theirs")
        self.host().setContent(plistlib.dumps({"SystemBUID": "x"}))
        self.assertEqual(self.another(self.OTHER).readBUID(), "x")

    def test_otherKeysStay(self) -> None:
        """
        What else is in the file is kept when it is added.
        """
        self.directory.makedirs()
        for value in ({}, {"SystemBUID": ""}, {"SystemBUID": 5}):
            self.host().setContent(plistlib.dumps({"HostName": "x", **value}))
            self.assertEqual(self.store.readBUID(), BUID)
            self.assertEqual(
                plistlib.loads(self.host().getContent()), {"HostName": "x", "SystemBUID": BUID}
            )

    def test_damaged(self) -> None:
        """
        A damaged file is put aside, not lost, and that is said.
        """
        self.directory.makedirs()
        self.host().setContent(b"garbage")
        self.assertEqual(self.store.readBUID(), BUID)
        self.assertEqual(
            self.directory.child("SystemConfiguration.plist.damaged").getContent(), b"garbage"
        )
        self.assertEqual(len(self.errors()), 1)

    def test_cannotBeSaid(self) -> None:
        """
        One that is there and could not be told to a phone or to a client is none.
        """
        self.directory.makedirs()
        for bad in ("\x1b[2J", "x" * 256, "\n"):
            values = {"SystemBUID": bad}
            self.host().setContent(plistlib.dumps(values, fmt=plistlib.FMT_BINARY))
            self.assertEqual(self.store.readBUID(), BUID)
            self.assertEqual(plistlib.loads(self.host().getContent()), {"SystemBUID": BUID})

    def test_cannotBeKept(self) -> None:
        """
        What else is in the file and cannot be written again is put aside with it.
        """
        self.directory.makedirs()
        for bad in ("\x1b[2J", plistlib.UID(1)):
            self.host().setContent(plistlib.dumps({"HostName": bad}, fmt=plistlib.FMT_BINARY))
            before = self.host().getContent()
            self.assertEqual(self.store.readBUID(), BUID)
            self.assertEqual(plistlib.loads(self.host().getContent()), {"SystemBUID": BUID})
            aside = self.directory.child("SystemConfiguration.plist.damaged")
            self.assertEqual(aside.getContent(), before)
            self.host().remove()

    def test_race(self) -> None:
        """
        Of two processes that make one at the same time, both take the first
        one's, wherever the second one breaks in.
        """
        for call in ("link", "replace", "unlink"):
            with self.subTest(call):
                self.directory = self.temporary()
                self.race(call)

    def race(self, call: str) -> None:
        """
        Have a second process make an identity when the first one makes this
        call.
        """
        first, second = self.another(self.FIRST), self.another(self.OTHER)
        system = getattr(os, call)
        results: list[str] = []

        def raced(*args: Any, **keywords: Any) -> Any:
            patched.restore()
            results.append(second.readBUID())
            return system(*args, **keywords)

        patched = self.patch(os, call, raced)
        results.append(first.readBUID())
        self.assertEqual(len(set(results)), 1)
        self.assertEqual(self.another(BUID).readBUID(), results[0])
        self.assertEqual(self.names(), ["SystemConfiguration.plist"])

    def test_claimGone(self) -> None:
        """
        A process that finds its competitor's claim gone before it could read it
        looks for what has been stored.
        """
        second = self.another(self.OTHER)

        def raced(*args: Any, **keywords: Any) -> None:
            patched.restore()
            second.readBUID()
            raise FileExistsError

        patched = self.patch(os, "link", raced)
        self.assertEqual(self.store.readBUID(), self.OTHER)

    def test_claimLeftBehind(self) -> None:
        """
        A process that was killed with its claim made does not keep anybody
        waiting: its identity is taken.
        """
        patched = self.patch(os, "replace", killing)
        self.assertRaises(Killed, self.another(self.FIRST).readBUID)
        patched.restore()
        self.assertEqual(self.store.readBUID(), self.FIRST)
        self.assertEqual(self.names(), ["SystemConfiguration.plist"])

    def test_badClaim(self) -> None:
        """
        A claim that names no identity, and was not made by us, is none.
        """
        self.directory.makedirs()
        claim = self.directory.child(".SystemBUID.claim")
        for bad in (b"", b"\x1b[2J", b"x" * 300, b"two\nlines"):
            claim.setContent(bad)
            self.assertEqual(self.store.readBUID(), BUID)
            self.assertEqual(self.names(), ["SystemConfiguration.plist"])
            self.host().remove()

    def test_claimOfManyNames(self) -> None:
        """
        A claim may have a second name, which its maker gave it; with a third it is no file of
        ours.
        """
        self.directory.makedirs()
        claim = self.directory.child(".SystemBUID.claim")
        claim.setContent(self.FIRST.encode())
        os.link(claim.path, self.directory.child("second").path)
        self.assertEqual(self.store._claimedBUID(), self.FIRST)
        os.link(claim.path, self.directory.child("third").path)
        self.assertRaises(OSError, self.store._claimedBUID)

    def test_claimIsNoFile(self) -> None:
        """
        A claim that nobody can read keeps the identity from being stored, and
        nobody waiting.
        """
        self.directory.makedirs()
        os.mkfifo(self.directory.child(".SystemBUID.claim").path)
        self.assertEqual([self.store.readBUID() for _ in range(2)], [BUID] * 2)
        (error,) = self.errors()
        self.assertIn("is no file, remove it", str(error["error"]))

    def test_cannotBeStored(self) -> None:
        """
        If it cannot be stored it stays the same as long as the daemon runs, and
        the operator is told once (protocol 9, edge 65).
        """
        self.patch(os, "mkdir", failing(EACCES))
        drawn = iter([UUID(self.FIRST), UUID(self.OTHER)])
        store = PairRecordStore(self.directory, lambda: next(drawn))
        self.assertEqual([store.readBUID() for _ in range(3)], [self.FIRST] * 3)
        self.assertEqual(len(self.errors()), 1)

    def test_outOfDescriptors(self) -> None:
        """
        That no file can be opened just now is no reason for another identity, which
        would make every phone ask for trust again: there is none for the moment.
        """
        self.assertEqual(self.store.readBUID(), BUID)
        store = self.another(self.OTHER)
        for number in (EMFILE, ENFILE, ENOMEM):
            patched = self.patch(atomicfiles, "readRegularFile", failing(number))
            self.assertErrno(number, store.readBUID)
            patched.restore()
        self.assertEqual(store.readBUID(), BUID)
        self.assertEqual(self.errors(), [])
