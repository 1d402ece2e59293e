"""
Tests of L{muxd.device.windowsharing}, alone and by way of sessions.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muxd.device.windowsharing import WindowSharing
from tests.device.links import ACK, PhoneSide, ScriptedPhone

WINDOW = 131072
PACKET = 32000


class Sharer:
    """
    Remembers its reserve.
    """

    def __init__(self) -> None:
        self.reserved = 0

    def reserve(self, size: int) -> None:
        """
        Remember it.
        """
        self.reserved = size


class WindowSharingTests(SynchronousTestCase):
    """
    Who gets how much.
    """

    def setUp(self) -> None:
        """
        A phone that sends packets of 32,000 bytes.
        """
        self.sharing = WindowSharing(WINDOW)
        self.sharing.packet = PACKET

    def rounds(self, *sharers: Sharer, count: int = 40) -> None:
        """
        A packet for each, some times over.
        """
        for _ in range(count):
            for sharer in sharers:
                self.sharing.received(sharer, PACKET)

    def shares(self, count: int) -> set[int]:
        """
        How far ahead each of so many sessions may be sent to.
        """
        sharers = [Sharer() for _ in range(count)]
        self.rounds(*sharers)
        return {WINDOW - one.reserved for one in sharers}

    def test_counted(self) -> None:
        """
        What comes is counted to the byte, four windows' worth, and then anew.
        """
        self.assertEqual(self.sharing.least, 0)
        first, second = Sharer(), Sharer()
        for _ in range(2):
            first.reserved = -1
            self.sharing.received(first, 4 * WINDOW - 1)
            self.assertEqual(first.reserved, -1)
            self.sharing.received(second, 1)
            self.assertEqual(first.reserved, WINDOW - 2 * PACKET)

    def test_alone(self) -> None:
        """
        One session has the whole window.
        """
        self.assertEqual(self.shares(1), {WINDOW})

    def test_several(self) -> None:
        """
        Several have a part of it each, in whole packets.
        """
        self.assertEqual(self.shares(2), {2 * PACKET})
        self.assertEqual(self.shares(3), {PACKET})
        self.assertEqual(self.shares(4), {PACKET})

    def test_many(self) -> None:
        """
        Each of many may be sent a packet while it owes two, which is when it
        acknowledges them.
        """
        self.assertEqual(self.shares(4), {PACKET})
        self.assertEqual(self.sharing.least, 0)
        for many in (5, 9):
            self.assertEqual(self.shares(many), {3 * PACKET})
        self.assertEqual(self.sharing.least, 2 * PACKET)

    def test_largePackets(self) -> None:
        """
        A packet that is larger than a share is one all the same, and one as large
        as the window is no more than that.
        """
        self.sharing.packet = 65000
        self.assertEqual(self.shares(4), {65000})
        self.assertEqual(self.shares(9), {WINDOW})
        self.assertEqual(self.sharing.least, WINDOW // 2)
        self.sharing.packet = 2 * WINDOW
        self.assertEqual(self.shares(4), {WINDOW})

    def test_aloneAgain(self) -> None:
        """
        The last one that goes on gets the whole window back, and so do those that
        have stopped.
        """
        first, second = Sharer(), Sharer()
        self.rounds(first, second)
        self.rounds(first)
        self.assertEqual((first.reserved, second.reserved), (0, 0))

    def test_forget(self) -> None:
        """
        A session that has ended shares nothing.
        """
        first, second = Sharer(), Sharer()
        self.rounds(first, second)
        self.sharing.forget(second)
        self.sharing.forget(second)
        second.reserved = -1
        self.rounds(first)
        self.assertEqual((first.reserved, second.reserved), (0, -1))


class SessionTests(SynchronousTestCase):
    """
    What the phone sees of it.
    """

    def setUp(self) -> None:
        """
        Two sessions.
        """
        self.phone = ScriptedPhone.ready(acknowledgeAt=16384)
        self.sides = [self.phone.open(port=port) for port in (100, 200)]

    def ahead(self) -> list[int]:
        """
        How many bytes the phone may still send in each session that has sent it
        something, by the last segment of that.
        """
        last = {one.sourcePort: one for one in self.phone.take() if one.flags == ACK}
        self.assertEqual({one.window for one in last.values()}, {WINDOW})
        return [
            (last[side.hostPort].ack + WINDOW - side.seq) & 0xFFFFFFFF
            for side in self.sides
            if side.hostPort in last
        ]

    def download(self, *sides: PhoneSide) -> None:
        """
        Enough to be counted, packet by packet in turn.
        """
        for _ in range(18):
            for side in sides:
                side.say(b"x" * PACKET)

    def test_share(self) -> None:
        """
        The window stays what it is, and the phone may send two packets ahead.
        """
        self.download(*self.sides)
        self.assertEqual(self.ahead(), [2 * PACKET] * 2)

    def test_alone(self) -> None:
        """
        A single download is never held back.
        """
        self.download(self.sides[0])
        self.assertEqual(self.ahead(), [WINDOW])

    def test_manyAcknowledgeTwo(self) -> None:
        """
        One of many acknowledges two packets at a time.
        """
        self.sides = [self.phone.open(port=port) for port in range(300, 306)]
        self.download(*self.sides)
        side = self.sides[0]
        self.phone.take()
        while not side.take():
            side.say(b"x" * PACKET)
        for _ in range(2):
            side.say(b"x" * PACKET)
            self.assertEqual(side.take(), [])
            side.say(b"x" * PACKET)
            self.assertEqual(len(side.take()), 1)

    def test_silence(self) -> None:
        """
        What is kept back is acknowledged when nothing has come for a while, and
        no timer is left then.
        """
        self.download(*self.sides)
        for _ in range(3):
            self.phone.clock.advance(0.030)
        self.assertEqual(self.ahead(), [WINDOW] * 2)
        self.assertEqual(self.phone.timers(), [])

    def test_goesOnSharing(self) -> None:
        """
        The timer gives nothing back while bytes come.
        """
        self.download(*self.sides)
        for _ in range(3):
            self.phone.clock.advance(0.030)
            self.download(*self.sides)
        self.assertEqual(self.ahead(), [2 * PACKET] * 2)

    def test_timerWhileBytesCome(self) -> None:
        """
        Nor does it when a byte alone has come since it was set; when none has, it does.
        """
        self.download(*self.sides)
        sessions = list(self.phone.muxer.delayed._owing)
        self.assertEqual(len(sessions), 2)
        shared = [WINDOW - 2 * PACKET] * 2
        for _ in range(5):
            for side in self.sides:
                side.say(b"x")
            self.phone.clock.advance(0.030)
            self.assertEqual([each.receive.reserve for each in sessions], shared)
        self.sides[0].say(b"x")
        self.phone.clock.advance(0.030)
        self.assertEqual([each.receive.reserve for each in sessions], [shared[0], 0])
        self.phone.clock.advance(0.030)
        self.assertEqual([each.receive.reserve for each in sessions], [0, 0])

    def test_data(self) -> None:
        """
        Data takes no more of an acknowledgement along than may be given.
        """
        self.download(*self.sides)
        self.phone.take()
        self.sides[0].session.write(b"y")
        self.assertEqual(self.ahead(), [2 * PACKET])

    def test_end(self) -> None:
        """
        A session that ends leaves nothing behind, and the other gets it all.
        """
        self.download(*self.sides)
        gone, side = self.sides
        delayed = self.phone.muxer.delayed
        kept = (delayed._owing, delayed.sharing._sharers, delayed.sharing._next)
        (session,) = [each for each in self.phone.muxer.sessions if each.port == gone.port]
        self.assertTrue(all(session in each for each in kept))
        gone.session.abortConnection()
        self.assertFalse(any(session in each for each in kept))
        self.phone.take()
        self.download(side)
        self.assertEqual(self.ahead(), [WINDOW])
