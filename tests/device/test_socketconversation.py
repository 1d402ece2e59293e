"""
Conversations of a client's socket with a phone, of all kinds, in any order: whatever
happens, both get what the other one has said, in order and once.
"""

from __future__ import annotations

import socket
import sys
from random import Random
from unittest import skipUnless

from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from muxd.device.socketend import SocketEnd
from muxd.device.states import CLOSED
from muxd.limits import LIMITS
from muxd.net.halfclosed import HalfClosedWatch
from muxd.net.streams import StreamSocket
from tests.device.links import ACK, LOCKDOWN, RST, SYN_ACK, WINDOW, ScriptedPhone
from tests.device.socketends import Owner
from tests.net.eventloops import handDrivenLoop
from tests.running.properties import examples

SEEDS = 150
STEPS = 120
WORDS = bytes(at * 7 & 0xFF for at in range(1 << 20))


class Conversation:
    """
    One of them.

    @ivar said: What the client has said.
    @ivar told: What the phone has said, and was allowed to.
    """

    def __init__(self, random: Random) -> None:
        self.random = random
        self.phone = ScriptedPhone.ready(acknowledgeAt=random.choice((1, 16384)))
        self.loop = handDrivenLoop()
        self.client, ours = socket.socketpair()
        self.client.setblocking(False)
        buffer = random.choice((None, 4096, 40000))
        if buffer is not None:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        self.owner = Owner()
        watch = HalfClosedWatch(self.phone.clock, LIMITS.halfCloseGrace, LIMITS.flushTimeout)
        self.end = SocketEnd(StreamSocket(ours.detach()), self.loop, watch, self.owner)
        self.end.begin(self.phone.muxer.open(LOCKDOWN, self.end))
        (syn,) = self.phone.take()
        self.source = syn.sourcePort
        self.said = self.told = self.heard = self.received = 0
        self.acknowledged = 0
        self.window = random.choice((256, 4096, WINDOW))
        self.isFinished = self.isGone = self.isReset = False
        self.segment(flags=SYN_ACK)
        (self.session,) = self.phone.muxer.sessions

    def segment(self, flags: int = ACK, size: int = 0) -> None:
        """
        Have the phone send something.
        """
        begin = self.told
        seq = 0 if flags == SYN_ACK else 1 + begin
        self.phone.deliver(
            self.phone.segment(
                LOCKDOWN,
                self.source,
                seq,
                1 + self.heard,
                flags,
                WORDS[begin : begin + size],
                self.window,
            )
        )
        self.told += size
        self.look()

    def look(self) -> None:
        """
        What was sent to the phone is what the client has said, within the window.
        """
        for one in self.phone.take():
            if one.payload:
                assert one.seq == 1 + self.heard + self.unheard, "out of order"
                begin = self.heard + self.unheard
                assert one.payload == WORDS[begin : begin + len(one.payload)], "other bytes"
                self.unheard += len(one.payload)
                assert self.unheard <= self.window, "more than the phone takes"
            if one.flags == RST:
                self.isReset = True
            else:
                self.acknowledged = max(self.acknowledged, one.ack - 1)
                assert self.acknowledged <= self.told, "acknowledged what was not said"

    unheard = 0

    # What may happen.

    def clientSays(self) -> None:
        """
        The client says something.
        """
        size = self.random.choice((1, 100, 5000, 60000))
        if not self.isFinished and self.said + size < len(WORDS):
            try:
                self.said += self.client.send(WORDS[self.said : self.said + size])
            except OSError:
                pass

    def clientReads(self) -> None:
        """
        The client reads something.
        """
        if self.isGone:
            return
        try:
            data = self.client.recv(self.random.choice((1, 1000, 50000)))
        except OSError:
            return
        assert data == WORDS[self.received : self.received + len(data)], "other bytes"
        self.received += len(data)

    def phoneSays(self) -> None:
        """
        The phone says something, within our window.
        """
        size = self.random.choice((0, 1, 1000, 32000))
        room = WINDOW - (self.told - self.acknowledged)
        if not self.isReset and self.told + size < len(WORDS):
            self.segment(size=min(size, room))

    def phoneTakes(self) -> None:
        """
        The phone takes some of what it was sent.
        """
        if not self.isReset and self.unheard:
            count = self.random.randint(1, self.unheard)
            self.heard += count
            self.unheard -= count
            self.segment()

    def roomChanges(self) -> None:
        """
        The bus takes more or less.
        """
        link = self.phone.link
        room = self.random.choice((None, None, 0, 1))
        if room == 0:
            link.room = 0
        else:
            link.makeRoom(room)
        self.look()

    def timePasses(self) -> None:
        """
        Some time passes, not enough for anything to be given up.
        """
        self.phone.clock.advance(self.random.choice((0.01, 0.03, 0.1)))
        self.look()

    def clientFinishes(self) -> None:
        """
        The client has said everything.
        """
        if self.random.random() < 0.05 and not self.isGone:
            self.client.shutdown(socket.SHUT_WR)
            self.isFinished = True

    def clientGoes(self) -> None:
        """
        The client is killed.
        """
        if self.random.random() < 0.02:
            self.client.close()
            self.isFinished = self.isGone = True

    def phoneEnds(self) -> None:
        """
        The phone ends it.
        """
        if self.random.random() < 0.02 and not self.isReset:
            self.segment(flags=RST)
            self.isReset = True

    def turn(self) -> None:
        """
        The loop has its turn.
        """
        self.loop.doRead()
        self.look()

    EVENTS = (
        clientSays,
        clientSays,
        clientReads,
        clientReads,
        phoneSays,
        phoneSays,
        phoneTakes,
        phoneTakes,
        roomChanges,
        timePasses,
        clientFinishes,
        clientGoes,
        phoneEnds,
        turn,
        turn,
        turn,
    )

    def go(self) -> None:
        """
        Have all that happen, and then have everybody listen to the end.
        """
        for _ in range(STEPS):
            self.random.choice(self.EVENTS)(self)
        self.phone.link.makeRoom()
        self.look()
        for _ in range(4000):
            self.turn()
            self.phone.clock.advance(0.05)
            self.phoneTakes()
            self.clientReads()
            if self.session.state is CLOSED and self.hasHeardAll():
                break
            if self.random.random() < 0.1:
                self.segment() if not self.isReset else None
            if self.hasHeardAll() and self.heard == self.said and not self.isFinished:
                self.client.shutdown(socket.SHUT_WR)
                self.isFinished = True
            elif self.hasHeardAll() and self.heard == self.said and not self.isReset:
                self.segment(flags=RST)
                self.isReset = True
        self.check()

    def hasHeardAll(self) -> bool:
        """
        Whether the client has got all that the phone has said.
        """
        return self.isGone or self.received == self.told

    def check(self) -> None:
        """
        Everything was heard by who was there to hear it, and nothing is left.
        """
        assert self.hasHeardAll(), f"{self.received} of {self.told} bytes were received"
        if not self.isReset:
            assert self.heard == self.said, f"{self.heard} of {self.said} bytes were heard"
        self.phone.muxer.stop()
        self.phone.clock.advance(1000)
        self.client.close()
        assert self.session.state is CLOSED, self.session.state
        assert self.end.socket.fileno() == -1
        assert self.owner.closed == 1 and len(self.owner.ends) == 1
        assert self.loop.owners == []
        assert not [one for one in self.phone.clock.getDelayedCalls() if one.active()]


@skipUnless(sys.platform.startswith("linux"), "there is no epoll")
class ConversationTests(SynchronousTestCase):
    """
    Many of them.
    """

    def test_everythingArrives(self) -> None:
        """
        Both hear everything, however they take turns, and nothing is left in the end.
        """
        for seed in range(examples(SEEDS)):
            conversation = Conversation(Random(seed))
            try:
                conversation.go()
            except Exception:
                raise AssertionError(f"seed {seed}: {Failure().getTraceback()}") from None
