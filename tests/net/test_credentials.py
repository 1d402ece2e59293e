"""
Tests of L{muxd.net.credentials}.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import skipUnless

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from muxd.net.credentials import Peer, ownerOf, peerOf, peerText


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
