"""
Tests of L{muxd.device.address}.
"""

from __future__ import annotations

from twisted.internet.interfaces import IAddress
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.device.address import DeviceAddress, HostAddress


class AddressTests(SynchronousTestCase):
    """
    Both ends of a session.
    """

    def test_interface(self) -> None:
        """
        Both are addresses in Twisted's sense.
        """
        verifyObject(IAddress, DeviceAddress("a", 22))
        verifyObject(IAddress, HostAddress("a", 1))

    def test_value(self) -> None:
        """
        Addresses are values: equal and hashed by what they say.
        """
        self.assertEqual({DeviceAddress("a", 22)}, {DeviceAddress("a", 22)})
        self.assertNotEqual(DeviceAddress("a", 22), DeviceAddress("a", 23))
        self.assertNotEqual(DeviceAddress("a", 1), HostAddress("a", 1))
