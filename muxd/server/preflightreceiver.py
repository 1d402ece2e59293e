# -*- test-case-name: tests.server.test_preflightreceiver -*-
"""
Devices on their way from a source to the registry, by way of preflight.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from twisted.internet.defer import DeferredSemaphore
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from zope.interface import implementer

from muxd.interfaces import IDevice, IDeviceReceiver, IPairRecords
from muxd.limits import Limits
from muxd.lockdown.pairing import MakeRecord
from muxd.lockdown.pairrecord import PairRecord
from muxd.net.turns import Turns
from muxd.server.preflight import Preflight, PreflightContext
from muxd.server.preflightmachine import Stage
from muxd.server.registry import DeviceRegistry

IBRIDGE = 0x8600
"""A coprocessor, which is never asked for its trust (protocol 5.1)."""

MAKERS = 2
"""Records that are made at a time: more would only take each other's time."""


def recordMaker(reactor: Any) -> MakeRecord | None:
    """
    What makes pair records in the reactor's threads.

    A record takes a tenth of a second, so a reactor that stops does not wait long
    for the threads.

    @return: None without the extra C{pairing}.
    """
    try:
        from muxd.lockdown.certificates import makePairRecord
    except ImportError:
        return None
    semaphore = DeferredSemaphore(MAKERS)

    async def make(key: bytes, hostID: str, systemBUID: str) -> PairRecord:
        pool = reactor.getThreadPool()
        return await semaphore.run(
            deferToThreadPool, reactor, pool, makePairRecord, key, hostID, systemBUID
        )

    return make


@implementer(IDeviceReceiver)
class PreflightReceiver:
    """
    Attaches each device hidden, and has its preflight show it.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        registry: DeviceRegistry,
        records: IPairRecords,
        limits: Limits,
        makeRecord: MakeRecord,
        turns: Turns | None = None,
    ) -> None:
        """
        @param turns: Those that handshakes have, so that sixty phones that are plugged in at once
            do not keep all else waiting.
        """
        self._registry = registry
        self._workshop = PreflightContext(reactor, records, limits, makeRecord, uuid4, turns)
        self._preflights: dict[int, Preflight] = {}

    def deviceAttached(self, device: IDevice) -> None:
        """
        See whether it trusts us, unless it is of a kind that is never asked.
        """
        identity = device.identity
        if identity.connectionType != "USB" or identity.productID == IBRIDGE:
            self._registry.deviceAttached(device)
            return
        attached = self._registry.attach(device, visible=False, proved=False)
        if attached is None or id(device) in self._preflights:
            return
        preflight = Preflight(
            self._workshop,
            device,
            show=lambda: self._registry.show(device),
            paired=lambda: self._registry.announcePaired(attached),
            proved=lambda: self._registry.prove(device),
            hasRival=lambda: self._registry.hasRival(attached),
        )
        self._preflights[id(device)] = preflight
        preflight.start()

    def deviceDetached(self, device: IDevice) -> None:
        """
        It is gone.
        """
        preflight = self._preflights.pop(id(device), None)
        if preflight is not None:
            preflight.stop()
        self._registry.deviceDetached(device)

    def devicePaired(self, device: IDevice) -> None:
        """
        Another host has paired with it.
        """
        self._registry.devicePaired(device)

    def stageOf(self, device: IDevice) -> Stage | None:
        """
        How far a device's preflight has got; None if it has none.
        """
        preflight = self._preflights.get(id(device))
        return None if preflight is None else preflight.stage

    def recordSaved(self, udid: str) -> None:
        """
        A program has paired with a phone.
        """
        for preflight in tuple(self._preflights.values()):
            preflight.recordSaved(udid)

    def stop(self) -> None:
        """
        Stop all preflights.
        """
        for preflight in self._preflights.values():
            preflight.stop()
