"""
Tests of L{muxd.net.shortpipe}, with real sockets.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import select
import socket
import struct
import sys
from typing import Any
from unittest import skipUnless

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from muxd.net.eventloop import EventLoop
from muxd.net.halfclosed import HalfClosedWatch
from muxd.net.hangup import HangUpWatch
from muxd.net.loopreactor import LoopReactor
from muxd.net.packetmemory import PacketMemory
from muxd.net.peers import PeerInquiry, Presence, tcpQuestion
from muxd.net.shortpipe import ShortPipe, ShortSide, _Connected
from muxd.net.socketway import SocketWay
from muxd.net.streams import StreamSocket
from muxd.relay import RelayedConnection
from tests.net.eventloops import ClockAround
from tests.net.test_loopreactor import tcpPair
from tests.running.properties import examples

SIZE = 4096
PATIENCE = 15.0


class Attempt:
    """
    A socket that is being connected.

    @ivar isCancelled: Whether it has been given up.
    """

    isCancelled = False

    def cancel(self) -> Failure:
        """
        Give it up.
        """
        self.isCancelled = True
        return Failure(ConnectionRefusedError("given up"))


class Way:
    """
    A way on which the test says what happens.
    """

    def __init__(self) -> None:
        self.attempt: Attempt | None = Attempt()

    def close(self) -> None:
        """
        Hold nothing.
        """

    def open(self, taker: Any) -> Attempt | None:
        """
        Begin, if that is possible.
        """
        return self.attempt


@implementer(IStreamClientEndpoint)
class Refusing:
    """
    An endpoint that refuses.
    """

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Refuse.
        """
        return fail(ConnectionRefusedError("no"))


class Keeper:
    """
    What has pipes, as a relay does.

    @ivar ended: What has ended, in words.
    @ivar pipes: The ordinary pipes.
    """

    def __init__(self, clock: ClockAround, loop: EventLoop) -> None:
        self.loop = loop
        self.memory = PacketMemory(SIZE)
        self.sockets: Any = LoopReactor(clock, loop)
        self.attempts = Way()
        self.way: SocketWay = self.attempts
        self.ended: list[tuple[str, type, bool, int, int]] = []
        self.pipes: list[RelayedConnection] = []
        self._clock = clock
        self.hangUps = HangUpWatch(clock, PATIENCE)
        self.inquiry = PeerInquiry()
        self._halfClosed = HalfClosedWatch(clock, 1.0, PATIENCE)

    def ordinary(self, short: ShortPipe, to: IStreamClientEndpoint | None) -> RelayedConnection:
        """
        Have an ordinary one.
        """

        def over(pipe: RelayedConnection, reason: Failure) -> None:
            counts = pipe.first.received, pipe.second.received
            self.ended.append(("ordinary", type(reason.value), pipe.joined, *counts))

        pipe = RelayedConnection(
            Refusing() if to is None else to,
            short.client,
            self._clock,
            PATIENCE,
            10_000,
            over,
            self.hangUps,
            self._halfClosed,
            self.memory,
        )
        self.pipes.append(pipe)
        return pipe

    def shortOver(self, short: ShortPipe, reason: Failure, isJoined: bool) -> None:
        """
        One is over.
        """
        self.ended.append(("short", type(reason.value), isJoined, short.sent, short.got))


@skipUnless(sys.platform.startswith("linux"), "there is no epoll")
class ShortPipeTests(SynchronousTestCase):
    """
    A pipe between a client and a server that are the test's.
    """

    def setUp(self) -> None:
        """
        A client that has come.
        """
        self.before = self.descriptors()
        self.clock = ClockAround()
        self.loop = EventLoop(self.clock)
        self.keeper = Keeper(self.clock, self.loop)
        near, self.client = tcpPair()
        # Little is held by the kernel, so that little has to be sent until it is full.
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.arrived = StreamSocket(near.detach())
        self.client.settimeout(0)
        self.short = ShortPipe(self.keeper, self.arrived, socket.AF_INET, "a client", 0.0)
        self.addCleanup(self.cleanUp)
        self.server: socket.socket | None = None

    def descriptors(self) -> int:
        """
        How many are open.
        """
        return len(os.listdir("/proc/self/fd"))

    def cleanUp(self) -> None:
        """
        It has ended once, and neither descriptors nor timers are left.
        """
        self.client.close()
        if self.server is not None:
            self.server.close()
        self.keeper.inquiry.close()
        self.turn()
        self.clock.pump([PATIENCE] * 10)
        self.turn()
        self.assertEqual(len(self.keeper.ended), 1)
        self.assertEqual(self.loop.owners, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.descriptors(), self.before)

    def turn(self) -> None:
        """
        Have everything done that there is to do.
        """
        for _ in range(3):
            self.loop.doRead()
            self.clock.advance(0)

    def join(self, data: bytes = b"") -> socket.socket:
        """
        Have the second end.

        @return: the server.
        """
        self.short.begin()
        near, self.server = socket.socketpair()
        self.server.settimeout(0)
        self.short.socketReady(StreamSocket(near.detach()), data)
        return self.server

    def take(self, one: socket.socket) -> bytes:
        """
        All that has come.
        """
        found = b""
        while True:
            try:
                chunk = one.recv(65536)
            except BlockingIOError:
                return found
            if not chunk:
                return found
            found += chunk

    def wait(self) -> None:
        """
        Wait until something has come, or can be sent.
        """
        waiting = [one.fileno() for one in (self.client, self.loop) if one.fileno() >= 0]
        self.assertTrue(select.select(waiting, [], [], 5)[0])

    def test_both(self) -> None:
        """
        Bytes go both ways, whether they had come before or not; when the client closes it is
        over, and told how many they were.
        """
        self.client.sendall(b"early")
        server = self.join()
        self.turn()
        self.assertEqual(self.take(server), b"early")
        server.sendall(b"answer")
        self.turn()
        self.assertEqual(self.take(self.client), b"answer")
        self.client.close()
        self.turn()
        self.assertEqual(self.keeper.ended, [("short", ConnectionDone, True, 5, 6)])
        self.assertEqual(server.recv(1), b"")

    def ask(self) -> None:
        """
        Have the pipe know what to ask about its client.
        """
        same = socket.socket(fileno=self.arrived.fileno())
        self.short._question = tcpQuestion(same)
        same.detach()
        self.assertIsNot(self.short._question, None)

    def test_questionKnown(self) -> None:
        """
        What is to be asked about the client is not found out again: its end is the same, and
        the server's is looked for as ever.
        """
        self.ask()
        server = self.join()
        self.patch(sys.modules["muxd.net.shortpipe"], "presenceOf", None)
        self.client.sendall(b"last")
        self.client.close()
        self.turn()
        self.assertEqual(self.keeper.ended, [("short", ConnectionDone, True, 4, 0)])
        self.assertEqual((server.recv(10), server.recv(10)), (b"last", b""))

    def test_questionOfTheServer(self) -> None:
        """
        The question is about the client, and no other end of file.
        """
        self.ask()
        server = self.join()
        server.close()
        self.turn()
        self.assertEqual(self.keeper.ended, [("short", ConnectionDone, True, 0, 0)])

    def test_questionHalfClose(self) -> None:
        """
        A client that has finished sending gets its answer, and so does one of which the kernel
        says nothing, if that is to be waited for.
        """
        for answer in (None, Presence.UNKNOWN, Presence.HELD):
            with self.subTest(answer=answer):
                server = self.another()
                self.ask()
                if answer is not None:
                    inquiry = self.keeper.inquiry
                    self.patch(inquiry, "presence", lambda asked, told=answer: told)
                self.client.shutdown(socket.SHUT_WR)
                self.turn()
                self.assertEqual(server.recv(1), b"")
                server.sendall(b"answer")
                server.shutdown(socket.SHUT_WR)
                self.turn()
                self.assertEqual(self.client.recv(100), b"answer")
                self.assertEqual(self.client.recv(100), b"")
                self.assertEqual(self.keeper.ended, [("ordinary", ConnectionDone, True, 0, 6)])
                self.client.close()

    def test_serverCloses(self) -> None:
        """
        It is over as well when the other end has gone; what that had sent has arrived.
        """
        server = self.join()
        server.sendall(b"bye")
        server.close()
        self.turn()
        self.assertEqual(self.client.recv(10), b"bye")
        self.assertEqual(self.client.recv(10), b"")
        self.assertEqual(self.keeper.ended, [("short", ConnectionDone, True, 0, 3)])

    def test_halfClose(self) -> None:
        """
        A client that has finished sending gets its answer.
        """
        server = self.join()
        self.client.sendall(b"question")
        self.client.shutdown(socket.SHUT_WR)
        self.turn()
        self.assertEqual(server.recv(100), b"question")
        self.assertEqual(server.recv(100), b"")
        server.sendall(b"answer")
        server.shutdown(socket.SHUT_WR)
        self.turn()
        self.assertEqual(self.client.recv(100), b"answer")
        self.assertEqual(self.client.recv(100), b"")
        self.assertEqual(self.keeper.ended, [("ordinary", ConnectionDone, True, 8, 6)])

    def test_serverFinishes(self) -> None:
        """
        So does a server that has.
        """
        server = self.join()
        server.shutdown(socket.SHUT_WR)
        self.turn()
        self.assertEqual(self.client.recv(1), b"")
        self.client.sendall(b"more")
        self.turn()
        self.assertEqual(self.take(server), b"more")

    def fill(self, one: socket.socket) -> bytes:
        """
        Send until something waits.

        @return: what has been sent.
        """
        sent = b""
        while not self.side(one).rest():
            data = os.urandom(4000)
            with contextlib.suppress(BlockingIOError):
                sent += data[: one.send(data)]
            self.turn()
        return sent

    def takeAll(self, count: int) -> bytes:
        """
        What the client gets, until it is so much.
        """
        got = b""
        while len(got) < count:
            self.wait()
            got += self.take(self.client)
            self.turn()
        return got

    def test_heldUp(self) -> None:
        """
        What a side does not take waits, in order, while the other direction goes on; the
        server is not read from meanwhile, and is again when it has been taken.
        """
        server = self.join()
        sent = self.fill(server)
        self.client.sendall(b"ping")
        self.turn()
        self.assertEqual(self.take(server), b"ping")
        self.assertTrue(self.takeAll(len(sent)) == sent)
        server.sendall(b"more")
        self.turn()
        self.assertEqual(self.takeAll(4), b"more")
        self.assertEqual(self.keeper.pipes, [])
        self.client.close()
        self.turn()
        self.assertEqual(self.keeper.ended, [("short", ConnectionDone, True, 4, len(sent) + 4)])

    def test_heldUpBothWays(self) -> None:
        """
        Both directions may wait at the same time.
        """
        server = self.join()
        down, up = self.fill(server), self.fill(self.client)
        self.assertEqual(self.keeper.pipes, [])
        got = b""
        while len(got) < len(up):
            got += self.take(server)
            self.turn()
        self.assertTrue(got == up)
        self.assertTrue(self.takeAll(len(down)) == down)
        self.assertEqual(self.keeper.pipes, [])

    def test_bounded(self) -> None:
        """
        No more waits than the piece of memory has room for, and nothing is done again and
        again meanwhile.
        """
        server = self.join()
        self.fill(server)
        second = self.side(server)
        self.assertTrue(0 < len(second.rest()) <= SIZE)
        before = self.loop.turns
        self.loop.doRead()
        self.assertEqual(self.loop.turns, before)

    def side(self, one: socket.socket) -> ShortSide:
        """
        The side that is the client's or the server's.
        """
        found: Any = self.short._first if one is self.client else self.short._second
        assert isinstance(found, ShortSide)
        return found

    def test_endWhileHeld(self) -> None:
        """
        A server that finishes or goes when something of it waits is not cut short.
        """
        for goes in (False, True):
            with self.subTest(goes=goes):
                server = self.another()
                sent = self.fill(server)
                if goes:
                    server.close()
                else:
                    server.shutdown(socket.SHUT_WR)
                self.turn()
                self.assertTrue(self.takeAll(len(sent)) == sent)
                self.wait()
                self.assertEqual(self.client.recv(1), b"")
                self.client.close()
                self.turn()
                self.assertEqual(
                    [one[1:] for one in self.keeper.ended], [(ConnectionDone, True, 0, len(sent))]
                )

    def another(self) -> socket.socket:
        """
        Begin again, with another client.

        @return: its server.
        """
        if self.server is not None:
            self.keeper.ended.clear()
            self.server.close()
            near, self.client = tcpPair()
            near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            self.client.settimeout(0)
            self.arrived = StreamSocket(near.detach())
            self.short = ShortPipe(self.keeper, self.arrived, socket.AF_INET, "a client", 0.0)
        return self.join()

    def test_halfCloseWhileHeld(self) -> None:
        """
        A client that has finished sending gets what waits for it, and what follows.
        """
        server = self.join()
        sent = self.fill(server)
        self.client.sendall(b"question")
        self.client.shutdown(socket.SHUT_WR)
        self.turn()
        self.assertEqual(server.recv(100), b"question")
        self.assertEqual(server.recv(100), b"")
        self.assertTrue(self.takeAll(len(sent)) == sent)
        server.sendall(b"answer")
        server.shutdown(socket.SHUT_WR)
        self.turn()
        self.assertEqual(self.takeAll(6), b"answer")
        self.wait()
        self.assertEqual(self.client.recv(1), b"")
        self.turn()
        self.assertEqual(self.keeper.ended, [("ordinary", ConnectionDone, True, 8, len(sent) + 6)])

    def test_resetWhileHeld(self) -> None:
        """
        A client that is reset, when something waits for it or of it, is lost.
        """
        for held in ("server", "client"):
            with self.subTest(held=held):
                server = self.another()
                self.fill(server if held == "server" else self.client)
                linger = struct.pack("ii", 1, 0)
                self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.client.close()
                self.turn()
                with contextlib.suppress(ConnectionResetError):
                    self.take(server)
                self.turn()
                ((_, reason, joined, _, _),) = self.keeper.ended
                self.assertTrue(joined)
                self.assertIs(reason, ConnectionLost)
                self.assertEqual(server.recv(1), b"")

    def test_serverGoneWhileHeld(self) -> None:
        """
        What waits for a server that goes is lost, and that is the end.
        """
        server = self.join()
        self.fill(self.client)
        server.close()
        self.turn()
        self.assertEqual(len(self.keeper.ended), 1)

    def test_clientGoneWhileHeld(self) -> None:
        """
        A client that has gone is noticed though it is not read from, as nothing of it is
        taken; the server gets what has come of it.
        """
        server = self.join()
        sent = self.fill(self.client)
        self.client.close()
        self.clock.pump([PATIENCE / 3] * 3)
        self.turn()
        self.assertEqual((self.keeper.ended, self.keeper.pipes), ([], []))
        self.clock.pump([PATIENCE / 3])
        self.turn()
        (pipe,) = self.keeper.pipes
        got = self.take(server)
        self.turn()
        got += self.take(server)
        self.turn()
        self.assertTrue(sent.startswith(got))
        self.assertEqual(len(got), pipe.first.received)
        self.assertEqual(self.keeper.ended, [("ordinary", ConnectionDone, True, len(got), 0)])

    def test_clientGoneWhileRead(self) -> None:
        """
        A client that has gone is waited for as long as the server takes of what it had sent,
        which gets all of it.
        """
        server = self.join()
        sent = self.fill(self.client)
        self.client.close()
        got = b""
        while len(got) < len(sent):
            self.clock.advance(PATIENCE / 3)
            got += server.recv(8192)
            self.turn()
        self.assertTrue(got == sent)
        self.turn()
        self.assertEqual(
            [one[1:] for one in self.keeper.ended], [(ConnectionDone, True, len(sent), 0)]
        )

    def test_stopWhileHeld(self) -> None:
        """
        One that is stopped lets each side have what waits for it.
        """
        server = self.join()
        self.fill(server)
        came = self.side(server).received
        stopped = self.short.stop()
        self.turn()
        self.assertNoResult(stopped)
        self.assertGreaterEqual(len(self.takeAll(came)), came)
        self.take(self.client)
        self.turn()
        self.successResultOf(stopped)
        ((kind, reason, joined, _, got),) = self.keeper.ended
        self.assertEqual((kind, reason, joined), ("ordinary", ConnectionDone, True))
        self.assertGreaterEqual(got, came)

    def test_noDescriptorWhileHeld(self) -> None:
        """
        One that is to be stopped then, and for which there is no descriptor, is over.
        """
        server = self.join()
        self.fill(server)

        def adopt(*arguments: object) -> None:
            raise OSError(errno.EMFILE, "none")

        self.patch(self.keeper.sockets, "adoptStreamConnection", adopt)
        self.successResultOf(self.short.stop())
        self.assertEqual([one[:3] for one in self.keeper.ended], [("short", OSError, True)])

    def test_dataAlong(self) -> None:
        """
        What came with the answer of a daemon is the first that the client gets.
        """
        server = self.join(b"hello, ")
        server.sendall(b"world")
        self.turn()
        self.assertEqual(self.take(self.client), b"hello, world")
        self.client.close()
        self.turn()
        self.assertEqual(self.keeper.ended, [("short", ConnectionDone, True, 0, 12)])

    def test_dataHeldUp(self) -> None:
        """
        A client that does not take all of that gets it nevertheless.
        """
        data = os.urandom(300_000)
        server = self.join(data)
        self.assertTrue(self.side(server).rest())
        server.sendall(b"!")
        self.assertTrue(self.takeAll(len(data) + 1) == data + b"!")
        self.assertEqual(self.keeper.pipes, [])

    def test_reset(self) -> None:
        """
        A connection that is reset is lost, which is told.
        """
        server = self.join()
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.client.close()
        self.turn()
        self.assertEqual(self.keeper.ended, [("short", ConnectionLost, True, 0, 0)])
        self.assertEqual(server.recv(1), b"")

    def test_resetEarly(self) -> None:
        """
        So it is when that is noticed before it is joined.
        """
        self.short.begin()
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.client.close()
        self.short.needsTransport()
        self.assertEqual(self.keeper.ended, [("short", ConnectionLost, False, 0, 0)])

    def test_gone(self) -> None:
        """
        What is sent to a peer that has gone ends it.
        """
        server = self.join()
        self.client.sendall(b"x" * 100)
        server.close()
        self.turn()
        self.assertEqual([kind for kind, *_ in self.keeper.ended], ["ordinary"])

    def test_needsTransport(self) -> None:
        """
        Where only the endpoint can connect, it does, and says what comes of it.
        """
        self.keeper.attempts.attempt = None
        self.short.begin()
        self.turn()
        self.assertEqual(self.keeper.ended, [("ordinary", ConnectionRefusedError, False, 0, 0)])
        self.assertEqual(self.client.recv(1), b"")

    def test_needsTransportLater(self) -> None:
        """
        So it is when that is found out later.
        """
        self.short.begin()
        self.short.needsTransport()
        self.turn()
        self.assertEqual([kind for kind, *_ in self.keeper.ended], ["ordinary"])

    def test_failed(self) -> None:
        """
        An attempt that fails is the end.
        """
        self.short.begin()
        self.short.socketFailed(Failure(ConnectionRefusedError("no")))
        self.assertEqual(self.keeper.ended, [("short", ConnectionRefusedError, False, 0, 0)])
        self.assertEqual(self.client.recv(1), b"")

    def test_stopWhileConnecting(self) -> None:
        """
        It can be stopped before it is joined.
        """
        self.short.begin()
        self.successResultOf(self.short.stop())
        attempt = self.keeper.attempts.attempt
        assert attempt is not None
        self.assertTrue(attempt.isCancelled)
        self.assertEqual(self.keeper.ended, [("short", ConnectionRefusedError, False, 0, 0)])

    def test_stop(self) -> None:
        """
        And afterwards.
        """
        server = self.join()
        self.successResultOf(self.short.stop())
        self.assertEqual(self.keeper.ended, [("short", ConnectionDone, True, 0, 0)])
        self.assertEqual((server.recv(1), self.client.recv(1)), (b"", b""))

    def test_noDescriptor(self) -> None:
        """
        Where there is no descriptor for a transport, it is over, and both are closed.
        """
        for joined in (False, True):
            with self.subTest(joined=joined):
                self.tearNothing(joined)

    def tearNothing(self, joined: bool) -> None:
        """
        One that cannot become an ordinary pipe.
        """
        if joined:
            self.keeper.ended.clear()
            near, self.client = tcpPair()
            self.client.settimeout(5)
            self.arrived = StreamSocket(near.detach())
            self.short = ShortPipe(self.keeper, self.arrived, socket.AF_INET, "a client", 0.0)

        def adopt(*arguments: object) -> None:
            raise OSError(errno.EMFILE, "none")

        self.patch(self.keeper.sockets, "adoptStreamConnection", adopt)
        if joined:
            server = self.join()
            self.client.shutdown(socket.SHUT_WR)
            self.turn()
            self.assertEqual(server.recv(1), b"")
        else:
            self.short.begin()
            self.short.needsTransport()
            self.client.settimeout(5)
        self.assertEqual(self.client.recv(1), b"")
        self.assertEqual(self.keeper.ended, [("short", OSError, joined, 0, 0)])
        self.client.close()

    def test_mistake(self) -> None:
        """
        A mistake of ours ends it, and is logged.
        """
        self.join()

        def fails(side: object) -> None:
            raise ValueError("a mistake")

        self.patch(sys.modules["muxd.net.shortpipe"], "presenceOf", fails)
        self.client.close()
        self.turn()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(self.keeper.ended, [("short", ValueError, True, 0, 0)])

    def test_circles(self) -> None:
        """
        When it is over no part of it refers to itself.
        """
        self.join()
        first: Any = self.short._first
        self.client.close()
        self.turn()
        self.assertIs(first._pipe, None)
        first.happened(1)
        first.failed(Failure(ValueError()))
        self.assertEqual(len(self.keeper.ended), 1)


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(("client sends", "server sends", "client takes", "server takes")),
        st.integers(1, 9000),
    ),
    max_size=40,
)


@skipUnless(sys.platform.startswith("linux"), "there is no epoll")
class OrderTests(SynchronousTestCase):
    """
    What each side sends arrives as it was sent, whatever of it is taken when.
    """

    @settings(max_examples=examples(200))
    @given(ACTIONS, st.integers(64, 5000), st.sampled_from(("nothing", "finish", "stop")))
    def test_order(self, actions: list[tuple[str, int]], size: int, end: str) -> None:
        """
        So it does over sockets that take little, and by any piece of memory; also if the
        server finishes, or all is stopped, while something waits.
        """
        clock = ClockAround()
        loop = EventLoop(clock)
        keeper = Keeper(clock, loop)
        keeper.memory = PacketMemory(size)
        pairs = [socket.socketpair() for _ in range(2)]
        for near, far in pairs:
            far.settimeout(0)
            for one in (near, far):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        (near, client), (other, server) = pairs
        short = ShortPipe(keeper, StreamSocket(near.detach()), socket.AF_UNIX, "a client", 0.0)
        short.begin()
        short.socketReady(StreamSocket(other.detach()), b"")
        sent = {client: bytearray(), server: bytearray()}
        got = {client: bytearray(), server: bytearray()}
        source = itertools.cycle(range(251))

        def turn() -> None:
            for _ in range(3):
                loop.doRead()
                clock.advance(0)

        def take(one: socket.socket, most: int) -> bool:
            try:
                data = one.recv(most)
            except (BlockingIOError, ConnectionResetError):
                return False
            got[one] += data
            return bool(data)

        for action, count in actions:
            one = client if action.startswith("client") else server
            if action.endswith("sends"):
                data = bytes(itertools.islice(source, count))
                with contextlib.suppress(BlockingIOError):
                    sent[one] += data[: one.send(data)]
            else:
                take(one, count)
            turn()
        came = (short.sent, short.got)
        if end == "finish":
            server.shutdown(socket.SHUT_WR)
        elif end == "stop":
            short.stop()
        turn()
        while any([take(client, 9000), take(server, 9000)]):
            turn()
        self.assertTrue(sent[client].startswith(got[server]))
        self.assertTrue(sent[server].startswith(got[client]))
        if end != "stop":
            self.assertEqual(len(got[server]), len(sent[client]))
            self.assertEqual(len(got[client]), len(sent[server]))
        else:
            self.assertGreaterEqual(len(got[server]), came[0])
            self.assertGreaterEqual(len(got[client]), came[1])
        client.close()
        server.close()
        turn()
        clock.pump([PATIENCE] * 10)
        turn()
        self.assertEqual(len(keeper.ended), 1)
        self.assertEqual((loop.owners, clock.getDelayedCalls()), ([], []))


class ConnectedTests(SynchronousTestCase):
    """
    Tests of the endpoint that is connected to already.
    """

    def test_interface(self) -> None:
        """
        It is a client endpoint.
        """
        near, far = socket.socketpair()
        far.close()
        endpoint = _Connected(None, StreamSocket(near.detach()))
        verifyObject(IStreamClientEndpoint, endpoint)
