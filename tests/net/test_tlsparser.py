# -*- test-case-name: tests.net.test_tlsparser -*-
"""
Tests of L{muxd.net.tlsparser}.
"""

from __future__ import annotations

from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.interfaces import (
    IStreamClientEndpoint,
    IStreamClientEndpointStringParserWithReactor,
    IStreamServerEndpoint,
    IStreamServerEndpointStringParser,
)
from twisted.internet.testing import MemoryReactorClock
from twisted.plugin import IPlugin
from twisted.trial.unittest import SkipTest, SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.net.tlsparser import MutualClientParser, MutualServerParser

try:
    import OpenSSL
except ImportError:
    OpenSSL = None  # type: ignore[assignment]


class ParserTests(SynchronousTestCase):
    """
    Tests of both parsers, as Twisted finds them.
    """

    def setUp(self) -> None:
        """
        A reactor that neither listens nor connects.
        """
        if OpenSSL is None:
            raise SkipTest("pyOpenSSL is not installed")
        self.reactor = MemoryReactorClock()

    def test_interfaces(self) -> None:
        """
        They are plugins, and make endpoints.
        """
        verifyObject(IPlugin, MutualServerParser())
        verifyObject(IStreamServerEndpointStringParser, MutualServerParser())
        verifyObject(IPlugin, MutualClientParser())
        verifyObject(IStreamClientEndpointStringParserWithReactor, MutualClientParser())
        server = serverFromString(self.reactor, "mutualtls:1:files=/d")
        verifyObject(IStreamServerEndpoint, server)
        client = clientFromString(self.reactor, "mutualtls:rack1:1:files=/d")
        verifyObject(IStreamClientEndpoint, client)
        self.assertIn("rack1:1", repr(client))

    def test_unusable(self) -> None:
        """
        Files that are not there are found when they are needed.
        """
        server = serverFromString(self.reactor, "mutualtls:1:files=/none")
        self.failureResultOf(server.listen(object()), OSError)
        client = clientFromString(self.reactor, "mutualtls:rack1:1:files=/none")
        self.failureResultOf(client.connect(object()), OSError)
        self.assertEqual(self.reactor.tcpServers + self.reactor.tcpClients, [])

    def test_wrong(self) -> None:
        """
        What is wrong is said, with the usage.
        """
        for text, said in (
            ("mutualtls:1", "cert: expected a file"),
            ("mutualtls:x:files=/d", "port: expected a number up to 65535, got 'x'"),
            ("mutualtls:70000:files=/d", "port: expected a number"),
            ("mutualtls:files=/d", "port: expected a number"),
            ("mutualtls:1:2:files=/d", "expected port, and the rest by name"),
            ("mutualtls:1:port=2:files=/d", "expected port, and the rest by name"),
            ("mutualtls:1:files=/d:names=,", "names: expected names"),
            ("mutualtls:1:files=/d:privateKey=x", "there is no 'privateKey'"),
        ):
            error = self.assertRaises(ValueError, serverFromString, self.reactor, text)
            self.assertIn(said, str(error))
            self.assertIn("usage: mutualtls:PORT:files=", str(error))
        for text, said in (
            ("mutualtls:h", "port: expected"),
            ("mutualtls:port=1:files=/d", "expected a host"),
            ("mutualtls:a..b:1:files=/d", "host: expected a name or an address, got 'a..b'"),
            ("mutualtls:h:1", "cert: expected a file"),
            ("mutualtls:h:1:files=/d:timeout=-1", "timeout: expected a number up to 3600"),
            ("mutualtls:h:1:files=/d:names=x", "there is no 'names'"),
        ):
            error = self.assertRaises(ValueError, clientFromString, self.reactor, text)
            self.assertIn(said, str(error))
            self.assertIn("usage: mutualtls:HOST:PORT:files=", str(error))
