# -*- test-case-name: tests.phone.test_lockdownd -*-
"""
What a simulated iPhone tells of itself to a host that it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEVICE_PUBLIC_KEY = b"""\
-----BEGIN RSA PUBLIC KEY-----
MIIBCgKCAQEAombFYWbFLMPrrsuJjka2OrBZdmv620DJ1NhUihEPLMI4xI7dKYyC
x6kgoxB3aCbAwtlSo0IkZBn068uFguzR+/Ts6yPihB0Uwj0dakPLnlhgh9cIdkV4
qx/R6Jc1Im6HDJIeojFuLtk+MzAgJ7sSYtVYiCX55R430+ejCfGjaajzruxb8mlC
S49GWVuTGxQOeOFWjxIAi6XILnEC7JpdBz6oW0pVUHr58LWq4sT2THigEjo1L8XX
ik6GsNHLUgRBvJdEw1t/soVydfF/BCf5L8N1kFi68LlbLe7zDOcypD8bqVIAlP8B
/sa6/By0AIA4J4Y4nmta++bV9wwHE4rCRwIDAQAB
-----END RSA PUBLIC KEY-----
"""
"""
The public half of a key that nobody has: all that a host does with it, before a
pairing, is to make a certificate of it.
"""

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
        "DevicePublicKey": DEVICE_PUBLIC_KEY,
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


def _isHex(text: str) -> bool:
    try:
        int(text, 16)
    except ValueError:
        return False
    return True
