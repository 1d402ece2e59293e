"""
Several devices that say that they have the same UDID, at one daemon with preflight.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.limits import LIMITS
from muxd.lockdown.pairrecord import PairRecord
from muxd.phone.lockdown.trust import Owner
from muxd.server.preflight import Preflight
from muxd.server.preflightreceiver import PreflightReceiver
from muxd.server.registry import DeviceRegistry
from muxd.testing.records import ImmediateRecords, MemoryRecordStore
from tests.lockdown.phones import BUID, NearDevice, recordOf
from tests.server.serving import observeLog


class ClaimCase(SynchronousTestCase):
    """
    A daemon's records, registry and preflights.
    """

    def setUp(self) -> None:
        """
        Make them.
        """
        self.clock = Clock()
        self.registry = DeviceRegistry()
        self.store = MemoryRecordStore(BUID)
        self.receiver = PreflightReceiver(
            self.clock, self.registry, ImmediateRecords(self.store), LIMITS, self.makeRecord
        )
        self.events = observeLog(self)
        self.plugged: list[NearDevice] = []

    async def makeRecord(self, key: bytes, hostID: str, systemBUID: str) -> PairRecord:
        """
        Another name for each, without making keys.
        """
        return recordOf(str(uuid4()), systemBUID)

    def device(self, owner: Owner) -> NearDevice:
        """
        Another phone, with the same UDID.
        """
        made = NearDevice(self.clock)
        made.phone.trust.owner = owner
        return made

    def plug(self, device: NearDevice) -> Preflight:
        """
        Plug one in.
        """
        self.plugged.append(device)
        self.receiver.deviceAttached(device)
        self.wait(1)
        return self.receiver._preflights[id(device)]

    def unplug(self, device: NearDevice) -> None:
        """
        Pull one out.
        """
        self.plugged.remove(device)
        device.phone.trust.unplugged()
        self.receiver.deviceDetached(device)

    def wait(self, seconds: float) -> None:
        """
        Let time go by.
        """
        for _ in range(round(seconds * 16)):
            self.clock.advance(1 / 16)
            for device in self.plugged:
                device.flush()

    def lines(self, part: str) -> list[str]:
        """
        What was logged with these words in it.
        """
        texts: list[Any] = [event["log_format"].format(**event) for event in self.events]
        return [text for text in texts if part in text]
