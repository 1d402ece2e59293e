"""
Tests of L{muxd.server.places}: a daemon whose listening addresses and views change, with
simulated phones and real clients.
"""

from __future__ import annotations

import os
import socket
import ssl as tls
import stat
import tempfile
from collections.abc import Callable
from typing import Any, TypeVar
from unittest import skipIf

from twisted.internet import reactor
from twisted.internet.endpoints import UNIXServerEndpoint
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import formatEvent
from twisted.python.runtime import platform
from twisted.trial.unittest import SkipTest, SynchronousTestCase, TestCase

from muxd.client import UsbmuxError, blocking
from muxd.identity import udidFromSerial
from muxd.net.listening import ListeningEndpoint
from muxd.net.socketfile import CannotListen
from muxd.phone.parser import serials
from muxd.phone.services.inet import ECHO
from muxd.server.places import ListeningAddress
from muxd.server.view import View
from muxd.server.viewgrammar import NamedView
from muxd.service import MuxService
from muxd.wire.messages import plistMessage
from tests.server.serving import observeLog
from tests.server.viewing import view

try:
    from OpenSSL.crypto import FILETYPE_PEM
    from twisted.internet import ssl
except ImportError:
    ssl = None  # type: ignore[assignment]

T = TypeVar("T")

FIRST, SECOND = (udidFromSerial(serial) for serial in serials(2))


async def inThread(call: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """
    What a blocking client does.
    """
    return await deferToThread(call, *arguments, **named)


class PathTests(SynchronousTestCase):
    """
    What L{ListeningAddress} knows of its file.
    """

    def test_path(self) -> None:
        """
        A UNIX socket has one, and nothing else has.
        """
        for place, path in (
            ("unix:/run/a.sock:mode=660", "/run/a.sock"),
            ("tcp:27015:interface=127.0.0.1", None),
            ("systemd:domain=UNIX:index=0", None),
        ):
            self.assertEqual(ListeningAddress.of(place).path, path, place)


class Stream:
    """
    A stream to the echo of a phone.
    """

    def __init__(self, connected: socket.socket) -> None:
        self.connected = connected
        connected.settimeout(20)

    async def isAlive(self) -> bool:
        """
        Whether what is said comes back.
        """

        def talk() -> bool:
            try:
                self.connected.sendall(b"hello")
                got = b""
                while len(got) < 5:
                    data = self.connected.recv(5)
                    if not data:
                        return False
                    got += data
            except ConnectionError:
                return False
            return got == b"hello"

        return await inThread(talk)


def ask(port: int, certificate: str | None) -> bytes | None:
    """
    What a TLS client with a certificate hears of devices; None if it is not let in.
    """
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = tls.CERT_NONE
    if certificate is not None:
        context.load_cert_chain(certificate)
    request = plistMessage({"MessageType": "ListDevices"}, 1).encode()
    try:
        with (
            socket.create_connection(("127.0.0.1", port), 20) as plain,
            context.wrap_socket(plain) as connected,
        ):
            connected.sendall(request)
            return connected.recv(65536) or None
    except OSError:
        return None


@skipIf(platform.isWindows(), "Windows has no UNIX sockets here")
class PlacesTests(TestCase):
    """
    A daemon with two simulated phones.
    """

    timeout = 60

    def setUp(self) -> None:
        """
        Have a directory whose name is short.
        """
        self.directory = self.enterContext(tempfile.TemporaryDirectory(prefix="muxd-"))

    def path(self, name: str) -> str:
        """
        Of a socket.
        """
        return os.path.join(self.directory, name)

    def at(self, name: str, more: str = "") -> str:
        """
        The description of that socket.
        """
        return f"unix:{self.path(name)}{more}"

    async def start(self, *listen: Any) -> MuxService:
        """
        Start the daemon, and wait for its phones.
        """
        service = MuxService(
            reactor, listen=listen, sources=["simulated:2"], configDir=self.directory
        )
        service.startService()
        self.addCleanup(service.stopService)
        while len(service.registry.attached()) < 2:
            await deferLater(reactor, 0.001)
        return service

    async def udids(self, name: str) -> set[str]:
        """
        What a client finds.
        """
        found = await inThread(blocking.devices, address=self.path(name))
        return {device.udid for device in found}

    async def stream(self, name: str, udid: str) -> Stream:
        """
        A client's stream to a phone.
        """
        connected = await inThread(blocking.connect, ECHO, udid, address=self.path(name))
        self.addCleanup(connected.close)
        return Stream(connected)

    async def test_views(self) -> None:
        """
        Each address shows what it is meant to show.
        """
        await self.start(
            self.at("a"),
            self.at("b", f":only={FIRST}"),
            ListeningAddress(
                UNIXServerEndpoint(reactor, self.path("c")), NamedView(view(only=SECOND), "c")
            ),
        )
        for name, expected in (("a", {FIRST, SECOND}), ("b", {FIRST}), ("c", {SECOND})):
            self.assertEqual(await self.udids(name), expected)
        self.assertTrue(await (await self.stream("c", SECOND)).isAlive())
        with self.assertRaises(UsbmuxError):
            await self.stream("c", FIRST)

    async def test_viewChanges(self) -> None:
        """
        A stream that is still permitted goes on; another one ends.
        """
        service = await self.start(self.at("a"), self.at("b", f":only={FIRST},{SECOND}"))
        stays, goes = await self.stream("b", FIRST), await self.stream("b", SECOND)
        other = await self.stream("a", SECOND)
        service.changeListening([self.at("a"), self.at("b", f":only={FIRST}")])
        self.assertEqual(
            [await each.isAlive() for each in (stays, goes, other)], [True, False, True]
        )
        self.assertEqual(await self.udids("b"), {FIRST})
        service.changeListening([self.at("a"), self.at("b", f":only={SECOND}")])
        self.assertFalse(await stays.isAlive())
        self.assertEqual(await self.udids("b"), {SECOND})

    async def test_viewComes(self) -> None:
        """
        So it is where there was no view before, or is none any more.
        """
        service = await self.start(self.at("a"))
        stays, goes = await self.stream("a", FIRST), await self.stream("a", SECOND)
        service.changeListening([self.at("a", f":only={FIRST}")])
        self.assertEqual([await each.isAlive() for each in (stays, goes)], [True, False])
        service.changeListening([self.at("a")])
        self.assertTrue(await stays.isAlive())
        self.assertEqual(await self.udids("a"), {FIRST, SECOND})

    async def test_sharedView(self) -> None:
        """
        A view with a name changes for all of its addresses.
        """
        service = await self.start()

        def named(each: View) -> list[ListeningAddress]:
            return [ListeningAddress(self.at(name), NamedView(each, "ci")) for name in "ab"]

        service.changeListening(named(view(only=FIRST)))
        streams = [await self.stream(name, FIRST) for name in "ab"]
        service.changeListening(named(view(only=SECOND)))
        self.assertEqual([await each.isAlive() for each in streams], [False, False])
        self.assertEqual([await self.udids(name) for name in "ab"], [{SECOND}, {SECOND}])

    async def test_addressesComeAndGo(self) -> None:
        """
        One that is new is opened; one that is not there any more is closed, with its
        clients.
        """
        service = await self.start(self.at("a"), self.at("b"))
        stays, goes = await self.stream("a", FIRST), await self.stream("b", FIRST)
        service.changeListening([self.at("c"), self.at("a")])
        self.assertEqual([await each.isAlive() for each in (stays, goes)], [True, False])
        self.assertEqual(await self.udids("c"), {FIRST, SECOND})
        self.assertEqual(
            sorted(name for name in os.listdir(self.directory) if len(name) == 1), ["a", "c"]
        )
        self.assertEqual(service.socketPaths, [self.path("a"), self.path("c")])

    async def test_allExchanged(self) -> None:
        """
        All may go at once: those that have come are throttled like those before.
        """
        service = await self.start(self.at("a"))
        service.changeListening([])
        service.changeListening([self.at("b")])
        self.assertEqual(await self.udids("b"), {FIRST, SECOND})
        throttle = service._factory.throttle
        self.assertIsNotNone(throttle._highest)
        self.assertEqual([type(port) for port in throttle.ports], [ListeningEndpoint])

    async def test_files(self) -> None:
        """
        The mode of a socket's file changes in place.
        """
        service = await self.start(self.at("a", ":mode=600"))
        stays = await self.stream("a", FIRST)

        def mode() -> int:
            return stat.S_IMODE(os.stat(self.path("a")).st_mode)

        inode = os.stat(self.path("a")).st_ino
        self.assertEqual(mode(), 0o600)
        service.changeListening([self.at("a", ":mode=660")])
        self.assertEqual(mode(), 0o660)
        service.changeListening([self.at("a")])
        self.assertEqual((mode(), os.stat(self.path("a")).st_ino), (0o666, inode))
        self.assertTrue(await stays.isAlive())

    async def test_samePath(self) -> None:
        """
        A socket of which more than its file changes is opened anew.
        """
        service = await self.start(self.at("a"))
        service.changeListening([self.at("a", ":backlog=7")])
        self.assertEqual(await self.udids("a"), {FIRST, SECOND})

    async def test_refused(self) -> None:
        """
        What cannot be done changes nothing.
        """
        service = await self.start(self.at("a"))
        stays = await self.stream("a", FIRST)
        for listen, expected in (
            ([self.at("b"), self.at("none/c")], CannotListen),
            ([self.at("b"), self.at("b", ":mode=600")], ValueError),
            ([self.at("b", ":only=nothing")], ValueError),
            ([self.at("b"), "unix"], ValueError),
        ):
            with self.assertRaises(expected):
                service.changeListening(listen)
            self.assertEqual(service.socketPaths, [self.path("a")])
            self.assertFalse(os.path.exists(self.path("b")))
        self.assertTrue(await stays.isAlive())
        self.assertEqual(await self.udids("a"), {FIRST, SECOND})

    async def test_beforeTheStart(self) -> None:
        """
        Before a start nothing is opened.
        """
        service = MuxService(reactor, listen=[self.at("a")], configDir=self.directory)
        service.changeListening([self.at("b", f":only={FIRST}")])
        self.assertEqual(os.listdir(self.directory), [])
        self.assertEqual(service.socketPaths, [self.path("b")])

    def test_twice(self) -> None:
        """
        One place cannot be listened on twice.
        """
        for listen in (
            [self.at("a"), self.at("a", ":mode=600:only=1-1")],
            ["tcp:27015", "tcp:27015:interface=127.0.0.1"],
        ):
            error = self.assertRaises(ValueError, MuxService, reactor, listen=listen)
            self.assertIn("is a place to listen twice", str(error))
        MuxService(reactor, listen=["tcp:1", "tcp6:1", "tcp:0", "tcp:2"])

    async def test_certificates(self) -> None:
        """
        Over TLS, clients are known by the names in their certificates; those without one
        are not let in.
        """
        if ssl is None:
            raise SkipTest("pyOpenSSL is not installed")
        files: dict[str, str] = {}
        for name in ("server", "ci", "guest"):
            key = ssl.KeyPair.generate(size=2048)
            certificate = key.selfSignedCert(1, CN=name)
            pem = certificate.dumpPEM()
            path = files[name] = self.path(f"{name}.pem")
            with open(path, "wb") as file:
                file.write(pem + key.dump(FILETYPE_PEM))
        both = self.path("clients.pem")
        with open(both, "wb") as file:
            for name in ("ci", "guest"):
                with open(files[name], "rb") as one:
                    file.write(one.read())
        service = await self.start(
            f"ssl:0:privateKey={files['server']}:clients={both}:certificate=ci:only={FIRST}"
        )
        (listening,) = service.listening
        assert listening.portNumber is not None
        for shown, expected in (("ci", 1), ("guest", 0), ("", None)):
            answer = await inThread(ask, listening.portNumber, files.get(shown))
            count = None if answer is None else answer.count(b"<string>Attached</string>")
            self.assertEqual(count, expected, shown)
        for text in (
            f"ssl:0:privateKey={files['server']}:clients=/none",
            f"ssl:0:privateKey={files['server']}:clients={both}:dhParameters=x",
            f"ssl:0:privateKey={files['server']}:clients=/etc/hostname",
        ):
            self.assertRaises(ValueError, MuxService, reactor, listen=[text])

    async def test_exposed(self) -> None:
        """
        That other machines see the phones of a view is said.
        """
        told = observeLog(self)
        await self.start(f"tcp:0:interface=0.0.0.0:insecure=yes:only={FIRST}")
        (line,) = [formatEvent(event) for event in told if "ofView" in event]
        self.assertIn("can connect to every phone of its view and read", str(line))
