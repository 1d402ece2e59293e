# -*- test-case-name: tests.client.test_everyclient -*-
"""
A daemon's commands and what their answers mean, for every kind of client.

The methods are coroutines and do no I/O themselves: they wait for nothing but what
they are given to ask with.  Twisted's client makes C{Deferred}s of them,
asyncio's awaits them, and the blocking one runs them to their end without ever suspending.

No Twisted in here.
"""

from __future__ import annotations

import plistlib
from collections.abc import Awaitable, Callable, Mapping
from errno import ENOENT
from typing import Any, TypeVar

from muxd.client.answers import Answer, Device, ListenerRecord, devicesFrom, listenersFrom
from muxd.client.exchange import DialectChoice
from muxd.client.problems import (
    DaemonNonsense,
    DaemonRefused,
    Errors,
    NoPairRecord,
    NotSupported,
    PairRecordError,
)
from muxd.client.requests import Dialect, Request, commandRequest, recordRequest
from muxd.identity import canonicalUDID
from muxd.wire.messages import MalformedMessage

T = TypeVar("T")


class DaemonCommands:
    """
    The commands that have a connection of their own and end with their answer.
    """

    def __init__(
        self,
        choice: DialectChoice,
        where: str,
        errors: Errors,
        ask: Callable[[Request], Awaitable[Answer]],
        collect: Callable[[], Awaitable[list[Device]]],
    ) -> None:
        """
        @param choice: What is known of the daemon's dialect.
        @param where: The daemon's address as a person would write it.
        @param errors: Of which kind the errors are to be.
        @param ask: Makes a request, with C{choice}.
        @param collect: Listens until it has been silent for a moment: how to list
            devices where there is no command for it (protocol 4.12).
        """
        self._choice = choice
        self._where = where
        self._errors = errors
        self._ask = ask
        self._collect = collect

    async def listDevices(self) -> list[Device]:
        """
        Which phones are there.
        """
        if self._choice.dialect is Dialect.BINARY:
            return await self._collect()
        try:
            answer = await self._ask(commandRequest("ListDevices"))
        except NotSupported:
            return await self._collect()
        return self._read(devicesFrom, answer, "ListDevices")

    async def listListeners(self) -> list[ListenerRecord]:
        """
        Which programs listen to the daemon's events.
        """
        answer = await self._ask(commandRequest("ListListeners"))
        return self._read(listenersFrom, answer, "ListListeners")

    async def readBUID(self) -> str:
        """
        The host's identity.
        """
        answer = await self._ask(commandRequest("ReadBUID"))
        value = answer.values.get("BUID")
        if not isinstance(value, str):
            raise self._nonsense("ReadBUID", "BUID", answer)
        return value

    async def readPairRecord(self, udid: str) -> bytes:
        """
        A pair record as it is stored.

        @param udid: However it was typed, with or without its dash.
        """
        answer = await self._record("ReadPairRecord", udid)
        value = answer.values.get("PairRecordData")
        if not isinstance(value, bytes):
            raise self._nonsense("ReadPairRecord", "PairRecordData", answer)
        return value

    async def savePairRecord(
        self, udid: str, record: bytes | Mapping[str, Any], deviceID: int | None = None
    ) -> None:
        """
        Store a pair record.

        @param record: A property list, or what to make one of.
        @param deviceID: Of the phone, if it is there.
        """
        data = record if isinstance(record, bytes) else plistlib.dumps(dict(record))
        keys: dict[str, Any] = {"PairRecordData": data}
        if deviceID is not None:
            keys["DeviceID"] = deviceID
        answer = await self._askRecord("SavePairRecord", canonicalUDID(udid), keys)
        self._checkResult("SavePairRecord", answer)

    async def deletePairRecord(self, udid: str) -> None:
        """
        Forget a pair record.
        """
        self._checkResult("DeletePairRecord", await self._record("DeletePairRecord", udid))

    async def _record(self, name: str, udid: str) -> Answer:
        """
        Ask for a record by the phone's UDID, then by what was typed: other programs
        may have saved records under other names.
        """
        canonical = canonicalUDID(udid)
        try:
            return await self._askRecord(name, canonical, {})
        except NoPairRecord:
            if udid == canonical:
                raise
        return await self._askRecord(name, udid, {})

    async def _askRecord(self, name: str, udid: str, keys: Mapping[str, Any]) -> Answer:
        try:
            return await self._ask(recordRequest(name, udid, **keys))
        except DaemonRefused as refusal:
            raise self._recordError(name, udid, refusal.result) from refusal

    def _checkResult(self, name: str, answer: Answer) -> None:
        if answer.result is None:
            raise self._nonsense(name, "a Result", answer)

    def _recordError(self, name: str, udid: str, number: int) -> PairRecordError:
        errors = self._errors
        kind = errors.NoPairRecord if number == ENOENT else errors.PairRecordError
        return kind(self._where, name, udid, number)

    def _read(self, read: Callable[[Mapping[str, Any]], T], answer: Answer, name: str) -> T:
        try:
            return read(answer.values)
        except MalformedMessage as error:
            awaited = f"the answer to {name}"
            raise self._errors.DaemonNonsense(self._where, awaited, error) from error

    def _nonsense(self, name: str, expected: str, answer: Answer) -> DaemonNonsense:
        got = sorted(answer.values)
        return self._errors.DaemonNonsense(
            self._where, f"the answer to {name}", f"expected {expected}, got {got}"
        )
