"""
Tests of L{muxd.phone.services.backup} and L{muxd.phone.services.backupfiles}.
"""

from __future__ import annotations

import os
import plistlib
import sqlite3
import struct
from pathlib import Path
from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.lockdown.values import PhoneValues
from muxd.phone.services import backupfiles
from muxd.phone.services.apps import Apps
from muxd.phone.services.backup import DATA, LOCAL_ERROR, SUCCESS, Incoming, MobileBackup
from muxd.phone.services.backupfiles import Places, makeDatabase, readDatabase
from tests.phone.services.hosts import frame
from tests.phone.services.packages import makePackage

UDID = "00008110-000A1B2C3D4E5F60"
APP = "com.example.app"


def blocks(name: str, content: bytes, size: int = 1 << 15) -> bytes:
    """
    A file as a host gives it.
    """
    data = name.encode()
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    return b"".join(
        (
            struct.pack(">I", len(data)) + data,
            *(struct.pack(">IB", len(piece) + 1, DATA) + piece for piece in pieces),
            struct.pack(">IB", 1, SUCCESS),
        )
    )


class Host:
    """
    A host that keeps backups in a directory and does what the phone asks it to.

    @ivar asked: The names of messages.
    @ivar responses: What the phone has responded to requests.
    """

    def __init__(self, service: MobileBackup, directory: Path) -> None:
        self.service = service
        self.directory = directory
        self.transport = StringTransport()
        self.asked: list[str] = []
        self.responses: list[dict[str, Any]] = []
        self.missing: set[str] = set()
        service.makeConnection(self.transport)
        self.say("DLMessageVersionExchange", "DLVersionsOk", 300)
        self.request(MessageName="Hello", SupportedProtocolVersions=[2.0, 2.1])

    def say(self, *message: Any) -> None:
        """
        Say something, and do what comes of it.
        """
        self.service.dataReceived(frame(list(message)))
        self.work()

    def request(self, **message: Any) -> None:
        """
        Want something.
        """
        self.say("DLMessageProcessMessage", message)

    def work(self) -> None:
        """
        Do what the phone asks for.
        """
        while data := self.transport.value():
            self.transport.clear()
            self._data = data
            while self._data:
                name, *values = plistlib.loads(self._text())
                self.asked.append(name)
                getattr(self, name)(*values)

    def _text(self) -> bytes:
        (size,) = struct.unpack(">I", self._data[:4])
        text, self._data = self._data[4 : 4 + size], self._data[4 + size :]
        return bytes(text)

    def DLMessageVersionExchange(self, *_: Any) -> None:
        """
        That was known.
        """

    DLMessageDeviceReady = DLMessageDisconnect = DLMessageVersionExchange

    def DLMessageProcessMessage(self, message: dict[str, Any]) -> None:
        """
        The phone responds.
        """
        self.responses.append(message)

    def DLMessageGetFreeDiskSpace(self) -> None:
        """
        There is some.
        """
        self.answer(1 << 30)

    def DLMessageCreateDirectory(self, path: str, *_: Any) -> None:
        """
        Make it.
        """
        (self.directory / path).mkdir(parents=True)
        self.answer({})

    def DLMessageUploadFiles(self, *_: Any) -> None:
        """
        Take files.
        """
        while self._text():
            path = self.directory / self._text().decode()
            content = b""
            while (block := self._text())[0] == DATA:
                content += block[1:]
            assert block[0] == SUCCESS
            path.write_bytes(content)
        self.answer({})

    def DLMessageDownloadFiles(self, names: list[str], *_: Any) -> None:
        """
        Give files, in small pieces.
        """
        data = b""
        for name in names:
            if name in self.missing:
                text = name.encode()
                data += struct.pack(">I", len(text)) + text
                data += struct.pack(">IB", 3, LOCAL_ERROR) + b"no"
            else:
                data += blocks(name, (self.directory / name).read_bytes(), 1000)
        data += bytes(4) + frame(["DLMessageStatusResponse", 0, "x", {}])
        for start in range(0, len(data), 777):
            self.service.dataReceived(data[start : start + 777])

    def answer(self, value: Any) -> None:
        """
        It is done.
        """
        self.service.dataReceived(frame(["DLMessageStatusResponse", 0, "x", value]))


class BackupCase(SynchronousTestCase):
    """
    A phone with files and an app, and a host.
    """

    def setUp(self) -> None:
        """
        Make them.
        """
        self.files = Path(self.mktemp())
        (self.files / "DCIM" / "100APPLE").mkdir(parents=True)
        (self.files / "DCIM" / "100APPLE" / "a.jpg").write_bytes(os.urandom(100_000))
        (self.files / "\xe4").write_bytes(b"")
        (self.files / "link").symlink_to("/etc/passwd")
        packages: FilePath[str] = FilePath(self.mktemp())
        packages.makedirs()
        makePackage(packages.child("app.ipa").path, APP)
        self.apps = Apps(lambda: packages)
        app = self.apps.find(APP)
        assert app is not None
        self.document = Path(self.apps.container(app).path) / "Documents" / "note"
        self.document.write_bytes(b"note")
        self.places = Places(lambda: FilePath(str(self.files)), self.apps)
        self.restarts = 0
        self.directory = Path(self.mktemp())
        self.connect()

    def connect(self) -> None:
        """
        Connect the host.
        """
        values = PhoneValues(Clock(), UDID, "x")
        service = MobileBackup(self.places, self.apps, values, self.restart, timeOfDay=lambda: 1e9)
        self.host = Host(service, self.directory)
        self.addCleanup(service.connectionLost, connectionDone)

    def restart(self) -> None:
        """
        Count it.
        """
        self.restarts += 1

    def response(self) -> tuple[int, str]:
        """
        Code and text of the last response.
        """
        last = self.host.responses[-1]
        return last["ErrorCode"], last.get("ErrorDescription", "")


class BackupTests(BackupCase):
    """
    Tests of backups.
    """

    def test_backup(self) -> None:
        """
        All files are there under their identifiers, and the lists that clients look at.
        """
        self.assertEqual(self.host.responses[0]["ProtocolVersion"], 2.1)
        self.host.request(MessageName="Backup", TargetIdentifier=UDID)
        self.assertEqual(self.response(), (0, ""))
        self.assertEqual(self.host.asked[-1], "DLMessageDisconnect")
        kept = self.directory / UDID
        status = plistlib.loads((kept / "Status.plist").read_bytes())
        self.assertEqual((status["SnapshotState"], status["IsFullBackup"]), ("finished", True))
        manifest = plistlib.loads((kept / "Manifest.plist").read_bytes())
        self.assertEqual(manifest["Lockdown"]["UniqueDeviceID"], UDID)
        self.assertIn(APP, manifest["Applications"])
        rows = {(d, p): i for i, d, p, isDir in readDatabase((kept / "Manifest.db").read_bytes())}
        picture = rows["CameraRollDomain", "Media/DCIM/100APPLE/a.jpg"]
        self.assertEqual(
            (kept / picture[:2] / picture).read_bytes(),
            (self.files / "DCIM" / "100APPLE" / "a.jpg").read_bytes(),
        )
        self.assertIn(("MediaDomain", "Media/\xe4"), rows)
        self.assertIn((f"AppDomain-{APP}", "Documents/note"), rows)
        self.assertNotIn(("MediaDomain", "Media/link"), rows)

    def test_restore(self) -> None:
        """
        What has been lost since is there again, and the phone restarts.
        """
        self.host.request(MessageName="Backup", TargetIdentifier=UDID)
        picture = self.files / "DCIM" / "100APPLE" / "a.jpg"
        content = picture.read_bytes()
        picture.unlink()
        picture.parent.rmdir()
        self.document.write_bytes(b"something longer")
        self.connect()
        self.host.request(MessageName="Restore", SourceIdentifier=UDID)
        self.assertEqual(self.response(), (0, ""))
        self.assertEqual(picture.read_bytes(), content)
        self.assertEqual(self.document.read_bytes(), b"note")
        self.assertEqual(self.restarts, 1)

    def test_noRestart(self) -> None:
        """
        It does not if that was said; and files of an app that is gone are left out.
        """
        self.host.request(MessageName="Backup", TargetIdentifier=UDID)
        self.apps.remove(APP)
        self.connect()
        options = {"RestoreShouldReboot": False}
        self.host.request(MessageName="Restore", SourceIdentifier=UDID, Options=options)
        self.assertEqual((self.response(), self.restarts), ((0, ""), 0))
        self.assertFalse(self.document.exists())

    def test_hostile(self) -> None:
        """
        A backup that would write outside of the phone does not, and neither does it follow a link.
        """
        outside = Path(self.mktemp())
        outside.mkdir()
        (self.files / "out").symlink_to(outside.absolute())
        self.host.request(MessageName="Backup", TargetIdentifier=UDID)
        path = self.directory / UDID / "Manifest.db"
        database = sqlite3.connect(path)
        names = ("Media/../../x", "Media/out/x", "../x", "Other/x")
        for number, name in enumerate(names):
            identifier = f"{number:040}"
            values = (identifier, "MediaDomain", name, 1, b"")
            database.execute("INSERT INTO Files VALUES (?, ?, ?, ?, ?)", values)
            (self.directory / UDID / "00").mkdir(exist_ok=True)
            (self.directory / UDID / "00" / identifier).write_bytes(b"bad")
        database.commit()
        database.close()
        before = {str(each) for each in Path(".").resolve().rglob("x")}
        self.connect()
        self.host.request(MessageName="Restore", SourceIdentifier=UDID)
        self.assertEqual(self.response(), (0, ""))
        self.assertEqual(list(outside.iterdir()), [])
        made = {str(each) for each in Path(".").resolve().rglob("x")} - before
        self.assertEqual(made, {str(self.files.resolve() / "x")})

    def test_refusals(self) -> None:
        """
        What cannot be done is told, and why.
        """
        (self.directory / UDID).mkdir(parents=True)
        (self.directory / UDID / "Manifest.db").write_bytes(b"nonsense")
        for message, code in (
            ({"MessageName": "Restore", "SourceIdentifier": "../x"}, 205),
            ({"MessageName": "Restore"}, 205),
            ({"MessageName": "Restore", "SourceIdentifier": UDID}, 205),
            ({"MessageName": "ChangePassword"}, 1),
            ({"MessageName": "Info"}, 0),
        ):
            self.connect()
            self.host.request(**message)
            self.assertEqual(self.response()[0], code, message)
        self.connect()
        self.host.missing.add(f"{UDID}/Manifest.db")
        self.host.request(MessageName="Restore", SourceIdentifier=UDID)
        self.assertEqual(self.response()[0], 205)

    def test_noRoom(self) -> None:
        """
        A host without room is not sent anything.
        """
        self.patch(Host, "DLMessageGetFreeDiskSpace", lambda host: host.answer(10))
        self.host.request(MessageName="Backup", TargetIdentifier=UDID)
        self.assertEqual(self.response()[0], 105)

    def test_tooMany(self) -> None:
        """
        There is a limit, which is told.
        """
        self.patch(backupfiles, "MOST_FILES", 3)
        self.host.request(MessageName="Backup", TargetIdentifier=UDID)
        self.assertEqual(self.response(), (1, "expected at most 3 files"))

    def test_slowHost(self) -> None:
        """
        While the host does not read nothing more is sent; when it has gone, that is the end.
        """
        service, transport = self.host.service, self.host.transport
        self.host.request(MessageName="Hello")
        self.patch(Host, "work", lambda host: None)
        self.host.request(MessageName="Backup", TargetIdentifier=UDID)
        transport.clear()
        service.pauseProducing()
        for _ in range(20):
            self.host.answer(1 << 30)
        sent = len(transport.value())
        self.assertLess(sent, 100_000)
        service.connectionLost(connectionDone)
        service.resumeProducing()
        self.assertEqual(len(transport.value()), sent)

    def test_atOnce(self) -> None:
        """
        A second request while one is being done is the end.
        """
        self.patch(Host, "work", lambda host: None)
        self.host.request(MessageName="Backup", TargetIdentifier=UDID)
        self.host.request(MessageName="Backup", TargetIdentifier=UDID)
        self.assertTrue(self.host.transport.disconnecting)


class IncomingTests(SynchronousTestCase):
    """
    Tests of L{Incoming}.
    """

    def test_wrong(self) -> None:
        """
        A block that is longer than any is not waited for.
        """
        incoming = Incoming(lambda name: None)
        self.assertRaises(ValueError, incoming.feed, b"\xff\xff\xff\xff")

    def test_database(self) -> None:
        """
        A list that is none says so.
        """
        self.assertEqual(readDatabase(makeDatabase([])), [])
        self.assertRaises(ValueError, readDatabase, b"nonsense")
