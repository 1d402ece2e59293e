# -*- test-case-name: tests.server.test_records,tests.server.test_hostidentity -*-
"""
Pair records and the host's identity, as files (protocol 4.11).

A record is a phone's trust in this host and holds private keys: it is there whole or
not at all, and only its owner may read it (L{muxd.atomicfiles}).

A caller of these methods waits for the disk; L{muxd.server.recordthread} does it for
callers that cannot.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from errno import EINVAL, ENOENT, EPERM
from typing import Any
from uuid import UUID, uuid4

from twisted.logger import Logger
from twisted.python.filepath import FilePath
from zope.interface import implementer

from muxd.atomicfiles import PASSING, AtomicFiles, NotARegularFile
from muxd.identity import udidSpellings
from muxd.interfaces import IPairRecordStore
from muxd.limits import LIMITS, Limits
from muxd.lockdown.rsakeys import privateKey
from muxd.net.shortage import remedy
from muxd.server.storeroom import StoreRoom
from muxd.wire.messages import MalformedMessage, parsePlist, writePlist

HOST_RECORD = "SystemConfiguration"
BUID_KEY = "SystemBUID"

_HOST_FILE = f"{HOST_RECORD}.plist"
_CLAIM = f".{BUID_KEY}.claim"
_LONGEST_BUID = 255
_RECORD_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_LEAST_DATA = 8

SUFFIX = ".plist"
"""Of a record's file."""

PREVIOUS = ".previous"
"""After the name of a record's file: the one before it.  No id leads there."""

WIRELESS = ".wireless"
"""After the name of a record's file: how its phone announces itself on networks."""

LONGEST_SERVICE_NAME = 255

LONG_IN_USE = 7 * 86400.0
"""
Seconds after which a record is worth keeping in place of one that is kept already.  A
device that pairs again and again pushes out only what it has brought itself.
"""


def checkRecordID(recordID: str) -> None:
    """
    Refuse what is no name of a record, before it becomes part of a path.

    @raise OSError: EINVAL.
    """
    if not _RECORD_ID.fullmatch(recordID) or recordID.casefold() == HOST_RECORD.casefold():
        raise OSError(EINVAL, f"not the name of a pair record: {recordID[:80]!r}")


@implementer(IPairRecordStore)
class PairRecordStore:
    """
    A directory of pair records, shared with whatever other program uses it.

    @ivar directory: Where they are; made when first needed.
    """

    _log = Logger()

    def __init__(
        self,
        directory: FilePath[str] | str,
        randomUUID: Callable[[], UUID] = uuid4,
        largest: int = LIMITS.recordSize,
        limits: Limits = LIMITS,
        now: Callable[[], float] = time.time,
    ) -> None:
        """
        @param randomUUID: Makes this host's identity if it has none yet.
        @param largest: Bytes of a file that is read, and so written.
        @param limits: How many clients may store.
        @param now: The time that files are compared with, in seconds of the epoch.
        """
        self.directory = FilePath(directory) if isinstance(directory, str) else directory
        self._randomUUID = randomUUID
        self._largest = largest
        self._now = now
        self._files = AtomicFiles(self.directory, largest, now)
        self._room = StoreRoom(limits.records, limits.recordBytes, self._files.sizes, now)
        self._unstoredBUID: str | None = None
        self._told: set[str] = set()
        self._warned = False

    def read(self, recordID: str) -> bytes:
        """
        The stored record as it is.

        @raise OSError: ENOENT, EINVAL for an id that is none, one of L{PASSING}.
        """
        return self._read(self._name(recordID))

    def readPrevious(self, recordID: str) -> bytes:
        """
        The record that L{supersede} has kept.

        @raise OSError: As L{read}.
        """
        return self._read(self._name(recordID) + PREVIOUS)

    def _read(self, name: str) -> bytes:
        try:
            return self._files.read(name)
        except FileNotFoundError:
            raise
        except NotARegularFile as error:
            self._found(error)
            raise
        except OSError as error:
            if error.errno in PASSING:
                raise
            self._trouble(error)
            raise OSError(ENOENT, f"cannot be read: {error.strerror or error}", name) from error

    def save(self, recordID: str, data: bytes) -> None:
        """
        Store a property list, all or nothing.

        @raise OSError: EINVAL for an id that is none or data that is no
            dictionary, or too large; EDQUOT when there are too many; EPERM when the directory
            cannot be made, ENOENT when the file cannot be written.
        """
        name = self._name(recordID)
        content = self._content(data)
        self._room.check(self._files.size(name), len(content))
        self._write(name, content)

    def supersede(self, recordID: str, data: bytes) -> None:
        """
        Store a property list, and keep the record that it takes the place of as
        C{ID.plist.previous}: its keys cannot be made again.

        @raise OSError: As L{save}; nothing has changed then.
        """
        name = self._name(recordID)
        content = self._content(data)
        self._keep(name, content)
        self._write(name, content)

    def _keep(self, name: str, successor: bytes) -> None:
        """
        Copy a record that is about to be replaced.
        """
        previous = name + PREVIOUS
        try:
            content = self._files.read(name)
            age = self._now() - self._files.modified(name)
        except FileNotFoundError:
            return
        if content != successor and (age >= LONG_IN_USE or not self._files.exists(previous)):
            self._write(previous, content)

    def _content(self, data: bytes) -> bytes:
        """
        A record as it is written.

        @raise OSError: EINVAL.
        """
        if len(data) < _LEAST_DATA:
            raise OSError(EINVAL, f"a pair record of {len(data)} bytes")
        try:
            values = parsePlist(data)
            content = writePlist(values)
        except MalformedMessage as error:
            raise OSError(EINVAL, f"a pair record that is no dictionary: {error}") from error
        except Exception as error:
            # A binary property list can hold what XML cannot say, such as
            # control characters in a string.
            raise OSError(EINVAL, f"a pair record that XML cannot hold: {error}") from error
        if len(content) > self._largest:
            # It could not be read again.
            raise OSError(EINVAL, f"a pair record of {len(content)} bytes as XML")
        key = values.get("HostPrivateKey")
        if isinstance(key, bytes):
            try:
                privateKey(key)
            except ValueError as error:
                raise OSError(EINVAL, f"a pair record whose key is unusable: {error}") from error
        return content

    def _write(self, name: str, content: bytes) -> None:
        self._makeDirectory()
        before = self._files.size(name)
        try:
            self._files.replace(name, content)
        except OSError as error:
            self._trouble(error)
            raise OSError(ENOENT, f"cannot be written: {error.strerror or error}", name) from error
        self._room.changed(before, len(content))

    def obstacle(self) -> str:
        """
        Look quickly, and without writing, whether records could be written.

        @return: Why not, and what to do about it; "" if there is no obstacle to be seen.
        """
        path = self.directory.path
        while not os.path.isdir(path):
            parent = os.path.dirname(path)
            if parent == path:
                break
            path = parent
        try:
            if not os.access(path, os.W_OK | os.X_OK):
                return (
                    f"pair records cannot be written to {self.directory.path}:"
                    " let this user write there, or choose another place with --config-dir"
                )
            free = os.statvfs(path).f_bavail
        except (OSError, AttributeError):
            # Windows has no statvfs; else it is gone just now.
            return ""
        if not free:
            return f"the disk of {self.directory.path} is full: make room for pair records"
        return ""

    def check(self) -> bool:
        """
        See whether records and the host's identity could be written, and the
        identity that there is be read, and say so in the log if not, or if others than
        this user could change them.
        """
        try:
            self._makeDirectory()
            self._files.tryToWrite()
            self._storedBUID()
            complaint = self._files.complaint()
        except OSError as error:
            self._trouble(error)
            return False
        if complaint:
            self._log.warn(
                "pair records in {path}, which are keys to phones, are not safe there: {complaint}",
                path=self.directory.path,
                complaint=complaint,
            )
        return True

    def remember(self, recordID: str, serviceName: str) -> None:
        """
        Keep beside a record by which name its phone announces itself on networks.

        @raise OSError: EINVAL for what can be none; else as L{save}.
        """
        name = self._name(recordID)
        if not 0 < len(serviceName) <= LONGEST_SERVICE_NAME or not serviceName.isprintable():
            raise OSError(EINVAL, f"not the name of a service: {serviceName[:80]!r}")
        if not self._files.exists(name) or self._remembered(name) == serviceName:
            return
        content = serviceName.encode()
        self._room.check(self._files.size(name + WIRELESS), len(content))
        self._write(name + WIRELESS, content)

    def serviceNames(self) -> dict[str, str]:
        """
        These names, by the ids of their records.

        @raise OSError: They cannot be listed.
        """
        try:
            names = set(self._files.names())
        except FileNotFoundError:
            return {}
        found = {}
        for name in names:
            if name.endswith(SUFFIX) and name + WIRELESS in names:
                serviceName = self._remembered(name)
                if serviceName:
                    found[name.removesuffix(SUFFIX)] = serviceName
        return found

    def _remembered(self, name: str) -> str:
        with suppress(OSError, UnicodeDecodeError):
            return self._files.read(name + WIRELESS)[:LONGEST_SERVICE_NAME].decode()
        return ""

    def delete(self, recordID: str) -> None:
        """
        Forget a record.

        @raise OSError: ENOENT, EINVAL, or what the system says.
        """
        name = self._name(recordID)
        before = self._files.size(name)
        try:
            self._files.remove(name)
            self._room.changed(before, None)
            with suppress(OSError):
                size = self._files.size(name + WIRELESS)
                self._files.remove(name + WIRELESS)
                self._room.changed(size, None)
        except FileNotFoundError:
            raise
        except OSError as error:
            self._trouble(error)
            raise

    def names(self) -> list[str]:
        """
        The ids of all records, sorted.

        @raise OSError: They cannot be listed.
        """
        try:
            names = self._files.names()
        except FileNotFoundError:
            return []
        return sorted(
            name.removesuffix(SUFFIX)
            for name in names
            if name.endswith(SUFFIX) and name != _HOST_FILE
            if _RECORD_ID.fullmatch(name.removesuffix(SUFFIX))
        )

    def readBUID(self) -> str:
        """
        The host's identity, made once.

        If it cannot be stored it stays the same for as long as this object
        lives, and the log says that every phone will ask for trust again.

        @raise OSError: One of L{PASSING}.
        """
        if self._unstoredBUID is not None:
            return self._unstoredBUID
        try:
            return self._storedBUID() or self._makeBUID()
        except OSError as error:
            if error.errno in PASSING:
                # There may well be one.
                raise
            self._trouble(error)
            self._unstoredBUID = self._newBUID()
            with suppress(OSError):
                self._unstoredBUID = self._claimedBUID() or self._unstoredBUID
            return self._unstoredBUID

    # The host's identity.

    def _newBUID(self) -> str:
        return str(self._randomUUID()).upper()

    def _hostValues(self) -> dict[str, Any]:
        """
        What SystemConfiguration.plist says; nothing if there is none.

        One that is damaged is put aside: it has no identity to keep.
        """
        try:
            return parsePlist(self._files.read(_HOST_FILE))
        except FileNotFoundError:
            return {}
        except MalformedMessage as error:
            self._putAside(error)
            return {}

    def _putAside(self, error: Exception) -> None:
        self._log.error(
            "{path} is damaged ({error}) and is kept as {path}.damaged.  This host gets a"
            " new identity: phones will ask for trust again.",
            path=self._files.path(_HOST_FILE),
            error=error,
        )
        self._files.rename(_HOST_FILE, f"{_HOST_FILE}.damaged")

    def _storeHostValues(self, values: dict[str, Any]) -> None:
        try:
            content = writePlist(values)
        except (TypeError, ValueError) as error:
            # It was binary, with what cannot be said in XML.
            self._putAside(error)
            content = writePlist({BUID_KEY: values[BUID_KEY]})
        self._files.replace(_HOST_FILE, content)

    def _storedBUID(self) -> str | None:
        return _asBUID(self._hostValues().get(BUID_KEY))

    def _makeBUID(self) -> str:
        """
        Decide on an identity and store it, also while another process does the
        same.

        The decision is a claim: a file with the proposed identity inside that
        comes into being whole, by a link, for one process only.  Every other one
        takes the identity from the claim.  It goes away when the identity has
        been stored, so a process that makes a claim has to look once more whether another
        was faster; and one that a crash or a full disk left behind still names an
        identity that any process may finish storing.
        """
        self._makeDirectory()
        self._files.claim(_CLAIM, self._newBUID().encode("ascii"))
        buid = self._claimedBUID()
        values = self._hostValues()
        stored = _asBUID(values.get(BUID_KEY))
        if stored is None:
            stored = values[BUID_KEY] = buid or self._newBUID()
            self._storeHostValues(values)
        with suppress(FileNotFoundError):
            self._files.remove(_CLAIM)
        return stored

    def _claimedBUID(self) -> str | None:
        try:
            # Its maker may not have removed the name yet that it had before.
            return _asBUID(self._files.read(_CLAIM, names=2).decode("ascii", "replace"))
        except FileNotFoundError:
            return None

    # Files.

    def _name(self, recordID: str) -> str:
        """
        The file that a record is in, or is to be in.  A UDID may be spelled in other ways
        than the file is named; what is there under the very name counts first.
        """
        checkRecordID(recordID)
        names = [f"{name}.plist" for name in (recordID, *udidSpellings(recordID))]
        there = next((name for name in names if self._files.exists(name)), None)
        return there or names[min(1, len(names) - 1)]

    def _makeDirectory(self) -> None:
        """
        Make the directory if it is not there.

        @raise OSError: EPERM.
        """
        try:
            self._files.makeDirectory()
        except OSError as error:
            self._trouble(error)
            raise OSError(
                EPERM, f"there is no directory: {error.strerror or error}", self.directory.path
            ) from error

    def _found(self, error: NotARegularFile) -> None:
        """
        Say once that something else has been put there.
        """
        if not self._warned:
            self._warned = True
            self._log.warn("a pair record is {error}", error=error)

    def _trouble(self, error: OSError) -> None:
        """
        Say loudly what the operator has to change, once for each such thing.
        """
        if isinstance(error.__cause__, OSError):
            error = error.__cause__  # What is said to a client says less.
        change = remedy(error) or "make the directory writable for this user or choose another one"
        if change in self._told:
            return
        self._told.add(change)
        self._log.error(
            "pair records in {path} cannot be used by uid {uid}: {error}; {change}; until then"
            " phones will ask for trust again and again",
            path=self.directory.path,
            uid=getattr(os, "getuid", lambda: "?")(),
            error=error,
            change=change,
        )


def _asBUID(value: object) -> str | None:
    """
    An identity that can be told to clients and phones.
    """
    if isinstance(value, str) and 0 < len(value) <= _LONGEST_BUID and value.isprintable():
        return value
    return None
