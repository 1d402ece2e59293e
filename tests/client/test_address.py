# -*- test-case-name: tests.client.test_address -*-
"""
Tests for L{muxd.client.address}.
"""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    UNIXClientEndpoint,
    clientFromString,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from muxd.client.address import (
    VARIABLE,
    Address,
    InvalidAddress,
    TCPAddress,
    UnixAddress,
    daemonAddress,
    parseAddress,
)
from tests.running.processes import startsProcesses
from tests.running.properties import examples


class DefaultTests(SynchronousTestCase):
    """
    Where the daemon is if nobody says otherwise.
    """

    def test_unix(self) -> None:
        """
        On Linux and macOS it is the one UNIX socket that all programs know.
        """
        for platform in ("linux", "darwin", "freebsd14"):
            self.assertEqual(UnixAddress("/var/run/usbmuxd"), daemonAddress({}, platform))

    def test_windows(self) -> None:
        """
        On Windows it is Apple's TCP port, on this machine only.
        """
        for platform in ("win32", "cygwin"):
            self.assertEqual(TCPAddress("127.0.0.1", 27015), daemonAddress({}, platform))

    def test_variable(self) -> None:
        """
        The environment's word counts on every platform.
        """
        for platform in ("linux", "win32"):
            address = daemonAddress({VARIABLE: "host:5000"}, platform)
            self.assertEqual(TCPAddress("host", 5000), address)

    def test_invalidVariable(self) -> None:
        """
        An environment that makes no sense is an error that names the variable,
        what it says and what is expected; never a silent fallback.
        """
        for text in ("", "nonsense", "host:"):
            error = self.assertRaises(InvalidAddress, daemonAddress, {VARIABLE: text}, "linux")
            self.assertIn(VARIABLE, str(error))
            self.assertIn(repr(text), str(error))
            self.assertIn("UNIX:/path", str(error))

    @startsProcesses
    def test_light(self) -> None:
        """
        Finding the address needs no Twisted.
        """
        code = "import muxd.client.address, sys; assert 'twisted' not in sys.modules"
        self.assertEqual(0, subprocess.run([sys.executable, "-c", code], check=False).returncode)


class SpellingTests(SynchronousTestCase):
    """
    Every spelling that some client library takes.
    """

    def assertParsed(self, expected: Address, *spellings: str) -> None:
        """
        All of them mean this address.
        """
        for text in spellings:
            self.assertEqual(expected, parseAddress(text), text)

    def test_unixSocket(self) -> None:
        """
        libusbmuxd's, go-ios' and pymobiledevice3's ways to write a path.
        """
        self.assertParsed(
            UnixAddress("/tmp/muxd.sock"),
            "UNIX:/tmp/muxd.sock",
            "unix:/tmp/muxd.sock",
            "unix:///tmp/muxd.sock",
            "UNIX:///tmp/muxd.sock",
            "/tmp/muxd.sock",
        )

    def test_relativePath(self) -> None:
        """
        A path may be relative, and may have colons in it.
        """
        self.assertParsed(UnixAddress("./a.sock"), "./a.sock", "UNIX:./a.sock")
        self.assertParsed(UnixAddress("/a:1"), "/a:1", "UNIX:/a:1", "unix:///a:1")

    def test_tcp(self) -> None:
        """
        A host and a port, with or without a scheme.
        """
        expected = TCPAddress("mac.local", 27015)
        self.assertParsed(
            expected, "mac.local:27015", "tcp://mac.local:27015", "TCP:mac.local:27015"
        )

    def test_ipv6(self) -> None:
        """
        An IPv6 address stands in brackets, which are no part of it.
        """
        self.assertParsed(TCPAddress("::1", 27015), "[::1]:27015", "tcp://[::1]:27015")

    def test_text(self) -> None:
        """
        As text, an address is what a person would write.
        """
        self.assertEqual("/run/x", str(UnixAddress("/run/x")))
        self.assertEqual("host:1", str(TCPAddress("host", 1)))
        self.assertEqual("[::1]:1", str(TCPAddress("::1", 1)))

    def test_invalid(self) -> None:
        """
        What is none is refused, with the reason.
        """
        for text, reason in {
            "usbmuxd": "no port",
            "unix://host/path": "slash",
            "UNIX:": "no path",
            "unix:/a\0b": "no path",
            "::1:27015": "brackets",
            ":27015": "no host",
            "tcp://:1": "no host",
            "tcp://host/x:1": "expected a name or an address, got 'host/x'",
            "a..b:1": "expected a name or an address, got 'a..b'",
            f"{'a' * 64}:1": "expected a name or an address, got",
            "a\0b:1": "expected a name or an address, got 'a\\x00b'",
            "[]:1": "no host",
            "host:0": "from 1 to 65535",
            "host:65536": "from 1 to 65535",
            "host:00000000001": "from 1 to 65535",
            "host:-1": "from 1 to 65535",
            "host:\u0661": "from 1 to 65535",
            "host:http": "from 1 to 65535",
        }.items():
            self.assertIn(reason, str(self.assertRaises(InvalidAddress, parseAddress, text)))

    @settings(deadline=None, max_examples=examples(100))
    @given(
        st.text(alphabet="unixtcp:/[].1a\0 \\=", max_size=20)
        | st.lists(
            st.sampled_from(
                ["h", "1", "::1", "\\:", "", "files=/d", "cert=c", "key=k:", "ca=", "server=s\\:1"]
            ),
            max_size=6,
        ).map(lambda parts: ":".join(["mutualtls", *parts]))
    )
    def test_anything(self, text: str) -> None:
        """
        Any text is an address or an error, and an address's own spelling means
        that address again.
        """
        try:
            address = parseAddress(text)
        except InvalidAddress:
            return
        again = f"UNIX:{address}" if isinstance(address, UnixAddress) else str(address)
        if not again.startswith("UNIX://"):
            self.assertEqual(address, parseAddress(again))


class DescriptionTests(SynchronousTestCase):
    """
    Addresses as endpoint descriptions.
    """

    def test_unix(self) -> None:
        """
        A path arrives whole, whatever characters it has.
        """
        reactor = MemoryReactorClock()
        description = UnixAddress("/a:b=c\\d").endpointDescription()
        endpoint = clientFromString(reactor, description)
        self.assertIsInstance(endpoint, UNIXClientEndpoint)
        self.beginToConnect(endpoint)
        self.assertEqual("/a:b=c\\d", reactor.unixClients[0][0])

    def beginToConnect(self, endpoint: UNIXClientEndpoint | TCP4ClientEndpoint) -> None:
        """
        Begin to connect, which goes nowhere in a memory reactor.
        """
        self.assertNoResult(endpoint.connect(Factory.forProtocol(Protocol)))

    def test_tcp(self) -> None:
        """
        Host and port arrive whole, IPv6 addresses too.
        """
        reactor = MemoryReactorClock()
        endpoint = clientFromString(reactor, TCPAddress("fe80::1", 99).endpointDescription())
        self.beginToConnect(endpoint)
        self.assertEqual(("fe80::1", 99), reactor.tcpClients[0][:2])
