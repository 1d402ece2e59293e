# -*- test-case-name: tests.net.test_mutualtls -*-
"""
Tests of L{muxd.net.mutualtls} and L{muxd.net.tlsendpoints}: both sides, without sockets.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.logger import formatEvent
from twisted.python.failure import Failure
from twisted.test.iosim import FakeTransport, connect
from twisted.trial.unittest import SkipTest, SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.server.serving import observeLog

try:
    from cryptography import x509
    from twisted.internet.ssl import Certificate
    from twisted.protocols.tls import TLSMemoryBIOFactory

    from muxd.muxctl.authority import Purpose
    from muxd.net.mutualtls import MutualClient, MutualServer
    from muxd.net.revoking import LOOK, RevocationGuard
    from muxd.net.tlsfiles import TLSFiles
    from tests.net.tlsfarm import TLSFarm
except ImportError:
    TLSFarm = None  # type: ignore[assignment,misc]

RACK = "rack1.example.org"


class Side(Protocol):
    """
    What one side hears.

    @ivar heard: What it has heard.
    @ivar ended: Why its connection has ended, if it has.
    """

    def __init__(self) -> None:
        self.heard = b""
        self.ended: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it.
        """
        self.heard += data

    def connectionLost(self, reason: Failure = Failure(Exception())) -> None:  # noqa: B008
        """
        Keep why.
        """
        self.ended = reason


class _Lending(Factory):
    def __init__(self, side: Side) -> None:
        self._side = side

    def buildProtocol(self, addr: object) -> Side:
        return self._side


class Shaking:
    """
    A connection whose other end shows its certificate when a test says so.
    """

    def __init__(self) -> None:
        self.certificate: Any = None
        self.isCut = False

    def connectionLost(self, reason: object) -> None:
        """
        Not called.
        """

    def getPeerCertificate(self) -> Any:
        """
        What it has shown.
        """
        return self.certificate

    def abortConnection(self) -> None:
        """
        It is cut.
        """
        self.isCut = True


class MutualTests(SynchronousTestCase):
    """
    Tests of who talks to whom.
    """

    def setUp(self) -> None:
        """
        An authority and a host.
        """
        if TLSFarm is None:
            raise SkipTest("pyOpenSSL is not installed")
        directory = Path(self.mktemp())
        directory.mkdir()
        self.directory = directory
        self.farm = TLSFarm(directory)
        self.clock = Clock()
        self.pumps: list[Any] = []
        self.server = MutualServer(self.clock, self.farm.host(RACK))
        self.log = observeLog(self)

    def talk(self, files: TLSFiles, name: str = RACK) -> tuple[Side, Side]:
        """
        Have a client say something, and the server repeat it.
        """
        return self.connect(MutualClient(files, name, self.clock))

    def connect(self, client: MutualClient) -> tuple[Side, Side]:
        """
        The same of a client that there is.
        """
        sides = Side(), Side()
        creators: tuple[Any, Any] = (client, self.server)
        ends: list[Any] = []
        for side, creator in zip(sides, creators, strict=True):
            tls = TLSMemoryBIOFactory(creator, creator is client, _Lending(side), clock=self.clock)
            ends.append(tls.buildProtocol(None))
        far, near = ends[1], ends[0]
        pump = connect(far, FakeTransport(far, True), near, FakeTransport(near, False), greet=True)
        self.pumps.append(pump)
        assert sides[0].transport is not None
        sides[0].transport.write(b"hello")
        for _ in range(5):
            self.clock.advance(0.1)
            pump.flush()
        if sides[1].heard and sides[1].transport is not None:
            sides[1].transport.write(sides[1].heard)
        for _ in range(5):
            self.clock.advance(0.1)
            pump.flush()
        return sides

    def look(self) -> None:
        """
        Let time pass until files have been looked at.
        """
        self.clock.advance(LOOK)
        for pump in self.pumps:
            pump.flush()

    def refusals(self) -> list[str]:
        """
        What the server has logged of certificates.
        """
        return [text for text in map(formatEvent, self.log) if "cert" in text]

    def assertRefused(self, files: TLSFiles, reason: str) -> None:
        """
        A server refuses a client, says why, and hears nothing of it.
        """
        client, server = self.talk(files)
        self.assertEqual((client.heard, server.heard), (b"", b""))
        self.assertIsNotNone(server.ended)
        self.assertIn(reason, "\n".join(self.refusals()))

    def test_interfaces(self) -> None:
        """
        They make connections for Twisted.
        """
        verifyObject(IOpenSSLServerConnectionCreator, self.server)
        verifyObject(
            IOpenSSLClientConnectionCreator, MutualClient(self.farm.issue("ci"), RACK, self.clock)
        )

    def test_trusted(self) -> None:
        """
        Those of one authority talk to each other: clients to hosts, and hosts among
        themselves.
        """
        for files in (self.farm.issue("ci"), self.farm.host("rack2.example.org")):
            client, server = self.talk(files)
            self.assertEqual((client.heard, server.heard), (b"hello", b"hello"))
            self.assertIsNone(client.ended)
        self.assertEqual(self.refusals(), [])

    def test_nameOfAuthority(self) -> None:
        """
        A client may be called as its authority is.
        """
        self.assertEqual(self.talk(self.farm.issue("farm"))[1].heard, b"hello")

    def test_version(self) -> None:
        """
        Nothing older than TLS 1.3 is spoken.
        """
        client, _ = self.talk(self.farm.issue("ci"))
        transport: Any = client.transport
        self.assertEqual(transport.getHandle().get_protocol_version_name(), "TLSv1.3")

    def test_address(self) -> None:
        """
        A host may be known by its IP address.
        """
        self.server = MutualServer(self.clock, self.farm.host("rack3", "192.0.2.1", "fd00::1"))
        for name in ("rack3", "192.0.2.1", "fd00::1"):
            client, _ = self.talk(self.farm.issue("ci"), name)
            self.assertEqual(client.heard, b"hello", name)

    def test_wrongServer(self) -> None:
        """
        A client says nothing to a server with another name, to another authority's, or to a
        client that poses as one.
        """
        other = TLSFarm(self.directory, "other")
        ci = self.farm.issue("ci")
        for files, name in (
            (self.farm.filesOf(RACK), "rack9.example.org"),
            (self.farm.filesOf(RACK), "192.0.2.1"),
            (other.host("rack4.example.org"), "rack4.example.org"),
            (self.farm.issue("rack5.example.org"), "rack5.example.org"),
        ):
            self.server = MutualServer(self.clock, files)
            client, server = self.talk(ci, name)
            self.assertEqual(server.heard, b"", name)
            self.assertIsNotNone(client.ended, name)

    def test_wrongClient(self) -> None:
        """
        A server refuses another authority's clients, and those whose certificates have expired.
        """
        other = TLSFarm(self.directory, "other")
        theirs = replace(other.issue("theirs"), ca=self.farm.filesOf(RACK).ca, crl="")
        self.assertRefused(theirs, "of theirs: it was signed by another authority")
        self.assertRefused(self.farm.issue("old", days=-1), "of old: it has expired")

    def test_nameless(self) -> None:
        """
        A server that is for some is for no others.
        """
        self.server = MutualServer(
            self.clock, self.farm.filesOf(RACK), frozenset({"ci", "ci.example.org"})
        )
        job = self.farm.issue("job", Purpose.CLIENT, "ci.example.org")
        for files in (self.farm.issue("ci"), job):
            self.assertEqual(self.talk(files)[1].heard, b"hello")
        self.assertRefused(self.farm.issue("guest"), "of guest: its names are none of those")

    def test_revoked(self) -> None:
        """
        What was revoked is refused from when the list has come, without a restart; what was
        not goes on.
        """
        ci, guest = self.farm.issue("ci"), self.farm.issue("guest")
        self.assertEqual(self.talk(guest)[1].heard, b"hello")
        self.farm.revoke("guest", RACK)
        self.assertRefused(guest, "of guest: it was revoked")
        self.assertEqual(self.talk(ci)[1].heard, b"hello")
        self.assertEqual(self.talk(self.farm.issue("guest"))[1].heard, b"hello")

    def test_revokedWhileConnected(self) -> None:
        """
        What is connected with a certificate that is revoked is cut within a moment, and that is
        said; all others go on.
        """
        ci, guest = self.farm.issue("ci"), self.farm.issue("guest")
        kept, cut = self.talk(ci), self.talk(guest)
        self.look()
        self.assertIsNone(cut[1].ended)
        self.farm.revoke("guest", RACK)
        self.look()
        self.assertIsNotNone(cut[1].ended)
        self.assertIsNone(kept[1].ended)
        self.assertIn("the certificate of guest was revoked", self.refusals()[-1])
        self.assertEqual(len([text for text in self.refusals() if "was revoked" in text]), 1)
        assert kept[1].transport is not None
        kept[1].transport.loseConnection()

    def test_revokedHostWhileConnected(self) -> None:
        """
        The same of a client that is connected to a host whose certificate is revoked.
        """
        ci = MutualClient(self.farm.issue("ci"), RACK, self.clock)
        client, _ = self.connect(ci)
        self.assertEqual(client.heard, b"hello")
        self.farm.revoke(RACK, "ci")
        self.look()
        self.assertIsNotNone(client.ended)
        self.assertIn(f"the certificate of {RACK} was revoked", self.refusals()[-1])

    def test_revokedMeanwhile(self) -> None:
        """
        A client that was shaking hands when the list came is looked at when that is over.
        """
        issued = Certificate.loadPEM(Path(self.farm.issue("guest").cert).read_bytes()).original
        self.farm.revoke("guest", RACK)
        guard = RevocationGuard(self.clock, lambda: None)
        guard.use(x509.load_pem_x509_crl(self.farm.authority.revokedPath.read_bytes()))
        connection = Shaking()
        guard.watch(connection)
        self.clock.advance(LOOK)
        connection.certificate = issued
        self.assertFalse(connection.isCut)
        self.clock.advance(LOOK)
        self.assertTrue(connection.isCut)

    def test_brokenList(self) -> None:
        """
        A list that cannot be read ends nothing, and what is in the next one counts.
        """
        guest = self.farm.issue("guest")
        _, server = self.talk(guest)
        (self.farm.directoryOf(RACK) / "crl.pem").write_text("nonsense")
        self.look()
        self.assertIn("not renewed", self.refusals()[-1])
        self.assertIsNone(server.ended)
        self.farm.revoke("guest", RACK)
        self.look()
        self.assertIsNotNone(server.ended)

    def test_nothingToLookAt(self) -> None:
        """
        While nothing is connected, nothing is looked at, by neither side.
        """
        before = list(self.clock.getDelayedCalls())
        client, server = self.talk(self.farm.issue("ci"))
        self.assertEqual(len(self.clock.getDelayedCalls()), len(before) + 2)
        for side in (client, server):
            assert side.transport is not None
            transport: Any = side.transport
            transport.abortConnection()
        self.look()
        self.assertEqual(self.clock.getDelayedCalls(), before)

    def test_revokedServer(self) -> None:
        """
        A client that has the list refuses a host that is on it.
        """
        ci = MutualClient(self.farm.issue("ci"), RACK, self.clock)
        self.assertEqual(self.connect(ci)[1].heard, b"hello")
        self.farm.revoke(RACK, "ci")
        self.assertEqual(self.connect(ci)[1].heard, b"")

    def test_renewed(self) -> None:
        """
        Renewed files are used by both sides from the next connection on; until a key and
        its certificate are both there, the ones before are.
        """
        ci = MutualClient(self.farm.issue("ci"), RACK, self.clock)
        first = self.serialSeen(ci)
        self.assertEqual(self.serialSeen(ci), first)
        certificate = self.farm.directoryOf(RACK) / "cert.pem"
        before = certificate.read_bytes()
        self.farm.host(RACK)
        after = certificate.read_bytes()
        certificate.write_bytes(before)
        self.assertEqual(self.serialSeen(ci), first)
        self.assertIn("key.pem is not the key of", self.refusals()[-1])
        certificate.write_bytes(after)
        self.assertNotEqual(self.serialSeen(ci), first)
        self.assertIn("the renewed certificate is used", self.refusals()[-1])
        self.farm.issue("ci", days=-1)
        self.assertEqual(self.connect(ci)[1].heard, b"")

    def serialSeen(self, client: MutualClient) -> int:
        """
        The number of the certificate that a client is shown.
        """
        side, server = self.connect(client)
        self.assertEqual(server.heard, b"hello")
        transport: Any = side.transport
        return int(transport.getPeerCertificate().get_serial_number())

    def test_unusable(self) -> None:
        """
        What is wrong with files is said.
        """
        good = self.farm.filesOf(RACK)
        text = self.directory / "text"
        text.write_text("nothing")
        none = str(text)
        for files, said in (
            (TLSFiles(none, good.key, good.ca), "there is no certificate in it"),
            (TLSFiles(good.cert, none, good.ca), "expected PEM in"),
            (TLSFiles(good.cert, good.key, none), "there is no certificate in it"),
            (TLSFiles(good.cert, good.key, good.ca, none), "expected a list of revoked"),
        ):
            error = self.assertRaises(ValueError, MutualServer(self.clock, files).check)
            self.assertIn(said, str(error))
            self.assertRaises(ValueError, MutualClient(files, RACK, self.clock).check)
