# -*- test-case-name: tests.remote.test_parser -*-
"""
Tests of L{muxd.remote.parser}.
"""

from __future__ import annotations

from twisted.internet.testing import MemoryReactorClock
from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.identity import udidKey
from muxd.interfaces import IDeviceSourceParser
from muxd.remote.discovered import DiscoveredHosts
from muxd.remote.parser import RemoteSourceParser
from muxd.remote.settings import GRACE, RemoteSettings
from muxd.remote.source import RemoteSource
from muxd.sources import SourceError, sourceFromString
from tests.client.daemons import UDID
from tests.remote.hosts import Recorder


class ParserTests(SynchronousTestCase):
    """
    Tests of L{RemoteSourceParser}.
    """

    def setUp(self) -> None:
        """
        A reactor that connects nothing.
        """
        self.reactor = MemoryReactorClock()

    def parse(self, text: str) -> RemoteSource:
        """
        The source that a description means.
        """
        source = sourceFromString(self.reactor, Recorder(), text)
        assert isinstance(source, RemoteSource)
        return source

    def connect(self, text: str) -> MemoryReactorClock:
        """
        Where that source connects.
        """
        source = self.parse(text)
        source.startService()
        return self.reactor

    def wrong(self, text: str) -> str:
        """
        What is said of a description that means nothing.
        """
        return str(self.assertRaises(SourceError, self.parse, text))

    def test_interface(self) -> None:
        """
        It is a plugin that parses sources.
        """
        verifyObject(IPlugin, RemoteSourceParser())
        verifyObject(IDeviceSourceParser, RemoteSourceParser())

    def test_unix(self) -> None:
        """
        A UNIX socket is an endpoint like any other, or a path alone.
        """
        for text in (
            "remote:unix:path=/run/a.sock",
            "remote:unix:/run/a.sock",
            "remote:/run/a.sock",
        ):
            self.setUp()
            self.assertEqual(self.connect(text).unixClients[0][0], "/run/a.sock", text)

    def test_tcp(self) -> None:
        """
        So is a port of another host.
        """
        for text in ("remote:tcp:192.0.2.1:5000", "remote:tcp:host=192.0.2.1:port=5000:name=a"):
            self.setUp()
            self.assertEqual(self.connect(text).tcpClients[0][:2], ("192.0.2.1", 5000), text)

    def test_quoted(self) -> None:
        """
        What is quoted stays so on its way to the endpoint's own parser.
        """
        reactor = self.connect(r"remote:unix:path=/run/a\:b.sock:name=a")
        self.assertEqual(reactor.unixClients[0][0], "/run/a:b.sock")

    def test_settings(self) -> None:
        """
        What is ours is not the endpoint's.
        """
        source = self.parse(f"remote:/run/a.sock:name=rack 1:only={UDID},x:deny=y:grace=60")
        self.assertEqual(
            source._settings,
            RemoteSettings(
                name="rack 1",
                only=frozenset({udidKey(UDID), "x"}),
                deny=frozenset({"y"}),
                grace=60.0,
            ),
        )

    def test_name(self) -> None:
        """
        A host without a name is called by its address.
        """
        for text, name in (
            ("remote:/run/a.sock", "/run/a.sock"),
            ("remote:tcp:192.0.2.1:5000", "192.0.2.1"),
            ("remote:tcp:host=192.0.2.1:port=5000", "192.0.2.1"),
        ):
            self.assertEqual(self.parse(text)._settings, RemoteSettings(name=name, grace=GRACE))

    def test_description(self) -> None:
        """
        A source's own description means the same source.
        """
        text = "remote:tcp:192.0.2.1:5000:name=a"
        self.assertEqual(self.parse(text).description, text)

    def test_discovered(self) -> None:
        """
        All hosts that announce themselves can be asked for, where plain text is permitted.
        """
        text = f"remote:mdns:insecure=yes:only={UDID}:grace=60"
        source = sourceFromString(self.reactor, Recorder(), text)
        assert isinstance(source, DiscoveredHosts)
        self.assertEqual(source.description, text)
        self.assertEqual(
            source._settings,
            RemoteSettings(name="mdns", only=frozenset({udidKey(UDID)}), grace=60.0),
        )
        for text, said in (
            ("remote:mdns", "add insecure=yes"),
            ("remote:mdns:insecure=no", "add insecure=yes"),
            ("remote:mdns:insecure=1", "insecure: expected yes, no, got '1'"),
            ("remote:mdns:insecure=yes:name=a", "name"),
        ):
            self.assertIn(said, self.wrong(text), text)

    def test_wrong(self) -> None:
        """
        What is wrong is said, with what was expected.
        """
        for text, said in (
            ("remote", "expected a client endpoint"),
            ("remote:name=a", "expected a client endpoint"),
            ("remote:", "expected a client endpoint"),
            ("remote:tcp:host:99999", "port: expected a number from 1 to 65535, got '99999'"),
            ("remote:nonsense:x", "nonsense"),
            ("remote:tcp:host", "remote:ENDPOINT"),
            ("remote:/run/a:grace=-1", "grace: expected seconds from 0 to 3600"),
            ("remote:/run/a:grace=nan", "grace: expected seconds"),
            ("remote:/run/a:only=,", "leave only= out for all phones"),
            ("remote:/run/a:name=\x1b[0m", "name: expected up to 64 printable"),
            ("remote:/run/a:nam=x", "nam"),
        ):
            self.assertIn(said, self.wrong(text), text)
