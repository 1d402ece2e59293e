# -*- test-case-name: tests.net.test_peers -*-
"""
Tests of L{muxd.net.peers}, with real sockets, as it is the kernel that knows.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from typing import Any
from unittest import skipUnless

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from muxd.net import peers
from muxd.net.peers import (
    BATCH,
    PeerInquiry,
    Presence,
    nameText,
    presenceOf,
    tcpPresences,
    tcpQuestion,
    tcpQuestionOf,
)
from muxd.net.streams import StreamSocket

ONLY_LINUX = skipUnless(sys.platform.startswith("linux"), "only Linux tells")


def connect(
    case: SynchronousTestCase, listen: tuple[int, str], to: tuple[int, str]
) -> tuple[socket.socket, socket.socket]:
    """
    A TCP connection within this machine.

    @param listen: The family and address of the socket that is listened on.
    @param to: The family of the peer's socket, and the address it connects to.
    @return: the accepted socket, and its peer.
    """
    family, address = listen
    listening = socket.socket(family)
    case.addCleanup(listening.close)
    try:
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind((address, 0))
    except OSError as error:
        raise SkipTest(f"this machine has no {address}") from error
    listening.listen()
    theirs = socket.socket(to[0])
    case.addCleanup(theirs.close)
    theirs.connect((to[1], listening.getsockname()[1]))
    ours, _ = listening.accept()
    case.addCleanup(ours.close)
    return ours, theirs


class PeerCase(SynchronousTestCase):
    """
    What is known of a peer.
    """

    def assertPresence(self, ours: socket.socket, expected: Presence) -> None:
        """
        Fail unless that is known of a socket's peer.
        """
        self.assertIs(presenceOf(ours.fileno()), expected)

    def assertTold(self, ours: socket.socket, theirs: socket.socket) -> None:
        """
        Fail unless a peer that has closed is told from one that has finished sending.
        """
        self.assertPresence(ours, Presence.HELD)
        theirs.sendall(b"last")
        theirs.shutdown(socket.SHUT_WR)
        self.assertPresence(ours, Presence.HELD)
        self.assertEqual(ours.recv(10), b"last")
        self.assertEqual(ours.recv(10), b"")
        self.assertPresence(ours, Presence.HELD)
        # A descriptor anywhere, such as in another process, is enough.
        other = theirs.dup()
        theirs.close()
        self.assertPresence(ours, Presence.HELD)
        other.close()
        self.assertPresence(ours, Presence.GONE)


@ONLY_LINUX
class LinuxTests(PeerCase):
    """
    Tests of L{presenceOf} where the kernel tells.
    """

    def test_unix(self) -> None:
        """
        A UNIX socket's peer is there until its last descriptor is closed.
        """
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self.assertTold(ours, theirs)

    def test_ipv4(self) -> None:
        """
        So is a TCP socket's.
        """
        self.assertTold(
            *connect(self, (socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.1"))
        )

    def test_written(self) -> None:
        """
        The question is the same if the addresses are known as the kernel writes them, and they
        can be read.
        """
        four, six = (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")
        any, mapped = (socket.AF_INET6, "::"), (socket.AF_INET6, "::ffff:127.0.0.1")
        for listening, connecting, host in (
            (four, four, "127.0.0.1"),
            (six, six, "[::1]"),
            (any, four, "[::ffff:127.0.0.1]"),
            (four, mapped, "127.0.0.1"),
        ):
            for ours in connect(self, listening, connecting):
                stream = StreamSocket(ours.dup().detach())
                self.addCleanup(stream.close)
                names = stream.names()
                assert names is not None
                self.assertEqual(tcpQuestionOf(*names), tcpQuestion(ours))
                if ours.getpeername()[0] == host.strip("[]"):
                    self.assertEqual(nameText(names[0]), f"{host}:{ours.getpeername()[1]}")

    def test_inquiry(self) -> None:
        """
        One can be asked about after the other, by one socket, also when the kernel has not
        answered at all.
        """
        inquiry = PeerInquiry()
        self.addCleanup(inquiry.close)
        ends = (socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.1")
        for _ in range(2):
            ours, theirs = connect(self, *ends)
            question = tcpQuestion(ours)
            assert question is not None
            theirs.shutdown(socket.SHUT_WR)
            self.assertIs(inquiry.presence(question), Presence.HELD)
            theirs.close()
            self.assertIs(inquiry.presence(question), Presence.GONE)
            self.assertIsNot(inquiry._kernel, None)
            self.assertIs(inquiry.presence(question[:-1]), Presence.UNKNOWN)
            self.assertIs(inquiry._kernel, None)

    def test_inquiryRefused(self) -> None:
        """
        Nothing is known where the kernel has no such sockets.
        """

        def refused(*arguments: Any) -> Any:
            raise OSError(errno.EPROTONOSUPPORT, "no such thing")

        self.patch(socket, "socket", refused)
        self.assertIs(PeerInquiry().presence(b"?"), Presence.UNKNOWN)

    def test_ipv6(self) -> None:
        """
        Also with IPv6.
        """
        self.assertTold(*connect(self, (socket.AF_INET6, "::1"), (socket.AF_INET6, "::1")))

    def test_mapped(self) -> None:
        """
        Also with IPv4 by an IPv6 socket, on either side.
        """
        self.assertTold(*connect(self, (socket.AF_INET6, "::"), (socket.AF_INET, "127.0.0.1")))
        mapped = (socket.AF_INET6, "::ffff:127.0.0.1")
        self.assertTold(*connect(self, (socket.AF_INET, "127.0.0.1"), mapped))

    def test_closedAtOnce(self) -> None:
        """
        A peer that closes without a word about its sending is gone before its last
        bytes have been read.
        """
        ours, theirs = connect(self, (socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.1"))
        theirs.sendall(b"last")
        theirs.close()
        self.assertPresence(ours, Presence.GONE)
        self.assertEqual(ours.recv(10), b"last")

    def test_reset(self) -> None:
        """
        A peer that has reset the connection is gone.
        """
        ours, theirs = connect(self, (socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.1"))
        ours.sendall(b"unread")
        theirs.recv(1, socket.MSG_PEEK)
        theirs.close()
        self.assertPresence(ours, Presence.GONE)

    def test_readsNoMore(self) -> None:
        """
        One that has ended both directions and is not closed yet will not read either.
        """
        pairs = [
            socket.socketpair(),
            connect(self, (socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.1")),
        ]
        for ours, theirs in pairs:
            with ours, theirs:
                theirs.shutdown(socket.SHUT_RDWR)
                self.assertPresence(ours, Presence.GONE)

    def test_lookedAtOnly(self) -> None:
        """
        The socket that is asked about stays open, and as it was.
        """
        ours, theirs = connect(self, (socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.1"))
        ours.setblocking(False)
        theirs.shutdown(socket.SHUT_WR)
        self.assertPresence(ours, Presence.HELD)
        self.assertFalse(os.get_blocking(ours.fileno()))
        ours.sendall(b"answer")
        self.assertEqual(theirs.recv(10), b"answer")

    def test_notHere(self) -> None:
        """
        Of a peer that this network namespace does not have nothing is known; a socket
        that listens where the peer should be is not it.
        """
        ours, theirs = connect(self, (socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.1"))
        question = tcpQuestion(ours)
        assert question is not None
        elsewhere = bytearray(question)
        elsewhere[28:32] = socket.inet_aton("192.0.2.1")
        listening = socket.create_server(("127.0.0.1", 0))
        with listening:
            listened = bytearray(question)
            listened[24:26] = listening.getsockname()[1].to_bytes(2, "big")
            theirs.shutdown(socket.SHUT_WR)
            self.assertEqual(
                tcpPresences([bytes(elsewhere), question, bytes(listened)]),
                [Presence.UNKNOWN, Presence.HELD, Presence.UNKNOWN],
            )

    def test_many(self) -> None:
        """
        Many are asked about at once, each for itself.
        """
        pairs = [
            connect(self, (socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.1"))
            for _ in range(2 * BATCH + 5)
        ]
        questions = []
        for number, (ours, theirs) in enumerate(pairs):
            theirs.shutdown(socket.SHUT_WR)
            question = tcpQuestion(ours)
            assert question is not None
            questions.append(question)
            if number % 3 == 0:
                theirs.close()
        expected = [Presence.HELD if number % 3 else Presence.GONE for number in range(len(pairs))]
        self.assertEqual(tcpPresences(questions), expected)

    def test_noSocket(self) -> None:
        """
        Nothing is known of what is at the other end of a pipe or a file.
        """
        for descriptor in os.pipe():
            self.addCleanup(os.close, descriptor)
            self.assertIs(presenceOf(descriptor), Presence.UNKNOWN)
        with open(os.devnull) as file:
            self.assertIs(presenceOf(file.fileno()), Presence.UNKNOWN)

    def test_notConnected(self) -> None:
        """
        There is nothing to ask about a socket that has no peer, or is none of TCP.
        """
        with socket.socket() as alone:
            self.assertIsNone(tcpQuestion(alone))
        one, two = socket.socketpair()
        with one, two:
            self.assertIsNone(tcpQuestion(one))

    def test_silentKernel(self) -> None:
        """
        A kernel that has no such sockets, does not let us have one or does not know the
        question says nothing, and then nothing is known.
        """
        ours, theirs = connect(self, (socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.1"))
        theirs.shutdown(socket.SHUT_WR)
        real = socket.socket
        for number in (errno.EPROTONOSUPPORT, errno.EPERM, errno.EMFILE):

            def refused(family: int = -1, *rest: Any, number: int = number, **more: Any) -> Any:
                if family == socket.AF_NETLINK:
                    raise OSError(number, os.strerror(number))
                return real(family, *rest, **more)

            patched = self.patch(socket, "socket", refused)
            self.assertPresence(ours, Presence.UNKNOWN)
            patched.restore()
        self.patch(peers, "SOCK_DIAG_BY_FAMILY", 99)
        self.assertPresence(ours, Presence.UNKNOWN)


class AnywhereTests(SynchronousTestCase):
    """
    Tests of L{presenceOf} where nobody tells.
    """

    def test_otherSystem(self) -> None:
        """
        On other systems nothing is known.
        """
        self.patch(sys, "platform", "darwin")
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self.assertIs(presenceOf(ours.fileno()), Presence.UNKNOWN)

    def test_noDescriptor(self) -> None:
        """
        Nor is anything known of what has no descriptor.
        """
        self.assertIs(presenceOf(-1), Presence.UNKNOWN)
