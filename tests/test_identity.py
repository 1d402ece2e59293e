# -*- test-case-name: tests.test_identity -*-
"""
Tests of L{muxd.identity}.
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muxd.identity import (
    DeviceIdentity,
    canonicalUDID,
    udidFromSerial,
    udidKey,
    udidSpellings,
)
from tests.running.properties import examples


class UDIDTests(SynchronousTestCase):
    """
    The way from a USB serial number to a UDID.
    """

    def test_modernSerial(self) -> None:
        """
        A serial number of 24 characters gets a dash after its eighth.
        """
        self.assertEqual(udidFromSerial("00008030001A35D22E38802E"), "00008030-001A35D22E38802E")

    def test_oldSerial(self) -> None:
        """
        One of 40 characters is a UDID already, and keeps its case.
        """
        old = "a1b2c3d4e5f60718293a4b5c6d7e8f9001122334"
        self.assertEqual(udidFromSerial(old), old)

    @settings(deadline=None, max_examples=examples(50))
    @given(st.text(max_size=60))
    def test_onlyTheDashIsNew(self, serial: str) -> None:
        """
        Whatever the serial number, a dash is all that is ever added, and only
        to those of 24 characters.
        """
        udid = udidFromSerial(serial)
        self.assertEqual(len(udid), len(serial) + (len(serial) == 24))
        self.assertEqual(udid[:8], serial[:8])
        self.assertEqual(udid[9:] if len(serial) == 24 else udid[8:], serial[8:])


class CanonicalUDIDTests(SynchronousTestCase):
    """
    UDIDs however they were typed.
    """

    def test_forms(self) -> None:
        """
        With or without its dash and in either case, it becomes the one that the
        device has.
        """
        modern, old = "00008030-001A35D22E38802E", "a1b2c3d4e5f60718293a4b5c6d7e8f9001122334"
        for typed in (modern, modern.lower(), modern.replace("-", ""), "0000-8030001a35D22E38802e"):
            self.assertEqual(canonicalUDID(typed), modern)
        self.assertEqual(canonicalUDID(old.upper()), old)

    def test_others(self) -> None:
        """
        What is no UDID of either kind stays as it is.
        """
        for other in ("", "x", "SystemConfiguration", "-", "ABC-def", "g" * 24, "0" * 39):
            self.assertEqual(canonicalUDID(other), other)


class SpellingTests(SynchronousTestCase):
    """
    L{udidKey} and L{udidSpellings}.
    """

    def test_key(self) -> None:
        """
        All spellings of a UDID are compared as one.
        """
        wanted = "00008030001a35e200000001"
        for text in ("00008030-001A35E200000001", "00008030001A35E200000001", wanted):
            self.assertEqual(udidKey(text), wanted)

    def test_spellings(self) -> None:
        """
        The usual one comes first, whichever was asked for; all are found from each.
        """
        for usual in ("00008030-001A35E200000001", "a1b2c3d4e5f60718293a4b5c6d7e8f9001122334"):
            spellings = udidSpellings(usual)
            self.assertEqual(spellings[0], usual)
            for text in spellings:
                self.assertEqual(udidSpellings(text), spellings)

    def test_none(self) -> None:
        """
        What is no UDID has no other spelling.
        """
        for text in ("", "A-1", "x" * 24, "a" * 39, "SystemConfiguration", "a" * 25):
            self.assertEqual(udidSpellings(text), [], text)


class DeviceIdentityTests(SynchronousTestCase):
    """
    L{DeviceIdentity} is a value.
    """

    def test_frozen(self) -> None:
        """
        It cannot be changed, and equal ones are equal.
        """
        identity = DeviceIdentity(udid="u", serial="s", productID=1, locationID=2)
        same = DeviceIdentity(udid="u", serial="s", productID=1, locationID=2)
        self.assertEqual(identity, same)
        with self.assertRaises(FrozenInstanceError):
            identity.udid = "v"  # type: ignore[misc]  # that is what is tested

    def test_defaults(self) -> None:
        """
        What is not said is a phone on a USB 2 cable.
        """
        identity = DeviceIdentity(udid="u", serial="s", productID=1, locationID=2)
        self.assertEqual((identity.speed, identity.connectionType), (480_000_000, "USB"))
