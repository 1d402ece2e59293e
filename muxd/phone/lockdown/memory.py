# -*- test-case-name: tests.phone.lockdown.test_memory -*-
"""
The pairings of a simulated phone in a file, so that they survive its process.
"""

from __future__ import annotations

import plistlib
from collections.abc import Iterable
from dataclasses import asdict

from twisted.logger import Logger
from twisted.python.filepath import FilePath

from muxd.phone.lockdown.trust import Pairing

_LARGEST = 8 << 20


class PairingFile:
    """
    The file of one phone.

    A phone whose file cannot be read or written is a phone that forgets, which is said
    once.
    """

    _log = Logger()

    def __init__(self, directory: str, udid: str) -> None:
        self._file: FilePath[str] = FilePath(directory).child(f"{udid}.pairings.plist")
        self._hasFailed = False

    def load(self) -> list[Pairing]:
        """
        The pairings, the oldest first; none if there is no file.
        """
        try:
            if self._file.getsize() > _LARGEST:
                raise ValueError(f"expected at most {_LARGEST} bytes")
            values = plistlib.loads(self._file.getContent())
            if not isinstance(values, list):
                raise ValueError("expected a list of pairings")
            return [Pairing(**value) for value in values]
        except FileNotFoundError:
            return []
        except Exception as error:
            self._failed("read", error)
            return []

    def save(self, pairings: Iterable[Pairing]) -> None:
        """
        Replace the file.
        """
        content = plistlib.dumps([asdict(pairing) for pairing in pairings])
        try:
            directory = self._file.parent()
            if not directory.isdir():
                directory.makedirs()
            self._file.setContent(content)
        except OSError as error:
            self._failed("written", error)

    def _failed(self, what: str, error: Exception) -> None:
        tell = self._log.debug if self._hasFailed else self._log.warn
        self._hasFailed = True
        tell(
            "{path} cannot be {what}, so this simulated phone forgets its pairings: {error}",
            path=self._file.path,
            what=what,
            error=str(error),
        )
