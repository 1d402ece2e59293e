# -*- test-case-name: tests.client.test_selection -*-
"""
Tests for L{muxd.client.selection}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muxd.client import errors, socketerrors
from muxd.client.answers import Device
from muxd.client.errors import NoPhone, SeveralPhones, UnknownUDID
from muxd.client.selection import Network, chooseDevice
from tests.client.daemons import OTHER_UDID, UDID

CABLE = Device(deviceID=1, udid=UDID)
AIR = Device(deviceID=2, udid=UDID, connectionType="Network")
OTHER = Device(deviceID=3, udid=OTHER_UDID)
OTHER_AIR = Device(deviceID=4, udid=OTHER_UDID, connectionType="Network")


def choose(*devices: Device, udid: str | None = None, network: Network = Network.YES) -> Device:
    """
    Choose one of a few.
    """
    return chooseDevice(devices, udid, network, "here", errors)


class ChoiceTests(SynchronousTestCase):
    """
    Tests for L{chooseDevice}.
    """

    def test_onlyOne(self) -> None:
        """
        The only phone is meant if nobody says which.
        """
        self.assertEqual(CABLE, choose(CABLE))
        self.assertEqual(AIR, choose(AIR))

    def test_udid(self) -> None:
        """
        A phone is found by its UDID, with and without its dash and in either
        case.
        """
        for udid in (UDID, UDID.replace("-", ""), UDID.lower()):
            self.assertEqual(CABLE, choose(OTHER, CABLE, udid=udid))

    def test_cableWins(self) -> None:
        """
        Of a phone that is reached both ways, the cable is used.
        """
        self.assertEqual(CABLE, choose(CABLE, AIR))
        self.assertEqual(CABLE, choose(AIR, CABLE, udid=UDID))

    def test_prefer(self) -> None:
        """
        Unless the network is preferred; but a cable is better than nothing.
        """
        self.assertEqual(AIR, choose(AIR, CABLE, network=Network.PREFER))
        self.assertEqual(CABLE, choose(CABLE, network=Network.PREFER))

    def test_no(self) -> None:
        """
        Phones on the network do not count when they are not wanted.
        """
        self.assertEqual(CABLE, choose(CABLE, OTHER_AIR, network=Network.NO))
        error = self.assertRaises(NoPhone, choose, AIR, network=Network.NO)
        self.assertIn("no phone on USB", str(error))

    def test_cableAmongOthersOnTheNetwork(self) -> None:
        """
        The only phone on a cable is meant, whoever else is on the network.
        """
        self.assertEqual(CABLE, choose(OTHER_AIR, CABLE))

    def test_later(self) -> None:
        """
        Of two entries for the same phone the later counts: during a
        re-enumeration the other is about to go.
        """
        again = Device(deviceID=9, udid=UDID)
        self.assertEqual(again, choose(CABLE, again))

    def test_doubtful(self) -> None:
        """
        One that has not proved that it is the phone does not count beside one that has, in
        either order; and where none has, none is meant.
        """
        thief = Device(deviceID=9, udid=UDID, isDoubtful=True)
        for devices in ((CABLE, thief), (thief, CABLE)):
            for udid in (None, UDID):
                self.assertEqual(CABLE, choose(*devices, udid=udid))
        error = self.assertRaises(SeveralPhones, choose, thief, thief, udid=UDID)
        self.assertIn(f"that they are {UDID}, and none has proved it", str(error))

    def test_none(self) -> None:
        """
        No phone is an error of its own.
        """
        error = self.assertRaises(NoPhone, choose)
        self.assertNotIsInstance(error, UnknownUDID)
        self.assertIn("here", str(error))

    def test_unknown(self) -> None:
        """
        When the phone is not there, the error tells who is.
        """
        error = self.assertRaises(UnknownUDID, choose, OTHER, AIR, udid="nobody")
        self.assertEqual((OTHER, AIR), error.devices)
        for part in ("nobody", f"{OTHER_UDID} (USB)", f"{UDID} (Network)"):
            self.assertIn(part, str(error))

    def test_several(self) -> None:
        """
        When it could be more than one, the error tells which.
        """
        error = self.assertRaises(SeveralPhones, choose, OTHER, CABLE, AIR)
        self.assertEqual((OTHER, CABLE), error.devices)
        for part in (UDID, OTHER_UDID, "UDID"):
            self.assertIn(part, str(error))

    def test_bothSides(self) -> None:
        """
        Programs without a reactor get the same choice, and the same text as an
        error of theirs.
        """
        for udid in (None, "nobody"):
            texts = set()
            for kinds in (errors, socketerrors):
                error = self.assertRaises(
                    kinds.NoPhone, chooseDevice, [AIR], udid, Network.NO, "here", kinds
                )
                texts.add(str(error))
            self.assertEqual(len(texts), 1)
        error = self.assertRaises(
            socketerrors.SeveralPhones,
            chooseDevice,
            [CABLE, OTHER],
            None,
            Network.NO,
            "here",
            socketerrors,
        )
        self.assertIsInstance(error, OSError)

    def test_word(self) -> None:
        """
        The choices are words for people.
        """
        self.assertIs(Network.fromWord("prefer"), Network.PREFER)
        error = self.assertRaises(ValueError, Network.fromWord, "maybe")
        self.assertIn("no, yes, prefer, got 'maybe'", str(error))
