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
from pathlib import Path
from types import SimpleNamespace
from unittest import skipUnless

from twisted.internet.error import ConnectionLost, ConnectionRefusedError
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from muxd.device import socketend
from muxd.device.lending import CopyingLender
from muxd.device.socketend import LOOKS, NEEDLESS, PLENTY, SocketEnd, SocketOwner
from muxd.device.states import CLOSED, DRAINING, ESTABLISHED, FLUSHING, HALF_CLOSED, HALF_CLOSING
from muxd.limits import LIMITS
from muxd.net import halfclosed
from muxd.net.eventloop import WRITABLE
from muxd.net.halfclosed import HalfClosedWatch
from muxd.net.packetmemory import PacketMemory
from muxd.net.peers import Presence
from muxd.net.streams import StreamSocket
from muxd.testing.packets import Segment
from muxd.wire.mux import BULK_PAYLOAD
from tests.device.links import ACK, LOCKDOWN, RST, SYN, SYN_ACK, WINDOW, ScriptedPhone
from tests.net.eventloops import handDrivenLoop

EVERYTHING = 1 << 20


class Owner(SocketOwner):
    """
    Writes down what it is told.
    """

    def __init__(self) -> None:
        self.opened = self.cancelled = self.closed = 0
        self.refusals: list[Failure] = []
        self.ends: list[tuple[int, int]] = []

    def sessionOpened(self) -> None:
        """
        Count.
        """
        self.opened += 1

    def sessionRefused(self, reason: Failure) -> None:
        """
        Keep it.
        """
        self.refusals.append(reason)

    def requestCancelled(self) -> None:
        """
        Count.
        """
        self.cancelled += 1

    def socketClosed(self) -> None:
        """
        Count.
        """
        self.closed += 1

    def streamEnded(self, sent: int, received: int) -> None:
        """
        Keep it.
        """
        self.ends.append((sent, received))


class SocketEndCase(SynchronousTestCase):
    """
    A client, and a phone that has been asked for a session for it.
    """

    def setUp(self) -> None:
        """
        Ask.
        """
        self.phone = ScriptedPhone.ready()
        self.clock, self.muxer = self.phone.clock, self.phone.muxer
        self.loop = handDrivenLoop()
        self.client, ours = socket.socketpair()
        self.client.setblocking(False)
        self.addCleanup(self.client.close)
        self.owner = Owner()
        self.watch = HalfClosedWatch(self.clock, LIMITS.halfCloseGrace, LIMITS.flushTimeout)
        self.end = SocketEnd(StreamSocket(ours.detach()), self.loop, self.watch, self.owner)
        opening = self.muxer.open(LOCKDOWN, self.end)
        self.end.begin(opening)
        self.syn = self.phone.take()[-1]
        self.seq, self.ack = 0, 1

    def tearDown(self) -> None:
        """
        Nothing is left.
        """
        self.muxer.stop()
        self.clock.advance(1000)
        self.assertEqual(self.loop.owners, [])
        self.assertEqual(self.end.socket.fileno(), -1)
        self.assertEqual([each for each in self.clock.getDelayedCalls() if each.active()], [])
        self.assertEqual(self.owner.closed, 1)

    def say(self, payload: bytes = b"", flags: int = ACK, window: int = WINDOW) -> None:
        """
        Have the phone say something.
        """
        self.phone.deliver(
            self.phone.segment(
                LOCKDOWN, self.syn.sourcePort, self.seq, self.ack, flags, payload, window
            )
        )
        self.seq += len(payload) + (flags == SYN_ACK)

    def accept(self, window: int = WINDOW) -> None:
        """
        Have the phone accept.
        """
        self.say(flags=SYN_ACK, window=window)
        (session,) = self.muxer.sessions
        self.session = session
        self.phone.take()

    def turn(self) -> None:
        """
        Give the loop its turn.
        """
        self.loop.doRead()

    def heard(self) -> list[bytes]:
        """
        What the phone has been sent, acknowledged at once.
        """
        payloads = [one.payload for one in self.phone.take() if one.payload]
        self.ack += sum(map(len, payloads))
        return payloads

    def take(self) -> list[Segment]:
        """
        What was sent.
        """
        return self.phone.take()

    def resets(self) -> int:
        """
        How many RSTs were sent.
        """
        return len([one for one in self.phone.take() if one.flags == RST])

    def received(self) -> bytes:
        """
        What the client can read.
        """
        got = b""
        while True:
            try:
                data = self.client.recv(EVERYTHING)
            except BlockingIOError:
                return got
            if not data:
                return got
            got += data

    def readAll(self, size: int) -> bytes:
        """
        Let the client read this many bytes, of what has been sent to it and of what is held,
        and let the last of it be seen.
        """
        got = b""
        while len(got) < size:
            more = self.received()
            self.assertTrue(more, f"expected {size} bytes, got {len(got)}")
            got += more
            self.turn()
        return got

    def atEnd(self) -> bool:
        """
        Whether the client reads an end.
        """
        try:
            return self.client.recv(1) == b""
        except BlockingIOError:
            return False

    def watched(self) -> int:
        """
        The events of the client's socket that the loop asks for, as the kernel tells.
        """
        poller = self.loop._poller
        assert poller is not None
        said = Path(f"/proc/self/fdinfo/{poller.fileno()}").read_text()
        lines = [line.split() for line in said.splitlines() if line.startswith("tfd:")]
        if not lines:
            raise SkipTest("this kernel does not tell")
        (events,) = [line[3] for line in lines if int(line[1]) == self.end.socket.fileno()]
        return int(events, 16)

    def fillClient(self) -> int:
        """
        Have the phone say more than the client's socket takes.

        @return: How many bytes the phone has said.
        """
        said = 0
        while not self.session.isHolding():
            self.assertLess(said, 16 << 20, "the socket takes everything")
            self.say(bytes([said >> 15 & 0xFF]) * 32768)
            said += 32768
        self.take()
        return said


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


@skipUnless(sys.platform.startswith("linux"), "there is no epoll")
class EndTests(SocketEndCase):
    """
    How a stream ends.
    """

    def setUp(self) -> None:
        """
        Open it.
        """
        super().setUp()
        self.accept()

    def test_phoneEnds(self) -> None:
        """
        When the phone ends it, the client gets what there was, and an end.
        """
        self.say(b"bye")
        self.say(flags=RST)
        self.assertEqual(self.received(), b"bye")
        self.assertTrue(self.atEnd())
        self.assertEqual(self.resets(), 0)

    def test_phoneEndsWithBytesHeld(self) -> None:
        """
        A client that reads slowly gets everything all the same.
        """
        said = self.fillClient()
        self.say(flags=RST)
        self.assertIs(self.session.state, DRAINING)
        self.assertEqual(list(self.muxer.sessions), [])
        self.readAll(said)
        self.assertIs(self.session.state, CLOSED)
        self.assertTrue(self.atEnd())

    def test_phoneEndsAndNobodyReads(self) -> None:
        """
        One that never does is given up.
        """
        self.fillClient()
        self.say(flags=RST)
        self.clock.pump([LIMITS.flushTimeout] * 5)
        self.assertIs(self.session.state, CLOSED)

    def test_phoneEndsAndSomebodyReadsLittle(self) -> None:
        """
        One that takes a little at a time is not.
        """
        said = self.fillClient()
        self.say(flags=RST)
        got = 0
        for _ in range(12):
            got += len(self.client.recv(9000))
            self.turn()
            self.clock.advance(LIMITS.flushTimeout)
        self.assertIs(self.session.state, DRAINING)
        self.readAll(said - got)
        self.assertIs(self.session.state, CLOSED)

    def test_drainingReadsNothing(self) -> None:
        """
        What a client says after the phone has ended the session is not read.
        """
        self.fillClient()
        self.say(flags=RST)
        self.client.send(b"too late")
        self.turn()
        self.assertEqual((self.take(), self.session.available), ([], 0))
        self.assertEqual(self.end.socket.waiting(), 8)

    def test_goneWhileDraining(self) -> None:
        """
        One that goes is not waited for.
        """
        self.fillClient()
        self.say(flags=RST)
        self.client.close()
        self.turn()
        self.assertIs(self.session.state, CLOSED)

    def test_clientGone(self) -> None:
        """
        A client that goes ends its session, once the phone has taken everything.
        """
        self.client.send(b"last words")
        self.client.close()
        self.turn()
        self.assertEqual(self.heard(), [b"last words"])
        self.assertEqual((self.session.state, self.owner.closed), (FLUSHING, 1))
        self.say(b"unheard")
        self.assertEqual((self.resets(), self.session.state), (1, CLOSED))

    def test_goneAfterItHadFinished(self) -> None:
        """
        The socket of one that goes after it has finished sending is closed at once, while the
        phone takes the rest.
        """
        self.client.send(b"last words")
        self.client.shutdown(socket.SHUT_WR)
        self.turn()
        self.assertEqual(self.heard(), [b"last words"])
        self.client.close()
        self.turn()
        self.assertEqual((self.session.state, self.owner.closed), (FLUSHING, 1))
        self.say()
        self.assertIs(self.session.state, CLOSED)

    def test_clientGoneAtOnce(self) -> None:
        """
        With nothing said, at once.
        """
        self.client.close()
        self.turn()
        self.assertEqual((self.resets(), self.session.state), (1, CLOSED))

    def test_clientGoneWithMuchUnread(self) -> None:
        """
        All that it has said reaches the phone, however long that takes.
        """
        sent = self.client.send(bytes(190000))
        self.client.close()
        self.turn()
        got = len(b"".join(self.heard()))
        self.assertEqual(got, WINDOW)
        self.assertIs(self.session.state, FLUSHING)
        self.clock.advance(LIMITS.flushTimeout - 1)
        self.say()
        got += len(b"".join(self.heard()))
        self.assertEqual(got, sent)
        self.clock.advance(LIMITS.flushTimeout - 1)
        self.assertIs(self.session.state, FLUSHING)
        self.say()
        self.assertIs(self.session.state, CLOSED)

    def test_tcpClientGoneAndNobodyTakes(self) -> None:
        """
        So it is over TCP, where no event tells that a client has gone which had finished
        sending before.
        """
        self.end.cut()
        self.take()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.client = socket.create_connection(listening.getsockname())
            self.addCleanup(self.client.close)
            ours, _ = listening.accept()
        self.owner = Owner()
        self.end = SocketEnd(StreamSocket(ours.detach()), self.loop, self.watch, self.owner)
        self.end.begin(self.muxer.open(LOCKDOWN, self.end))
        self.syn = self.take()[-1]
        self.seq, self.ack = 0, 1
        self.accept(window=256)
        self.client.sendall(bytes(1000))
        self.client.shutdown(socket.SHUT_WR)
        arrived = select.poll()
        arrived.register(self.end.socket.fileno(), select.POLLRDHUP)
        arrived.poll()
        self.turn()
        self.take()
        self.clock.pump([LIMITS.flushTimeout] * 4)
        self.assertIs(self.session.state, ESTABLISHED)
        self.client.close()
        self.clock.pump([halfclosed.LOOK, LIMITS.flushTimeout + 1])
        self.assertEqual((self.resets(), self.session.state), (1, CLOSED))

    def test_clientGoneAndNobodyTakes(self) -> None:
        """
        Unless the phone takes nothing for some time.
        """
        self.client.send(bytes(190000))
        self.client.close()
        self.turn()
        self.take()
        self.clock.pump([LIMITS.flushTimeout] * 2)
        self.assertEqual((self.resets(), self.session.state), (1, CLOSED))

    def test_goneBehindABulkSession(self) -> None:
        """
        Nor does one that has gone keep its turn from others.
        """
        link = self.phone.link
        other = self.phone.open(port=1)
        link.room = 0
        self.client.send(b"x")
        self.client.close()
        self.turn()
        other.session.write(b"y")
        link.makeRoom()
        self.assertEqual([one.payload for one in self.take() if one.payload], [b"x", b"y"])
        self.ack += 1

    def test_halfClosed(self) -> None:
        """
        One that has only finished sending still gets its answer.
        """
        self.client.send(b"question")
        self.client.shutdown(socket.SHUT_WR)
        self.turn()
        self.assertEqual((self.heard(), self.session.state), ([b"question"], HALF_CLOSING))
        self.say()
        self.assertIs(self.session.state, HALF_CLOSED)
        self.say(b"answer")
        self.assertEqual(self.received(), b"answer")
        self.say(flags=RST)
        self.assertTrue(self.atEnd())

    def test_halfClosedAndSilent(self) -> None:
        """
        However late that comes, as long as the client is there.
        """
        self.client.shutdown(socket.SHUT_WR)
        self.turn()
        self.clock.pump([1] * 100)
        self.assertIs(self.session.state, HALF_CLOSED)
        self.say(b"answer")
        self.assertEqual(self.received(), b"answer")

    def test_halfClosedAndUnknown(self) -> None:
        """
        Of a client of which it is not known whether it is there the session ends after the
        grace, and the client gets an end.
        """
        self.patch(halfclosed, "presenceOf", lambda descriptor: Presence.UNKNOWN)
        self.client.shutdown(socket.SHUT_WR)
        self.turn()
        self.assertIs(self.session.state, HALF_CLOSED)
        self.clock.pump([LIMITS.halfCloseGrace] * 2)
        self.assertEqual((self.resets(), self.session.state), (1, CLOSED))
        self.assertTrue(self.atEnd())

    def test_unknownWithBytesHeld(self) -> None:
        """
        Unless something waits for it to read: it gets that.
        """
        self.patch(halfclosed, "presenceOf", lambda descriptor: Presence.UNKNOWN)
        said = self.fillClient()
        self.client.shutdown(socket.SHUT_WR)
        self.turn()
        self.clock.pump([LIMITS.halfCloseGrace] * 10)
        self.assertIs(self.session.state, HALF_CLOSED)
        self.end.graceOver()
        self.assertIs(self.session.state, DRAINING)
        self.assertEqual(self.resets(), 1)
        self.readAll(said)
        self.assertIs(self.session.state, CLOSED)

    def test_unknownWithBytesBothWays(self) -> None:
        """
        What it has said before still reaches the phone.
        """
        self.patch(halfclosed, "presenceOf", lambda descriptor: Presence.UNKNOWN)
        self.fillClient()
        self.client.send(b"last words")
        self.client.shutdown(socket.SHUT_WR)
        self.turn()
        self.assertEqual(self.heard(), [b"last words"])
        self.end.graceOver()
        self.assertEqual((self.session.state, self.resets()), (FLUSHING, 0))
        self.say()
        self.assertIs(self.session.state, CLOSED)

    def test_noGrace(self) -> None:
        """
        Without a grace it has gone when it has finished.
        """
        self.patch(halfclosed, "presenceOf", lambda descriptor: Presence.UNKNOWN)
        self.watch.grace = 0
        self.client.shutdown(socket.SHUT_WR)
        self.turn()
        self.assertIs(self.session.state, CLOSED)

    def test_foundGoneByTheLast(self) -> None:
        """
        A session is the last that has its end when the phone's bytes find the client gone.
        """
        self.end = SimpleNamespace(socket=self.end.socket)  # type: ignore[assignment]
        self.client.close()
        self.say(b"hello")
        self.assertEqual((self.owner.closed, self.owner.ends), (1, [(0, 5)]))

    def test_foundGone(self) -> None:
        """
        Nor is one served that has gone when it is looked at.
        """
        self.patch(halfclosed, "presenceOf", lambda descriptor: Presence.GONE)
        self.client.shutdown(socket.SHUT_WR)
        self.turn()
        self.assertIs(self.session.state, CLOSED)

    def test_foundGoneLater(self) -> None:
        """
        Or later.
        """
        self.client.shutdown(socket.SHUT_WR)
        self.turn()
        self.assertFalse(self.session.state is CLOSED)
        self.client.close()
        self.clock.advance(halfclosed.LOOK)
        self.assertIs(self.session.state, CLOSED)

    def test_halfClosedThenGone(self) -> None:
        """
        Or when the client goes.
        """
        self.client.shutdown(socket.SHUT_WR)
        self.turn()
        self.client.close()
        self.turn()
        self.assertEqual((self.resets(), self.session.state), (1, CLOSED))

    def test_unwritable(self) -> None:
        """
        A client that reads no more, though it may go on sending, is gone.
        """
        self.client.shutdown(socket.SHUT_RD)
        self.say(b"unheard")
        self.assertIn(self.session.state, (FLUSHING, CLOSED))
        self.clock.pump([LIMITS.flushTimeout] * 2)
        self.assertIs(self.session.state, CLOSED)

    def test_unwritableWithBytesHeld(self) -> None:
        """
        So is one that reads no more of what is held for it.
        """
        self.fillClient()
        self.client.shutdown(socket.SHUT_RD)
        self.end.happened(WRITABLE)
        self.assertFalse(self.session.isHolding())
        self.clock.pump([LIMITS.flushTimeout] * 2)
        self.assertIs(self.session.state, CLOSED)

    def test_lost(self) -> None:
        """
        When the phone is unplugged, the client hears the end.
        """
        self.muxer.linkLost(Failure(ConnectionLost()))
        self.assertTrue(self.atEnd())

    def test_cut(self) -> None:
        """
        The daemon may end it.
        """
        self.end.cut()
        self.assertEqual((self.resets(), self.session.state), (1, CLOSED))

    def test_cutWhileDraining(self) -> None:
        """
        But a client is left the last words of a phone that has gone.
        """
        self.fillClient()
        self.say(flags=RST)
        self.end.cut()
        self.assertIs(self.session.state, DRAINING)

    def test_state(self) -> None:
        """
        It is an ordinary session.
        """
        self.assertIs(self.session.state, ESTABLISHED)
