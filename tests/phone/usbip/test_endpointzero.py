"""
Tests of L{muxd.phone.usbip.endpointzero}, and of the alternate settings of
L{muxd.phone.bus.attachment}.
"""

from __future__ import annotations

import errno
from itertools import pairwise

from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.bus.attachment import Attachment
from muxd.phone.bus.control import ControlRequest
from muxd.phone.bus.descriptors import MUX_IN, MUX_OUT, Speed
from muxd.phone.bus.pipes import Transfer
from muxd.phone.bus.profiles import iPhone
from muxd.phone.usbip.endpointzero import EndpointZero
from muxd.testing.gadgets import RecordingGadget

ETHERNET_IN = 0x86


class EndpointZeroTests(SynchronousTestCase):
    """
    Tests of L{EndpointZero}.
    """

    def setUp(self) -> None:
        """
        A device that has just come.
        """
        self.make(Speed.HIGH)

    def make(self, speed: Speed) -> None:
        """
        One for that speed.
        """
        self.gadget = RecordingGadget(iPhone(speed=speed))
        self.attachment = Attachment(self.gadget, 1, 2, 1)
        self.zero = EndpointZero(self.attachment)

    def ask(
        self, kind: int, request: int, value: int = 0, index: int = 0, length: int = 0
    ) -> bytes:
        """
        Ask something.
        """
        return self.zero.answer(ControlRequest(kind, request, value, index, length))

    def assertStalled(self, *arguments: int) -> None:
        """
        There is no answer to that.
        """
        error = self.assertRaises(OSError, self.ask, *arguments)
        self.assertEqual(error.errno, errno.EPIPE, arguments)

    def test_configuration(self) -> None:
        """
        The configuration is 0 at first, can be set, and be set to 0 again.
        """
        for value in (4, 3, 3, 0):
            self.ask(0, 9, value)
            self.assertEqual(self.ask(0x80, 8, length=1), bytes((value,)))
        self.assertEqual(self.gadget.configurations, [4, 3, 3, 0])
        self.assertStalled(0, 9, 5)
        self.assertEqual(self.ask(0x80, 8, length=1), b"\0")

    def test_unconfigured(self) -> None:
        """
        Without a configuration there are neither interfaces nor endpoints.
        """
        self.assertStalled(0x81, 10, 0, 1, 1)
        self.assertStalled(1, 11, 0, 1)
        self.assertStalled(2, 3, 0, MUX_IN)
        self.assertStalled(2, 1, 0, MUX_IN)
        self.assertStalled(0x82, 0, 0, MUX_IN, 2)

    def test_alternateSettings(self) -> None:
        """
        An interface's other setting has other endpoints, which are empty each time.
        """
        self.ask(0, 9, 4)
        waiting = Transfer(memoryview(bytearray(512)))
        self.assertRaises(OSError, self.attachment.submit, ETHERNET_IN, waiting)
        self.ask(1, 11, 1, 2)
        self.assertEqual(self.ask(0x81, 10, 0, 2, 1), b"\1")
        self.attachment.submit(ETHERNET_IN, waiting)
        self.ask(1, 11, 0, 2)
        self.assertEqual(waiting.error, errno.ENODEV)
        self.assertRaises(OSError, self.attachment.submit, ETHERNET_IN, waiting)
        self.assertEqual(self.ask(0x81, 10, 0, 2, 1), b"\0")
        self.assertStalled(1, 11, 2, 2)
        self.assertStalled(1, 11, 0, 9)

    def test_alternateSettingOfMux(self) -> None:
        """
        Choosing the only setting of an interface again empties it, and leaves the
        others alone.
        """
        self.ask(0, 9, 4)
        self.ask(1, 11, 1, 2)
        self.gadget.plugged(self.attachment)
        self.gadget.send(b"x")
        self.attachment.send(ETHERNET_IN, b"y")
        self.ask(1, 11, 0, 1)
        self.assertEqual(self.attachment.unread(MUX_IN), 0)
        self.assertEqual(self.attachment.unread(ETHERNET_IN), 1)

    def test_newConfiguration(self) -> None:
        """
        A configuration begins with the first setting of each interface.
        """
        self.ask(0, 9, 4)
        self.ask(1, 11, 1, 2)
        self.ask(0, 9, 4)
        self.assertEqual(self.ask(0x81, 10, 0, 2, 1), b"\0")

    def test_halt(self) -> None:
        """
        A host can stall endpoints and clear them, and endpoint 0 is never stalled.
        """
        self.ask(0, 9, 4)
        for endpoint in (MUX_IN, MUX_OUT):
            self.assertEqual(self.ask(0x82, 0, 0, endpoint, 2), b"\0\0")
            self.ask(2, 3, 0, endpoint)
            self.assertEqual(self.ask(0x82, 0, 0, endpoint, 2), b"\1\0")
            self.ask(2, 1, 0, endpoint)
            self.assertEqual(self.ask(0x82, 0, 0, endpoint, 2), b"\0\0")
        self.ask(2, 1, 0, 0)
        self.ask(2, 1, 0, 0x80)
        self.assertStalled(2, 1, 1, MUX_IN)
        self.assertStalled(2, 3, 1, MUX_IN)

    def test_status(self) -> None:
        """
        A phone has power of its own; what does not fit is cut off.
        """
        self.ask(0, 9, 3)
        self.assertEqual(self.ask(0x80, 0, length=2), b"\1\0")
        self.assertEqual(self.ask(0x80, 0, length=1), b"\1")
        self.assertEqual(self.ask(0x81, 0, 0, 1, 2), b"\0\0")
        self.assertStalled(0x81, 0, 0, 7, 2)

    def test_accepted(self) -> None:
        """
        Addresses, wake-up and power saving are nothing that is seen from outside.
        """
        for kind, request in ((0, 5), (0, 1), (0, 3), (0, 48), (0, 49), (1, 1), (1, 3)):
            self.assertEqual(self.ask(kind, request, 1), b"")

    def test_vendor(self) -> None:
        """
        All other requests are the device's.
        """
        self.assertEqual(self.ask(0xC0, 0x45, length=4), b"\3\3\3\0")
        self.assertStalled(0xC0, 0x46, 0, 0, 4)
        self.assertStalled(0x80, 77, 0, 0, 4)

    def test_gone(self) -> None:
        """
        A device that has gone is gone, and not stalled.
        """
        self.attachment.unplug()
        for arguments in ((0, 9, 4), (0x80, 8, 0, 0, 1), (1, 11, 0, 1)):
            error = self.assertRaises(OSError, self.ask, *arguments)
            self.assertEqual(error.errno, errno.ENODEV)

    def test_qualifier(self) -> None:
        """
        One made for high speed is the same at full speed, and has no BOS
        descriptor; with one made for SuperSpeed it is the other way round.
        """
        self.assertEqual(
            self.ask(0x80, 6, 0x600, 0, 10), bytes.fromhex("0a06 0002 000000 40 04 00")
        )
        self.assertStalled(0x80, 6, 0xF00, 0, 5)
        self.make(Speed.SUPER)
        self.assertStalled(0x80, 6, 0x600, 0, 10)
        bos = self.ask(0x80, 6, 0xF00, 0, 255)
        self.assertEqual((bos[1], int.from_bytes(bos[2:4], "little"), bos[4]), (15, len(bos), 2))
        self.assertEqual(len(bos), bos[0] + bos[5] + bos[5 + bos[5]])

    def test_companions(self) -> None:
        """
        On a SuperSpeed bus a companion follows the descriptor of each endpoint.
        """
        for configuration in iPhone(speed=Speed.SUPER, mode=4).configurations:
            data, kinds, offset = configuration.encode(), [], 0
            while offset < len(data):
                kinds.append(data[offset + 1])
                offset += data[offset]
            self.assertEqual(offset, len(data))
            self.assertEqual(kinds.count(5), kinds.count(0x30))
            self.assertTrue(all(b == 0x30 for a, b in pairwise(kinds) if a == 5))
