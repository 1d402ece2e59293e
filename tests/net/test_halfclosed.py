# -*- test-case-name: tests.net.test_halfclosed -*-
"""
Tests of L{muxd.net.halfclosed}: peers that have finished sending.
"""

from __future__ import annotations

import socket
import sys
from typing import Any
from unittest import skipUnless

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.net import halfclosed
from muxd.net.halfclosed import LOOK, HalfClosedWatch
from muxd.net.peers import Presence, tcpPresences
from tests.net.test_peers import connect

GRACE = 1.0
PATIENCE = 15.0


class Peer:
    """
    What has read the end of a peer's sending.

    @ivar told: What it was told.
    @ivar moved: How many bytes have moved; None while some wait to be read.
    @ivar taken: Whether all has arrived.
    """

    def __init__(self) -> None:
        self.told: list[str] = []
        self.moved: int | None = 0
        self.taken = True

    def peerGone(self) -> None:
        """
        Note it.
        """
        self.told.append("gone")

    def graceOver(self) -> None:
        """
        Note it.
        """
        self.told.append("over")

    def progress(self) -> object:
        """
        What a test says.
        """
        return self.moved

    def isTaken(self) -> bool:
        """
        What a test says.
        """
        return self.taken


class WatchCase(SynchronousTestCase):
    """
    A watch that looks when a test's clock says so.
    """

    def setUp(self) -> None:
        """
        Neither side has finished sending.
        """
        self.clock = Clock()
        self.watch = HalfClosedWatch(self.clock, GRACE, PATIENCE)

    def look(self, count: int = 1) -> None:
        """
        So many looks.
        """
        self.clock.pump([LOOK] * count)

    def assertIdle(self) -> None:
        """
        Fail unless it costs nothing any more.
        """
        self.assertEqual(len(self.watch), 0)
        # A look that finds nobody is the last.
        self.clock.advance(max(LOOK, GRACE))
        self.assertEqual(self.clock.getDelayedCalls(), [])


@skipUnless(sys.platform.startswith("linux"), "only Linux tells")
class HereTests(WatchCase):
    """
    Peers on this machine.
    """

    def unix(self) -> tuple[socket.socket, socket.socket]:
        """
        A UNIX socket and its peer.
        """
        pair = socket.socketpair()
        for one in pair:
            self.addCleanup(one.close)
        return pair

    def tcp(self) -> tuple[socket.socket, socket.socket]:
        """
        A TCP socket and its peer.
        """
        loopback = (socket.AF_INET, "127.0.0.1")
        return connect(self, loopback, loopback)

    def finished(self, pair: tuple[socket.socket, socket.socket]) -> tuple[Peer, socket.socket]:
        """
        A peer that has finished sending, and its socket.
        """
        ours, theirs = pair
        theirs.shutdown(socket.SHUT_WR)
        peer = Peer()
        self.assertIs(self.watch.add(peer, ours.fileno()), Presence.HELD)
        return peer, theirs

    def test_patient(self) -> None:
        """
        They may wait as long as they like, also when nothing moves and nothing was
        taken; it is told once, at the next look, when they have gone.
        """
        for pair in (self.unix(), self.tcp()):
            peer, theirs = self.finished(pair)
            peer.taken = False
            for _ in range(10):
                self.look()
                self.clock.advance(10 * PATIENCE)
            self.assertEqual(peer.told, [])
            theirs.close()
            self.look(3)
            self.assertEqual(peer.told, ["gone"])
            self.assertIdle()

    def test_goneBefore(self) -> None:
        """
        That one has gone already is the answer, and nothing is told.
        """
        for ours, theirs in (self.unix(), self.tcp()):
            theirs.close()
            peer = Peer()
            self.assertIs(self.watch.add(peer, ours.fileno()), Presence.GONE)
            self.assertEqual(self.clock.getDelayedCalls(), [])
            self.assertEqual(peer.told, [])

    def test_reset(self) -> None:
        """
        One whose connection is gone altogether has gone.
        """
        ours, theirs = self.tcp()
        peer, _ = self.finished((ours, theirs))
        ours.sendall(b"unread")
        theirs.recv(1, socket.MSG_PEEK)
        theirs.close()
        self.look()
        self.assertEqual(peer.told, ["gone"])

    def test_each(self) -> None:
        """
        Each is told of its own peer, of whichever kind.
        """
        peers = [self.finished(self.unix() if n % 2 else self.tcp()) for n in range(8)]
        for number in (6, 1, 4):
            peers[number][1].close()
            self.look()
            self.assertEqual(peers[number][0].told, ["gone"])
        self.assertEqual([number for number, (peer, _) in enumerate(peers) if peer.told], [1, 4, 6])

    def test_removed(self) -> None:
        """
        Nothing is told of what was removed, and its descriptor can be closed.
        """
        for pair in (self.unix(), self.tcp()):
            peer, theirs = self.finished(pair)
            self.watch.remove(peer)
            self.watch.remove(peer)
            pair[0].close()
            theirs.close()
            self.look(2)
            self.assertEqual(peer.told, [])
            self.assertIdle()

    def test_removedByAnother(self) -> None:
        """
        What is done for one that has gone may end what was done for another, of which
        nothing is told then.
        """
        for make in (self.unix, self.tcp):
            one, first = self.finished(make())
            two, second = self.finished(make())

            for peer, other in ((one, two), (two, one)):

                def removeOther(peer: Peer = peer, other: Peer = other) -> None:
                    peer.told.append("gone")
                    self.watch.remove(other)

                self.patch(peer, "peerGone", removeOther)
            first.close()
            second.close()
            self.look(2)
            self.assertEqual(sorted([one.told, two.told]), [[], ["gone"]])

    def test_turns(self) -> None:
        """
        A look has its bounds: where there are more TCP peers they take turns.
        """
        asked: list[int] = []

        def counted(questions: Any) -> list[Presence]:
            asked.append(len(questions))
            return tcpPresences(questions)

        self.patch(halfclosed, "tcpPresences", counted)
        self.patch(halfclosed, "AT_ONCE", 3)
        peers = [self.finished(self.tcp()) for _ in range(8)]
        for _, theirs in peers:
            theirs.close()
        self.look(2)
        self.assertEqual(sum(len(peer.told) for peer, _ in peers), 6)
        self.look()
        self.assertEqual([peer.told for peer, _ in peers], [["gone"]] * 8)
        self.assertEqual(asked, [3, 3, 2])

    def test_everybodysTurn(self) -> None:
        """
        Those who stay do not keep the others from being looked at.
        """
        self.patch(halfclosed, "AT_ONCE", 3)
        peers = [self.finished(self.tcp()) for _ in range(8)]
        peers[-1][1].close()
        self.look(3)
        self.assertEqual(peers[-1][0].told, ["gone"])

    def test_silentKernel(self) -> None:
        """
        That the kernel does not answer for once, as there is no descriptor to ask by, is
        nobody's end.
        """
        peer, theirs = self.finished(self.tcp())
        patched = self.patch(halfclosed, "tcpPresences", lambda questions: [])
        self.look(5)
        self.assertEqual(peer.told, [])
        patched.restore()
        theirs.close()
        self.look()
        self.assertEqual(peer.told, ["gone"])

    def test_stop(self) -> None:
        """
        It can be stopped: there are no timers then, and nothing is told.
        """
        peers = [self.finished(self.unix()), self.finished(self.tcp())]
        unknown = Peer()
        self.watch.add(unknown, -1)
        self.watch.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        for _, theirs in peers:
            theirs.close()
        self.assertEqual([peer.told for peer, _ in peers], [[], []])
        self.assertEqual(len(self.watch), 0)


class ElsewhereTests(WatchCase):
    """
    Peers of which it is not known whether they are still there.
    """

    def unknown(self) -> Peer:
        """
        Such a peer.
        """
        peer = Peer()
        self.assertIs(self.watch.add(peer, -1), Presence.UNKNOWN)
        return peer

    def pump(self, seconds: float) -> None:
        """
        Let that much time pass, as a reactor does.
        """
        self.clock.pump([GRACE / 8] * round(seconds * 8 / GRACE))

    def test_grace(self) -> None:
        """
        One is taken to have gone when nothing has moved for the grace, and this is told
        once.
        """
        peer = self.unknown()
        self.pump(GRACE - GRACE / 8)
        self.assertEqual(peer.told, [])
        self.pump(GRACE / 8)
        self.assertEqual(peer.told, ["over"])
        self.pump(PATIENCE)
        self.assertEqual(peer.told, ["over"])
        self.assertIdle()

    def test_moving(self) -> None:
        """
        Whatever moves earns another grace.
        """
        peer = self.unknown()
        for count in range(1, 10):
            self.pump(GRACE - GRACE / 4)
            peer.moved = count
        self.assertEqual(peer.told, [])
        self.pump(GRACE + GRACE / 4)
        self.assertEqual(peer.told, ["over"])

    def test_notTaken(self) -> None:
        """
        While what it has sent has not been taken it has the patience, and from then on
        the grace.
        """
        waiting, taken = self.unknown(), self.unknown()
        waiting.taken = taken.taken = False
        self.pump(PATIENCE / 2)
        taken.taken, taken.moved = True, 1
        self.pump(GRACE + GRACE / 4)
        self.assertEqual((waiting.told, taken.told), ([], ["over"]))
        self.pump(PATIENCE / 2)
        self.assertEqual(waiting.told, ["over"])

    def test_notRead(self) -> None:
        """
        A peer for which something is waiting has the grace from when it reads.
        """
        peer = self.unknown()
        peer.moved = None
        self.pump(10 * PATIENCE)
        self.assertEqual(peer.told, [])
        peer.moved = 1
        self.pump(GRACE + GRACE / 4)
        self.assertEqual(peer.told, ["over"])

    def test_removed(self) -> None:
        """
        Nothing is told of one that was removed, be it by what is done for another.
        """
        one, two, three = self.unknown(), self.unknown(), self.unknown()
        self.watch.remove(one)
        self.patch(two, "graceOver", lambda: self.watch.remove(three))
        self.pump(2 * GRACE)
        self.assertEqual((one.told, three.told), ([], []))
        self.assertIdle()

    def test_noGrace(self) -> None:
        """
        Without a grace nothing will be told: it is the caller who ends it.
        """
        self.watch = HalfClosedWatch(self.clock, 0, PATIENCE)
        peer = self.unknown()
        self.assertEqual(len(self.watch), 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(peer.told, [])
