# -*- test-case-name: tests.server.test_descriptions -*-
"""
Tests of L{muxd.server.descriptions}.
"""

from __future__ import annotations

import plistlib
from dataclasses import replace

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.identity import DeviceIdentity
from muxd.interfaces import AttachedDevice
from muxd.server.descriptions import DeviceDescription, encodeDetached, encodePaired
from muxd.testing import FakeDevice, fakeIdentity
from muxd.wire.messages import DeviceRecord


def describe(identity: DeviceIdentity) -> DeviceDescription:
    """
    The description of a device with the number 7.
    """
    return DeviceDescription(AttachedDevice(7, FakeDevice(Clock(), identity)))


class DeviceDescriptionTests(SynchronousTestCase):
    """
    A device in the words of the protocol.
    """

    def test_plist(self) -> None:
        """
        A plist client gets all of protocol 4.9, with the two keys that Apple
        adds.
        """
        event = describe(fakeIdentity(3)).attachedEvent(1)
        self.assertEqual(event[4:16].hex(), "010000000800000000000000")
        self.assertEqual(
            plistlib.loads(event[16:]),
            {
                "MessageType": "Attached",
                "DeviceID": 7,
                "Properties": {
                    "ConnectionSpeed": 480_000_000,
                    "ConnectionType": "USB",
                    "DeviceID": 7,
                    "LocationID": 0x10003,
                    "ProductID": 0x12A8,
                    "SerialNumber": "00008030-0000000000000003",
                    "UDID": "00008030-0000000000000003",
                    "USBSerialNumber": "000080300000000000000003",
                },
            },
        )

    def test_network(self) -> None:
        """
        One on the network has an address, and nothing that is USB's: programs take a product
        of 0 for something else.
        """
        identity = replace(
            fakeIdentity(3),
            connectionType="Network",
            networkAddress=b"\x10\x02".ljust(128, b"\0"),
            interfaceIndex=4,
            serviceName="phone._apple-mobdev2._tcp.local.",
        )
        self.assertEqual(
            describe(identity).values["Properties"],
            {
                "ConnectionType": "Network",
                "DeviceID": 7,
                "EscapedFullServiceName": "phone._apple-mobdev2._tcp.local.",
                "InterfaceIndex": 4,
                "NetworkAddress": b"\x10\x02".ljust(128, b"\0"),
                "SerialNumber": "00008030-0000000000000003",
                "UDID": "00008030-0000000000000003",
            },
        )

    def test_binary(self) -> None:
        """
        A binary client gets a device record in a message of 284 bytes.
        """
        event = describe(fakeIdentity(3)).attachedEvent(0)
        self.assertEqual(event[:16].hex(), "1c010000000000000400000000000000")
        self.assertEqual(len(event), 284)
        self.assertEqual(
            DeviceRecord.decode(event[16:]),
            DeviceRecord(7, 0x12A8, "00008030-0000000000000003", 0x10003),
        )

    def test_numbersThatDoNotFit(self) -> None:
        """
        A location of more than 32 bits and a product of more than 16 are cut:
        they would crash clients, or us (protocol 1.6).
        """
        description = describe(
            replace(fakeIdentity(), locationID=0x1_2345_6789, productID=0x1_12A8)
        )
        self.assertEqual(description.values["Properties"]["LocationID"], 0x2345_6789)
        record = DeviceRecord.decode(description.attachedEvent(0)[16:])
        self.assertEqual((record.location, record.productID), (0x2345_6789, 0x12A8))

    def test_superSpeed(self) -> None:
        """
        A speed beyond 32 bits can be told.
        """
        description = describe(replace(fakeIdentity(), speed=10_000_000_000))
        values = plistlib.loads(description.attachedEvent(1)[16:])
        self.assertEqual(values["Properties"]["ConnectionSpeed"], 10_000_000_000)

    def test_hostileSerial(self) -> None:
        """
        A serial number that XML cannot hold becomes one that it can: it would
        break every client's device list.
        """
        description = describe(replace(fakeIdentity(), udid="a\x00b\ud800", serial="\x1b[2J"))
        properties = plistlib.loads(description.attachedEvent(1)[16:])["Properties"]
        self.assertEqual(properties["SerialNumber"], "a?b?")
        self.assertEqual(properties["USBSerialNumber"], "?[2J")
        self.assertEqual(DeviceRecord.decode(description.attachedEvent(0)[16:]).serial, "a?b?")


class NumberedEventTests(SynchronousTestCase):
    """
    Events that are only a name and a number.
    """

    def test_binary(self) -> None:
        """
        They are messages 5 and 6 of 20 bytes.
        """
        self.assertEqual(encodeDetached(7, 0).hex(), "1400000000000000050000000000000007000000")
        self.assertEqual(encodePaired(7, 0).hex(), "1400000000000000060000000000000007000000")

    def test_plist(self) -> None:
        """
        They are dictionaries with tag 0.
        """
        for event, name in ((encodeDetached(7, 1), "Detached"), (encodePaired(7, 1), "Paired")):
            self.assertEqual(event[4:16].hex(), "010000000800000000000000")
            self.assertEqual(plistlib.loads(event[16:]), {"MessageType": name, "DeviceID": 7})
