"""
Tests of L{muxd.net.credentials}.
"""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import skipUnless

from OpenSSL import crypto
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from muxd.net.credentials import (
    Evidence,
    Peer,
    addressOfDescriptor,
    machineOf,
    nameOf,
    ownerOf,
    ownerOfSocket,
    peerOf,
    peerOfDescriptor,
    peerText,
)


@dataclass
class Transport:
    """
    One with a socket and a peer's address.
    """

    socket: Any
    address: Any

    def getPeer(self) -> Any:
        """
        The address.
        """
        return self.address


@skipUnless(hasattr(socket, "SO_PEERCRED"), "this system does not tell of peers")
class PeerTests(SynchronousTestCase):
    """
    Tests of L{peerOf} and L{peerText}.
    """

    def pair(self, family: int = socket.AF_UNIX) -> socket.socket:
        """
        One end of two sockets.
        """
        ends = socket.socketpair(family)
        for end in ends:
            self.addCleanup(end.close)
        return ends[0]

    def test_process(self) -> None:
        """
        A UNIX socket's peer is a process with a user, a group and a name.
        """
        peer = peerOf(self.pair())
        self.assertEqual(peer, Peer(os.getpid(), os.getuid(), os.getgid()))
        assert peer is not None
        name = Path("/proc/self/comm").read_text().rstrip("\n")
        self.assertEqual(peer.program, name)
        self.assertEqual(str(peer), f"pid {os.getpid()} ({name}), uid {os.getuid()}")

    def test_gone(self) -> None:
        """
        A process that is gone has no name any more.
        """
        self.assertEqual(str(Peer(0, 5, 6)), "pid 0, uid 5")

    def test_unknown(self) -> None:
        """
        The kernel does not tell of TCP connections, closed sockets, and what is none.
        """
        closed = self.pair()
        closed.close()
        with socket.socket() as tcp:
            for sock in (tcp, closed, None, object()):
                self.assertIsNone(peerOf(sock))

    def test_descriptor(self) -> None:
        """
        A socket may be known by its descriptor alone, which stays open.
        """
        ours = self.pair()
        self.assertEqual(peerOfDescriptor(ours.fileno()), peerOf(ours))
        self.assertEqual(addressOfDescriptor(ours.fileno()), "")
        with open("/dev/null") as file:
            self.assertIsNone(peerOfDescriptor(file.fileno()))
            self.assertEqual(addressOfDescriptor(file.fileno()), "")
        self.assertIsNone(peerOfDescriptor(-1))
        with (
            socket.create_server(("127.0.0.1", 0)) as listening,
            socket.create_connection(listening.getsockname()) as client,
        ):
            port = listening.getsockname()[1]
            self.assertEqual(addressOfDescriptor(client.fileno()), f"127.0.0.1:{port}")
            self.assertIsNone(peerOfDescriptor(client.fileno()))
            self.assertGreaterEqual(client.fileno(), 0)

    def test_addressOfIPv6(self) -> None:
        """
        An address of IPv6 is told in brackets.
        """
        try:
            listening = socket.create_server(("::1", 0), family=socket.AF_INET6)
        except OSError as error:
            raise SkipTest(f"no IPv6 here: {error}") from error
        with listening, socket.create_connection(listening.getsockname()[:2]) as client:
            port = listening.getsockname()[1]
            self.assertEqual(addressOfDescriptor(client.fileno()), f"[::1]:{port}")

    def test_text(self) -> None:
        """
        A log names the process, or the address, or neither.
        """
        with socket.socket() as tcp:
            for sock, address, text in (
                (self.pair(), UNIXAddress(None), str(peerOf(self.pair()))),
                (tcp, IPv4Address("TCP", "192.0.2.7", 5), "192.0.2.7:5"),
                (None, UNIXAddress(None), "a client"),
            ):
                self.assertEqual(peerText(Transport(sock, address)), text)

    def test_owner(self) -> None:
        """
        Clients are told apart by their user, or by their machine.
        """
        with socket.socket() as tcp:
            for sock, address, owner in (
                (self.pair(), UNIXAddress(None), os.getuid()),
                (tcp, IPv4Address("TCP", "192.0.2.7", 5), "192.0.2.7"),
                (tcp, IPv4Address("TCP", "192.0.2.7", 6), "192.0.2.7"),
                (None, UNIXAddress(None), "unknown"),
            ):
                self.assertEqual(ownerOf(Transport(sock, address)), owner)
        self.assertEqual(ownerOf(None), "unknown")

    def test_ownerOfSocket(self) -> None:
        """
        So are those of which there is only a descriptor, which stays open.
        """
        ours = self.pair()
        self.assertEqual(ownerOfSocket(ours.fileno(), socket.AF_UNIX), os.getuid())
        ours.getsockname()
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.assertEqual(ownerOfSocket(server.fileno(), socket.AF_INET), "unknown")
            with socket.create_connection(server.getsockname()) as client:
                self.assertEqual(ownerOfSocket(client.fileno(), socket.AF_INET), "127.0.0.1")
                client.getpeername()
        self.assertEqual(ownerOfSocket(-1, socket.AF_UNIX), "unknown")

    def test_machines(self) -> None:
        """
        A machine has all addresses of its network of IPv6, and those of IPv4 in two spellings.
        """
        for host, machine in (
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
            ("fe80::1%eth0", "fe80::1%eth0"),
            ("::1", "::1"),
            (":no:", ":no:"),
        ):
            self.assertEqual(machineOf(host), machine)

    def test_name(self) -> None:
        """
        With TLS it is the name in the certificate that was shown, if one was.
        """
        shown = crypto.X509()
        shown.get_subject().CN = "farm 1\n"
        for certificate, name in ((shown, "CN=farm 1?"), (None, None)):
            transport = Transport(None, UNIXAddress(None))
            transport.getPeerCertificate = lambda it=certificate: it  # type: ignore[attr-defined]
            self.assertEqual(nameOf(transport), name)
        self.assertIsNone(nameOf(Transport(None, UNIXAddress(None))))


class EvidenceTests(SynchronousTestCase):
    """
    Tests of L{Evidence}.
    """

    @skipUnless(sys.platform.startswith("linux"), "this system tells less of peers")
    def test_ourselves(self) -> None:
        """
        The user, the groups and the program of a process that is there; no descriptor stays
        open.
        """
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        self.addCleanup(ours.close)
        evidence = Evidence(Transport(ours, None))
        before = len(os.listdir("/proc/self/fd"))
        self.assertEqual(evidence.program, os.readlink("/proc/self/exe"))
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
        self.assertEqual(evidence.uid, os.getuid())
        self.assertEqual(evidence.gids, {os.getgid(), *os.getgroups()})

    def test_unknown(self) -> None:
        """
        Of others nothing is known.
        """
        evidence = Evidence(Transport(None, None))
        self.assertEqual((evidence.uid, evidence.gids, evidence.program), (-1, frozenset(), ""))
