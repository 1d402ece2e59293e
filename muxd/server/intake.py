# -*- test-case-name: tests.server.test_intake -*-
"""
Devices on their way from their sources: which of several that are one phone clients see.

A phone that is plugged into this machine is seen however many claim to be it; which of
those it is, the registry says.  A phone of another host (L{IForeignDevice}) is that host's
to pair with, and is seen once: not while it is here on a cable, too, and by way of one host
at a time.  So is a phone on a network that is shown as one on a cable; one that is shown as
what it is, is an entry of its own.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from muxd.identity import udidKey
from muxd.interfaces import IDevice, IDeviceReceiver, IForeignDevice, IPairRecords, IWirelessDevice
from muxd.server.registry import DeviceRegistry


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
        self._others: dict[str, list[IDevice]] = {}
        self._shown: dict[str, IDevice] = {}
        self._compared: set[str] = set()

    def deviceAttached(self, device: IDevice) -> None:
        """
        See L{IDeviceReceiver}.
        """
        key = udidKey(device.identity.udid)
        isLocal = not _isSecondChoice(device)
        devices = (self._localDevices if isLocal else self._others).setdefault(key, [])
        if not any(one is device for one in devices):
            devices.append(device)
            devices.sort(key=IWirelessDevice.providedBy)
        if not isLocal:
            if IForeignDevice.providedBy(device):
                self._compareIdentities(IForeignDevice(device))
            self._settle(key)
        elif device.identity.connectionType != "USB":
            self._registry.deviceAttached(device)
        else:
            self._settle(key)
            self._local.deviceAttached(device)

    def deviceDetached(self, device: IDevice) -> None:
        """
        See L{IDeviceReceiver}.
        """
        key = udidKey(device.identity.udid)
        if _isSecondChoice(device):
            _discard(self._others, key, device)
        else:
            self._local.deviceDetached(device)
            _discard(self._localDevices, key, device)
        self._settle(key)

    def _settle(self, key: str) -> None:
        """
        Show the best of the other ways to a phone, if it is not on a cable here.
        """
        onCable = any(
            one.identity.connectionType == "USB" for one in self._localDevices.get(key, ())
        )
        others = [] if onCable else self._others.get(key, [])
        shown = self._shown.get(key)
        best = others[0] if others else None
        # One that is shown stays, as long as it is there.
        if shown is best or any(one is shown for one in others):
            return
        if shown is not None:
            del self._shown[key]
            self._registry.deviceDetached(shown)
        if best is not None:
            self._shown[key] = best
            self._registry.deviceAttached(best)

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


def _isSecondChoice(device: IDevice) -> bool:
    """
    Whether a device is seen only while there is no better way to the phone that it is.
    """
    if IForeignDevice.providedBy(device):
        return True
    return IWirelessDevice.providedBy(device) and device.identity.connectionType == "USB"


def _discard(devices: dict[str, list[IDevice]], key: str, device: IDevice) -> None:
    """
    Take a device off a list of those with its UDID, and the list with the last of them.
    """
    left = [one for one in devices.get(key, []) if one is not device]
    if left:
        devices[key] = left
    else:
        devices.pop(key, None)
