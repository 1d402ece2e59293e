"""
Tests of L{muxd.device.socketend}, with a phone that the test plays and real sockets.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import socket
import sys
from unittest import SkipTest, skipUnless

from twisted.internet.error import ConnectionLost, ConnectionRefusedError
from twisted.python.failure import Failure

from muxd.device import socketend
from muxd.device.lending import CopyingLender
from muxd.device.socketend import LOOKS, NEEDLESS, PLENTY
from muxd.device.states import CLOSED, DRAINING, HALF_CLOSED, HALF_CLOSING
from muxd.limits import LIMITS
from muxd.net.packetmemory import PacketMemory
from muxd.wire.mux import BULK_PAYLOAD
from tests.device.links import RST, SYN, SYN_ACK, WINDOW
from tests.device.socketends import EVERYTHING, SocketEndCase


@skipUnless(sys.platform.startswith("linux"), "there is no epoll")
class OpeningTests(SocketEndCase):
    """
    Before the phone has answered.
    """

    def test_opened(self) -> None:
        """
        The owner hears of it once, and then bytes go both ways.
        """
        self.assertEqual(self.syn.flags, SYN)
        self.accept()
        self.assertEqual(self.owner.opened, 1)
        self.client.send(b"hello")
        self.turn()
        self.assertEqual(self.heard(), [b"hello"])
        self.say(b"world")
        self.assertEqual(self.received(), b"world")

    def test_early(self) -> None:
        """
        What the client says before the answer waits in its socket.
        """
        self.client.send(b"early")
        self.turn()
        self.assertEqual(self.take(), [])
        self.say(flags=SYN_ACK)
        self.assertEqual(self.heard(), [b"early"])

    def test_refused(self) -> None:
        """
        The owner gets its socket back, untouched.
        """
        self.client.send(b"next")
        self.turn()
        self.say(b"no such service", flags=RST)
        (reason,) = self.owner.refusals
        reason.trap(ConnectionRefusedError)
        self.assertEqual(self.loop.owners, [])
        self.assertEqual(self.end.socket.waiting(), 4)
        self.end.socket.close()
        self.owner.closed = 1

    def test_lost(self) -> None:
        """
        So it does when the phone goes away.
        """
        self.muxer.linkLost(Failure(ConnectionLost()))
        (reason,) = self.owner.refusals
        reason.trap(ConnectionLost)
        self.end.socket.close()
        self.owner.closed = 1

    def test_gone(self) -> None:
        """
        A client that goes is not waited for by the phone.
        """
        self.client.close()
        self.turn()
        self.assertEqual(self.resets(), 1)
        self.assertEqual((self.owner.cancelled, self.owner.opened), (1, 0))

    def test_finished(self) -> None:
        """
        One that has only finished sending is still there to read.
        """
        self.client.shutdown(socket.SHUT_WR)
        self.turn()
        self.accept()
        self.assertIs(self.session.state, HALF_CLOSED)
        self.say(b"welcome")
        self.assertEqual(self.received(), b"welcome")

    def test_finishedWithARequest(self) -> None:
        """
        One that has said something may wait for the answer.
        """
        self.client.send(b"question")
        self.client.shutdown(socket.SHUT_WR)
        self.turn()
        self.accept()
        self.say()
        self.assertIs(self.session.state, HALF_CLOSING)
        self.say(b"answer")
        self.assertEqual(self.received(), b"answer")

    def test_cut(self) -> None:
        """
        It can be given up.
        """
        self.end.cut()
        self.assertEqual((self.resets(), self.owner.cancelled), (1, 1))

    def test_mistake(self) -> None:
        """
        A mistake of ours is its end.
        """
        self.end.failed(Failure(ValueError()))
        self.assertEqual((self.resets(), self.owner.cancelled), (1, 1))


DESCRIPTORS = -1
"""In place of flags: a descriptor comes along."""


class UnevenCase(SocketEndCase):
    """
    Where the kernel does not give all that there is at once.
    """

    def expect(self, expected: bytes, *messages: tuple[bytes, int]) -> None:
        """
        All of what a client says arrives: before the phone has accepted, then, and while
        it takes nothing.
        """
        self.send(messages)
        self.turn()
        self.say(flags=SYN_ACK)
        self.assertEqual(b"".join(self.heard()), expected)
        self.turn()
        self.send(messages)
        self.turn()
        self.assertEqual(b"".join(self.heard()), expected)
        self.turn()
        self.phone.link.room = 0
        for _ in range(NEEDLESS + 2):
            self.client.send(b"more")
            self.turn()
        self.send(messages)
        self.turn()
        self.phone.link.makeRoom()
        self.turn()
        self.assertEqual(b"".join(self.heard()), b"more" * (NEEDLESS + 2) + expected)
        self.client.send(b"news")
        self.turn()
        self.assertEqual(self.heard(), [b"news"])

    def send(self, messages: tuple[tuple[bytes, int], ...]) -> None:
        """
        Have the client say this.
        """
        for data, flags in messages:
            if flags == DESCRIPTORS:
                socket.send_fds(self.client, [data], [self.client.fileno()])
            else:
                self.client.send(data, flags)


@skipUnless(sys.platform.startswith("linux"), "there is no epoll")
class UnevenUNIXTests(UnevenCase):
    """
    On a UNIX socket.
    """

    def test_descriptors(self) -> None:
        """
        A message with descriptors, which are closed, does not hide the next one.
        """
        self.expect(b"onetwothree", (b"one", DESCRIPTORS), (b"two", DESCRIPTORS), (b"three", 0))

    def test_urgent(self) -> None:
        """
        Nor does urgent data, which is left out.
        """
        one, other = socket.socketpair()
        with one, other:
            try:
                one.send(b"!", socket.MSG_OOB)
            except OSError as error:
                self.accept()
                raise SkipTest(f"this kernel has none on UNIX sockets: {error}") from error
        self.expect(b"onetwo", (b"one", 0), (b"!", socket.MSG_OOB), (b"two", 0))


@skipUnless(sys.platform.startswith("linux"), "there is no epoll")
class UnevenTCPTests(UnevenCase):
    """
    On a TCP socket.
    """

    def connected(self) -> tuple[socket.socket, socket.socket]:
        """
        Two ends of a connection.
        """
        with socket.create_server(("127.0.0.1", 0)) as listening:
            client = socket.create_connection(listening.getsockname())
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return client, listening.accept()[0]

    def test_urgent(self) -> None:
        """
        Urgent data does not hide what comes behind it, and is left out.
        """
        self.expect(b"onetwo", (b"one", 0), (b"!", socket.MSG_OOB), (b"two", 0))


@skipUnless(sys.platform.startswith("linux"), "there is no epoll")
class StreamTests(SocketEndCase):
    """
    Bytes both ways.
    """

    def setUp(self) -> None:
        """
        Open it.
        """
        super().setUp()
        self.accept()

    def test_window(self) -> None:
        """
        No more is read than the phone takes; the rest waits in the kernel, and goes when it
        is acknowledged.
        """
        data = bytes(range(256)) * 1000
        sent = self.client.send(data)
        self.turn()
        first = b"".join(self.heard())
        self.assertEqual(len(first), WINDOW)
        self.turn()
        self.assertEqual(self.heard(), [])
        rest = b""
        while len(first) + len(rest) < sent:
            self.say()
            rest += b"".join(self.heard())
        self.assertEqual(first + rest, data[:sent])

    def test_segments(self) -> None:
        """
        Segments are as large as the link wants them.
        """
        self.client.send(bytes(2 * BULK_PAYLOAD + 1))
        self.turn()
        self.assertEqual(list(map(len, self.heard())), [BULK_PAYLOAD, BULK_PAYLOAD, 1])

    def test_needlessEvents(self) -> None:
        """
        While there is something to read that cannot be sent, more of it wakes nothing up after
        a few times; what comes when all has been read does.
        """
        self.phone.link.room = 0
        told = []
        for _ in range(NEEDLESS + 4):
            self.client.send(b"more")
            before = self.loop.turns
            self.turn()
            told.append(self.loop.turns > before)
        self.assertEqual(told, [True] * (NEEDLESS + 1) + [False] * 3)
        self.phone.link.makeRoom()
        self.assertEqual(b"".join(self.heard()), b"more" * (NEEDLESS + 4))
        self.turn()
        self.client.send(b"news")
        self.turn()
        self.assertEqual(self.heard(), [b"news"])

    def test_heldMeanwhile(self) -> None:
        """
        What the client does not take is written when there is room, also while it is not heard
        that it sends; and that it has gone is told in any case.
        """
        self.phone.link.room = 0
        for _ in range(NEEDLESS + 2):
            self.client.send(b"more")
            self.turn()
        flood = bytes(WINDOW)
        size = 0
        while not self.session.isHolding():
            self.say(flood[:30000])
            size += 30000
            self.phone.link.makeRoom(1)
            self.phone.link.room = 0
        got = b""
        while len(got) < size:
            with contextlib.suppress(BlockingIOError):
                got += self.client.recv(EVERYTHING)
            self.turn()
        self.assertFalse(self.session.isHolding())
        self.client.close()
        self.turn()
        self.phone.link.makeRoom()
        self.assertEqual(b"".join(self.heard()), b"more" * (NEEDLESS + 2))
        self.say()
        self.assertIs(self.session.state, CLOSED)

    def test_noRoom(self) -> None:
        """
        Nothing is read while the link has no room.
        """
        self.phone.link.room = 0
        self.client.send(b"hello")
        self.turn()
        self.assertEqual(self.end.socket.waiting(), 5)
        self.phone.link.makeRoom()
        self.assertEqual(self.heard(), [b"hello"])

    def test_smallBeforeBulk(self) -> None:
        """
        What is small need not wait for a bulk session's turn, if nothing of it is under way.
        """
        bulk = self.phone.open(port=1)
        link = self.phone.link
        small = LIMITS.smallWrite + 36
        self.patch(link, "hasRoom", lambda size: size <= small)
        bulk.session.write(bytes(200000))
        self.client.send(b"key")
        self.turn()
        self.assertEqual(self.heard(), [b"key"])
        self.client.send(b"more")
        self.turn()
        self.assertEqual(self.heard(), [], "the first one is not acknowledged")

    def test_largeWaitsForItsTurn(self) -> None:
        """
        What is not small does.
        """
        bulk = self.phone.open(port=1)
        small = LIMITS.smallWrite + 36
        self.patch(self.phone.link, "hasRoom", lambda size: size <= small)
        bulk.session.write(bytes(200000))
        self.client.send(bytes(LIMITS.smallWrite + 1))
        self.turn()
        self.assertEqual(self.heard(), [])

    def test_held(self) -> None:
        """
        What the client does not read is held, a window at the most, and is not
        acknowledged; the rest is. When it reads on, it gets everything in order.
        """
        said = self.fillClient()
        expected = b"".join(bytes([at >> 15 & 0xFF]) * 32768 for at in range(0, said, 32768))
        self.clock.advance(1)
        self.assertEqual(self.take(), [])
        acknowledged = self.session.receive.acknowledged
        held = said + 1 - acknowledged
        self.assertGreater(held, 0)
        self.assertLessEqual(held, 32768)
        self.assertEqual(self.session.receive.delivered, acknowledged)
        self.assertEqual(self.readAll(said), expected)
        self.assertEqual(max(one.ack for one in self.take()), said + 1)

    def test_memoryGivenBack(self) -> None:
        """
        Memory that was borrowed of the link for a client that has nothing to say after all
        is given back: there would be less and less of it.
        """
        returned: list[str] = []

        class Noting(CopyingLender):
            """
            A lender that notes what it gets back.
            """

            def giveBack(self, memory: PacketMemory) -> None:
                """
                Note it.
                """
                returned.append("given back")

        link = self.muxer._link
        assert link is not None
        self.muxer.outbound._lender = Noting(link)
        self.client.send(b"x")
        self.turn()
        self.assertEqual(self.heard(), [b"x"])
        self.session.available = PLENTY
        self.session.offer()
        self.assertEqual(self.heard(), [])
        self.assertEqual(returned, ["given back"])

    def test_partialSends(self) -> None:
        """
        However little the client's socket takes at a time, no byte is lost or said twice.
        """
        # A UNIX socket takes a message in parts, as far as there is room.
        narrow = socket.socket(fileno=os.dup(self.end.socket.fileno()))
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 5000)
        narrow.close()
        chance = random.Random(7)
        said = chance.randbytes(3 * 32768)
        for start in range(0, len(said), 32768):
            self.say(said[start : start + 32768])
        self.assertTrue(self.session.isHolding())
        got = bytearray()
        for _ in range(2000):
            with contextlib.suppress(BlockingIOError):
                got += self.client.recv(chance.randrange(1, 4000))
            self.turn()
        self.assertEqual(len(got), len(said))
        self.assertEqual(bytes(got), said)
        self.assertEqual(max(one.ack for one in self.take()), len(said) + 1)

    def test_writable(self) -> None:
        """
        That its socket takes more is asked for while something is held, and only then.
        """
        self.assertFalse(self.watched() & select.EPOLLOUT)
        self.fillClient()
        self.assertTrue(self.watched() & select.EPOLLOUT)
        while self.session.isHolding():
            self.assertTrue(self.watched() & select.EPOLLOUT)
            self.received()
            self.turn()
        self.assertFalse(self.watched() & select.EPOLLOUT)
        self.received()
        self.fillClient()
        self.end.forgetHeld()
        self.assertFalse(self.watched() & select.EPOLLOUT)

    def test_isTaken(self) -> None:
        """
        All is taken when the client has finished and the phone acknowledged everything.
        """
        self.client.send(b"question")
        self.turn()
        self.assertFalse(self.end.isTaken())
        self.heard()
        self.say()
        self.assertFalse(self.end.isTaken())
        self.client.send(b"another")
        self.client.shutdown(socket.SHUT_WR)
        self.turn()
        self.heard()
        self.assertFalse(self.end.isTaken())
        self.say()
        self.assertTrue(self.end.isTaken())

    def test_looks(self) -> None:
        """
        A client whose socket holds as much as before may have read a little of it, until that
        has been so for some looks; they begin anew when it holds another amount, and when its
        socket has taken something.
        """
        kept = [100]
        self.patch(socketend, "heldByKernel", lambda descriptor: kept[0])

        def looks() -> int:
            count = 0
            while self.end.isTaking():
                count += 1
            return count

        self.fillClient()
        self.assertEqual(looks(), LOOKS)
        kept[0] = 200
        self.assertEqual(looks(), LOOKS)
        self.assertTrue(self.client.recv(EVERYTHING))
        self.turn()
        self.assertEqual(looks(), LOOKS - 1)
        kept[0] = 0
        self.assertEqual(looks(), 0)
        self.received()

    def test_stall(self) -> None:
        """
        That the client does not read is counted and timed, until it has read everything.
        """
        said = self.fillClient()
        self.assertEqual(self.session.stalls, 1)
        self.clock.advance(2)
        self.readAll(said)
        self.assertEqual(self.session.stalls, 1)
        self.assertLess(self.session.stalledSince, 0)
        self.assertEqual(self.muxer.times.stalls.total, 2.0)

    def test_flood(self) -> None:
        """
        A phone that goes on although nothing is acknowledged loses its session.
        """
        self.fillClient()
        for _ in range(WINDOW // 32768):
            self.say(bytes(32768))
        self.assertIs(self.session.state, DRAINING)
        self.assertEqual(self.muxer.counters.overruns, 1)

    def test_counted(self) -> None:
        """
        The owner is told how much it was.
        """
        self.client.send(b"12345")
        self.turn()
        self.heard()
        self.say(b"123")
        self.say(flags=RST)
        self.assertEqual(self.owner.ends, [(5, 3)])

    def test_mistake(self) -> None:
        """
        A mistake of ours ends it, and tells the phone.
        """
        self.end.failed(Failure(ValueError()))
        self.assertEqual((self.resets(), self.session.state), (1, CLOSED))
