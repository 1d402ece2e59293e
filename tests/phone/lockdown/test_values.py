"""
Tests of L{muxd.phone.lockdown.values}.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.lockdown import values as valuesModule
from muxd.phone.lockdown.dumps import modelDump
from muxd.phone.lockdown.values import CHANGEABLE, Changes, PhoneValues, ownValues

UDID = "00008110-000A1B2C3D4E5F60"
WIRELESS = "com.apple.mobile.wireless_lockdown"
ACCESSIBILITY = "com.apple.Accessibility"


class OwnValueTests(SynchronousTestCase):
    """
    Tests of L{ownValues}.
    """

    def test_addresses(self) -> None:
        """
        Addresses are made of the end of the UDID, different and locally administered.
        """
        own = ownValues(UDID)
        self.assertEqual(own["WiFiAddress"], "02:00:00:4e:5f:60")
        self.assertEqual(own["BluetoothAddress"], "02:00:01:4e:5f:60")

    def test_otherUDIDs(self) -> None:
        """
        Any UDID will do.
        """
        for udid in ("0123456789abcdef0123456789abcdef01234567", "x", "Z" * 24):
            self.assertEqual(ownValues(udid)["UniqueDeviceID"], udid)


class MemoryStore:
    """
    Values in memory.
    """

    def __init__(self) -> None:
        self.kept: tuple[Changes, dict[str, list[str]]] = ({}, {})

    def load(self) -> tuple[Changes, dict[str, list[str]]]:
        """
        What was saved.
        """
        return self.kept

    def save(self, changed: Changes, removed: dict[str, list[str]]) -> None:
        """
        Keep it.
        """
        self.kept = changed, removed


class PhoneValuesTests(SynchronousTestCase):
    """
    Tests of L{PhoneValues}.
    """

    def setUp(self) -> None:
        """
        The usual phone.
        """
        self.clock = Clock()
        self.store = MemoryStore()
        self.isLocked = False
        self.values = self.make()

    def make(self, name: str | None = "Anna's", **others: Any) -> PhoneValues:
        """
        A phone with the same memory.
        """
        return PhoneValues(
            self.clock, UDID, name, store=self.store, isLocked=lambda: self.isLocked, **others
        )

    def get(self, domain: str = "", isTrusted: bool = True) -> dict[str, Any]:
        """
        The values of a domain.
        """
        return self.values.domain(domain, isTrusted=isTrusted)

    def test_stranger(self) -> None:
        """
        A host without a session sees little of some domains, and nothing of others.
        """
        self.assertEqual(self.get(isTrusted=False)["UniqueDeviceID"], UDID)
        self.assertNotIn("SerialNumber", self.get(isTrusted=False))
        self.assertIn("SerialNumber", self.get())
        self.assertEqual(self.get(WIRELESS, False), {"SupportsWifiSyncing": True})
        self.assertEqual(self.get("com.apple.international", False), {})
        self.assertIn("HasBattery", self.get("com.apple.mobile.battery", False))

    def test_whole(self) -> None:
        """
        Domains have what clients read without asking whether it is there.
        """
        self.assertIn("AmountDataAvailable", self.get("com.apple.disk_usage"))
        self.assertIn("Locale", self.get("com.apple.international"))
        self.assertIn("BonjourFullServiceName", self.get(WIRELESS))
        self.assertEqual(self.get(ACCESSIBILITY)["VoiceOverTouchEnabledByiTunes"], 0)
        self.assertEqual(self.get("none"), {})
        self.assertEqual(self.values.domain(7, isTrusted=True), {})

    def test_locked(self) -> None:
        """
        A phone says whether its passcode is asked for.
        """
        self.assertIs(self.get()["PasswordProtected"], False)
        self.isLocked = True
        self.assertIs(self.get()["PasswordProtected"], True)

    def test_change(self) -> None:
        """
        What a host may change is changed, in its domain and in no other.
        """
        self.assertTrue(self.values.change(WIRELESS, "EnableWifiConnections", True))
        self.assertIs(self.get(WIRELESS)["EnableWifiConnections"], True)
        self.assertTrue(self.values.change(ACCESSIBILITY, "DeviceName", "other"))
        self.assertEqual(self.get()["DeviceName"], "Anna's")
        for domain, key, value in (
            (WIRELESS, "DeviceName", "x"),
            (WIRELESS, "EnableWifiConnections", 1),
            ("com.apple.mobile.battery", "HasBattery", False),
            ("none", "a", 1),
            ("", "ProductVersion", "99"),
            (7, "a", 1),
            ("", [], 1),
            (ACCESSIBILITY, "a", object()),
            (ACCESSIBILITY, "a", "x" * 1025),
            (ACCESSIBILITY, "a", [b"x" * 100_000]),
        ):
            self.assertFalse(self.values.change(domain, key, value), (domain, key))

    def test_many(self) -> None:
        """
        A host does not keep things on the phone without end.
        """
        self.patch(valuesModule, "MOST_KEYS", len(self.get(ACCESSIBILITY)) + 1)
        self.assertTrue(self.values.change(ACCESSIBILITY, "a", 1))
        self.assertFalse(self.values.change(ACCESSIBILITY, "b", 1))
        self.assertTrue(self.values.change(ACCESSIBILITY, "a", 2))

    def test_remove(self) -> None:
        """
        What may be changed may be removed, but for the phone's own.
        """
        key = "VoiceOverTouchEnabledByiTunes"
        self.assertTrue(self.values.mayRemove(ACCESSIBILITY, key))
        self.assertFalse(self.values.mayRemove("", "DeviceName"))
        self.assertFalse(self.values.mayRemove("com.apple.mobile.battery", "HasBattery"))
        self.assertTrue(self.values.remove(ACCESSIBILITY, key))
        self.assertFalse(self.values.remove(ACCESSIBILITY, key))
        self.assertNotIn(key, self.get(ACCESSIBILITY))

    def test_memory(self) -> None:
        """
        Changes survive, and what was removed stays away until it is set again.
        """
        key = "VoiceOverTouchEnabledByiTunes"
        self.values.change("", "DeviceName", "Ben's")
        self.values.remove(ACCESSIBILITY, key)
        self.values = self.make()
        self.assertEqual(self.get()["DeviceName"], "Ben's")
        self.assertNotIn(key, self.get(ACCESSIBILITY))
        self.values.change(ACCESSIBILITY, key, 1)
        self.values = self.make()
        self.assertEqual(self.get(ACCESSIBILITY)[key], 1)

    def test_developerMode(self) -> None:
        """
        A phone has a developer mode from iOS 16 on, also if its model is older.
        """
        for version, mode in (("15.4", None), ("16.0", True), ("odd", None)):
            values = self.make(given={"ProductVersion": version})
            told = values.domain("com.apple.security.mac.amfi", isTrusted=True)
            self.assertEqual(told.get("DeveloperModeStatus"), mode)

    def test_models(self) -> None:
        """
        A phone of a model has its values and its name, and no other phone's identity.
        """
        dump = {**modelDump("ipad-ipados17")}
        dump[""] = {**dump[""], "UniqueDeviceID": "somebody's", "SerialNumber": "theirs"}
        self.values = self.make(None, dump=dump, given={"ProductVersion": "17.6"})
        self.assertEqual(self.get()["DeviceClass"], "iPad")
        self.assertEqual(self.get()["DeviceName"], "iPad")
        self.assertEqual(self.get()["ProductVersion"], "17.6")
        self.assertEqual(self.get()["UniqueDeviceID"], UDID)
        self.assertNotEqual(self.get()["SerialNumber"], "theirs")
        self.assertEqual(self.make(None, dump={}).get("DeviceName"), "iPhone")

    @given(
        st.sampled_from([*CHANGEABLE, "none"]),
        st.text(max_size=5),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=5,
        ),
    )
    def test_anything(self, domain: str, key: str, value: Any) -> None:
        """
        Whatever is set is refused or there.
        """
        values = PhoneValues(Clock(), UDID, "x")
        if values.change(domain, key, value):
            kept = int(value) if type(value) is bool and domain == ACCESSIBILITY else value
            self.assertEqual(repr(values.domain(domain, isTrusted=True)[key]), repr(kept))
