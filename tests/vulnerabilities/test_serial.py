"""
CVE-2012-0065: a phone, or whoever says it is one, with an over-long serial number
overran the memory of libusbmuxd 1.0.5 to 1.0.7, in every program that used it.
"""

from __future__ import annotations

import plistlib
from dataclasses import replace

from twisted.internet.testing import StringTransport

from muxd.client.answers import Device, Event, devicesFrom
from muxd.client.feed import EventReceiver
from muxd.phone.bus.descriptors import SERIAL_INDEX
from muxd.phone.bus.profiles import iPhone
from muxd.testing import FakeDevice
from muxd.usb.identification import LONGEST_SERIAL, identify
from muxd.wire.messages import (
    DEVICE_BODY,
    DeviceRecord,
    Message,
    MessageType,
    plistMessage,
)
from tests.server.serving import ServingTestCase
from tests.usb.devices import plugged

LONGEST_PLIST = 60000


class DaemonTests(ServingTestCase):
    """
    What clients are told of such a phone, old clients above all.
    """

    def test_fromTheBus(self) -> None:
        """
        A descriptor of the largest size is no longer than what clients have room
        for.
        """
        descriptor = iPhone()
        strings = {**descriptor.strings, SERIAL_INDEX: "A" * 4000}
        _, _, device = plugged(replace(descriptor, strings=strings))
        serial = identify(device).serial
        self.assertEqual(set(serial), {"A"})
        self.assertLessEqual(len(serial), LONGEST_SERIAL)

    def test_toClients(self) -> None:
        """
        However long a serial number is that a source of devices comes with, a
        client is told 255 characters of it, and a binary record ends with a zero.
        """
        device = FakeDevice(self.clock)
        device.identity = replace(device.identity, serial="B" * 70000, udid="B" * 70000)
        self.registry.deviceAttached(device)
        client = self.client()
        listed = client.ask(MessageType="ListDevices")
        properties = plistlib.loads(listed.body)["DeviceList"][1]["Properties"]
        for key in ("SerialNumber", "UDID", "USBSerialNumber"):
            self.assertEqual(properties[key], "B" * 255)
        old = self.client()
        old.send(Message(0, MessageType.LISTEN, 1))
        event = old.messages()[2]
        self.assertEqual((event.type, len(event.body)), (MessageType.DEVICE_ADD, 268))
        serial = DEVICE_BODY.unpack(event.body)[2]
        self.assertEqual(serial, b"B" * 255 + b"\0")


class LibraryTests(ServingTestCase):
    """
    What our own client library makes of it, which was the victim then.
    """

    def heard(self, *messages: Message) -> list[Event]:
        """
        The events of a daemon that says this.
        """
        events: list[Event] = []
        feed = EventReceiver("here", events.append, lambda feed, reason: None)
        feed.makeConnection(StringTransport())
        feed.dataReceived(b"".join(message.encode() for message in messages))
        return events

    def test_record(self) -> None:
        """
        A record without a terminating zero, and one with more behind it, has 256
        characters of serial number.
        """
        body = DEVICE_BODY.pack(1, 2, b"C" * 256, 0, 3)
        self.assertEqual(DeviceRecord.decode(body + b"D" * 1000).serial, "C" * 256)
        for size in range(32, 300):
            record = DeviceRecord.decode((body + b"D" * 100)[:size])
            self.assertLessEqual(len(record.serial), 256)
        (event,) = self.heard(Message(0, MessageType.DEVICE_ADD, 0, body + b"D" * 1000))
        self.assertEqual(event.device.udid, "C" * 256)

    def test_propertyList(self) -> None:
        """
        A long one in a property list is just long.
        """
        properties = {"SerialNumber": "E" * LONGEST_PLIST, "ConnectionType": "USB", "DeviceID": 1}
        attached = {"MessageType": "Attached", "DeviceID": 1, "Properties": properties}
        (event,) = self.heard(plistMessage(attached, 0))
        self.assertEqual(event.device.udid, "E" * LONGEST_PLIST)
        (device,) = devicesFrom({"DeviceList": [attached]})
        self.assertIsInstance(device, Device)
