# -*- test-case-name: tests.phone.lockdown.test_memory -*-
"""
What a simulated phone remembers in files, so that it survives its process: its pairings, and the
values that hosts have changed.
"""

from __future__ import annotations

import plistlib
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from twisted.logger import Logger
from twisted.python.filepath import FilePath

from muxd.phone.lockdown.trust import Pairing
from muxd.phone.lockdown.values import Changes

_LARGEST = 8 << 20


class MemoryFile:
    """
    The file of one phone with one kind of thing in it.

    A phone whose file cannot be read or written is a phone that forgets, which is said
    once.

    @cvar what: What is kept there.
    """

    _log = Logger()
    what: str

    def __init__(self, directory: str, udid: str) -> None:
        self._file: FilePath[str] = FilePath(directory).child(f"{udid}.{self.what}.plist")
        self._hasFailed = False

    def read(self) -> Any:
        """
        What is there; C{None} if there is nothing.

        @raise ValueError: It is no property list, or too long.
        @raise OSError: It cannot be read.
        """
        try:
            if self._file.getsize() > _LARGEST:
                raise ValueError(f"expected at most {_LARGEST} bytes")
            return plistlib.loads(self._file.getContent())
        except FileNotFoundError:
            return None

    def write(self, values: Any) -> None:
        """
        Replace it.
        """
        content = plistlib.dumps(values)
        try:
            directory = self._file.parent()
            if not directory.isdir():
                directory.makedirs()
            self._file.setContent(content)
        except OSError as error:
            self.failed("written", error)

    def failed(self, what: str, error: Exception) -> None:
        """
        It cannot be read or written: say so.
        """
        tell = self._log.debug if self._hasFailed else self._log.warn
        self._hasFailed = True
        tell(
            "{path} cannot be {what}, so this simulated phone forgets its {kept}: {error}",
            path=self._file.path,
            what=what,
            kept=self.what,
            error=str(error),
        )


class PairingFile(MemoryFile):
    """
    Its pairings.
    """

    what = "pairings"

    def load(self) -> list[Pairing]:
        """
        The pairings, the oldest first; none if there is no file.
        """
        try:
            values = self.read()
            if values is None:
                return []
            if not isinstance(values, list):
                raise ValueError("expected a list of pairings")
            return [Pairing(**value) for value in values]
        except Exception as error:
            self.failed("read", error)
            return []

    def save(self, pairings: Iterable[Pairing]) -> None:
        """
        Replace the file.
        """
        self.write([asdict(pairing) for pairing in pairings])


class ValueFile(MemoryFile):
    """
    The values that hosts have changed and removed.
    """

    what = "values"

    def load(self) -> tuple[Changes, dict[str, list[str]]]:
        """
        See L{muxd.phone.lockdown.values.ValueStore}; nothing if there is no file.
        """
        try:
            kept = self.read()
            if kept is None:
                return {}, {}
            changed, removed = kept["Changed"], kept["Removed"]
            return (
                {domain: dict(values) for domain, values in changed.items()},
                {domain: list(keys) for domain, keys in removed.items()},
            )
        except Exception as error:
            self.failed("read", error)
            return {}, {}

    def save(self, changed: Changes, removed: dict[str, list[str]]) -> None:
        """
        Replace the file.
        """
        self.write({"Changed": changed, "Removed": removed})
