"""
Tests for L{muxd.client.lookup}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muxd.client.answers import Device
from muxd.client.lookup import chooseDevice
from muxd.client.socketerrors import NoPhone, SeveralPhones

A = Device(deviceID=1, udid="A")
B = Device(deviceID=2, udid="B")
A_NETWORK = Device(deviceID=3, udid="A", connectionType="Network")
B_NETWORK = Device(deviceID=4, udid="B", connectionType="Network")


class ChooseTests(SynchronousTestCase):
    """
    L{chooseDevice}.
    """

    def test_only(self) -> None:
        """
        The only phone needs no name, however it is reached.
        """
        self.assertIs(chooseDevice([A]), A)
        self.assertIs(chooseDevice([A_NETWORK]), A_NETWORK)

    def test_named(self) -> None:
        """
        A UDID chooses among several.
        """
        self.assertIs(chooseDevice([A, B], "b"), B)

    def test_cableWins(self) -> None:
        """
        Of the two ways to a phone the cable is taken, and a phone on USB before
        others on the network.
        """
        self.assertIs(chooseDevice([A_NETWORK, A], "A"), A)
        self.assertIs(chooseDevice([B_NETWORK, A]), A)

    def test_onlyOneWay(self) -> None:
        """
        The choice can be restricted to either way.
        """
        self.assertIs(chooseDevice([A_NETWORK, A], network=True), A_NETWORK)
        self.assertIs(chooseDevice([A_NETWORK, A], network=False), A)

    def test_later(self) -> None:
        """
        A phone that was plugged in again counts, not what is left of it.
        """
        again = Device(deviceID=9, udid="A")
        self.assertIs(chooseDevice([A, again]), again)

    def test_none(self) -> None:
        """
        Without a phone the error says so.
        """
        error = self.assertRaises(NoPhone, chooseDevice, [])
        self.assertEqual(str(error), "no phone is attached")

    def test_another(self) -> None:
        """
        If only others are there, the error names them.
        """
        error = self.assertRaises(NoPhone, chooseDevice, [A, B_NETWORK], "C")
        self.assertEqual(str(error), "no phone C is attached; there is A (USB), B (Network)")

    def test_notThisWay(self) -> None:
        """
        If the phone is there, but not in the way asked for, the error says that.
        """
        error = self.assertRaises(NoPhone, chooseDevice, [A_NETWORK], "A", False)
        self.assertEqual(str(error), "no phone A is attached on USB; there is A (Network)")
        error = self.assertRaises(NoPhone, chooseDevice, [A], None, True)
        self.assertEqual(str(error), "no phone is attached on the network; there is A (USB)")

    def test_several(self) -> None:
        """
        Two phones and no name is an error that lists them.
        """
        error = self.assertRaises(SeveralPhones, chooseDevice, [B, A, A])
        self.assertEqual(str(error), "2 phones are there, say which by its UDID: A, B")
        self.assertEqual(error.udids, ("A", "B"))
