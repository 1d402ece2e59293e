"""
Preflight with a simulated phone, as listeners see it.
"""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from twisted.internet.task import Clock
from twisted.logger import ILogObserver, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from muxd.interfaces import AttachedDevice, IPairRecords
from muxd.limits import LIMITS
from muxd.lockdown.pairrecord import PairRecord
from muxd.phone.lockdown.trust import Owner
from muxd.server.preflight import Preflight, PreflightContext
from muxd.server.registry import DeviceRegistry
from muxd.testing.records import ImmediateRecords, MemoryRecordStore
from tests.lockdown.phones import BUID, NearDevice, recordOf

HOST = UUID(int=99)
TICK = 0.0625


class Watching:
    """
    A listener that writes down what it is told, and when.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.told: list[tuple[float, str]] = []

    def _tell(self, event: str) -> None:
        self.told.append((round(self._clock.seconds(), 1), event))

    def deviceAttached(self, attached: AttachedDevice) -> None:
        """
        Write it down.
        """
        self._tell("Attached")

    def deviceDetached(self, attached: AttachedDevice) -> None:
        """
        Write it down.
        """
        self._tell("Detached")

    def devicePaired(self, attached: AttachedDevice) -> None:
        """
        Write it down.
        """
        self._tell("Paired")


class Plugged:
    """
    A phone that is plugged in, and its preflight.

    @ivar clock: What time it is.
    @ivar device: The phone.
    @ivar store: This host's records.
    @ivar records: How they are asked for.
    @ivar listener: What listeners have been told.
    """

    def __init__(self, owner: Owner = Owner.ACCEPT) -> None:
        self.clock = Clock()
        self.device = NearDevice(self.clock)
        self.device.phone.trust.owner = owner
        self.store = MemoryRecordStore(BUID)
        self.registry = DeviceRegistry()
        self.listener = Watching(self.clock)
        self.registry.subscribe(self.listener)  # type: ignore[arg-type]  # it has the methods
        self.records: IPairRecords = ImmediateRecords(self.store)
        self.made = 0
        self.preflight: Preflight

    async def makeRecord(self, key: bytes, hostID: str, systemBUID: str) -> PairRecord:
        """
        Without making keys.
        """
        self.made += 1
        return recordOf(hostID, systemBUID)

    def plug(self) -> None:
        """
        Plug it in.
        """
        attached = self.registry.attach(self.device, visible=False, proved=False)
        assert attached is not None
        self.preflight = Preflight(
            PreflightContext(self.clock, self.records, LIMITS, self.makeRecord, lambda: HOST),
            self.device,
            show=lambda: self.registry.show(self.device),
            paired=lambda: self.registry.announcePaired(attached),
            proved=lambda: self.registry.prove(self.device),
            hasRival=lambda: self.registry.hasRival(attached),
        )
        self.preflight.start()
        self.device.flush()

    def unplug(self) -> None:
        """
        Pull it out.
        """
        self.preflight.stop()
        self.device.phone.trust.unplugged()
        self.registry.deviceDetached(self.device)

    def wait(self, seconds: float) -> None:
        """
        Let time go by.
        """
        for _ in range(round(seconds / TICK)):
            self.clock.advance(TICK)
            self.device.flush()

    @property
    def udid(self) -> str:
        """
        Whose record it is.
        """
        return self.device.identity.udid

    @property
    def record(self) -> PairRecord | None:
        """
        What this host has stored.
        """
        data = self.store.records.get(self.udid)
        return None if data is None else PairRecord.fromBytes(data)

    def paired(self) -> None:
        """
        Have it paired before it is plugged in.
        """
        owner, self.device.phone.trust.owner = self.device.phone.trust.owner, Owner.ACCEPT
        self.plug()
        self.wait(1)
        self.unplug()
        self.device.phone.trust.owner = owner
        self.device.phone.trust.dialogs = 0
        self.clock.rightNow = 0
        self.listener.told.clear()


class PreflightCase(SynchronousTestCase):
    """
    What the tests of preflight need.
    """

    def plugged(self, owner: Owner = Owner.ACCEPT) -> Plugged:
        """
        A phone.
        """
        return Plugged(owner)

    def told(self, phone: Plugged) -> list[str]:
        """
        What listeners have been told, without times.
        """
        return [event for _, event in phone.listener.told]

    def logged(self) -> list[str]:
        """
        What will have been logged, in words, from now on.
        """
        lines: list[str] = []

        def observe(event: Any) -> None:
            if "Preflight" in str(event.get("log_namespace")):
                lines.append(event["log_format"].format(**event))

        observer = cast(ILogObserver, observe)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        return lines

    def assertOver(self, phone: Plugged) -> None:
        """
        Nothing is left to wait for.
        """
        self.assertEqual(phone.clock.getDelayedCalls(), [])
