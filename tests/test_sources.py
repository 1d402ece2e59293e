# -*- test-case-name: tests.test_sources -*-
"""
Tests of L{muxd.sources}.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from twisted.application.service import Service
from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from muxd.interfaces import IDevice, IDeviceReceiver, IDeviceSource, IDeviceSourceParser
from muxd.sources import SourceError, distinctSources, sourceFromString, sourceParsers


@implementer(IDeviceReceiver)
class Receiver:
    """
    A receiver that is told nothing.
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


@implementer(IDeviceSource)
class Source(Service):
    """
    A source that has nothing.
    """

    def __init__(self, description: str) -> None:
        self.description = description


@implementer(IPlugin, IDeviceSourceParser)
@dataclass
class Parser:
    """
    A parser with one positional and one named argument, which remembers what it
    was given.
    """

    prefix: str = "shelf"
    usage: str = "shelf:COUNT[:colour=NAME]"
    given: list[tuple[object, ...]] = field(default_factory=list)

    def parseDeviceSource(
        self, reactor: object, receiver: IDeviceReceiver, *args: str, **kwargs: str
    ) -> IDeviceSource:
        """
        Make a source.
        """
        return self.parse(reactor, receiver, *args, **kwargs)

    def parse(
        self, reactor: object, receiver: IDeviceReceiver, count: str, *, colour: str = "white"
    ) -> IDeviceSource:
        """
        Make a source of the arguments there are.
        """
        if not count.isdigit():
            raise ValueError(f"expected a number, got {count!r}")
        self.given.append((reactor, receiver, count, colour))
        return Source(self.prefix)


class SourceFromStringTests(SynchronousTestCase):
    """
    Tests of L{sourceFromString}.
    """

    def setUp(self) -> None:
        """
        Have one kind of source.
        """
        self.parser = Parser()
        self.receiver = Receiver()

    def make(self, description: str) -> IDeviceSource:
        """
        Make a source of the one kind.
        """
        return sourceFromString("reactor", self.receiver, description, [self.parser])

    def test_interfaces(self) -> None:
        """
        What these tests use keeps the contracts.
        """
        verifyObject(IDeviceSourceParser, self.parser)
        verifyObject(IDeviceReceiver, self.receiver)
        verifyObject(IDeviceSource, self.make("shelf:1"))

    def test_arguments(self) -> None:
        """
        The parser gets the reactor, the receiver and the arguments as text.
        """
        self.make("shelf:3:colour=black")
        self.assertEqual(self.parser.given, [("reactor", self.receiver, "3", "black")])

    def test_case(self) -> None:
        """
        The name's capitals do not matter, as they do not for endpoints.
        """
        self.make("Shelf:1")
        self.assertEqual(len(self.parser.given), 1)

    def test_unknown(self) -> None:
        """
        An unknown kind of source is refused with a list of the known ones.
        """
        error = self.assertRaises(SourceError, self.make, "cupboard:2")
        self.assertEqual(str(error), "unknown source 'cupboard' in 'cupboard:2' (known: shelf)")

    def test_noneInstalled(self) -> None:
        """
        That there are no kinds of source at all is said.
        """
        error = self.assertRaises(SourceError, sourceFromString, None, self.receiver, "usb", [])
        self.assertIn("(known: none)", str(error))

    def test_wrongValue(self) -> None:
        """
        A value that the parser refuses is one line with the usage.
        """
        error = self.assertRaises(SourceError, self.make, "shelf:many")
        self.assertEqual(
            str(error),
            "'shelf:many': expected a number, got 'many'; usage: shelf:COUNT[:colour=NAME]",
        )

    def test_wrongArguments(self) -> None:
        """
        Arguments that the parser does not have, or lacks, are one line with the
        usage.
        """
        for description in ("shelf", "shelf:1:2", "shelf:1:size=2"):
            error = self.assertRaises(SourceError, self.make, description)
            self.assertIn("usage: shelf:COUNT", str(error))
            self.assertNotIn("\n", str(error))
        self.assertEqual(self.parser.given, [])

    def test_reservedArguments(self) -> None:
        """
        A description cannot pass a receiver of its own.
        """
        error = self.assertRaises(SourceError, self.make, "shelf:1:receiver=2")
        self.assertIn("usage: shelf:COUNT", str(error))


class DistinctSourcesTests(SynchronousTestCase):
    """
    Tests of L{distinctSources}.
    """

    def test_installed(self) -> None:
        """
        The kinds of source that are installed see to their own descriptions.
        """
        given = ["simulated", "usb:poll=2", "simulated:2", "cupboard"]
        expected = ["simulated", "usb:poll=2", "simulated:2:first=2:bus=2", "cupboard"]
        self.assertEqual(distinctSources(given), expected)

    def test_others(self) -> None:
        """
        A kind of source that has nothing to see to leaves them as they are.
        """
        self.assertEqual(distinctSources(["shelf:1", "shelf:1"], [Parser()]), ["shelf:1"] * 2)


class InstalledSourcesTests(SynchronousTestCase):
    """
    Tests of L{sourceParsers}.
    """

    def test_installed(self) -> None:
        """
        The sources of this project are found as plugins, sorted by name, and
        keep the contract.
        """
        found = sourceParsers()
        prefixes = [parser.prefix for parser in found]
        self.assertEqual(prefixes, sorted(prefixes))
        self.assertLessEqual({"simulated", "usb"}, set(prefixes))
        for parser in found:
            verifyObject(IDeviceSourceParser, parser)
            self.assertTrue(parser.usage.startswith(parser.prefix))

    def test_used(self) -> None:
        """
        Without a choice of kinds, the installed ones are used.
        """
        error = self.assertRaises(SourceError, sourceFromString, None, Receiver(), "cupboard")
        self.assertIn("simulated", str(error))
