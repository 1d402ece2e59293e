"""
Tests of L{muxd.phone.bus.descriptors} and L{muxd.phone.bus.profiles}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.bus.descriptors import OLD_SERIAL, ConfigurationDescriptor, Speed
from muxd.phone.bus.profiles import configurationsOfMode, iPhone


def triples(configuration: ConfigurationDescriptor) -> list[tuple[int, int, int]]:
    """
    The interface triples of a configuration.
    """
    return [settings[0].triple for settings in configuration.interfaces]


MUX = (255, 254, 2)


class ProfileTests(SynchronousTestCase):
    """
    Tests of L{iPhone} and L{configurationsOfMode}.
    """

    def test_classicConfigurations(self) -> None:
        """
        An iPhone has four configurations, of which 3 and 4 have the mux
        interface and 4 has tethering.
        """
        phone = iPhone()
        found = {c.bConfigurationValue: triples(c) for c in phone.configurations}
        self.assertEqual(list(found), [1, 2, 3, 4])
        self.assertEqual([MUX in found[n] for n in found], [False, False, True, True])
        self.assertEqual(found[4][-1], (255, 253, 1))
        self.assertEqual((phone.idVendor, phone.idProduct), (0x05AC, 0x12A8))

    def test_modes(self) -> None:
        """
        The other modes are recognised by what protocol 1.3 says.
        """
        counts = {mode: len(configurationsOfMode(mode, Speed.HIGH)) for mode in range(1, 6)}
        self.assertEqual(counts, {1: 4, 2: 5, 3: 5, 4: 6, 5: 1})
        for mode, mark in ((2, (255, 42, 255)), (3, (2, 13, 0))):
            fifth = triples(configurationsOfMode(mode, Speed.HIGH)[4])
            self.assertIn(mark, fifth)
            self.assertIn(MUX, fifth)
        self.assertNotIn(MUX, triples(configurationsOfMode(5, Speed.HIGH)[0]))

    def test_packetSizeOfSpeed(self) -> None:
        """
        The endpoints' packet size goes with the speed.
        """
        for speed, size in ((Speed.FULL, 64), (Speed.HIGH, 512), (Speed.SUPER, 1024)):
            mux = iPhone(speed=speed).configurations[3].interfaces[1][0]
            self.assertEqual([e.wMaxPacketSize for e in mux.endpoints], [size, size])

    def test_endpointOrder(self) -> None:
        """
        The IN endpoint can come first.
        """
        mux = iPhone(addresses=(0x85, 0x04)).configurations[3].interfaces[1][0]
        self.assertEqual([e.bEndpointAddress for e in mux.endpoints], [0x85, 0x04])

    def test_encodedConfiguration(self) -> None:
        """
        A configuration on the wire says its own length, and so do the
        descriptors in it.
        """
        for configuration in configurationsOfMode(4, Speed.HIGH):
            data = configuration.encode()
            self.assertEqual(int.from_bytes(data[2:4], "little"), len(data))
            self.assertEqual(configuration.wTotalLength, len(data))
            offset = 0
            while offset < len(data):
                offset += data[offset]
            self.assertEqual(offset, len(data))

    def test_encodedDevice(self) -> None:
        """
        The device descriptor has 18 bytes, with the ids little-endian.
        """
        data = iPhone().encode()
        self.assertEqual((len(data), data[0]), (18, 18))
        self.assertEqual(data[8:12], bytes.fromhex("ac05a812"))

    def test_strings(self) -> None:
        """
        The serial number is in the descriptor that iSerialNumber names, in
        UTF-16; an unknown index has none.
        """
        phone = iPhone(OLD_SERIAL)
        data = phone.stringDescriptor(phone.iSerialNumber)
        assert data is not None
        self.assertEqual(data[0], len(data))
        self.assertEqual(data[2:].decode("utf-16-le"), OLD_SERIAL)
        self.assertEqual(phone.stringDescriptor(0), bytes.fromhex("04030904"))
        self.assertIdentical(phone.stringDescriptor(200), None)
