# -*- test-case-name: tests.phone.lockdown.test_values -*-
"""
What a simulated iPhone tells of itself, to a host that it does not know and to one
that it trusts; and what the latter may change.

The values are those of a model (L{muxd.phone.lockdown.dumps}), but for what makes one phone
different from another, which is made of its UDID.
"""

from __future__ import annotations

import hashlib
import plistlib
import time
from collections.abc import Callable, Mapping
from typing import Any
from typing import Protocol as TypingProtocol

from twisted.internet.interfaces import IReactorTime

from muxd.phone.lockdown.dumps import USUAL, Domains, modelDump
from muxd.phone.lockdown.key import PUBLIC_KEY

ACCESSIBILITY = "com.apple.Accessibility"
WIRELESS = "com.apple.mobile.wireless_lockdown"
INTERNATIONAL = "com.apple.international"
AMFI = "com.apple.security.mac.amfi"

DEVELOPER_MODE_SINCE = 16
"""The first system with a developer mode."""

PUBLIC: Mapping[str, frozenset[str] | None] = {
    "": frozenset(
        (
            *("BasebandCertId", "BasebandVersion", "BoardId", "BuildVersion", "CPUArchitecture"),
            *("ChipID", "DeviceClass", "DeviceColor", "DeviceName", "DevicePublicKey", "DieID"),
            *("HardwareModel", "HasSiDP", "HostAttached", "PartitionType", "ProductName"),
            *("ProductType", "ProductVersion", "ProductionSOC", "ProtocolVersion"),
            *("SupportedDeviceFamilies", "TelephonyCapability", "UniqueChipID", "UniqueDeviceID"),
            "WiFiAddress",
        )
    ),
    "com.apple.disk_usage": frozenset(("TotalDiskCapacity",)),
    "com.apple.mobile.battery": None,
    WIRELESS: frozenset(("SupportsWifiSyncing",)),
}
"""
What lockdownd shows without a session, by domain; C{None} for all of it.

The keys without a domain are those that C{ideviceinfo -s} prints of a real phone.
"""

BY_NAME = ("ApNonce", "DevicePublicKey", "Image4Supported", "SEPNonce")
"""Values without a domain that are told only to those that ask for them by name."""

Types = tuple[type, ...]

CHANGEABLE: Mapping[str, Mapping[str, Types] | None] = {
    "": {
        "ActivationStateAcknowledged": (bool,),
        "DeviceName": (str,),
        "TimeIntervalSince1970": (int, float),
        "TimeZone": (str,),
        "Uses24HourClock": (bool,),
        "iTunesHasConnected": (bool,),
    },
    INTERNATIONAL: {"Keyboard": (str,), "Language": (str,), "Locale": (str,)},
    WIRELESS: {
        "EnableWifiConnections": (bool,),
        "EnableWifiDebugging": (bool,),
        "WirelessBuddyID": (str,),
    },
    ACCESSIBILITY: None,
    "com.apple.mobile.data_sync": None,
    "com.apple.mobile.iTunes": None,
    "com.apple.mobile.iTunes.store": None,
    "com.apple.mobile.tethered_sync": None,
    "com.apple.mobile.user_preferences": None,
    "com.apple.purplebuddy": None,
    "com.apple.xcode.developerdomain": None,
}
"""
What a trusted host may change, by domain, and the types of that; C{None} for a domain in which it
may keep what it likes.  These are what tools change on real phones; of others it is not known.
"""

LONGEST_TEXT = 1024
"""Characters of a text."""

LARGEST_VALUE = 1 << 14
"""Bytes of any value, as XML."""

MOST_KEYS = 256
"""Keys that a domain has with what hosts keep in it."""

OWN = "muxd."

_SERVICE_NAME = "BonjourFullServiceName"
_CLOCK = "TimeIntervalSince1970"

Changes = dict[str, dict[str, Any]]


class ValueStore(TypingProtocol):
    """
    Where values that hosts have changed are kept while the phone's process does not run.
    """

    def load(self) -> tuple[Changes, dict[str, list[str]]]:
        """
        What was changed, and which keys were removed, by domain.
        """

    def save(self, changed: Changes, removed: dict[str, list[str]]) -> None:
        """
        Keep this, and nothing else.
        """


def ownValues(udid: str) -> dict[str, Any]:
    """
    What makes this phone different from others of its model.
    """
    serial = udid.replace("-", "")
    tail = serial[-6:].rjust(6, "0").lower()
    address = ":".join((tail[0:2], tail[2:4], tail[4:6]))
    chip = int(serial[8:], 16) if len(serial) == 24 and _isHex(serial[8:]) else 0
    return {
        "ApNonce": hashlib.sha256(f"ap {udid}".encode()).digest(),
        "BluetoothAddress": f"02:00:01:{address}",
        "DevicePublicKey": PUBLIC_KEY,
        "DieID": chip,
        "EthernetAddress": f"02:00:02:{address}",
        "Image4Supported": True,
        "SEPNonce": hashlib.sha256(f"sep {udid}".encode()).digest()[:20],
        "SerialNumber": serial[-12:].upper(),
        "UniqueChipID": chip,
        "UniqueDeviceID": udid,
        "WiFiAddress": f"02:00:00:{address}",
    }


class PhoneValues:
    """
    One phone's values, which change.
    """

    def __init__(
        self,
        clock: IReactorTime,
        udid: str,
        name: str | None,
        dump: Domains | None = None,
        given: Mapping[str, Any] | None = None,
        store: ValueStore | None = None,
        isLocked: Callable[[], bool] = lambda: False,
        timeOfDay: Callable[[], float] = time.time,
    ) -> None:
        """
        @param name: What its owner calls it; C{None} for what the dump says.
        @param dump: The values of its model; C{None} for the usual one's.
        @param given: Values without a domain that are others than its model's.
        @param store: Where changes are kept; C{None} for a phone that forgets them.
        @param isLocked: Whether its passcode is asked for.
        @param timeOfDay: Seconds of the epoch, which are the phone's until a host sets them.
        """
        self._clock = clock
        self._isLocked = isLocked
        self._timeOfDay = timeOfDay
        self._timeSet: tuple[float, float] | None = None
        model = modelDump(USUAL) if dump is None else dump
        self._values = {domain: dict(values) for domain, values in model.items()}
        own = self._values.setdefault("", {})
        own.update({**(given or {}), **ownValues(udid)})
        if name is not None or "DeviceName" not in own:
            own["DeviceName"] = name or "iPhone"
        if _major(own.get("ProductVersion")) >= DEVELOPER_MODE_SINCE:
            # A model of an older system, which is told to have this one, has not got it.
            self._values.setdefault(AMFI, {}).setdefault("DeveloperModeStatus", True)
        wireless = self._values.get(WIRELESS)
        if wireless is not None:
            wireless[_SERVICE_NAME] = f"{own['WiFiAddress']}@fe80::1._apple-mobdev2._tcp.local."
        self._store = store
        self._changed: Changes = {}
        self._removed: dict[str, list[str]] = {}
        if store is not None:
            self._changed, self._removed = store.load()
        for domain, changed in self._changed.items():
            self._values.setdefault(domain, {}).update(changed)
        for domain, removed in self._removed.items():
            for key in removed:
                self._values.get(domain, {}).pop(key, None)

    def announces(self, serviceName: str) -> None:
        """
        It announces itself on a network by this name.
        """
        self._values.setdefault(WIRELESS, {})[_SERVICE_NAME] = serviceName

    def hidden(self, domain: str) -> Mapping[str, Any]:
        """
        Values that are for the phone's own services; no host sees a domain whose name begins as
        L{OWN} does.
        """
        return self._values.get(domain, {})

    def get(self, key: str) -> Any:
        """
        A value without a domain, for the phone's own services; C{None} if there is none.
        """
        return self._values[""].get(key)

    def domain(self, name: object, *, isTrusted: bool) -> dict[str, Any]:
        """
        All values of a domain that may be seen.
        """
        values = self._values.get(name) if isinstance(name, str) else None
        if values is None or str(name).startswith(OWN):
            return {}
        assert isinstance(name, str)
        if not isTrusted:
            public = PUBLIC.get(name, frozenset())
            return {k: v for k, v in values.items() if public is None or k in public}
        if name:
            return dict(values)
        return {
            **values,
            _CLOCK: self._now(),
            "PasswordProtected": self._isLocked(),
        }

    def change(self, domain: object, key: object, value: Any) -> bool:
        """
        Change a value.

        @return: Whether that is allowed.
        """
        types = self._changeable(domain, key)
        if types is None or (types and type(value) not in types):
            return False
        if isinstance(value, str) and (len(value) > LONGEST_TEXT or not value.isprintable()):
            return False
        assert isinstance(domain, str) and isinstance(key, str)
        if domain == ACCESSIBILITY and type(value) is bool:
            # Its switches are numbers, however they are set.
            value = int(value)
        if not domain and key == _CLOCK:
            self._timeSet = float(value), self._clock.seconds()
            return True
        values = self._values.get(domain, {})
        if key not in values and len(values) >= MOST_KEYS:
            return False
        try:
            if len(plistlib.dumps([key, value])) > LARGEST_VALUE:
                return False
        except (TypeError, ValueError, OverflowError):
            return False
        self._values.setdefault(domain, values)[key] = value
        self._changed.setdefault(domain, {})[key] = value
        if key in self._removed.get(domain, ()):
            self._removed[domain].remove(key)
        self._keep()
        return True

    def _now(self) -> float:
        """
        What the phone's clock shows.
        """
        if self._timeSet is None:
            return self._timeOfDay()
        value, since = self._timeSet
        return value + self._clock.seconds() - since

    def mayRemove(self, domain: object, key: object) -> bool:
        """
        Whether a trusted host may remove a value, if it is there.  Those without a domain are the
        phone's own.
        """
        return domain != "" and self._changeable(domain, key) is not None

    def remove(self, domain: str, key: str) -> bool:
        """
        Remove a value.

        @return: Whether it was there.
        """
        values = self._values.get(domain, {})
        if key not in values:
            return False
        del values[key]
        self._changed.get(domain, {}).pop(key, None)
        self._removed.setdefault(domain, []).append(key)
        self._keep()
        return True

    def _changeable(self, domain: object, key: object) -> Types | None:
        """
        The types that a value may be changed to, none for any; C{None} if it may not.
        """
        if not isinstance(domain, str) or not isinstance(key, str) or domain not in CHANGEABLE:
            return None
        keys = CHANGEABLE[domain]
        return () if keys is None else keys.get(key)

    def _keep(self) -> None:
        if self._store is not None:
            self._store.save(self._changed, self._removed)


def _isHex(text: str) -> bool:
    try:
        int(text, 16)
    except ValueError:
        return False
    return True


def _major(version: object) -> int:
    first = str(version).partition(".")[0]
    return int(first) if first.isascii() and first.isdecimal() and len(first) < 9 else 0
