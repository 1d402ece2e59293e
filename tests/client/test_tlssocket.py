# -*- test-case-name: tests.client.test_tlssocket -*-
"""
Tests of L{muxd.client.tlssocket}, and of blocking clients of a daemon with mutual TLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Thread

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from muxd.client import aio, blocking, tlssocket
from muxd.client.address import TLSAddress, parseAddress
from muxd.client.problems import CERTIFY
from muxd.client.requests import Dialect, listenRequest
from muxd.client.socketerrors import DaemonLost, NoDaemon
from muxd.client.socketio import DaemonConnection, Deadline, abort, openSocket

try:
    from tests.net.tlsfarm import TLSFarm
except ImportError:
    TLSFarm = None  # type: ignore[assignment,misc]

PATIENCE = 30.0


class SocketTests(SynchronousTestCase):
    """
    Tests of sockets to a server in a thread.
    """

    def setUp(self) -> None:
        """
        Certify a server and a client, and listen.
        """
        if TLSFarm is None:
            raise SkipTest("cryptography is not installed")
        directory = Path(self.mktemp())
        directory.mkdir()
        self.farm = TLSFarm(directory)
        self.farm.host("127.0.0.1")
        self.files = self.farm.issue("ci")
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.listening.close)
        self.heard = b""

    def serve(self, name: str, talk: Callable[[ssl.SSLSocket], None]) -> Thread:
        """
        Have a server with a name's certificate talk to one client.
        """
        files = self.farm.filesOf(name)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(files.ca)
        context.load_cert_chain(files.cert, files.key)

        def run() -> None:
            accepted, _ = self.listening.accept()
            accepted.settimeout(PATIENCE)
            protected = context.wrap_socket(
                accepted, server_side=True, do_handshake_on_connect=False
            )
            with contextlib.suppress(OSError):
                protected.do_handshake()
                talk(protected)
                protected.unwrap()
            # What is wrong is the client's to say, for which it has to hear of it: a socket
            # that is closed with something unread in it takes back what it sent.
            with socket.socket(fileno=protected.detach()) as plain, contextlib.suppress(OSError):
                plain.shutdown(socket.SHUT_WR)
                self.received(plain)

        thread = Thread(target=run)
        thread.start()
        self.addCleanup(thread.join)
        return thread

    def address(self, **changes: str) -> TLSAddress:
        """
        Where it is.
        """
        port = self.listening.getsockname()[1]
        address = parseAddress(f"mutualtls:127.0.0.1:{port}:files={self.farm.directoryOf('ci')}")
        assert isinstance(address, TLSAddress)
        return TLSAddress(replace(address.target, **changes))  # type: ignore[arg-type]

    def open(self) -> socket.socket:
        """
        Connect.
        """
        sock = openSocket(self.address(), Deadline(PATIENCE))
        self.addCleanup(sock.close)
        return sock

    def until(self, protected: ssl.SSLSocket, size: int) -> bytes:
        """
        So much of what a client sends.
        """
        data = b""
        while len(data) < size and (more := protected.recv(65536)):
            data += more
        return data

    def test_bothWays(self) -> None:
        """
        Bytes go both ways, megabytes also while none are read, and its end is an end.
        """
        size = 2_000_000
        data = bytes(range(250)) * (size // 250)

        def talk(protected: ssl.SSLSocket) -> None:
            protected.sendall(self.until(protected, size))

        self.serve("127.0.0.1", talk)
        sock = self.open()
        sending = Thread(target=sock.sendall, args=(data,))
        sending.start()
        self.assertEqual(self.received(sock), data)
        sending.join()

    def received(self, sock: socket.socket) -> bytes:
        """
        All that comes.
        """
        sock.settimeout(PATIENCE)
        parts = []
        while part := sock.recv(65536):
            parts.append(part)
        return b"".join(parts)

    def test_halfClosed(self) -> None:
        """
        A client that has finished sending hears the rest.
        """

        def talk(protected: ssl.SSLSocket) -> None:
            self.heard = self.until(protected, 5)
            protected.sendall(b"the rest")

        self.serve("127.0.0.1", talk)
        sock = self.open()
        sock.sendall(b"hello")
        sock.shutdown(socket.SHUT_WR)
        self.assertEqual(self.received(sock), b"the rest")
        self.assertEqual(self.heard, b"hello")

    def test_closed(self) -> None:
        """
        What was sent before a client has closed arrives, and then the end.
        """

        def talk(protected: ssl.SSLSocket) -> None:
            self.heard = self.until(protected, 2_000_000)

        thread = self.serve("127.0.0.1", talk)
        sock = self.open()
        sock.sendall(bytes(1_000_000))
        sock.close()
        thread.join(PATIENCE)
        self.assertEqual(len(self.heard), 1_000_000)

    def test_aborted(self) -> None:
        """
        A server whose client has aborted finds that the connection is lost.
        """
        lost: list[type[BaseException]] = []

        def talk(protected: ssl.SSLSocket) -> None:
            # By then it has nothing more to say.
            protected.sendall(b"x")
            try:
                # Python's TLS takes both for the end.
                socket.socket.recv(protected, 1)
            except ConnectionError as error:
                lost.append(type(error))

        thread = self.serve("127.0.0.1", talk)
        sock = self.open()
        self.assertEqual(sock.recv(1), b"x")
        abort(sock)
        thread.join(PATIENCE)
        self.assertEqual(lost, [ConnectionResetError])

    def test_wrongServer(self) -> None:
        """
        A server that has another name, or poses as one with a client's certificate, is none.
        """
        self.farm.issue("client")
        for name, changes, said in (
            ("127.0.0.1", {"server": "rack2"}, "has not the name that is expected"),
            ("127.0.0.1", {"server": "192.0.2.1"}, "has not the name that is expected"),
            ("client", {}, "its certificate is not believed"),
        ):
            self.serve(name, lambda protected: None)
            error = self.assertRaises(
                NoDaemon, openSocket, self.address(**changes), Deadline(PATIENCE)
            )
            self.assertIn(said, str(error))

    def test_revokedServer(self) -> None:
        """
        A server on the client's list is none.
        """
        self.farm.revoke("127.0.0.1", "ci")
        self.serve("127.0.0.1", lambda protected: None)
        error = self.assertRaises(NoDaemon, self.open)
        self.assertIn("its certificate is not believed", str(error))

    def test_revokedMeanwhile(self) -> None:
        """
        What is connected to a server that is revoked is cut a moment later, and it is said why.
        """
        self.patch(tlssocket, "LOOK", 0.01)
        self.serve("127.0.0.1", self.greet)
        sock = self.open()
        self.assertEqual(sock.recv(5), b"hello")
        self.farm.revoke("127.0.0.1", "ci")
        sock.settimeout(PATIENCE)
        self.assertEqual(sock.recv(5), b"")
        assert isinstance(sock, tlssocket.TLSSocket)
        self.assertEqual(sock.trouble, tlssocket.REVOKED)

    def greet(self, protected: ssl.SSLSocket) -> None:
        """
        Say hello, and wait for the end.
        """
        protected.sendall(b"hello")
        self.until(protected, 1)

    def test_revocation(self) -> None:
        """
        It is looked once in a while, and no list other than that of its own authority counts,
        nor one that makes no sense.
        """
        certificate = ssl.PEM_cert_to_DER_cert(
            Path(self.farm.filesOf("127.0.0.1").cert).read_text()
        )
        now = [100.0]
        files = self.files
        revocation = tlssocket.Revocation(files, files.stamp(), certificate, lambda: now[0])
        self.farm.issue("other")
        self.farm.revoke("other", "ci")
        now[0] += tlssocket.LOOK
        self.assertFalse(revocation.has())
        Path(files.crl).write_text("nonsense")
        now[0] += tlssocket.LOOK
        self.assertFalse(revocation.has())
        self.farm.revoke("127.0.0.1", "ci")
        now[0] += tlssocket.LOOK / 2
        self.assertFalse(revocation.has())
        now[0] += tlssocket.LOOK / 2
        self.assertTrue(revocation.has())

    def test_refused(self) -> None:
        """
        A client that the server does not let in is told why.
        """
        self.farm.issue("ci", days=-1)
        self.serve("127.0.0.1", lambda protected: None)
        with DaemonConnection(self.open(), "there", "tests") as connection:
            error = self.assertRaises(
                DaemonLost, connection.ask, listenRequest(), Dialect.PLIST, Deadline(PATIENCE)
            )
        self.assertIn("our certificate has expired", str(error))

    def test_asyncio(self) -> None:
        """
        A client on asyncio says the same of a server that is not believed, and of files that
        cannot be used, as one that blocks.
        """
        self.farm.issue("client")

        def texts(name: str | None) -> list[str]:
            said = []
            for ask in (blocking.devices, lambda **where: asyncio.run(aio.devices(**where))):
                if name is not None:
                    self.serve(name, lambda protected: None)
                error = self.assertRaises(NoDaemon, ask, address=self.address())
                said.append(str(error))
            return said

        blocked, awaited = texts("client")
        self.assertEqual(blocked, awaited)
        self.assertIn("its certificate is not believed", blocked)
        (self.farm.directoryOf("ci") / "key.pem").write_text("nothing")
        blocked, awaited = texts(None)
        self.assertEqual(blocked, awaited)
        self.assertEqual(blocked.count(CERTIFY), 1)

    def test_unusable(self) -> None:
        """
        Files that cannot be used are named.
        """
        (self.farm.directoryOf("ci") / "key.pem").write_text("nothing")
        error = self.assertRaises(NoDaemon, self.open)
        self.assertIn("cert.pem and the files beside it", str(error))
        self.assertIn(CERTIFY, str(error))
        (self.farm.directoryOf("ci") / "ca.pem").unlink()
        error = self.assertRaises(NoDaemon, self.open)
        self.assertIn("cert.pem and the files beside it: No such file", str(error))

    def test_address(self) -> None:
        """
        An address's own spelling means that address again.
        """
        address = self.address(server="rack:1")
        self.assertEqual(parseAddress(str(address)), address)
