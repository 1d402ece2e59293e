# -*- test-case-name: tests.phone.services.test_zipconduit -*-
"""
Tests of L{muxd.phone.services.zipconduit}.
"""

from __future__ import annotations

import errno
import os
import plistlib
import struct
import tempfile
import zipfile
from typing import IO, Any
from unittest.mock import patch
from zlib import crc32

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.protocol import connectionDone
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.services import zipconduit
from muxd.phone.services.apps import Apps, PackageError
from muxd.phone.services.zipconduit import ArrivingPackage, StreamingZipConduit
from tests.phone.services.hosts import PlistHost, frame
from tests.running.properties import examples

TWO = "com.example.two"
END = b"PK\x01\x02"
SETUP = {"InstallTransferredDirectory": True, "MediaSubdir": "PublicStaging/two.ipa"}


def record(
    name: str, data: bytes = b"", method: int = 0, flags: int = 0, checksum: int | None = None
) -> bytes:
    """
    An entry.
    """
    path, extra = name.encode(), b"SZ\x02\x00\xed\x81"
    sum_ = crc32(data) if checksum is None else checksum
    sizes = (len(data), len(data), len(path), len(extra))
    header = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, flags, method, 0, 33, sum_, *sizes)
    return header + path + extra + data


def fill(file: IO[bytes]) -> None:
    """
    Have no room for anything that is written to a file.
    """

    def full(data: object = b"") -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close() -> None:
        closed()
        full()

    closed = file.close
    file.write = full  # type: ignore[method-assign]
    file.flush = full  # type: ignore[assignment,method-assign]
    file.close = close  # type: ignore[method-assign]


def app(identifier: str = TWO, **info: Any) -> bytes:
    """
    The entries of an app.
    """
    values = {"CFBundleIdentifier": identifier, **info}
    return (
        record("META-INF/")
        + record("Payload/App.app/")
        + record("Payload/App.app/Info.plist", plistlib.dumps(values))
        + record("Payload/App.app/App", bytes(range(256)) * 10)
    )


class ArrivingPackageTests(SynchronousTestCase):
    """
    The archive.
    """

    @settings(deadline=None, max_examples=examples(25))
    @given(st.lists(st.binary(max_size=40), max_size=4), st.integers(1, 70))
    def test_pieces(self, files: list[bytes], size: int) -> None:
        """
        However it is cut, it is one archive, with each file in it.
        """
        data = b"".join(record(str(n), each) for n, each in enumerate(files)) + END
        package = ArrivingPackage()
        try:
            ends = [package.feed(data[at : at + size]) for at in range(0, len(data), size)]
            self.assertEqual(ends, [False] * (len(ends) - 1) + [True])
            with zipfile.ZipFile(package.path) as archive:
                self.assertIsNone(archive.testzip())
                found = {name: archive.read(name) for name in archive.namelist()}
        finally:
            package.close()
        self.assertEqual(found, {str(n): each for n, each in enumerate(files)})
        self.assertFalse(os.path.exists(package.path))

    def test_malformed(self) -> None:
        """
        What is no such archive is said to be none.
        """
        name = "Payload/App.app/App"
        for data in (
            b"GET /",
            record(name, b"x", method=8),
            record(name, b"x", flags=8),
            record(name, b"x", checksum=7) + END,
            record(name) + record(name),
            record("x").replace(b"x", b"\xff"),
        ):
            package = ArrivingPackage()
            self.addCleanup(package.close)
            problem = self.assertRaises(PackageError, package.feed, data)
            self.assertEqual(problem.name, "ExtractionFailed")

    def test_tooLarge(self) -> None:
        """
        What is too large is refused by its header, and so are too many entries.
        """
        with patch.object(zipconduit, "LARGEST", 10), patch.object(zipconduit, "MOST_ENTRIES", 2):
            for data in (record("x", bytes(11))[:40], b"".join(map(record, "abc"))):
                package = ArrivingPackage()
                self.addCleanup(package.close)
                self.assertRaises(PackageError, package.feed, data)

    def test_noRoom(self) -> None:
        """
        What the disk does not take is an error.
        """
        package = ArrivingPackage()
        self.addCleanup(package.close)
        package._feed = lambda data: os.stat("/nonexistent")  # type: ignore[assignment,return-value,method-assign]
        self.assertEqual(self.assertRaises(PackageError, package.feed, b"x").name, "NoSpace")

    def test_closedWithoutRoom(self) -> None:
        """
        Wherever it is when the disk is full, its file is closed and gone.
        """
        for begun in (b"", app(), app() + record("x", b"1234")[:-2]):
            package = ArrivingPackage()
            package.feed(begun)
            fill(package._file)
            package.close()
            self.assertTrue(package._file.closed)
            self.assertIsNone(package._archive.fp)
            self.assertFalse(os.path.exists(package.path))

    def test_names(self) -> None:
        """
        A name that is too long is refused before it has come, and so are names that are too long
        together.
        """
        usual = "x" * zipconduit.LONGEST_NAME
        package = ArrivingPackage()
        self.addCleanup(package.close)
        package.feed(record(usual))
        problem = self.assertRaises(PackageError, package.feed, record(usual + "x")[:30])
        self.assertEqual(problem.name, "ExtractionFailed")
        with patch.object(zipconduit, "MOST_NAMES", 10):
            package = ArrivingPackage()
            self.addCleanup(package.close)
            package.feed(record("12345") + record("123\xe4"))
            self.assertRaises(PackageError, package.feed, record("6"))


class StreamingZipConduitTests(SynchronousTestCase):
    """
    The service.
    """

    def setUp(self) -> None:
        """
        A phone without apps, and a host.
        """
        directory = self.mktemp()
        FilePath(directory).makedirs()
        self.apps = Apps(lambda: FilePath(directory))
        self.posted: list[str] = []
        self.host = PlistHost(StreamingZipConduit(self.apps, self.posted.append))

    def send(self, data: bytes, **setup: Any) -> list[Any]:
        """
        What is answered to an archive.
        """
        self.host.service.dataReceived(frame({**SETUP, **setup}) + data)
        return self.host.heard()

    def test_install(self) -> None:
        """
        An app is installed, and its stages are told.
        """
        answers = self.send(app() + END)
        self.assertEqual(answers[-1], {"Status": "DataComplete"})
        stages = [each["InstallProgressDict"]["Status"] for each in answers[:-1]]
        self.assertEqual((stages[0], stages[-1]), ("CreatingStagingDirectory", "Complete"))
        self.assertIsNotNone(self.apps.find(TWO))
        self.assertEqual(self.posted, ["com.apple.mobile.application_installed"])
        self.assertTrue(self.host.transport.disconnecting)

    def test_bytes(self) -> None:
        """
        It may come a byte at a time.
        """
        for byte in frame(SETUP) + app() + END:
            self.host.service.dataReceived(bytes([byte]))
        self.assertEqual(self.host.heard()[-1], {"Status": "DataComplete"})

    def test_noApp(self) -> None:
        """
        What is no app fails as an installation.
        """
        answer = self.send(app("no name") + END)[-1]
        self.assertEqual(answer["InstallProgressDict"]["Error"], "PackageInspectionFailed")
        self.assertEqual(self.posted, [])

    def test_refused(self) -> None:
        """
        What is no archive, or is not to be installed, is refused, and nothing more is heard.
        """
        self.assertEqual(self.send(b"x" * 40)[-1]["Error"], "ExtractionFailed")
        self.host.service.dataReceived(app() + END)
        self.assertEqual(self.host.heard(), [])
        self.setUp()
        self.assertEqual(
            self.send(b"", InstallTransferredDirectory=0)[-1]["Error"], "InvalidArgument"
        )

    def test_full(self) -> None:
        """
        When the disk is full the host is told so, whether before or while it sends.
        """
        self.send(app())
        package = self.host.service._package
        fill(package._file)
        self.host.service.dataReceived(record("Payload/App.app/More", bytes(100)))
        (answer,) = self.host.heard()
        self.assertEqual(answer["Error"], "NoSpace")
        self.assertTrue(self.host.transport.disconnecting)
        self.assertTrue(package._file.closed)
        self.setUp()
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with patch.object(tempfile, "NamedTemporaryFile", side_effect=full):
            (answer,) = self.send(app())
        self.assertEqual(answer["Error"], "NoSpace")
        self.assertTrue(self.host.transport.disconnecting)

    def test_lost(self) -> None:
        """
        When the host goes, what has arrived is lost.
        """
        self.send(app())
        path = self.host.service._package.path
        self.assertTrue(os.path.exists(path))
        self.host.service.connectionLost(connectionDone)
        self.assertFalse(os.path.exists(path))
