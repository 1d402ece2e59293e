# -*- test-case-name: tests.integration.test_mutualtls -*-
"""
Two daemons in processes of their own, one of which has the phones of the other by mutual TLS,
with the certificates that C{muxctl cert} makes.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from unittest import SkipTest

from bench.daemons import freePort
from tests.integration.conversation import Conversation
from tests.integration.daemon import PROJECT, Daemon, DaemonTestCase
from tests.integration.test_tools import ECHO

PHONES = 2


class MutualTLSTests(DaemonTestCase):
    """
    A host with phones, and another one that has them as well.
    """

    def setUp(self) -> None:
        """
        Make an authority, certify both, and start the one with the phones.
        """
        super().setUp()
        try:
            import OpenSSL  # noqa: F401
        except ImportError:
            raise SkipTest("pyOpenSSL is not installed") from None
        self.certified = self.makeDirectory()
        self.cert("init")
        self.cert("host", "rack1", "127.0.0.1")
        self.cert("client", "desk")
        self.port, self.status = freePort(), freePort()
        self.rack = self.makeDaemon()
        self.rack.run(
            *("usbmuxd", "--source", f"simulated:{PHONES}", *self.rack.arguments),
            *("--listen", f"mutualtls:{self.port}:files={self.certified / 'rack1'}:names=desk"),
            *("--status", f"mutualtls:{self.status}:files={self.certified / 'rack1'}:names=desk"),
        )
        self.waitFor(self.rack, "listening on mutualtls")

    def cert(self, action: str, *names: str) -> None:
        """
        Run C{muxctl cert}.
        """
        words = [sys.executable, "-m", "muxd.muxctl", "cert", action, *names]
        words += ["--ca", str(self.certified / "ca")]
        if action in ("host", "client"):
            words += ["-o", str(self.certified / names[0])]
        subprocess.run(
            words,
            cwd=PROJECT,
            check=True,
            capture_output=True,
            timeout=60,
        )

    def desk(self, name: str) -> Daemon:
        """
        A daemon that is certified by this name, and has the phones of the other.
        """
        daemon = self.makeDaemon()
        files = self.certified / name
        daemon.run(
            *("usbmuxd", "--source", f"remote:mutualtls:127.0.0.1:{self.port}:files={files}"),
            *daemon.arguments,
        )
        return daemon

    def test_phones(self) -> None:
        """
        The phones are there; when the certificates of both are renewed while streams are open
        those go on, and new ones are made.
        """
        desk = self.desk("desk")
        phones = desk.devices(PHONES)
        self.assertEqual(set(phones), set(self.rack.devices(PHONES)))
        number = min(phones.values())
        with desk.connect(ECHO, number) as before:
            self.assertEqual(self.echo(before, b"before"), b"before")
            self.cert("host", "rack1", "127.0.0.1")
            self.cert("client", "desk")
            with desk.connect(ECHO, number) as after:
                self.assertEqual(self.echo(after, b"after"), b"after")
            for daemon in (self.rack, desk):
                self.waitFor(daemon, "the renewed certificate is used")
            self.assertEqual(self.echo(before, b"still"), b"still")

    def test_finished(self) -> None:
        """
        A client that has finished sending gets the whole answer, although TLS cannot say that
        it has finished.
        """
        desk = self.desk("desk")
        number = min(desk.devices(PHONES).values())
        sent = bytes(500_000)
        with desk.connect(ECHO, number) as stream:
            sending = Thread(target=stream.socket.sendall, args=(sent,))
            sending.start()
            received = stream.exactly(len(sent) // 2)
            sending.join()
            stream.socket.shutdown(socket.SHUT_WR)
            self.assertEqual(received + stream.exactly(len(sent) - len(received)), sent)

    def echo(self, stream: Conversation, data: bytes) -> bytes:
        """
        What comes back of this.
        """
        stream.socket.sendall(data)
        return stream.exactly(len(data))

    def test_programs(self) -> None:
        """
        C{muxctl} and a relay reach the phones of the host without a daemon of their own.
        """
        at = f"mutualtls:127.0.0.1:{self.port}:files={self.certified / 'desk'}"
        (udid, _) = sorted(self.rack.devices(PHONES))
        self.assertIn(udid, self.muxctl("-s", at, "list"))
        for options in (("-s", at), ()):
            said = self.muxctl(*options, "-u", udid, "connect", "7", stdin=b"hello", at=at)
            self.assertEqual(said, "hello")
        status = f"mutualtls:127.0.0.1:{self.status}:files={self.certified / 'desk'}"
        self.assertIn(udid, self.muxctl("--status", status, "status"))
        self.assertIn("is released", self.muxctl("--status", status, "release", udid))
        self.muxctl("--status", status, "take", udid)
        self.rack.devices(PHONES)
        relay = self.makeDaemon()
        place = relay.directory / "echo"
        via = at.replace(":", "\\:")
        relay.run(
            *("tcprelay", "--from", f"unix:{place}"),
            *("--to", f"usbmux:port={ECHO}:udid={udid}:via={via}"),
        )
        self.waitFor(relay, f"listening on {place}")
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(60)
            stream.connect(str(place))
            stream.sendall(b"hello")
            self.assertEqual(stream.recv(5), b"hello")

    def muxctl(self, *words: str, stdin: bytes = b"", at: str = "") -> str:
        """
        What C{muxctl} says.

        @param at: Where the daemon is, as the environment has it.
        """
        done = subprocess.run(
            [sys.executable, "-m", "muxd.muxctl", *words],
            cwd=PROJECT,
            env={**os.environ, "USBMUXD_SOCKET_ADDRESS": at or "/none"},
            input=stdin,
            check=True,
            capture_output=True,
            timeout=60,
        )
        return done.stdout.decode()

    def test_refused(self) -> None:
        """
        A certificate that was revoked, one that has expired, and one of another name get no
        phone; both sides say why.
        """
        self.cert("revoke", "desk")
        self.copy("crl.pem")
        self.assertRefused("desk", "it was revoked", "was revoked")
        self.cert("client", "desk")
        self.expire("desk")
        self.assertRefused("desk", "it has expired", "has expired")
        self.cert("client", "guest")
        self.assertRefused("guest", "its names are none", "it")

    def assertRefused(self, name: str, theirs: str, ours: str) -> None:
        """
        The other daemon lets this one in as little as it has phones.
        """
        desk = self.desk(name)
        self.waitFor(self.rack, f"refused the certificate of {name}: {theirs}")
        self.waitFor(desk, f"not told of phones at present: .*{ours}")
        self.assertEqual(desk.devices(0), {})
        self.stop(desk)

    def copy(self, name: str) -> None:
        """
        Bring a file of the authority to the host.
        """
        (self.certified / "rack1" / name).write_bytes((self.certified / "ca" / name).read_bytes())

    def expire(self, name: str) -> None:
        """
        Let a day go by for a certificate.
        """
        from muxd.muxctl.authority import CertificateAuthority, Purpose

        authority = CertificateAuthority(Path(self.certified / "ca"))
        then = datetime.now(UTC) - timedelta(days=2)
        authority.issue([name], Purpose.CLIENT, 1, then, self.certified / name)
