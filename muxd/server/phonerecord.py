# -*- test-case-name: tests.server.test_phonerecord -*-
"""
The pair record of one phone, as its preflight needs it.

What a device says of a record is no proof of anything: any device can have any UDID.
So a record that it does not know stays where it is, and is not tried again with this
device; a pairing that was completed takes its place.  Other programs store records at any
time: one that is not the one that was refused is tried.
"""

from __future__ import annotations

from collections.abc import Callable
from errno import ENOENT

from muxd.atomicfiles import PASSING
from muxd.interfaces import IPairRecords
from muxd.lockdown.pairrecord import BadPairRecord, PairRecord


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
        self._refused: bytes | None = None

    async def read(self) -> PairRecord | None:
        """
        The record, if there is one that can be used.

        @raise OSError: That cannot be told just now.
        """
        self._read = b""
        try:
            self._read = await self._records.read(self._udid)
            if self._read == self._refused:
                self._warn(
                    "{udid} does not know its pair record (it was erased, or paired from"
                    " scratch, or is another device that says it is this one): the record is"
                    " kept until the device trusts this computer."
                )
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

    def refuse(self) -> None:
        """
        What was read last is not for this device.
        """
        self._refused = self._read

    async def previous(self) -> PairRecord | None:
        """
        The record that was kept when another took its place, if it can be used, and if this
        device does not know the other: one that was removed on purpose does not come back.
        """
        if self._refused is None or self._read != self._refused:
            return None
        try:
            return PairRecord.fromBytes(await self._records.readPrevious(self._udid))
        except (BadPairRecord, OSError):
            return None

    async def exists(self) -> bool:
        """
        Whether there is a record that a new one would take the place of.

        @raise OSError: That cannot be told just now.
        """
        return await self._stored() != b""

    async def isAnother(self) -> bool:
        """
        Whether a program has stored one since the last was read.

        @raise OSError: That cannot be told just now.
        """
        return await self._stored() not in (b"", self._read)

    async def _stored(self) -> bytes:
        try:
            return await self._records.read(self._udid)
        except OSError as error:
            if error.errno == ENOENT:
                return b""
            raise

    async def supersede(self, record: PairRecord) -> None:
        """
        Store a new one; the one that is there is kept as the one before it.

        @raise OSError: It cannot be stored.
        """
        await self._records.supersede(self._udid, record.toBytes())
