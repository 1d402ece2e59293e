# -*- test-case-name: tests.server.test_intake -*-
"""
Devices on their way from their sources: which of several that are one phone clients see.

A phone that is plugged into this machine is seen however many claim to be it; which of
those it is, the registry says.  A phone of another host (L{IForeignDevice}) is that host's
to pair with, and is seen once: not while it is here on a cable, too, and by way of one host
at a time.
"""

from __future__ import annotations

from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from muxd.identity import udidKey
from muxd.interfaces import IDevice, IDeviceReceiver, IForeignDevice, IPairRecords
from muxd.server.registry import DeviceRegistry

_Kind = TypeVar("_Kind", IDevice, IForeignDevice)


@implementer(IDeviceReceiver)
class DeviceIntake:
    """
    The receiver of all sources' devices.
    """

    _log = Logger()

    def __init__(
        self, registry: DeviceRegistry, local: IDeviceReceiver, records: IPairRecords
    ) -> None:
        """
        @param local: What takes the devices that are this host's own: the registry, or a
            preflight before it.
        @param records: The pair records of this host, with its identity.
        """
        self._registry = registry
        self._local = local
        self._records = records
        self._localDevices: dict[str, list[IDevice]] = {}
        self._foreign: dict[str, list[IForeignDevice]] = {}
        self._compared: set[str] = set()

    def deviceAttached(self, device: IDevice) -> None:
        """
        See L{IDeviceReceiver}.
        """
        key = udidKey(device.identity.udid)
        if IForeignDevice.providedBy(device):
            foreign = IForeignDevice(device)
            waiting = self._foreign.setdefault(key, [])
            if foreign in waiting:
                return
            waiting.append(foreign)
            self._compareIdentities(foreign)
            if key not in self._localDevices and len(waiting) == 1:
                self._registry.deviceAttached(foreign)
            return
        if key not in self._localDevices:
            for foreign in self._foreign.get(key, [])[:1]:
                self._registry.deviceDetached(foreign)
        devices = self._localDevices.setdefault(key, [])
        if device not in devices:
            devices.append(device)
        self._local.deviceAttached(device)

    def deviceDetached(self, device: IDevice) -> None:
        """
        See L{IDeviceReceiver}.
        """
        key = udidKey(device.identity.udid)
        if IForeignDevice.providedBy(device):
            self._registry.deviceDetached(device)
            _discard(self._foreign, key, device)
        else:
            self._local.deviceDetached(device)
            _discard(self._localDevices, key, device)
        if key not in self._localDevices:
            for foreign in self._foreign.get(key, [])[:1]:
                self._registry.deviceAttached(foreign)

    def devicePaired(self, device: IDevice) -> None:
        """
        See L{IDeviceReceiver}.
        """
        self._registry.devicePaired(device)

    def _compareIdentities(self, device: IForeignDevice) -> None:
        """
        Say once of each host that its identity is another one than ours: programs that take
        the identity from the daemon, and the record from the phone's host, mix the two.
        """
        if device.owner in self._compared:
            return
        self._compared.add(device.owner)

        async def compare() -> None:
            try:
                ours, theirs = await self._records.readBUID(), await device.readBUID()
            except OSError:
                # To be asked again with the next phone.
                self._compared.discard(device.owner)
                return
            if ours != theirs:
                self._log.warn(
                    "{owner} has another SystemBUID than this host: some tools will be refused"
                    " by its phones; give all hosts that share phones the same"
                    " SystemConfiguration.plist before they pair",
                    owner=device.owner,
                )

        Deferred.fromCoroutine(compare()).addErrback(
            lambda failure: self._log.failure("comparing identities", failure)
        )


def _discard(devices: dict[str, list[_Kind]], key: str, device: IDevice) -> None:
    """
    Take a device off a list of those with its UDID, and the list with the last of them.
    """
    left = [one for one in devices.get(key, []) if one is not device]
    if left:
        devices[key] = left
    else:
        devices.pop(key, None)
