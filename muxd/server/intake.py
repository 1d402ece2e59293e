# -*- test-case-name: tests.server.test_intake -*-
"""
Devices on their way from their sources: which of several that are one phone clients see.

A phone that is plugged into this machine is seen however many claim to be it; which of
those it is, the registry says.  A phone of another host (L{IForeignDevice}) is that host's
to pair with, and is seen once: not while it is here on a cable, too, and by way of one host
at a time.  So is a phone on a network that is shown as one on a cable; one that is shown as
what it is, is one entry beside that, by whichever of several sources it was found first.
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
        self._networked: dict[str, list[IDevice]] = {}
        self._shown: dict[str, IDevice] = {}
        self._shownOnNetwork: dict[str, IDevice] = {}
        self._told: set[str] = set()
        self._compared: set[str] = set()

    def deviceAttached(self, device: IDevice) -> None:
        """
        See L{IDeviceReceiver}.
        """
        key = udidKey(device.identity.udid)
        devices = self._devicesLike(device).setdefault(key, [])
        if not any(one is device for one in devices):
            devices.append(device)
            devices.sort(key=IWirelessDevice.providedBy)
        if IForeignDevice.providedBy(device):
            self._compareIdentities(IForeignDevice(device))
        self._settle(key)
        if devices is self._localDevices.get(key):
            self._local.deviceAttached(device)
        elif devices is self._networked.get(key):
            self._tellTwice(key, device)

    def deviceDetached(self, device: IDevice) -> None:
        """
        See L{IDeviceReceiver}.
        """
        key = udidKey(device.identity.udid)
        devices = self._devicesLike(device)
        if devices is self._localDevices:
            self._local.deviceDetached(device)
        _discard(devices, key, device)
        self._settle(key)

    def _devicesLike(self, device: IDevice) -> dict[str, list[IDevice]]:
        """
        The devices, by UDID, with which one has to do.
        """
        if _isSecondChoice(device):
            return self._others
        return self._localDevices if device.identity.connectionType == "USB" else self._networked

    def _settle(self, key: str) -> None:
        """
        Show the best of the other ways to a phone, if it is not on a cable here; and one of
        those by the network.
        """
        others = [] if key in self._localDevices else self._others.get(key, [])
        self._showOne(self._shown, key, others)
        self._showOne(self._shownOnNetwork, key, self._networked.get(key, []))

    def _showOne(self, shown: dict[str, IDevice], key: str, ways: list[IDevice]) -> None:
        """
        Show the first of several devices that are one phone.
        """
        before, best = shown.get(key), ways[0] if ways else None
        # One that is shown stays, as long as it is there.
        if before is best or any(one is before for one in ways):
            return
        if before is not None:
            del shown[key]
            self._registry.deviceDetached(before)
        if best is not None:
            shown[key] = best
            self._registry.deviceAttached(best)

    def _tellTwice(self, key: str, device: IDevice) -> None:
        """
        Say once of a phone that several sources have found it on the network.
        """
        shown = self._shownOnNetwork[key]
        if shown is not device and key not in self._told:
            self._told.add(key)
            self._log.info(
                "{udid} was found on the network by two sources: it is listed once, as the"
                " {first}; the {second} takes its place when that is lost",
                udid=shown.identity.udid,
                first=shown.identity.name,
                second=device.identity.name,
            )

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
