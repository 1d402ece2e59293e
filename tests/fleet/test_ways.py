# -*- test-case-name: tests.fleet.test_ways -*-
"""
Tests of L{muxd.fleet.ways} and L{muxd.fleet.identify}.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from muxd.fleet.identify import checkName
from muxd.fleet.messages import Hello, Role
from muxd.fleet.values import Door, DoorKind, FleetError
from muxd.fleet.ways import Ways, clientTo, doorOf, listeningAt

TLS = "mutualtls:hub.example:7300:cert=c:key=k:ca=a"


class WaysTests(SynchronousTestCase):
    """
    Tests of the ways.
    """

    def setUp(self) -> None:
        """
        A reactor.
        """
        self.reactor = MemoryReactorClock()

    def door(self, kind: DoorKind) -> Door:
        """
        A door.
        """
        return Door(kind=kind, where="rack1.example", port=7400)

    def test_exposed(self) -> None:
        """
        A place that other machines reach is refused unless it is encrypted, or said to be so.
        """
        for place in ("tcp:1:interface=0.0.0.0", "tcp6:1:interface=\\:\\:", "tcp:1:interface=lan"):
            error = self.assertRaises(ValueError, listeningAt, self.reactor, place, "--fleet")
            self.assertIn("insecure=yes", str(error))
            listeningAt(self.reactor, f"{place}:insecure=yes", "--fleet")
        for place in ("tcp:1", "unix:/x"):
            listeningAt(self.reactor, place, "--fleet")

    def test_ownerAlone(self) -> None:
        """
        A UNIX socket is its owner's alone unless it says otherwise.
        """
        place = listeningAt(self.reactor, "unix:/x", "--fleet")
        self.assertIn("mode=600", place.description)

    def test_door(self) -> None:
        """
        Where others find a door is where it listens, or where an operator says.
        """
        for description, said, where in (
            ("unix:/run/door", None, "/run/door"),
            ("tcp:7400", None, "127.0.0.1:7400"),
            ("tcp:0:interface=192.0.2.1", None, "192.0.2.1:7400"),
            ("tcp:7400:interface=0.0.0.0", "rack1", "rack1:7400"),
            ("tcp:7400:interface=0.0.0.0", "nat.example:99", "nat.example:99"),
            ("mutualtls:7400:interface=\\:\\:", "2001:db8::1", "2001:db8::1:7400"),
            ("mutualtls:7400:interface=\\:\\:", "[2001:db8::1]:99", "2001:db8::1:99"),
            ("mutualtls:7400:interface=\\:\\:", "[2001:db8::1]", "2001:db8::1:7400"),
        ):
            self.assertEqual(str(doorOf(description, 7400, said)), where)
        self.assertIs(doorOf("mutualtls:1", 1, None).kind, DoorKind.TLS)

    def test_saidWrongly(self) -> None:
        """
        An operator that says what is no place is told so.
        """
        for said in (
            *("", ":5", "h:", "h:0", "h:99999", "h:123456", "h:x", "h:-1", "a b", "a/b"),
            *("1:2:3", "[::1", "[::1]:x", "[::1]:0", "[]:1", "[rack1:1]:5", "h:1\n", "h:\uff11"),
        ):
            error = self.assertRaises(ValueError, doorOf, "tcp:7400", 7400, said)
            self.assertIn("--door-address: expected HOST or HOST:PORT", str(error), said)
            self.assertIn("from 1 to 65535, got ", str(error))
            self.assertTrue(str(error).isprintable())

    def test_noDoor(self) -> None:
        """
        One that others could not find, or of an odd kind, is refused.
        """
        for description in ("tcp:7400:interface=0.0.0.0", "systemd:domain=UNIX:index=0"):
            self.assertRaises(ValueError, doorOf, description, 7400, None)

    def test_to(self) -> None:
        """
        A door is reached as it says.
        """
        ways = Ways(self.reactor, "tcp:127.0.0.1:7300")
        self.assertIsInstance(ways.to(self.door(DoorKind.TCP)), HostnameEndpoint)
        self.assertIsInstance(ways.to(self.door(DoorKind.UNIX)), UNIXClientEndpoint)

    def test_noDowngrade(self) -> None:
        """
        A hub over TLS leads to doors over TLS, and to none without.
        """
        ways = Ways(self.reactor, TLS)
        for kind in (DoorKind.TCP, DoorKind.UNIX):
            self.assertRaises(ValueError, ways.to, self.door(kind))
        self.assertRaises(ValueError, Ways(self.reactor, "tcp:h:1").to, self.door(DoorKind.TLS))

    def test_client(self) -> None:
        """
        A hub is a client endpoint; a path is a UNIX socket.
        """
        self.assertIsInstance(clientTo(self.reactor, "/run/hub"), UNIXClientEndpoint)
        self.assertRaises(ValueError, clientTo, self.reactor, "no such:thing")


class Shown:
    """
    A transport whose other end has shown a certificate, or none.
    """

    def __init__(self, certificate: Any) -> None:
        self.getPeerCertificate = lambda: certificate


class IdentifyTests(SynchronousTestCase):
    """
    Tests of L{checkName}.
    """

    def certificate(self, *names: str, isHost: bool) -> Any:
        """
        One of a farm.
        """
        try:
            from muxd.muxctl.authority import Purpose
            from tests.net.tlsfarm import TLSFarm
        except ImportError:
            raise SkipTest("cryptography is not installed") from None
        from OpenSSL.crypto import FILETYPE_PEM, load_certificate

        farm = TLSFarm(Path(self.mktemp()))
        name, *others = names
        files = farm.issue(name, Purpose.HOST if isHost else Purpose.CLIENT, *others)
        with open(files.cert, "rb") as file:
            return load_certificate(FILETYPE_PEM, file.read())

    def hello(self, name: str, role: Role) -> Hello:
        """
        What something says of itself.
        """
        return Hello(version=1, role=role, name=name)

    def test_plain(self) -> None:
        """
        Without a certificate there is nothing to see.
        """
        checkName(object(), self.hello("any", Role.HOST))
        checkName(Shown(None), self.hello("any", Role.HOST))

    def test_host(self) -> None:
        """
        A host has its names, and no other's.
        """
        shown = Shown(self.certificate("rack1", "rack1.example", isHost=True))
        checkName(shown, self.hello("rack1", Role.HOST))
        checkName(shown, self.hello("rack1.example", Role.HOST))
        checkName(shown, self.hello("rack1", Role.JOB))
        error = self.assertRaises(FleetError, checkName, shown, self.hello("rack2", Role.HOST))
        self.assertIn("not rack2", str(error))

    def test_client(self) -> None:
        """
        A job's certificate is none of a host.
        """
        shown = Shown(self.certificate("ci", isHost=False))
        checkName(shown, self.hello("ci", Role.JOB))
        error = self.assertRaises(FleetError, checkName, shown, self.hello("ci", Role.HOST))
        self.assertIn("client's", str(error))
