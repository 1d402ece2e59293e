"""
USB devices with absurd descriptors: who plugs one in has none of our descriptors'
lengths, numbers or texts to keep.

The C daemon's ancestors have crashed of these; here such a device is either a phone
or one line in the log, and others are found all the same.
"""

from __future__ import annotations

import plistlib
from dataclasses import dataclass, replace
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

from muxd.phone.bus.descriptors import (
    MUX_IN,
    MUX_OUT,
    SERIAL_INDEX,
    ConfigurationDescriptor,
    DeviceDescriptor,
    EndpointDescriptor,
    InterfaceDescriptor,
)
from muxd.phone.bus.profiles import iPhone
from muxd.server.factory import ControlFactory
from muxd.server.registry import DeviceRegistry
from muxd.testing import BudgetTransport, FakeDevice, ImmediateRecords
from muxd.testing.gadgets import RecordingGadget
from tests.fuzz.watching import LONGEST_LINE
from tests.server.serving import Client
from tests.usb.discoveries import DiscoveryTestCase

GOOD = "00008030000000000000000F"
MUX = (0xFF, 0xFE, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class StrangeDescriptor(DeviceDescriptor):
    """
    A device whose string descriptors are any bytes.

    @ivar languages: That of index 0.
    @ivar serial: That of the serial number; None stalls.
    """

    languages: bytes = b"\4\3\x09\4"
    serial: bytes | None = b"\2\3"

    def stringDescriptor(self, index: int) -> bytes | None:
        """
        One of them.
        """
        return self.languages if index == 0 else self.serial


def strange(serial: bytes | None, languages: bytes = b"\4\3\x09\4") -> StrangeDescriptor:
    """
    An iPhone with these string descriptors.
    """
    ordinary = iPhone()
    return StrangeDescriptor(
        configurations=ordinary.configurations,
        strings=ordinary.strings,
        initialConfiguration=ordinary.initialConfiguration,
        iSerialNumber=SERIAL_INDEX,
        serial=serial,
        languages=languages,
    )


def text(characters: str) -> bytes:
    """
    A string descriptor.
    """
    data = characters.encode("utf-16-le", "surrogatepass")
    return bytes((2 + len(data) & 0xFF, 3)) + data


def endpoint(address: int, size: int = 512, attributes: int = 2) -> EndpointDescriptor:
    """
    An endpoint.
    """
    return EndpointDescriptor(
        bEndpointAddress=address, wMaxPacketSize=size, bmAttributes=attributes
    )


def interface(
    *endpoints: EndpointDescriptor, number: int = 1, triple: tuple[int, int, int] = MUX, **more: Any
) -> tuple[InterfaceDescriptor, ...]:
    """
    An interface of one setting.
    """
    return (
        InterfaceDescriptor(bInterfaceNumber=number, triple=triple, endpoints=endpoints, **more),
    )


def withInterfaces(*interfaces: tuple[InterfaceDescriptor, ...], **more: Any) -> DeviceDescriptor:
    """
    An iPhone of one configuration.
    """
    configuration = ConfigurationDescriptor(bConfigurationValue=1, interfaces=interfaces, **more)
    return iPhone(configurations=(configuration,))


PAIR = (endpoint(MUX_OUT), endpoint(MUX_IN))


class StrangeTestCase(DiscoveryTestCase):
    """
    A strange device, and behind it an ordinary one.
    """

    def setUp(self) -> None:
        """
        Nothing is plugged in.
        """
        super().setUp()
        self.strange: RecordingGadget | None = None
        self.ordinary: RecordingGadget | None = None

    def found(self, descriptor: DeviceDescriptor) -> str | None:
        """
        The serial number of a device as it is found, or None; then all that is
        told of it has been looked at.
        """
        if self.strange is not None:
            self.bus.unplug(self.strange)
        # What is claimed until it is collected as garbage cannot be opened again.
        for phone in self.listener.phones:
            phone.dispose()
        self.listener.phones.clear()
        self.strange = RecordingGadget(descriptor)
        self.bus.plug(self.strange)
        if self.ordinary is None:
            self.ordinary = self.plug(GOOD)
        self.events = self.enterContext(capturedLogs())
        self.discovery = self.build()
        self.poll(4)
        serials = self.serials()
        self.assertIn(GOOD, serials)
        serials.remove(GOOD)
        self.assertShown()
        self.assertLessEqual(len(self.logged("warn")), 1)
        self.assertEqual(self.logged("error") + self.logged("critical"), [])
        return serials[0] if serials else None

    def assertShown(self) -> None:
        """
        Fail unless the log and every client can show what there is to show.
        """
        registry = DeviceRegistry()
        with capturedLogs() as logged:
            for phone in self.listener.phones:
                registry.deviceAttached(FakeDevice(self.clock, phone.identity))
        for line in map(formatEvent, [*self.events, *logged]):
            self.assertTrue(line.isprintable(), repr(line))
            self.assertLess(len(line), LONGEST_LINE)
        factory = ControlFactory(Clock(), registry, ImmediateRecords())
        client = Client(BudgetTransport.connect(Clock(), factory))
        listed = plistlib.loads(client.ask(MessageType="ListDevices").body)["DeviceList"]
        for entry, phone in zip(listed, self.listener.phones, strict=True):
            shown = entry["Properties"]["USBSerialNumber"]
            self.assertEqual(shown, phone.identity.serial)
            self.assertTrue(shown.isprintable() and shown.isascii())


class StringTests(StrangeTestCase):
    """
    String descriptors.
    """

    def test_lengths(self) -> None:
        """
        Descriptors that are empty, shorter or longer than they say, or of an odd
        length.
        """
        for serial, expected in (
            (b"", None),
            (b"\2", None),
            (b"\2\3", None),
            (b"\0\3a\0b\0", None),
            (b"\1\3a\0b\0", None),
            (b"\3\3a", None),
            (b"\5\3a\0b", "a"),
            (b"\6\3a\0b\0c\0", "ab"),
            (b"\xff\3a\0b\0", "ab"),
            (b"\xff\xff" + b"a\0" * 126 + b"a", "a" * 126),
            (b"\xff\3" + b"a\0" * 5000, "a" * 126),
            (None, None),
        ):
            self.assertEqual(self.found(strange(serial)), expected, repr(serial))

    def test_languages(self) -> None:
        """
        A list of languages that is none.  One that is not even a descriptor is a
        phone that cannot be asked.
        """
        for languages in (b"\2\3", b"\3\3\x09", b"\0\0", b"\xff\xff" * 126):
            self.assertEqual(self.found(strange(text("abc"), languages)), "abc", repr(languages))
        for languages in (b"", b"\2"):
            self.assertIsNone(self.found(strange(text("abc"), languages)))

    def test_characters(self) -> None:
        """
        What is no character, or means something to a terminal, a log, a path or
        XML.
        """
        for characters, expected in (
            ("\ud800", "?"),
            ("\udc00\ud800x", "??x"),
            ("a\nMay 1 root: all is well", "a?May 1 root: all is well"),
            ("\x1b[2J\x1b]0;title\x07", "?[2J?]0;title?"),
            ("\x7f\x80\x9b31m", "???31m"),
            ("\u202egnp.exe", "?gnp.exe"),
            ("../../etc/passwd", "../../etc/passwd"),
            ("<key>&amp;]]>", "<key>&amp;]]>"),
            ("{udid}{0}%s", "{udid}{0}%s"),
            ("\0hidden", None),
            ("a\0hidden", "a"),
        ):
            self.assertEqual(self.found(strange(text(characters))), expected, repr(characters))


class InterfaceTests(StrangeTestCase):
    """
    Configurations, interfaces and endpoints.
    """

    def test_packetSizes(self) -> None:
        """
        Whatever an endpoint says of its packets, there is a size to work with.
        """
        for size in (0, 1, 7, 64, 512, 1024, 0x0A00, 0x7FFF, 0xFFFF):
            pair = endpoint(MUX_OUT, size), endpoint(MUX_IN, size)
            self.assertIsNotNone(self.found(withInterfaces(interface(*pair))))
            found = [p for p in self.listener.phones if p.identity.serial != GOOD]
            self.assertGreater(found[0].interface.maxPacketSize, 0)
            self.assertGreater(found[0].interface.inputPacketSize, 0)

    def test_endpoints(self) -> None:
        """
        No endpoints, one, many, or others than bulk ones are no multiplexor.
        """
        for endpoints in (
            (),
            (endpoint(MUX_OUT),),
            (endpoint(MUX_IN),),
            (endpoint(MUX_OUT), endpoint(MUX_OUT)),
            (endpoint(MUX_OUT), endpoint(MUX_IN, attributes=3)),
            tuple(endpoint(address & 0xFF) for address in range(1, 256)),
        ):
            self.assertIsNone(self.found(withInterfaces(interface(*endpoints))))

    def test_numbers(self) -> None:
        """
        Interfaces of any number, and the same number more than once.
        """
        self.assertIsNotNone(self.found(withInterfaces(interface(*PAIR, number=255))))
        twice = interface(number=0), interface(*PAIR, number=0), interface(*PAIR, number=0)
        self.found(withInterfaces(*twice))
        self.assertIsNone(self.found(withInterfaces()))

    def test_many(self) -> None:
        """
        Hundreds of interfaces, and of configurations.
        """
        others = tuple(interface(number=at, triple=(255, 254, 1)) for at in range(250))
        self.assertIsNotNone(self.found(withInterfaces(*others, interface(*PAIR, number=250))))
        configurations = tuple(
            ConfigurationDescriptor(
                bConfigurationValue=value, interfaces=(interface(*PAIR, number=value & 0xFF),)
            )
            for value in range(1, 256)
        )
        self.assertIsNotNone(self.found(iPhone(configurations=configurations)))

    def test_lengths(self) -> None:
        """
        Lengths and kinds of descriptors that are not what they should be.
        """
        for wrong in (0, 1, 255):
            broken = replace(endpoint(MUX_OUT), bLength=wrong), PAIR[1]
            self.found(withInterfaces(interface(*broken, bLength=wrong), bLength=wrong))
            self.found(replace(iPhone(), bLength=wrong, bDescriptorType=wrong))
        junk = bytes([0, 0, 255, 1]) * 50
        self.assertIsNotNone(
            self.found(
                withInterfaces(interface(*PAIR, extra_descriptors=junk), extra_descriptors=junk)
            )
        )

    def test_values(self) -> None:
        """
        A configuration 0, an active one that there is not, and two of one number.
        """
        configuration = ConfigurationDescriptor(
            bConfigurationValue=0, interfaces=(interface(*PAIR),)
        )
        self.found(iPhone(configurations=(configuration,)))
        self.found(replace(iPhone(), initialConfiguration=77))
        same = replace(configuration, bConfigurationValue=1)
        self.assertIsNotNone(self.found(iPhone(configurations=(same, same))))
        self.assertIsNone(self.found(replace(iPhone(), configurations=())))
