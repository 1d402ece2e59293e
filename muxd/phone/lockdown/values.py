# -*- test-case-name: tests.phone.lockdown.test_lockdownd -*-
"""
What a simulated iPhone tells of itself, to a host that it does not know and to one
that it trusts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.interfaces import IReactorTime

from muxd.phone.lockdown.key import PUBLIC_KEY

Domains = Mapping[str, Mapping[str, Any]]
"""Values by domain and key; the domain without a name is the empty string."""


def unpairedValues(udid: str, name: str) -> dict[str, dict[str, Any]]:
    """
    What lockdownd shows without a session.

    The keys without a domain are those that C{ideviceinfo -s} prints of a real
    phone.
    """
    serial = udid.replace("-", "")
    tail = serial[-6:].rjust(6, "0")
    chip = int(serial[8:], 16) if len(serial) == 24 and _isHex(serial[8:]) else 0
    basic = {
        "BasebandCertId": 165673526,
        "BasebandVersion": "3.04.01",
        "BoardId": 10,
        "BuildVersion": "19E258",
        "CPUArchitecture": "arm64e",
        "ChipID": 33040,
        "DeviceClass": "iPhone",
        "DeviceColor": "1",
        "DeviceName": name,
        "DevicePublicKey": PUBLIC_KEY,
        "DieID": chip,
        "HardwareModel": "D17AP",
        "HasSiDP": True,
        "HostAttached": True,
        "PartitionType": "GUID_partition_scheme",
        "ProductName": "iPhone OS",
        "ProductType": "iPhone14,5",
        "ProductVersion": "15.4.1",
        "ProductionSOC": True,
        "ProtocolVersion": "2",
        "SupportedDeviceFamilies": [1],
        "TelephonyCapability": True,
        "UniqueChipID": chip,
        "UniqueDeviceID": udid,
        "WiFiAddress": ":".join(("02:00:00", tail[0:2], tail[2:4], tail[4:6])).lower(),
    }
    return {
        "": basic,
        "com.apple.disk_usage": {"TotalDiskCapacity": 128_000_000_000},
        "com.apple.mobile.battery": {
            "BatteryCurrentCapacity": 80,
            "BatteryIsCharging": True,
            "ExternalConnected": True,
        },
        "com.apple.mobile.wireless_lockdown": {"SupportsWifiSyncing": True},
    }


def trustedValues(serial: str) -> dict[str, Any]:
    """
    What it shows besides in a session, without a domain.
    """
    return {
        "ActivationState": "Activated",
        "BasebandStatus": "BBInfoAvailable",
        "BluetoothAddress": "02:00:00:00:00:01",
        "BrickState": False,
        "DeviceEnclosureColor": "1",
        "EthernetAddress": "02:00:00:00:00:02",
        "FirmwareVersion": "iBoot-7459.101.2",
        "HardwarePlatform": "t8110",
        "ModelNumber": "MLPK3",
        "PasswordProtected": False,
        "RegionInfo": "ZD/A",
        "SIMStatus": "kCTSIMSupportSIMStatusNotInserted",
        "SerialNumber": serial[-12:].upper(),
        "TimeZone": "Europe/Berlin",
        "TimeZoneOffsetFromUTC": 3600.0,
        "TrustedHostAttached": True,
        "Uses24HourClock": True,
    }


CHANGEABLE: dict[str, tuple[type, ...]] = {
    "DeviceName": (str,),
    "TimeIntervalSince1970": (int, float),
    "TimeZone": (str,),
    "Uses24HourClock": (bool,),
}
"""What a trusted host may change, and the types of that."""

LONGEST_TEXT = 1024


class PhoneValues:
    """
    One phone's values, which change.
    """

    def __init__(self, clock: IReactorTime, udid: str, name: str) -> None:
        self._clock = clock
        self._public = unpairedValues(udid, name)
        self._trusted = trustedValues(udid.replace("-", ""))
        self._lead = 0.0

    def domain(self, name: object, *, isTrusted: bool) -> dict[str, Any]:
        """
        All values of a domain that may be seen.
        """
        values = self._public.get(name, {}) if isinstance(name, str) else {}
        if name != "" or not isTrusted:
            return values
        now = self._clock.seconds() + self._lead
        return {**values, **self._trusted, "TimeIntervalSince1970": now}

    def change(self, key: object, value: Any) -> bool:
        """
        Change a value.

        @return: Whether that is allowed.
        """
        if not isinstance(key, str) or type(value) not in CHANGEABLE.get(key, ()):
            return False
        if isinstance(value, str) and (len(value) > LONGEST_TEXT or not value.isprintable()):
            return False
        if key == "TimeIntervalSince1970":
            self._lead = float(value) - self._clock.seconds()
        else:
            (self._public[""] if key == "DeviceName" else self._trusted)[key] = value
        return True


def _isHex(text: str) -> bool:
    try:
        int(text, 16)
    except ValueError:
        return False
    return True
