"""
Tests of L{muxd.device.outbound}: what goes first when the link has little room.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muxd.device.lending import CopyingLender
from muxd.device.outbound import LONE
from muxd.net.packetmemory import PacketMemory
from muxd.testing.packets import Packet
from muxd.wire.mux import BULK_PAYLOAD, LONE_PAYLOAD
from tests.device.links import (
    ACK,
    LOCKDOWN,
    RST,
    SYN,
    Recorder,
    RecorderFactory,
    RecordingProducer,
    ScriptedPhone,
)
from tests.device.sessionends import RecordingEnd

BULK = b"x" * 200_000


class Roomy(CopyingLender):
    """
    What lends for a link that carries larger segments of a session that is the only one.
    """

    def hasRoom(self, size: int) -> bool:
        """
        As much as there is.
        """
        found = super().hasRoom(size)
        self.lonePayload = LONE_PAYLOAD
        return found


class DryEnd(RecordingEnd):
    """
    An end that never has anything to send.

    @ivar dried: How often it was told so.
    """

    dried = 0

    def fill(self, memory: PacketMemory, start: int, most: int) -> int:
        """
        Nothing.
        """
        self.session.available = 0
        return 0

    def ranDry(self) -> None:
        """
        Count.
        """
        self.dried += 1


class OutboundCase(SynchronousTestCase):
    """
    Three sessions on a link without room.
    """

    def setUp(self) -> None:
        """
        Open them, and let the link take nothing.
        """
        self.phone = ScriptedPhone.ready()
        self.link = self.phone.link
        self.sides = [self.phone.open(port=port) for port in (1, 2, 3)]
        self.link.room = 0

    def ports(self) -> list[tuple[int, int]]:
        """
        Port and flags of what was sent.
        """
        return [(one.destinationPort, one.flags) for one in self.phone.take()]


class OutboundTests(OutboundCase):
    """
    What goes before what.
    """

    def test_hasRoom(self) -> None:
        """
        Bulk data waits for room, and takes no more than there is.
        """
        side = self.sides[0]
        side.session.write(BULK)
        self.assertEqual(self.ports(), [])
        self.link.makeRoom(2)
        self.assertEqual([len(one.payload) for one in self.phone.take()], [BULK_PAYLOAD] * 2)
        self.link.makeRoom()
        self.assertEqual(
            sum(len(one.payload) for one in self.phone.take()), 131072 - 2 * BULK_PAYLOAD
        )

    def test_turns(self) -> None:
        """
        Sessions that have bytes take turns, a segment each.
        """
        for side in self.sides:
            side.session.write(BULK)
        self.link.makeRoom(7)
        self.assertEqual([port for port, _ in self.ports()], [1, 2, 3, 1, 2, 3, 1])
        self.link.makeRoom()
        self.assertEqual([port for port, _ in self.ports()], [2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3])

    def test_lone(self) -> None:
        """
        A session that no other one has interrupted for a while is sent in larger segments,
        where the link has such; it is not when another has sent something, but is when another
        has only ended, and no other one has its place when it has ended itself.
        """
        outbound = self.phone.muxer.outbound
        outbound._lender = Roomy(self.link)
        first, second, third = self.sides

        def sizes(count: int) -> list[int]:
            found: list[int] = []
            while len(found) < count:
                self.link.makeRoom(1)
                (one,) = self.phone.take()
                found.append(len(one.payload))
                side = self.sides[one.destinationPort - 1]
                side.acknowledge(found[-1])
            return found

        first.session.write(BULK * 8)
        self.assertEqual(sizes(LONE + 3), [BULK_PAYLOAD] * LONE + [LONE_PAYLOAD] * 3)
        second.session.write(b"key")
        self.assertEqual(sizes(4), [LONE_PAYLOAD, 3, BULK_PAYLOAD, BULK_PAYLOAD])
        self.assertEqual(sizes(LONE), [BULK_PAYLOAD] * (LONE - 2) + [LONE_PAYLOAD] * 2)
        third.session.abortConnection()
        self.link.makeRoom(1)
        self.assertEqual(self.ports(), [(3, RST)])
        self.assertEqual(sizes(2), [LONE_PAYLOAD] * 2)
        first.session.abortConnection()
        second.session.write(BULK)
        self.link.makeRoom(1)
        self.assertEqual(self.ports(), [(1, RST)])
        self.assertEqual(sizes(2), [BULK_PAYLOAD] * 2)

    def test_noStarvation(self) -> None:
        """
        One that goes on writing does not keep the others waiting.
        """
        first, second = self.sides[:2]
        first.session.write(BULK)
        second.session.write(b"small")
        self.link.makeRoom(1)
        first.session.write(BULK)
        self.link.makeRoom(1)
        self.assertEqual([port for port, _ in self.ports()], [1, 2])

    def test_controlFirst(self) -> None:
        """
        SYN and RST go before data, and acknowledgements follow them.
        """
        self.sides[0].session.write(BULK)
        self.sides[1].say(b"hello")
        self.sides[2].session.abortConnection()
        self.phone.muxer.connect(LOCKDOWN, RecorderFactory())
        self.link.makeRoom(4)
        self.assertEqual(self.ports(), [(3, RST), (LOCKDOWN, SYN), (2, ACK), (1, ACK)])

    def test_roomAppears(self) -> None:
        """
        Nothing overtakes a waiting control segment when the link has room
        before it has said so: the acknowledgement that opens a session comes
        before its first bytes.
        """
        self.link.room = None
        recorder = Recorder()
        result = self.phone.muxer.connect(22, RecorderFactory(recorder))
        syn = self.phone.take()[0]
        self.link.room = 0
        self.phone.deliver(self.phone.segment(22, syn.sourcePort, 0, 1, 0x12))
        self.successResultOf(result)
        self.link.room = None
        recorder.session.write(b"data")
        self.sides[1].say(b"hello")
        self.assertEqual(self.ports(), [])
        self.link.makeRoom()
        sent = [(s.destinationPort, s.seq, s.payload) for s in self.phone.take()]
        self.assertEqual(sent, [(22, 1, b""), (2, 1, b""), (22, 1, b"data")])

    def test_controlInOrder(self) -> None:
        """
        Control segments do not overtake each other, and wait for room.
        """
        opening = self.phone.muxer.connect(22, RecorderFactory())
        opening.addErrback(lambda failure: None)
        opening.cancel()
        self.phone.muxer.connect(23, RecorderFactory())
        self.link.makeRoom(2)
        self.assertEqual(self.ports(), [(22, SYN), (22, RST)])
        self.link.makeRoom(2)
        self.assertEqual(self.ports(), [(23, SYN)])

    def test_oneAcknowledgement(self) -> None:
        """
        A session waits with one acknowledgement at most, which says all that
        was delivered until it is sent.
        """
        side = self.sides[0]
        for _ in range(5):
            side.say(b"12345")
        self.link.makeRoom()
        self.assertEqual([one.ack for one in self.phone.take()], [26])

    def test_acknowledgedByData(self) -> None:
        """
        Nor does it acknowledge what its data has acknowledged.
        """
        side = self.sides[0]
        side.say(b"12345")
        self.link.room = None
        side.session.write(b"y")
        self.link.makeRoom()
        self.assertEqual([(one.ack, one.payload) for one in self.phone.take()], [(6, b"y")])

    def test_smallOvertakes(self) -> None:
        """
        A small write of a session with nothing in flight does not wait for its
        turn, as soon as there is room for it.
        """
        self.sides[0].session.write(BULK)
        self.link.room = 1
        self.sides[1].session.write(b"key")
        self.assertEqual([one.payload for one in self.phone.take()], [b"key"])

    def test_smallOnce(self) -> None:
        """
        It can do so once a round trip: with bytes in flight it waits for its
        turn, and big writes do anyway.
        """
        self.sides[0].session.write(BULK)
        self.link.room = 3
        self.sides[1].session.write(b"key")
        self.sides[1].session.write(b"another")
        self.sides[2].session.write(b"z" * 4097)
        self.assertEqual([one.payload for one in self.phone.take()], [b"key"])
        self.sides[1].acknowledge(3)
        self.link.makeRoom(3)
        self.assertEqual([port for port, _ in self.ports()], [1, 2, 3])

    def test_smallRest(self) -> None:
        """
        A small write that found no room keeps its place in the queue.
        """
        self.sides[0].session.write(BULK)
        self.sides[1].session.write(b"key")
        self.sides[1].session.write(b"s")
        self.link.makeRoom(2)
        self.assertEqual([len(one.payload) for one in self.phone.take()], [BULK_PAYLOAD, 4])

    def test_busOrder(self) -> None:
        """
        Counters follow the order on the bus, whatever overtakes what.
        """
        self.sides[0].session.write(BULK)
        self.sides[1].say(b"hello")
        self.phone.muxer.connect(LOCKDOWN, RecorderFactory())
        self.link.makeRoom()
        counters = [Packet.decode(one, 2).transmitted for one in self.link.sent]
        first = counters[0]
        assert first is not None
        self.assertEqual(counters, list(range(first, first + len(counters))))
        self.assertEqual(len(counters), 8)

    def test_goneWhileWaiting(self) -> None:
        """
        A session that ends while it waits is passed over, and so are bytes for
        which the window has closed.
        """
        for side in self.sides:
            side.session.write(b"abc")
        self.sides[0].say(flags=RST)
        self.sides[1].say(window=0)
        self.sides[1].say(b"x")
        self.link.makeRoom()
        sent = [(one.destinationPort, one.payload) for one in self.phone.take()]
        self.assertEqual(sent, [(2, b""), (3, b"abc")])
        self.sides[1].say(window=512)
        self.assertEqual([one.payload for one in self.phone.take()], [b"abc"])

    def test_endedOwing(self) -> None:
        """
        A session that ends owing an acknowledgement does not send it.
        """
        self.sides[0].say(b"abc")
        self.sides[0].say(flags=RST)
        self.link.makeRoom()
        self.assertEqual(self.ports(), [])

    def test_endedForgotten(self) -> None:
        """
        Nor is it kept here until there is room: a phone may never take
        anything.
        """
        outbound = self.phone.muxer.outbound
        for side in self.sides:
            side.say(b"abc")
            side.session.write(b"x")
        self.sides[0].say(flags=RST)
        self.sides[1].session.abortConnection()
        self.assertEqual(list(outbound._ready), [self.sides[2].session.session])
        self.assertEqual(list(outbound._owing), [self.sides[2].session.session])
        self.link.makeRoom()
        self.assertEqual(self.ports(), [(2, RST), (3, ACK), (3, ACK)])

    def test_manyEnd(self) -> None:
        """
        However many end, no more are kept than are left; nor are all gone through
        for each.
        """
        self.link.room = None
        sides = [self.phone.open(port=port) for port in range(100, 200)]
        self.link.room = 0
        for side in sides:
            side.session.write(b"x")
        ready = self.phone.muxer.outbound._ready
        kept = []
        for left in range(99, 2, -1):
            sides.pop(left * 7 % len(sides)).session.abortConnection()
            self.assertLessEqual(len(ready), 2 * left)
            kept.append(len(ready) - left)
        self.assertLess(kept.count(0), 10)
        for side in sides:
            self.assertIn(side.session.session, ready)
        self.link.makeRoom()
        self.assertEqual(
            [port for port, flags in self.ports() if flags == ACK], [side.port for side in sides]
        )

    def test_nothingAfterAll(self) -> None:
        """
        An end that has nothing to send after all is told so once, whether it had to wait for
        its turn or not, and no segment is sent.
        """
        session = self.sides[0].session.session
        end = session.end = DryEnd(session)
        for room in (0, None):
            self.link.room = room
            session.available = 3
            session.offer()
            self.link.makeRoom()
            self.assertEqual((end.dried, self.ports()), (1, []))
            end.dried = 0

    def test_resetsInOrder(self) -> None:
        """
        When the muxer stops, what waits is sent whether there is room or not, in order.
        """
        for at in (1, 0):
            self.sides[at].session.abortConnection()
        self.phone.muxer.stop()
        self.assertEqual(self.ports(), [(2, RST), (1, RST), (3, RST)])

    def test_endsWithItsSegment(self) -> None:
        """
        One that ends as its own segment is taken does not come back.
        """
        session = self.sides[0].session
        producer = RecordingProducer()
        session.registerProducer(producer, True)
        producer.onResume = session.abortConnection
        session.write(b"x" * (BULK_PAYLOAD + 65536))
        self.link.makeRoom(3)
        self.assertEqual(producer.told, ["pause", "resume", "stop"])
        self.assertEqual(list(self.phone.muxer.outbound._ready), [])
        self.sides[1].session.write(b"next")
        self.link.makeRoom()
        self.assertEqual(self.ports()[-2:], [(1, RST), (2, ACK)])


class StrayTests(OutboundCase):
    """
    Segments of no session, which a phone may send as many of as it likes.
    """

    def stray(self, port: int, hostPort: int = 99, seq: int = 0) -> None:
        """
        Let one come.
        """
        self.phone.deliver(self.phone.segment(port, hostPort, seq, 0))

    def test_last(self) -> None:
        """
        They are answered behind everything else that there is to send, in
        order.
        """
        self.stray(70)
        self.stray(71)
        self.phone.muxer.connect(LOCKDOWN, RecorderFactory())
        self.sides[0].session.write(b"data")
        self.sides[1].say(b"hello")
        self.link.makeRoom(3)
        self.assertEqual(self.ports(), [(LOCKDOWN, SYN), (2, ACK), (1, ACK)])
        self.link.makeRoom()
        self.assertEqual(self.ports(), [(70, RST), (71, RST)])

    def test_flood(self) -> None:
        """
        A phone that sends nothing else keeps nobody from being heard.
        """
        for number in range(10):
            for port in range(70, 170):
                self.stray(port, number)
            self.sides[0].session.write(b"%d" % number)
            self.link.makeRoom(4)
            self.link.room = 0
        heard = [one.payload for one in self.phone.take() if one.payload]
        self.assertEqual(heard, [b"%d" % number for number in range(10)])

    def test_bulkWaits(self) -> None:
        """
        While bulk data waits for the bus, whose way small packets do not block,
        one is answered for each time that the link has room.
        """
        self.link.room = None
        self.patch(self.link, "hasRoom", lambda size: size < 1000)
        self.sides[0].session.write(BULK)
        for port in (70, 71, 72):
            self.stray(port)
        self.assertEqual(self.ports(), [])
        for port in (70, 71):
            self.phone.muxer.roomAvailable()
            self.assertEqual(self.ports(), [(port, RST)])

    def test_formerSession(self) -> None:
        """
        An answer that is late does not end the next session on these ports.
        """
        self.stray(22, 4)
        self.stray(22, 5)
        self.phone.muxer.connect(22, RecorderFactory())
        self.link.makeRoom()
        sent = [(one.sourcePort, one.flags) for one in self.phone.take()]
        self.assertEqual(sent, [(4, SYN), (5, RST)])

    def test_once(self) -> None:
        """
        Several segments of one session, as a window full of them, are answered
        once where the answer has to wait.
        """
        for seq in (1, 2, 3):
            self.stray(70, seq=seq)
        self.stray(71)
        self.link.makeRoom()
        sent = [(one.destinationPort, one.ack) for one in self.phone.take()]
        self.assertEqual(sent, [(70, 3), (71, 0)])
        self.assertEqual(self.phone.muxer.counters.straysUnanswered, 0)
