"""
CVE-2025-66004 (usbmuxd issue 272): the id of a pair record was a part of a path, and
so every local user could read, write and delete files of the daemon's choice.
"""

from __future__ import annotations

import os
import plistlib
import shutil
import socket
import tempfile
from collections.abc import Callable
from dataclasses import replace
from errno import EINVAL, ENOENT
from pathlib import Path
from typing import Any
from uuid import UUID

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.limits import LIMITS
from muxd.server.factory import ControlFactory
from muxd.server.preflight import Preflight, PreflightContext
from muxd.server.records import PairRecordStore
from muxd.server.registry import DeviceRegistry
from muxd.testing import BudgetTransport, ImmediateRecords
from muxd.wire.messages import Message, MessageType
from tests.fuzz.watching import LONGEST_LINE
from tests.lockdown.phones import NearDevice, recordOf
from tests.server.serving import Client, observeLog

GOOD = "00008030-001A35D22E38802E"
RECORD = plistlib.dumps({"HostID": "A", "SystemBUID": "B"})
OURS = plistlib.dumps({"HostID": "attacker", "SystemBUID": "attacker"})

BAD_IDS = (
    "",
    ".",
    "..",
    "...",
    "../outside",
    "../../../../../../etc/passwd",
    "./x",
    "x/../../outside",
    "/etc/passwd",
    "//outside",
    "~root",
    "x/",
    "x/y",
    "\\outside",
    "..\\outside",
    "C:\\outside",
    "C:outside",
    "x:stream",
    "x\n",
    "\nx",
    "x y",
    " x",
    "x.plist",
    ".hidden",
    "%2e%2e%2foutside",
    "..%2foutside",
    "\u2024\u2024/outside",
    "\uff0e\uff0e\uff0foutside",
    "\u2215etc\u2215passwd",
    "\u0131D",
    "x\u200b",
    "\u202ex",
    "\xe9",
    "\u0661\u0662",
    "-" * 65,
    "a" * 65,
    "a" * 255,
    "a" * 3000,
    "SystemConfiguration",
    "systemconfiguration",
    "SYSTEMCONFIGURATION",
    "*",
    "$(id)",
    "`id`",
    "x;y",
    "x|y",
)
"""Every spelling that leads, or has led somewhere, out of a directory."""

UNSAYABLE_IDS = ("x\0", "\0", "../outside\0.plist", "x\x1b[2J", "\x7f")
"""Those that only a binary property list can say."""

NO_IDS: tuple[Any, ...] = (None, 0, True, [], ["x"], {}, b"x", 1.5)
"""Those that are no text at all."""


class World(SynchronousTestCase):
    """
    A server whose pair records are in a directory beside a secret.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        self.above = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.above)
        self.outside = self.above / "outside.plist"
        self.outside.write_bytes(RECORD)
        self.directory = self.above / "lockdown"
        self.directory.mkdir()
        self.clock = Clock()
        self.store = PairRecordStore(str(self.directory), lambda: UUID(int=1))
        self.registry = DeviceRegistry()
        self.records = ImmediateRecords(self.store)
        self.factory = ControlFactory(self.clock, self.registry, self.records)
        self.addCleanup(self.factory.stopFactory)
        self.logged = observeLog(self)
        self.client = Client(BudgetTransport.connect(self.clock, self.factory))

    def ask(self, **values: Any) -> dict[str, Any]:
        """
        Ask in binary, which can say more, and take the answer.
        """
        body = plistlib.dumps(values, fmt=plistlib.FMT_BINARY)
        self.client.send(Message(1, MessageType.PLIST, 1, body))
        (answer,) = self.client.plists()
        return answer

    def result(self, name: str, recordID: Any, **values: Any) -> int:
        """
        The number that such a request is answered with; 0 for a record.
        """
        if recordID is not None:
            values["PairRecordID"] = recordID
        return int(self.ask(MessageType=name, **values).get("Number", 0))

    def assertUntouched(self, inside: list[str]) -> None:
        """
        Fail unless there is nothing but what there was.

        @param inside: What may be in the directory.
        """
        self.assertEqual(self.outside.read_bytes(), RECORD)
        self.assertEqual(sorted(os.listdir(self.above)), ["lockdown", "outside.plist"])
        self.assertEqual(sorted(os.listdir(self.directory)), sorted(inside))
        for event in self.logged:
            text = event["log_format"].format(**event)
            self.assertTrue(text.isprintable(), text)
            self.assertLess(len(text), LONGEST_LINE)


class SpellingTests(World):
    """
    Ids.
    """

    def test_refused(self) -> None:
        """
        Each is answered with EINVAL, for whatever is asked, and the client may go
        on.
        """
        for bad in (*BAD_IDS, *UNSAYABLE_IDS, *NO_IDS):
            results = [
                self.result("ReadPairRecord", bad),
                self.result("SavePairRecord", bad, PairRecordData=OURS),
                self.result("SavePairRecord", bad, PairRecordData=OURS, DeviceID=1),
                self.result("DeletePairRecord", bad),
            ]
            self.assertEqual(results, [EINVAL] * 4, f"{bad!r:.80}")
        self.assertUntouched([])

    def test_accepted(self) -> None:
        """
        A real one is none of them, and its file is where it should be.
        """
        self.assertEqual(self.result("SavePairRecord", GOOD, PairRecordData=RECORD), 0)
        self.assertEqual(
            self.ask(MessageType="ReadPairRecord", PairRecordID=GOOD).keys(), {"PairRecordData"}
        )
        self.assertUntouched([f"{GOOD}.plist"])
        self.assertEqual(self.result("DeletePairRecord", GOOD), 0)
        self.assertUntouched([])

    def test_phone(self) -> None:
        """
        A phone whose serial number is a path is asked for its trust like any other,
        and its record goes nowhere.
        """
        device = NearDevice(self.clock)
        device.identity = replace(device.identity, udid="../outside", serial="../outside")
        shown: list[bool] = []

        async def makeRecord(key: bytes, hostID: str, systemBUID: str) -> Any:
            return recordOf(hostID, systemBUID)

        preflight = Preflight(
            PreflightContext(self.clock, self.records, LIMITS, makeRecord, lambda: UUID(int=2)),
            device,
            show=lambda: shown.append(True),
            paired=lambda: self.fail("it was paired"),
            proved=lambda: None,
            hasRival=lambda: False,
        )
        preflight.start()
        for _ in range(100):
            device.flush()
            self.clock.advance(0.1)
        preflight.stop()
        self.clock.advance(60)
        self.assertTrue(shown)
        self.assertUntouched(["SystemConfiguration.plist"])


class PlantedTests(World):
    """
    Things that somebody has put where a pair record should be.
    """

    def setUp(self) -> None:
        """
        Know the place.
        """
        super().setUp()
        self.place = self.directory / f"{GOOD}.plist"

    def unreadable(self) -> None:
        """
        It is answered as if there was nothing, at once.
        """
        self.assertEqual(self.result("ReadPairRecord", GOOD), ENOENT)

    def replaceable(self) -> None:
        """
        A record takes its place, and what it led to stays what it was.
        """
        self.assertEqual(self.result("SavePairRecord", GOOD, PairRecordData=OURS), 0)
        self.assertFalse(self.place.is_symlink())
        self.assertTrue(self.place.is_file())
        answer = self.ask(MessageType="ReadPairRecord", PairRecordID=GOOD)
        self.assertEqual(plistlib.loads(answer["PairRecordData"])["HostID"], "attacker")
        self.assertUntouched([self.place.name])

    def deletable(self) -> None:
        """
        It can be removed, and what it led to stays.
        """
        self.assertEqual(self.result("DeletePairRecord", GOOD), 0)
        self.assertUntouched([])

    def each(self, plant: Callable[[], object]) -> None:
        """
        All of it, for one kind.
        """
        plant()
        self.unreadable()
        self.deletable()
        plant()
        self.replaceable()
        self.deletable()

    def test_symbolicLinks(self) -> None:
        """
        Links, wherever they lead: to a file, to a directory, to a device without
        end, to the terminal, to nothing, to themselves.
        """
        targets = (self.outside, self.above, "/dev/zero", "/dev/tty", "nothing", self.place)
        for target in targets:
            with self.subTest(str(target)):
                self.each(lambda target=target: self.place.symlink_to(target))  # type: ignore[misc]

    def test_hardLink(self) -> None:
        """
        Another name of a file that is elsewhere.
        """
        self.each(lambda: os.link(self.outside, self.place))

    def test_fifo(self) -> None:
        """
        A FIFO, at whose other end nobody is.
        """
        self.each(lambda: os.mkfifo(self.place))

    def test_socket(self) -> None:
        """
        A socket.
        """

        def plant() -> None:
            here = os.getcwd()
            os.chdir(self.directory)
            try:
                with socket.socket(socket.AF_UNIX) as listening:
                    listening.bind(self.place.name)
            finally:
                os.chdir(here)

        self.each(plant)

    def test_hole(self) -> None:
        """
        A file of a terabyte.
        """

        def plant() -> None:
            self.place.touch()
            os.truncate(self.place, 1 << 40)

        self.each(plant)

    def test_directory(self) -> None:
        """
        A directory cannot be replaced or removed, and says so; what is in it stays.
        """
        self.place.mkdir()
        (self.place / "content").write_bytes(b"content")
        self.unreadable()
        self.assertEqual(self.result("SavePairRecord", GOOD, PairRecordData=OURS), ENOENT)
        self.assertNotEqual(self.result("DeletePairRecord", GOOD), 0)
        self.assertEqual((self.place / "content").read_bytes(), b"content")
        self.assertUntouched([self.place.name])

    def test_identity(self) -> None:
        """
        The same where the identity of the host is kept: no file elsewhere is read,
        changed or waited for.
        """
        names = ("SystemConfiguration.plist", ".SystemBUID.claim")
        plants: tuple[Callable[[Path], object], ...] = (
            lambda place: place.symlink_to(self.outside),
            lambda place: place.symlink_to("/dev/zero"),
            lambda place: place.symlink_to(place),
            lambda place: place.symlink_to(self.above / "made"),
            lambda place: os.link(self.outside, place),
            os.mkfifo,
            os.mkdir,
        )
        for name in names:
            for plant in plants:
                place = self.directory / name
                plant(place)
                store = PairRecordStore(str(self.directory), lambda: UUID(int=1))
                self.assertEqual(store.readBUID(), str(UUID(int=1)))
                self.assertEqual(self.outside.read_bytes(), RECORD)
                self.assertEqual(sorted(os.listdir(self.above)), ["lockdown", "outside.plist"])
                shutil.rmtree(self.directory)
                self.directory.mkdir()

    def test_temporary(self) -> None:
        """
        Names that look like what a killed writer has left are removed as names, not
        followed.
        """
        for number, target in enumerate((self.outside, self.above)):
            planted = self.directory / f".x{number}.muxd-temporary"
            planted.symlink_to(target)
            os.utime(planted, (0, 0), follow_symlinks=False)
        self.assertEqual(self.result("SavePairRecord", GOOD, PairRecordData=OURS), 0)
        self.assertUntouched([self.place.name])
