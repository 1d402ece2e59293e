"""
Tests of L{muxd.device.device}.
"""

from __future__ import annotations

from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.device.device import MuxedDevice
from muxd.interfaces import IDevice
from muxd.testing import fakeIdentity
from tests.device.links import SYN, SYN_ACK, Recorder, RecorderFactory, ScriptedPhone


class MuxedDeviceTests(SynchronousTestCase):
    """
    A phone as the floors above see it.
    """

    def setUp(self) -> None:
        """
        A phone behind a muxer.
        """
        self.phone = ScriptedPhone.ready()
        self.device = MuxedDevice(fakeIdentity(), self.phone.muxer)

    def test_interfaces(self) -> None:
        """
        The device and its endpoints provide what they say.
        """
        verifyObject(IDevice, self.device)
        verifyObject(IStreamClientEndpoint, self.device.endpoint(22))

    def test_connect(self) -> None:
        """
        Connecting an endpoint opens a session with its port.
        """
        recorder = Recorder()
        connected = self.device.endpoint(0x0101).connect(RecorderFactory(recorder))
        (syn,) = self.phone.take()
        self.assertEqual((syn.destinationPort, syn.flags), (0x0101, SYN))
        self.phone.deliver(self.phone.segment(0x0101, syn.sourcePort, 0, 1, SYN_ACK))
        self.assertIs(self.successResultOf(connected), recorder)

    def test_noSuchPort(self) -> None:
        """
        There are 65536 ports, the first and the last among them.
        """
        for port in (0, 65535):
            self.device.endpoint(port).connect(RecorderFactory(Recorder()))
            self.assertEqual([syn.destinationPort for syn in self.phone.take()], [port])
        for port in (-1, 65536):
            self.assertRaises(ValueError, self.device.endpoint, port)
