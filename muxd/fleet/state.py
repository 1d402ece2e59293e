# -*- test-case-name: tests.fleet.test_state -*-
"""
What a registry has to remember when its process is killed: how high its revisions may have
been, the reservations that are in force, and which hosts are drained.

Each is a file that is always whole.  Revisions are set aside in blocks, so that not each costs
a write; those of a block that were not used are never used.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from twisted.logger import Logger
from twisted.python.filepath import FilePath

from muxd.atomicfiles import AtomicFiles
from muxd.fleet.values import Reservation

BLOCK = 1_000_000
"""Revisions that are set aside at once."""

LARGEST = 1 << 20
"""Bytes of a file."""

_REVISION = "revision"
_DRAINING = "draining"
_RESERVATION = "reservation-"
_FIELDS = {"token": int, "key": str, "udid": str, "host": str, "user": str, "reason": str}


class CannotRemember(Exception):
    """
    The directory cannot be used; the text says why, and what to do.
    """


class StateDirectory:
    """
    The directory.

    @ivar ceiling: Revisions up to here may be used.
    @ivar reservations: Those that were in force when it was opened.
    @ivar draining: The hosts that are drained.
    """

    _log = Logger()

    def __init__(self, path: str) -> None:
        self._path = path
        self._files = AtomicFiles(FilePath(path), LARGEST)
        self._lock: int | None = None
        self.ceiling = 0
        self.reservations: list[Reservation] = []
        self.draining: frozenset[str] = frozenset()

    def open(self) -> int:
        """
        Read it, and keep other processes from it.

        @return: The revision above which there is none.
        @raise CannotRemember: That cannot be done.
        """
        try:
            self._files.makeDirectory()
            if complaint := self._files.complaint():
                raise CannotRemember(f"{self._path}: {complaint}")
            self._takeLock()
            revision = self._revision()
            self.reservations = self._readReservations()
            self.draining = frozenset(map(str, self._json(_DRAINING, [])))
            highest = max((one.token for one in self.reservations), default=0)
            revision = max(revision, highest)
            self.extend(revision)
        except OSError as error:
            self.close()
            raise CannotRemember(
                f"{self._path} cannot be used: {error.strerror or error}; let this user have a"
                " directory there, or choose another place with --state"
            ) from error
        except CannotRemember:
            self.close()
            raise
        return revision

    def close(self) -> None:
        """
        Leave it to other processes.
        """
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def extend(self, revision: int) -> None:
        """
        Set aside a block of revisions beyond one.

        @raise OSError: It cannot be written.
        """
        ceiling = revision + BLOCK
        self._files.replace(_REVISION, json.dumps(ceiling).encode())
        self.ceiling = ceiling

    def save(self, reservation: Reservation) -> None:
        """
        Remember a reservation.

        @raise OSError: It cannot be written.
        """
        said = {name: getattr(reservation, name) for name in (*_FIELDS, "term", "place")}
        self._files.replace(f"{_RESERVATION}{reservation.token}", json.dumps(said).encode())

    def forget(self, reservation: Reservation) -> None:
        """
        Forget it.  Harmless if it is not remembered.

        @raise OSError: It would be remembered after all.
        """
        with suppress(FileNotFoundError):
            self._files.remove(f"{_RESERVATION}{reservation.token}")

    def saveDraining(self, hosts: Iterable[str]) -> None:
        """
        Remember which hosts are drained.

        @raise OSError: It cannot be written.
        """
        self.draining = frozenset(hosts)
        self._files.replace(_DRAINING, json.dumps(sorted(self.draining)).encode())

    def _takeLock(self) -> None:
        try:
            from fcntl import LOCK_EX, LOCK_NB, flock
        except ImportError:
            # Windows has none.
            return
        self._lock = os.open(self._files.path("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            flock(self._lock, LOCK_EX | LOCK_NB)
        except OSError:
            raise CannotRemember(
                f"{self._path} is in use by another hub: two would give one phone to two jobs"
            ) from None

    def _revision(self) -> int:
        """
        @raise CannotRemember: There is a file with something else in it.  Beginning anew
            could give a token to two jobs.
        """
        found = self._json(_REVISION, 0)
        if type(found) is not int or found < 0:
            raise CannotRemember(
                f"{self._files.path(_REVISION)}: expected a number, got {found!r:.80}; remove the"
                " whole directory when no job is running any more"
            )
        return found

    def _json(self, name: str, otherwise: Any) -> Any:
        """
        What is in a file; C{otherwise} if there is none, None if it makes no sense.
        """
        try:
            content = self._files.read(name)
        except FileNotFoundError:
            return otherwise
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            return None

    def _readReservations(self) -> list[Reservation]:
        found: dict[str, Reservation] = {}
        for name in sorted(self._files.names()):
            if not name.startswith(_RESERVATION):
                continue
            reservation = _reservation(self._json(name, None))
            if reservation is None:
                self._log.error(
                    "{path} is no reservation: its job, if there is one, has lost its phone",
                    path=self._files.path(name),
                )
                continue
            before = found.get(reservation.udid)
            if before is None or before.token < reservation.token:
                found[reservation.udid] = reservation
        return sorted(found.values(), key=lambda one: one.token)


def _reservation(said: Any) -> Reservation | None:
    if not isinstance(said, dict):
        return None
    if any(type(said.get(name)) is not kind for name, kind in _FIELDS.items()):
        return None
    term = said.get("term")
    if not isinstance(term, (int, float)) or isinstance(term, bool) or not 0 < term < 1e6:
        return None
    # Versions before did not say it.
    place = said.get("place", "")
    if type(place) is not str:
        return None
    fields = {name: said[name] for name in _FIELDS}
    return Reservation(term=float(term), place=place, **fields)
