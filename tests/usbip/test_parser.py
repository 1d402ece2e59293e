# -*- test-case-name: tests.usbip.test_parser -*-
"""
Tests of L{muxd.usbip.parser}.
"""

from __future__ import annotations

from twisted.internet.testing import MemoryReactorClock
from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.interfaces import IDeviceSourceParser
from muxd.sources import SourceError, sourceFromString
from muxd.usbip.parser import UsbipSourceParser
from muxd.usbip.source import UsbipSource
from tests.test_sources import Receiver


class ParserTests(SynchronousTestCase):
    """
    Tests of L{UsbipSourceParser}.
    """

    def parse(self, text: str) -> UsbipSource:
        """
        The source that a description means.
        """
        self.reactor = MemoryReactorClock()
        source = sourceFromString(self.reactor, Receiver(), text)
        assert isinstance(source, UsbipSource)
        return source

    def test_interface(self) -> None:
        """
        It is a plugin that parses sources.
        """
        verifyObject(IPlugin, UsbipSourceParser())
        verifyObject(IDeviceSourceParser, UsbipSourceParser())

    def test_host(self) -> None:
        """
        A machine is named by host and port, in either way; usbipd's port need not be.
        """
        for text, name in (
            ("usbip:192.0.2.1", "192.0.2.1 port 3240"),
            ("usbip:192.0.2.1:4000", "192.0.2.1 port 4000"),
            ("usbip:host=192.0.2.1:port=4000", "192.0.2.1 port 4000"),
            (r"usbip:\:\:1", "::1 port 3240"),
            ("usbip:unix=/run/usbip.sock", "/run/usbip.sock"),
        ):
            self.assertEqual(self.parse(text).bus.name, name, text)

    def test_connects(self) -> None:
        """
        That is where it connects.
        """
        source = self.parse(r"usbip:192.0.2.1:4000")
        source.bus._endpoint.connect(None)  # type: ignore[arg-type]
        self.assertEqual(self.reactor.tcpClients[0][:2], ("192.0.2.1", 4000))

    def test_selection(self) -> None:
        """
        Phones are chosen by their place there, and as on a cable.
        """
        source = self.parse("usbip:192.0.2.1:busid=1-1,1-2.3:only=UDID,port:3-1.4:poll=5:mode=4")
        self.assertEqual(source.bus._busIDs, {"1-1", "1-2.3"})
        settings = source._settings
        self.assertTrue(settings.wants("u-did", ""))
        self.assertTrue(settings.wants("other", "3-1.4"))
        self.assertFalse(settings.wants("other", "3-1"))
        self.assertEqual((settings.poll, settings.mode), (5.0, 4))

    def test_poll(self) -> None:
        """
        Without a word the machine is asked every two seconds.
        """
        self.assertEqual(self.parse("usbip:192.0.2.1")._settings.poll, 2.0)

    def test_wrong(self) -> None:
        """
        What is wrong is said, with what was expected.
        """
        for text, said in (
            ("usbip", "expected a host"),
            ("usbip:a..b", "host: expected a name or an address, got 'a..b'"),
            ("usbip:192.0.2.1:0", "port: expected a number from 1 to 65535"),
            ("usbip:192.0.2.1:host=x", "host is given twice"),
            ("usbip:192.0.2.1:1:2", "as well"),
            ("usbip:192.0.2.1:unix=/x", "got both"),
            ("usbip:192.0.2.1:busid=", "busid: expected places"),
            ("usbip:192.0.2.1:engine=async", "no such argument: 'engine'"),
            ("usbip:192.0.2.1:poll=0", "poll: expected seconds"),
        ):
            self.assertIn(said, str(self.assertRaises(SourceError, self.parse, text)), text)
