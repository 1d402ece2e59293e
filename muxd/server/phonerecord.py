# -*- test-case-name: tests.server.test_phonerecord -*-
"""
The pair record of one phone, as its preflight needs it.

Other programs store and remove records at any time.  So what was read is not what is
there when the phone has said what it thinks of it: only the record that the phone meant
is removed.
"""

from __future__ import annotations

from collections.abc import Callable
from errno import ENOENT

from muxd.interfaces import IPairRecords
from muxd.lockdown.pairrecord import BadPairRecord, PairRecord
from muxd.server.records import PASSING


class PhoneRecord:
    """
    What this host has stored for a phone.
    """

    def __init__(self, records: IPairRecords, udid: str, warn: Callable[..., object]) -> None:
        """
        @param warn: Told what is not as it should be: a text and the values in it.
        """
        self._records = records
        self._udid = udid
        self._warn = warn
        self._read = b""
        self._discarded: bytes | None = None

    async def read(self) -> PairRecord | None:
        """
        The record, if there is one that can be used.

        @raise OSError: That cannot be told just now.
        """
        try:
            self._read = await self._records.read(self._udid)
            if self._read == self._discarded:
                return None
            return PairRecord.fromBytes(self._read)
        except BadPairRecord as error:
            self._warn(
                "{udid}: its pair record is damaged ({error}), and stays until there is a new one.",
                error=str(error),
            )
        except OSError as error:
            if error.errno in PASSING:
                raise
            if error.errno != ENOENT:
                self._warn("{udid}: no pair record: {error}", error=error)
        return None

    async def discard(self) -> bool:
        """
        Remove what was read last.  If that is not possible, it counts as removed.

        @return: Whether that was the record; if not, there is another by now, or none.
        """
        self._discarded = self._read
        try:
            return await self._records.discard(self._udid, self._read)
        except OSError as error:
            if error.errno == ENOENT:
                return False
            self._warn("{udid}: it stays: {error}", error=error)
            return True

    async def save(self, record: PairRecord) -> None:
        """
        Store a new one.

        @raise OSError: It cannot be stored.
        """
        await self._records.save(self._udid, record.toBytes())
