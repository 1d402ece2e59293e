# -*- test-case-name: tests.phone.services.test_backup -*-
"""
What is in a backup of a simulated phone: its files and those of its apps, by domain, and the lists
that a backup has besides.

A file is kept under the SHA-1 of its domain and its path; C{Manifest.db} has the names.
"""

from __future__ import annotations

import hashlib
import os
import plistlib
import sqlite3
import stat
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from twisted.python.filepath import FilePath

from muxd.phone.services.afcfiles import Files
from muxd.phone.services.afcpackets import AFCError
from muxd.phone.services.apps import Apps

MEDIA, CAMERA = "MediaDomain", "CameraRollDomain"
"""The phone's files, and those below C{DCIM}."""

APP = "AppDomain-"

FILE, DIRECTORY = 1, 2
"""C{Flags} of what is in the list."""

MOST_FILES = 100_000
LARGEST_LIST = 256 << 20
"""Bytes of a C{Manifest.db}."""

MANIFEST, STATUS, DATABASE = "Manifest.plist", "Status.plist", "Manifest.db"

_TABLES = """
CREATE TABLE Files (fileID TEXT PRIMARY KEY, domain TEXT, relativePath TEXT, flags INTEGER, file
BLOB); CREATE INDEX FilesDomainIdx ON Files(domain);
CREATE INDEX FilesRelativePathIdx ON Files(relativePath);
CREATE INDEX FilesFlagsIdx ON Files(flags);
CREATE TABLE Properties (key TEXT PRIMARY KEY, value BLOB);
"""


class TooMuch(Exception):
    """
    There are more files than can be in a backup.
    """


@dataclass(frozen=True, slots=True)
class Entry:
    """
    A file or a directory in a backup.

    @ivar path: Its path in the domain.
    @ivar place: Where it is on this machine.
    """

    domain: str
    path: str
    place: str
    isDirectory: bool
    size: int
    modified: int

    @property
    def identifier(self) -> str:
        """
        What it is kept under.
        """
        name = f"{self.domain}-{self.path}".encode("utf-8", "surrogateescape")
        return hashlib.sha1(name, usedforsecurity=False).hexdigest()

    def archive(self) -> bytes:
        """
        What the list says of it: an object of Apple's in a keyed archive.
        """
        fields: dict[str, Any] = {
            "$class": plistlib.UID(3),
            "Birth": self.modified,
            "Flags": 0,
            "GroupID": 501,
            "InodeNumber": 1,
            "LastModified": self.modified,
            "LastStatusChange": self.modified,
            "Mode": (stat.S_IFDIR | 0o755) if self.isDirectory else (stat.S_IFREG | 0o644),
            "ProtectionClass": 0 if self.isDirectory else 3,
            "RelativePath": plistlib.UID(2),
            "Size": self.size,
            "UserID": 501,
        }
        kind = {"$classes": ["MBFile", "NSObject"], "$classname": "MBFile"}
        values = {
            "$archiver": "NSKeyedArchiver",
            "$objects": ["$null", fields, self.path, kind],
            "$top": {"root": plistlib.UID(1)},
            "$version": 100000,
        }
        return plistlib.dumps(values, fmt=plistlib.FMT_BINARY)


class Places:
    """
    Where the domains of a phone are on this machine.
    """

    def __init__(self, files: Callable[[], FilePath[str]], apps: Apps) -> None:
        self._files = files
        self._apps = apps

    def entries(self) -> Iterator[Entry]:
        """
        Everything that is in a backup, directories before what is in them.

        @raise TooMuch: There are too many.
        """
        count = 0
        for domain, prefix, root in self._roots():
            for entry in _walk(domain, prefix, root):
                count += 1
                if count > MOST_FILES:
                    raise TooMuch(f"expected at most {MOST_FILES} files")
                yield entry

    def placeOf(self, domain: str, path: str) -> str | None:
        """
        Where something of a backup belongs; C{None} if nowhere, such as a file of an app that is
        not installed.
        """
        try:
            if domain in (MEDIA, CAMERA):
                head, _, rest = path.partition("/")
                if head != "Media":
                    return None
                return Files(self._files()).placeOf(rest)
            app = self._apps.find(domain.removeprefix(APP)) if domain.startswith(APP) else None
            if app is None or app.isSystem:
                return None
            return Files(self._apps.container(app)).placeOf(path)
        except AFCError:
            return None

    def _roots(self) -> Iterator[tuple[str, str, str]]:
        """
        Domains, what their paths begin with, and where they are.
        """
        yield MEDIA, "Media/", self._files().path
        for app in self._apps:
            if not app.isSystem:
                yield f"{APP}{app.identifier}", "", self._apps.container(app).path


def _walk(domain: str, prefix: str, root: str) -> Iterator[Entry]:
    waiting = [""]
    while waiting:
        below = waiting.pop()
        for name in sorted(os.listdir(os.path.join(root, below)), reverse=True):
            path = os.path.join(below, name) if below else name
            place = os.path.join(root, path)
            found = os.lstat(place)
            isDirectory = stat.S_ISDIR(found.st_mode)
            if not isDirectory and not stat.S_ISREG(found.st_mode):
                continue
            isCamera = domain == MEDIA and (path == "DCIM" or path.startswith("DCIM/"))
            size = 0 if isDirectory else found.st_size
            yield Entry(
                CAMERA if isCamera else domain,
                prefix + path,
                place,
                isDirectory,
                size,
                int(found.st_mtime),
            )
            if isDirectory:
                waiting.append(path)


def makeDatabase(entries: list[Entry]) -> bytes:
    """
    The list of a backup.
    """
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(_TABLES)
        database.executemany(
            "INSERT OR REPLACE INTO Files VALUES (?, ?, ?, ?, ?)",
            (
                (
                    entry.identifier,
                    entry.domain,
                    entry.path.encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
                    DIRECTORY if entry.isDirectory else FILE,
                    entry.archive(),
                )
                for entry in entries
            ),
        )
        database.commit()
        return database.serialize()


def readDatabase(content: bytes) -> list[tuple[str, str, str, bool]]:
    """
    What a list has in it: identifier, domain, path, and whether it is a directory.

    @raise ValueError: It is no list.
    """
    try:
        with closing(sqlite3.connect(":memory:")) as database:
            database.deserialize(content)
            rows = database.execute(
                "SELECT fileID, domain, relativePath, flags FROM Files "
                "ORDER BY relativePath LIMIT ?",
                (MOST_FILES,),
            ).fetchall()
    except (sqlite3.Error, OverflowError) as error:
        raise ValueError(f"expected a database of files: {error}") from error
    return [
        (identifier, domain, path, flags == DIRECTORY)
        for identifier, domain, path, flags in rows
        if all(isinstance(text, str) for text in (identifier, domain, path))
        and len(identifier) == 40
        and identifier.isalnum()
    ]


def makeManifest(values: Mapping[str, Any], apps: Apps, moment: float) -> bytes:
    """
    What a backup says of the phone.
    """
    keys = (
        *("BuildVersion", "DeviceName", "ProductType", "ProductVersion", "SerialNumber"),
        "UniqueDeviceID",
    )
    return plistlib.dumps(
        {
            "Applications": {
                app.identifier: {"CFBundleIdentifier": app.identifier, "CFBundleVersion": "1"}
                for app in apps
                if not app.isSystem
            },
            "Date": _date(moment),
            "IsEncrypted": False,
            "Lockdown": {key: values[key] for key in keys if key in values},
            "SystemDomainsVersion": "24.0",
            "Version": "10.0",
            "WasPasscodeSet": False,
        },
        fmt=plistlib.FMT_BINARY,
    )


def makeStatus(moment: float) -> bytes:
    """
    That a backup is complete.
    """
    return plistlib.dumps(
        {
            "BackupState": "new",
            "Date": _date(moment),
            "IsFullBackup": True,
            "SnapshotState": "finished",
            "UUID": str(uuid.uuid4()).upper(),
            "Version": "3.3",
        },
        fmt=plistlib.FMT_BINARY,
    )


def _date(moment: float) -> datetime:
    return datetime.fromtimestamp(moment, UTC).replace(tzinfo=None)
