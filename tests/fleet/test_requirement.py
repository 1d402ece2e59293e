# -*- test-case-name: tests.fleet.test_requirement -*-
"""
Tests of L{muxd.fleet.requirement}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis.strategies import text
from twisted.trial.unittest import SynchronousTestCase

from muxd.fleet.requirement import Requirement
from tests.fleet.fleets import phone, udid

PHONE = phone(1, "lab", labels=("fast", "us-west"), version="17.4.1", model="iPhone14,5", name="A")


class RequirementTests(SynchronousTestCase):
    """
    Tests of L{Requirement}.
    """

    def test_fits(self) -> None:
        """
        What has to be true of a phone.
        """
        for words, isTrue in {
            "": True,
            udid(1): True,
            udid(1).lower().replace("-", ""): True,
            udid(2): False,
            f"udid!={udid(1)}": False,
            "label=fast": True,
            "label=slow": False,
            "label!=slow": True,
            "label=us-*,label=fast": True,
            "host=lab": True,
            "host!=lab": False,
            "model=iPhone14,5": True,
            "model=iPhone14,5,label=fast": True,
            "model=iPhone14*": True,
            "model=iPhone15,1": False,
            "name=A": True,
            "version=17": True,
            "version=17.4": True,
            "version=17.4.1.0": True,
            "version=17.3": False,
            "version!=17.3": True,
            "version!=17": False,
            "version>=17": True,
            "version>=17.4.2": False,
            "version>17": False,
            "version>17.3": True,
            "version<=17": True,
            "version<=17.3.9": False,
            "version<17.10": True,
            "version<17.4": False,
            " label = fast , version >= 16 ": True,
        }.items():
            self.assertEqual(Requirement.fromString(words).fits(PHONE), isTrue, words)

    def test_unknown(self) -> None:
        """
        What is not known of a phone is not true of it.
        """
        for words in ("version>=1", "version!=17", "version<99"):
            self.assertFalse(Requirement.fromString(words).fits(phone(1)), words)

    def test_wrong(self) -> None:
        """
        A complaint says what was expected.
        """
        for words, complaint in {
            "lable=fast": "did you mean 'label'",
            "colour=red": "known are udid, label",
            "version>=new": "expected a version such as 17",
            "version=": "expected a value",
            "label>=fast": ">= is for version alone",
            "label=a\nb": "expected a value",
            ",".join("abcdefghijklmnopqrstu"): "up to 16 conditions",
            "x" * 2000: "up to 1024 characters",
        }.items():
            error = self.assertRaises(ValueError, Requirement.fromString, words)
            self.assertIn(complaint, str(error))

    @given(text("abelmovdrsinuh=<>!,. 17*-\n", max_size=40))
    def test_anything(self, words: str) -> None:
        """
        Whatever is typed is understood or refused; what is understood can be written down.
        """
        try:
            requirement = Requirement.fromString(words)
        except ValueError:
            return
        requirement.fits(PHONE)
        self.assertEqual(Requirement.fromString(str(requirement)), requirement)

    def test_only(self) -> None:
        """
        Where a UDID is named, no other phone is looked at.
        """
        self.assertEqual(
            Requirement.fromString(f"label=x,{udid(1)}").udid, "00008110" + 15 * "0" + "1"
        )
        self.assertIsNone(Requirement.fromString(f"udid!={udid(1)}").udid)
