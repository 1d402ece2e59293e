"""
Tests of L{muxd.device.socketend}: how streams end, with a phone that the test plays and real
sockets.
"""

from __future__ import annotations

import select
import socket
import sys
from types import SimpleNamespace
from unittest import skipUnless

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from muxd.device.socketend import SocketEnd
from muxd.device.states import CLOSED, DRAINING, ESTABLISHED, FLUSHING, HALF_CLOSED, HALF_CLOSING
from muxd.limits import LIMITS
from muxd.net import halfclosed
from muxd.net.eventloop import WRITABLE
from muxd.net.peers import Presence
from muxd.net.streams import StreamSocket
from tests.device.links import LOCKDOWN, RST, WINDOW
from tests.device.socketends import Owner, SocketEndCase


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
