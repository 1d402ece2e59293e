"""
Tests for L{muxd.usb.parser} and L{muxd.usb.settings}.
"""

from __future__ import annotations

import subprocess
import sys

from twisted.internet.task import Clock
from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from muxd.description import Description
from muxd.identity import Selection, udidKey
from muxd.interfaces import IDevice, IDeviceReceiver, IDeviceSource, IDeviceSourceParser
from muxd.usb.parser import OPTIONS, USBSourceParser, parseSettings
from muxd.usb.settings import USBSettings
from tests.running.processes import startsProcesses

OTHER = "00008110-000A1B2C3D4E5F62"
UDID = "00008110-000A1B2C3D4E5F60"


@implementer(IDeviceReceiver)
class NoReceiver:
    """
    Never told anything.
    """

    def deviceAttached(self, device: IDevice) -> None:
        """
        Not called.
        """

    def devicePaired(self, device: IDevice) -> None:
        """
        Not called: it is this host that pairs with it.
        """

    def deviceDetached(self, device: IDevice) -> None:
        """
        Not called.
        """


class ParseSettingsTests(SynchronousTestCase):
    """
    Tests for L{parseSettings}.
    """

    def test_defaults(self) -> None:
        """
        Without arguments the settings are the defaults.
        """
        self.assertEqual(USBSettings(), parseSettings((), {}))
        self.assertIsNone(USBSettings().mode)

    def test_all(self) -> None:
        """
        Each argument sets what it says.
        """
        found = parseSettings(
            (),
            {
                "poll": "2.5",
                "libusb": "/x/libusb.so",
                "only": f"{UDID}, {'AB' * 20},",
                "mode": "3",
                "engine": "threads",
            },
        )
        expected = USBSettings(
            poll=2.5,
            libusb="/x/libusb.so",
            only=Selection(udids=frozenset((udidKey(UDID), "ab" * 20))),
            mode=3,
            engine="threads",
        )
        self.assertEqual(expected, found)

    def test_mistakes(self) -> None:
        """
        What is wrong is refused in words that name it.
        """
        for kwargs, text in (
            ({"poll": "fast"}, "poll: expected seconds from 0.05 to 3600, got 'fast'"),
            ({"poll": "0"}, "got '0'"),
            ({"poll": "nan"}, "got 'nan'"),
            ({"poll": "inf"}, "got 'inf'"),
            ({"mode": "0"}, "mode: expected a number from 1 to 5, got '0'"),
            ({"mode": "6"}, "got '6'"),
            ({"mode": "one"}, "got 'one'"),
            ({"engine": "steam"}, "engine: expected auto, threads, async, got 'steam'"),
            ({"pool": "1"}, "no such argument: 'pool'; expected poll, libusb"),
            ({"only": ""}, "only: expected UDIDs or port:BUS-PORT.PORT, got none; leave only= out"),
            ({"only": " , "}, "got none; leave only= out for all phones"),
            ({"deny": ""}, "got none; leave deny= out for none"),
            ({"only": "port:first"}, "got 'port:first'"),
            ({"deny": "bus:3-1"}, "got 'bus:3-1'"),
            ({"only": "port"}, "got 'port'"),
            ({"products": ""}, "products: expected ids such as 12a8 or 1290-12af, got ''"),
            ({"products": "phone"}, "got 'phone'"),
            ({"products": "12a8-1290"}, "'12a8-1290' ends before it begins"),
        ):
            error = self.assertRaises(ValueError, parseSettings, (), kwargs)
            self.assertIn(text, str(error))
        error = self.assertRaises(ValueError, parseSettings, ("2",), {})
        self.assertIn("expected only arguments with a name, got '2'", str(error))


class SelectionTests(SynchronousTestCase):
    """
    Tests of C{only} and C{deny}.
    """

    def test_portsOfTheBus(self) -> None:
        """
        A port is named with its word or without; other phones are not at it.
        """
        for written in ("port:3-1.4", "3-1.4", f"{OTHER},port:3-1.4"):
            only = parseSettings((), {"only": written}).only
            self.assertTrue(only.has(UDID, "3-1.4"), written)
            self.assertFalse(only.has(UDID, "3-1"), written)
            self.assertFalse(only.has(UDID, ""), written)

    def test_colonOfAPort(self) -> None:
        """
        The colon in C{port:3-1.4} needs no backslash, although it separates arguments.
        """
        for text, only, deny in (
            ("usb:only=port:3-1.4", {"3-1.4"}, set()),
            ("usb:only=port:3-1.4,port:2-1", {"3-1.4", "2-1"}, set()),
            ("usb:only=port:3-1:deny=port:2-1:poll=2", {"3-1"}, {"2-1"}),
            (r"usb:deny=port\:2-1", set(), {"2-1"}),
        ):
            parsed = Description.fromString(text)
            settings = parseSettings(parsed.positional, parsed.keywords)
            self.assertEqual((settings.only.ports, settings.deny.ports), (only, deny), text)

    def test_denied(self) -> None:
        """
        A phone that is denied is not used, even if it is asked for.
        """
        settings = parseSettings((), {"deny": f"{OTHER},port:3-2", "only": f"{UDID},{OTHER}"})
        self.assertTrue(settings.wants(UDID, "3-1"))
        self.assertFalse(settings.wants(UDID, "3-2"))
        self.assertFalse(settings.wants(OTHER, "3-1"))

    def test_products(self) -> None:
        """
        Products are numbers in base 16, alone or from the first to the last.
        """
        products = parseSettings((), {"products": "12a8,0x1290-129F"}).products
        self.assertEqual(products, (range(0x12A8, 0x12A9), range(0x1290, 0x12A0)))


class USBSettingsTests(SynchronousTestCase):
    """
    Tests for L{USBSettings}.
    """

    def test_wants(self) -> None:
        """
        Phones are chosen by UDID, with or without the dash, in capitals or not;
        without a choice all are wanted.
        """
        self.assertTrue(USBSettings().wants(UDID))
        for written in (UDID, UDID.replace("-", ""), UDID.lower()):
            settings = parseSettings((), {"only": written})
            self.assertTrue(settings.wants(UDID))
            self.assertFalse(settings.wants("00008110-000A1B2C3D4E5F61"))


class USBSourceParserTests(SynchronousTestCase):
    """
    Tests for L{USBSourceParser}.
    """

    def test_interfaces(self) -> None:
        """
        It is a plugin that parses sources, and its usage names every argument.
        """
        parser = USBSourceParser()
        verifyObject(IPlugin, parser)
        verifyObject(IDeviceSourceParser, parser)
        for option in OPTIONS:
            self.assertIn(f"[:{option}=", parser.usage)

    def test_makesASource(self) -> None:
        """
        A source is made and nothing is opened.
        """
        source = USBSourceParser().parseDeviceSource(
            Clock(), NoReceiver(), poll="2", libusb="/nonexistent"
        )
        verifyObject(IDeviceSource, source)
        self.assertEqual("usb:poll=2:libusb=/nonexistent", source.description)
        self.assertFalse(source.running)

    def test_mistake(self) -> None:
        """
        A wrong argument is a C{ValueError}.
        """
        self.assertRaises(
            ValueError, USBSourceParser().parseDeviceSource, Clock(), NoReceiver(), mode="x"
        )

    @startsProcesses
    def test_importsLittle(self) -> None:
        """
        The module, which is imported whenever plugins are looked for, loads
        neither pyusb nor a reactor.
        """
        code = (
            "import sys; import muxd.usb.parser; "
            "print({'usb', 'twisted.internet.reactor', 'libusb_package'} & set(sys.modules))"
        )
        found = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        self.assertEqual("set()", found.stdout.strip())
