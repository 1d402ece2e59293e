# -*- test-case-name: tests.client.test_parser -*-
"""
Tests for L{muxd.client.parser}.
"""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.endpoints import clientFromString, quoteStringArgument
from twisted.internet.interfaces import IStreamClientEndpointStringParserWithReactor
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.client.endpoint import UsbmuxClientEndpoint
from muxd.client.errors import Stage, TimedOut
from muxd.client.parser import UsbmuxClientParser
from tests.client.daemons import OTHER_UDID, UDID
from tests.client.hosts import SOCKET, Host
from tests.running.processes import startsProcesses
from tests.running.properties import examples


class ParserTests(SynchronousTestCase):
    """
    Tests for L{UsbmuxClientParser}.
    """

    def parse(self, *args: str, **kwargs: str) -> UsbmuxClientEndpoint:
        """
        Parse the words of a description.
        """
        return UsbmuxClientParser().parseStreamClient(MemoryReactorClock(), *args, **kwargs)

    def test_interfaces(self) -> None:
        """
        It is a plugin for C{clientFromString}.
        """
        verifyObject(IPlugin, UsbmuxClientParser())
        verifyObject(IStreamClientEndpointStringParserWithReactor, UsbmuxClientParser())

    @startsProcesses
    def test_light(self) -> None:
        """
        Importing it brings neither the reactor nor the endpoint itself.
        """
        code = (
            "import muxd.client.parser, sys; "
            "assert not {'twisted.internet.reactor', 'muxd.client.endpoint'} & set(sys.modules)"
        )
        self.assertEqual(0, subprocess.run([sys.executable, "-c", code], check=False).returncode)

    def test_port(self) -> None:
        """
        The port is enough, with or without its name.
        """
        for endpoint in (self.parse("22"), self.parse(port="22")):
            self.assertIsInstance(endpoint, UsbmuxClientEndpoint)

    def test_everything(self) -> None:
        """
        All options arrive: the phone on the network with this UDID is reached,
        through this socket, once it is there.
        """
        host = Host()
        host.daemon.attach(1)
        host.daemon.attach(2, kind="Network")
        host.daemon.attach(3, OTHER_UDID)
        endpoint = UsbmuxClientParser().parseStreamClient(
            host.reactor,
            port="22",
            udid=UDID,
            via=f"unix:{SOCKET}",
            network="prefer",
            wait="9",
            timeout="8",
        )
        connecting = endpoint.connect(Factory.forProtocol(Protocol))
        host.settle()
        self.successResultOf(connecting)
        host.daemon.detach(1)
        host.daemon.detach(2)
        connecting = endpoint.connect(Factory.forProtocol(Protocol))
        host.advance(9)
        error = self.failureResultOf(connecting, TimedOut).value
        self.assertIs(Stage.WAIT, error.stage)
        self.assertIn("9 s", str(error))

    def test_wrong(self) -> None:
        """
        Each mistake is named, and the usage shown.
        """
        for options, expected in (
            ({}, "port is missing"),
            ({"port": "0"}, "from 1 to 65535"),
            ({"port": "65536"}, "from 1 to 65535"),
            ({"port": "ssh"}, "'ssh'"),
            ({"port": "22", "udid": ""}, "udid is empty"),
            ({"port": "22", "network": "maybe"}, "one of no, yes, prefer, got 'maybe'"),
            ({"port": "22", "wait": "long"}, "wait to be a number of seconds, got 'long'"),
            ({"port": "22", "timeout": "-1"}, "timeout to be a number"),
            ({"port": "22", "timeout": "inf"}, "timeout to be a number"),
            ({"port": "22", "timeout": "nan"}, "timeout to be a number"),
            ({"port": "22", "uuid": "x"}, "got uuid"),
            ({"port": "22", "via": "nonsense:1"}, "nonsense"),
        ):
            text = str(self.assertRaises(ValueError, self.parse, **options))
            self.assertIn(expected, text)
            self.assertIn("usage: usbmux:port=PORT", text)

    def test_tooMany(self) -> None:
        """
        So is a second port.
        """
        self.assertRaises(ValueError, self.parse, "22", "23")
        self.assertRaises(ValueError, self.parse, "22", port="23")

    @settings(deadline=None, max_examples=examples(100))
    @given(
        st.dictionaries(
            st.sampled_from(["port", "udid", "network", "wait", "timeout", "x"]),
            st.text(max_size=5) | st.sampled_from(["1", "yes", "1e3"]),
        )
    )
    def test_anything(self, options: dict[str, str]) -> None:
        """
        Any description makes an endpoint or a ValueError.
        """
        try:
            endpoint = self.parse(**options)
        except ValueError:
            return
        self.assertIsInstance(endpoint, UsbmuxClientEndpoint)


class PluginTests(SynchronousTestCase):
    """
    The parser where Twisted looks for it.
    """

    def test_clientFromString(self) -> None:
        """
        C{clientFromString} knows the prefix, and a nested description with its
        colons escaped.
        """
        host = Host()
        host.daemon.attach(1)
        via = quoteStringArgument(f"unix:path={SOCKET}")
        endpoint = clientFromString(host.reactor, f"usbmux:port=22:via={via}")
        connecting = endpoint.connect(Factory.forProtocol(Protocol))
        host.settle()
        self.successResultOf(connecting)
