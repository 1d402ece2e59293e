# -*- test-case-name: tests.fuzz.test_corpus -*-
"""
A phone's lockdownd that answers whatever it likes to preflight.
"""

from __future__ import annotations

import plistlib
from collections.abc import Callable
from functools import cache
from struct import pack
from typing import Any
from uuid import UUID

from twisted.internet.error import ConnectionLost, ConnectionRefusedError
from twisted.internet.task import Clock

from muxd.limits import Limits
from muxd.lockdown.certificates import loadDeviceKey
from muxd.lockdown.pairrecord import KNOWN, PairRecord
from muxd.lockdown.plists import LONGEST_MESSAGE
from muxd.phone.lockdown.key import PUBLIC_KEY
from muxd.server.preflight import Preflight, PreflightContext
from muxd.testing import FakeDevice, ImmediateRecords, MemoryRecordStore
from muxd.testing.devices import FakeConnection
from tests.fuzz.metering import metering
from tests.fuzz.script import Script
from tests.fuzz.watching import demand, expire, settle, watching
from tests.lockdown.phones import BUID, anyRecord

LIMITS = Limits()
REQUESTS = (
    None,
    "QueryType",
    "GetValue",
    "SetValue",
    "Pair",
    "ValidatePair",
    "StartSession",
    "StartService",
    "Other",
)
KEYS = (
    "Type",
    "Value",
    "Error",
    "Result",
    "EscrowBag",
    "SessionID",
    "EnableSessionSSL",
    "Port",
    "Command",
    "Name",
    "Domain",
)
VALUES: tuple[Any, ...] = (
    "com.apple.mobile.lockdown",
    PUBLIC_KEY,
    "17.5.1",
    "iPhone",
    True,
    "PairingDialogResponsePending",
    "InvalidHostID",
    "PasswordProtected",
    "UserDeniedPairing",
    "Failure",
    49152,
    b"",
    [],
    {},
    0.5,
    "RelayNotification",
    "com.apple.mobile.lockdown.request_pair",
    plistlib.UID(1),
)
TIMES = (0.0, 1.0, 5.0, 10.0, 30.0, 61.0)


async def makeRecord(key: bytes, hostID: str, systemBUID: str) -> PairRecord:
    """
    As muxd.lockdown.certificates does it, but for the making of keys.
    """
    loadDeviceKey(key)
    return anyRecord().having(HostID=hostID, SystemBUID=systemBUID)


@cache
def goodRecord() -> bytes:
    """
    Of a pairing.
    """
    return anyRecord().toBytes()


def storedRecord(script: Script) -> bytes | None:
    """
    None, a good one, anything, or one that is nearly good.
    """
    kind = script.byte() & 3
    if kind < 2:
        return goodRecord() if kind else None
    if kind == 2:
        return script.piece()
    name = script.choose(tuple(KNOWN))
    value = script.piece() if script.byte() & 1 else script.piece().decode("latin-1")
    values = {**anyRecord().values, name: value}
    return plistlib.dumps(values, fmt=plistlib.FMT_BINARY)


class World:
    """
    A phone that is plugged in.
    """

    def __init__(self, record: bytes | None) -> None:
        """
        @param record: What this host has of it.
        """
        self.clock = Clock()
        self.device = FakeDevice(self.clock)
        self.store = MemoryRecordStore(BUID)
        udid = self.device.identity.udid
        if record is not None:
            self.store.records[udid] = record
        self.shown = 0
        self.preflight = Preflight(
            PreflightContext(
                self.clock, ImmediateRecords(self.store), LIMITS, makeRecord, lambda: UUID(int=1)
            ),
            self.device,
            show=self.show,
            paired=lambda: None,
            proved=lambda: None,
            hasRival=lambda: False,
        )
        self.preflight.start()

    def show(self) -> None:
        """
        It is visible.
        """
        self.shown += 1

    def connection(self) -> FakeConnection | None:
        """
        The latest that was not ended.
        """
        connections = self.device.connections
        return connections[-1] if connections else None

    def step(self, script: Script) -> None:
        """
        Let one thing happen.
        """
        STEPS[script.byte() % len(STEPS)](self, script)
        settle(self.clock)
        demand(self.shown or self.clock.seconds() < LIMITS.hiddenTime, "a phone is hidden")
        live = [one for one in self.device.connections if one.transport is not None]
        for one in live:
            assert one.transport is not None
            demand(one.transport.pending < 65536, "much waits for a phone")
        for data in self.store.records.values():
            demand(len(data) < 4 * LONGEST_MESSAGE, "a record without end")

    def say(self, data: bytes) -> None:
        """
        Answer.
        """
        connection = self.connection()
        if connection is not None and connection.transport is not None:
            connection.transport.deliver(data)

    def accept(self, script: Script) -> None:
        """
        Let the host connect.
        """
        connection = self.connection()
        if connection is not None and not connection.result.called and not connection.cancelled:
            connection.accept()

    def refuse(self, script: Script) -> None:
        """
        Do not.
        """
        connection = self.connection()
        if connection is not None and not connection.result.called and not connection.cancelled:
            connection.refuse(ConnectionRefusedError(string="no"))

    def answer(self, script: Script) -> None:
        """
        Say something that makes sense, or nearly.
        """
        values: dict[str, Any] = {}
        request = script.choose(REQUESTS)
        if request is not None:
            values["Request"] = request
        count = script.byte() % 5
        for _ in range(count):
            key, value = script.choose(KEYS), script.choose((*VALUES, None, None))
            if value is None:
                value = script.piece() if script.byte() & 1 else script.piece().decode("latin-1")
            values[key] = value
        form = plistlib.FMT_BINARY if script.byte() & 1 else plistlib.FMT_XML
        try:
            body = plistlib.dumps(values, fmt=form)
        except (TypeError, ValueError):
            return
        self.say(pack(">I", len(body)) + body)

    def framed(self, script: Script) -> None:
        """
        Say anything.
        """
        body = script.piece()
        self.say(pack(">I", len(body)) + body)

    def raw(self, script: Script) -> None:
        """
        Say what is no message.
        """
        self.say(script.piece())

    def lose(self, script: Script) -> None:
        """
        Hang up.
        """
        connection = self.connection()
        if connection is not None and connection.transport is not None:
            connection.transport.lose(ConnectionLost())

    def time(self, script: Script) -> None:
        """
        Let time pass.
        """
        self.clock.advance(script.choose(TIMES))

    def saved(self, script: Script) -> None:
        """
        Another host has paired it.
        """
        self.preflight.recordSaved(self.device.identity.udid)

    def end(self) -> None:
        """
        Pull it out, and nothing is left.
        """
        self.preflight.stop()
        for one in self.device.connections:
            if one.transport is not None:
                settle(self.clock)
                one.transport.lose(ConnectionLost())
        expire(self.clock)


STEPS: tuple[Callable[[World, Script], None], ...] = (
    World.accept,
    World.answer,
    World.framed,
    World.raw,
    World.refuse,
    World.lose,
    World.time,
    World.saved,
)


def run(data: bytes) -> None:
    """
    A script of steps.
    """
    script = Script(data)
    with watching(), metering(data) as meter:
        world = World(storedRecord(script))
        while script:
            with meter.turn():
                world.step(script)
        world.end()
