# -*- test-case-name: tests.wifi.test_parser -*-
"""
Tests of L{muxd.wifi.parser}.
"""

from __future__ import annotations

from twisted.internet.testing import MemoryReactorClock
from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.interfaces import IDeviceSourceParser
from muxd.sources import SourceError, sourceFromString
from muxd.wifi.parser import WifiSourceParser
from muxd.wifi.settings import USUAL, AddressLayout, WifiSettings
from muxd.wifi.source import WifiSource
from tests.test_sources import Receiver


class ParserTests(SynchronousTestCase):
    """
    Tests of L{WifiSourceParser}.
    """

    def settings(self, text: str) -> WifiSettings:
        """
        What a description means.
        """
        source = sourceFromString(MemoryReactorClock(), Receiver(), text)
        assert isinstance(source, WifiSource)
        return source._settings

    def test_interface(self) -> None:
        """
        It is a plugin that parses sources.
        """
        verifyObject(IPlugin, WifiSourceParser())
        verifyObject(IDeviceSourceParser, WifiSourceParser())

    def test_defaults(self) -> None:
        """
        Without a word all phones are looked for, and shown as what they are.
        """
        self.assertEqual(self.settings("wifi"), WifiSettings(layout=USUAL))

    def test_all(self) -> None:
        """
        Everything can be said.
        """
        self.assertEqual(
            self.settings("wifi:192.0.2.1:udid=A-B:as=usb:address=bsd:awake=yes:only=A-B,C:deny=D"),
            WifiSettings(
                host="192.0.2.1",
                udid="A-B",
                layout=AddressLayout.BSD,
                asUSB=True,
                awake=True,
                only=frozenset({"ab", "c"}),
                deny=frozenset({"d"}),
            ),
        )

    def test_wants(self) -> None:
        """
        C{deny} outweighs C{only}, and the UDID of a host both.
        """
        settings = WifiSettings(only=frozenset({"a", "b"}), deny=frozenset({"b"}))
        self.assertEqual([settings.wants(each) for each in "ABC"], [True, False, False])
        self.assertFalse(WifiSettings(udid="x").wants("y"))

    def test_wrong(self) -> None:
        """
        What is wrong is said, with what was expected.
        """
        for text, said in (
            ("wifi:a:b", "expected one host"),
            ("wifi:a:host=b", "expected one host"),
            ("wifi:a..b", "host: expected a name or an address, got 'a..b'"),
            ("wifi:as=cable", "as: expected usb, network, got 'cable'"),
            ("wifi:address=sun", "address: expected bsd, linux"),
            ("wifi:only=,", "only: expected UDIDs, got none; leave only= out for all phones"),
            ("wifi:awake=maybe", "awake: expected yes, no"),
            ("wifi:udid=A", "udid= says which phone a HOST is"),
            ("wifi:poll=2", "no such argument: 'poll'"),
        ):
            self.assertIn(said, str(self.assertRaises(SourceError, self.settings, text)), text)
