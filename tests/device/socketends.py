"""
A client's socket at the end of a session, with a phone that the test plays.
"""

from __future__ import annotations

import socket
from pathlib import Path

from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from muxd.device.socketend import SocketEnd, SocketOwner
from muxd.limits import LIMITS
from muxd.net.halfclosed import HalfClosedWatch
from muxd.net.streams import StreamSocket
from muxd.testing.packets import Segment
from tests.device.links import ACK, LOCKDOWN, RST, SYN_ACK, WINDOW, ScriptedPhone
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
        self.client, ours = self.connected()
        self.client.setblocking(False)
        self.addCleanup(self.client.close)
        self.owner = Owner()
        self.watch = HalfClosedWatch(self.clock, LIMITS.halfCloseGrace, LIMITS.flushTimeout)
        self.end = SocketEnd(StreamSocket(ours.detach()), self.loop, self.watch, self.owner)
        opening = self.muxer.open(LOCKDOWN, self.end)
        self.end.begin(opening)
        self.syn = self.phone.take()[-1]
        self.seq, self.ack = 0, 1

    def connected(self) -> tuple[socket.socket, socket.socket]:
        """
        The client's socket, and ours.
        """
        return socket.socketpair()

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
