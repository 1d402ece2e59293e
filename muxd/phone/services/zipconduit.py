# -*- test-case-name: tests.phone.services.test_zipconduit -*-
"""
C{com.apple.streaming_zip_conduit}: an app that is installed as it arrives, as go-ios and Appium do.

A property list says what is to be done.  Behind it comes a zip archive of which each entry is as
long as its header says and not compressed, up to where its directory would begin.
"""

from __future__ import annotations

import struct
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from typing import IO
from zlib import crc32

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from muxd.lockdown.plists import AnsweringProtocol, Message
from muxd.phone.services.apps import MOST_ENTRIES, Apps, PackageError
from muxd.phone.services.installation import AFTER, BEFORE

LARGEST = 8 << 30
"""Bytes of an app."""

LONGEST_NAME = 1024
"""Bytes of the name of an entry."""

MOST_NAMES = 16 << 20
"""Bytes of all names together; all of them are held until the end."""

_HEADER = struct.Struct("<4s5H3L2H")
_ENTRY, _DIRECTORY = b"PK\x03\x04", b"PK\x01\x02"
_STORED = 0
_LATER = 1 << 3
"""The flag of an entry that says only behind its bytes how many they are."""


def _failed(why: str) -> PackageError:
    return PackageError("ExtractionFailed", why)


class ArrivingPackage:
    """
    An archive that arrives in pieces; it is kept in a file as one that is whole.

    @ivar path: Of that file.
    """

    def __init__(self) -> None:
        # It is closed by close().
        self._file = tempfile.NamedTemporaryFile(prefix="iphone-", suffix=".ipa")  # noqa: SIM115
        self.path = self._file.name
        self._archive = zipfile.ZipFile(self._file, "w")
        self._held = bytearray()
        self._names: set[str] = set()
        self._namesSize = 0
        self._left = 0
        self._size = 0
        self._entry: IO[bytes] | None = None
        self._expected = self._sum = 0

    def feed(self, data: bytes) -> bool:
        """
        Take a piece.

        @return: Whether that was the last one: the file is complete.
        @raise PackageError: It is no such archive, or too large, or cannot be kept.
        """
        try:
            return self._feed(data)
        except OSError as error:
            raise PackageError("NoSpace", str(error)) from error
        except (ValueError, RuntimeError, zipfile.LargeZipFile) as error:
            raise _failed(str(error)) from error

    def close(self) -> None:
        """
        Lose it.
        """
        entry, self._entry = self._entry, None
        for each in (entry, self._archive, self._file):
            # A full disk has no room for what each of them would still write, either.
            with suppress(OSError, ValueError, RuntimeError):
                if each is not None:
                    each.close()

    def _feed(self, data: bytes) -> bool:
        held = self._held
        rest = memoryview(data)
        while True:
            if self._entry is not None:
                taken = rest[: self._left]
                self._entry.write(taken)
                self._sum = crc32(taken, self._sum)
                self._left -= len(taken)
                rest = rest[len(taken) :]
                if self._left:
                    return False
                self._entryEnded(self._entry)
            # An entry's bytes go by; headers are held until they are whole.
            wanted = self._wanted() - len(held)
            held += rest[:wanted]
            rest = rest[wanted:]
            if held[:4] == _DIRECTORY:
                self._archive.close()
                self._file.flush()
                return True
            wanted = self._wanted() - len(held)
            if not wanted:
                self._entryBegun()
            elif not rest:
                return False

    def _wanted(self) -> int:
        """
        How long a header is, as far as it is known.
        """
        held = self._held
        if len(held) < 4:
            return 4
        if held[:4] != _ENTRY:
            if held[:4] == _DIRECTORY:
                return 4
            raise _failed(f"expected an entry of a zip archive, got {bytes(held[:4])!r}")
        if len(held) < _HEADER.size:
            return _HEADER.size
        *_, name, extra = _HEADER.unpack_from(held)
        if name > LONGEST_NAME:
            raise _failed(f"expected a name of {LONGEST_NAME} bytes at most, got {name}")
        return _HEADER.size + int(name) + int(extra)

    def _entryBegun(self) -> None:
        _, _, flags, method, _, _, checksum, packed, size, length, _ = _HEADER.unpack_from(
            self._held
        )
        name = bytes(self._held[_HEADER.size : _HEADER.size + length]).decode()
        self._held.clear()
        if method != _STORED or flags & _LATER or packed != size:
            raise _failed(f"{name!r:.80}: expected an entry that is not compressed")
        if name in self._names or len(self._names) >= MOST_ENTRIES:
            raise _failed(f"{name!r:.80}: expected {MOST_ENTRIES} different names at most")
        self._namesSize += length
        if self._namesSize > MOST_NAMES:
            raise _failed(f"expected names of {MOST_NAMES} bytes at most, all together")
        self._size += size
        if self._size > LARGEST:
            raise PackageError("NoSpace", f"expected at most {LARGEST} bytes, got {self._size}")
        self._names.add(name)
        info = zipfile.ZipInfo(name)
        info.file_size = size
        self._left, self._expected, self._sum = size, checksum, 0
        self._entry = self._archive.open(info, "w")

    def _entryEnded(self, entry: IO[bytes]) -> None:
        self._entry = None
        entry.close()
        if self._sum != self._expected:
            raise _failed(f"expected the checksum {self._expected:#x}, got {self._sum:#x}")


class StreamingZipConduit(AnsweringProtocol):
    """
    One host.
    """

    def __init__(self, apps: Apps, posted: Callable[[str], object]) -> None:
        """
        @param posted: Called with the name of a notification.
        """
        self._apps = apps
        self._posted = posted
        self._package: ArrivingPackage | None = None

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        What has arrived is lost.
        """
        self._lose()

    def plistReceived(self, message: Message) -> None:
        """
        What is to be done: the archive follows.
        """
        if not message.get("InstallTransferredDirectory"):
            # A phone would leave the files in its media directory.
            self._refuse("InvalidArgument", "expected InstallTransferredDirectory")
            return
        try:
            self._package = ArrivingPackage()
        except OSError as error:
            self._refuse("NoSpace", str(error))
            return
        self.paused = True

    def dataReceived(self, data: bytes) -> None:
        """
        The request, or a piece of the archive.
        """
        if self._package is None:
            super().dataReceived(data)
            data, self._unprocessed = self._unprocessed, b""
            if self._package is None:
                self._unprocessed = data
                return
        if not data or self._isClosed:
            return
        try:
            isComplete = self._package.feed(data)
        except PackageError as error:
            self._refuse(error.name, str(error))
        else:
            if isComplete:
                self._install(self._package)

    def _install(self, package: ArrivingPackage) -> None:
        self._tell(BEFORE)
        try:
            self._apps.install(package.path)
        except PackageError as error:
            told = {"Error": error.name, "ErrorDescription": str(error)}
            self.sendPlist({"InstallProgressDict": told})
        else:
            self._tell(AFTER)
            self._posted("com.apple.mobile.application_installed")
            self.sendPlist({"InstallProgressDict": {"Status": "Complete"}})
            self.sendPlist({"Status": "DataComplete"})
        self._end()

    def _tell(self, stages: tuple[tuple[str, int], ...]) -> None:
        for status, percent in stages:
            told = {"Status": status, "PercentComplete": percent}
            self.sendPlist({"InstallProgressDict": told})

    def _refuse(self, name: str, why: str) -> None:
        self.sendPlist({"Error": name, "ErrorDescription": why})
        self._end()

    def _end(self) -> None:
        self._lose()
        self.close()

    def _lose(self) -> None:
        package, self._package = self._package, None
        if package is not None:
            package.close()
