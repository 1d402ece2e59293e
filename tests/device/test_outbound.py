"""
Tests of L{muxd.device.outbound}: what goes first when the link has little room.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muxd.wire.mux import BULK_PAYLOAD, Packet
from tests.device.links import ACK, LOCKDOWN, RST, SYN, Recorder, RecorderFactory, ScriptedPhone

BULK = b"x" * 200_000


class OutboundTests(SynchronousTestCase):
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
