"""
Tests of L{muxd.net.pipe} with a session at one end or at both.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionDone

from muxd.testing import BudgetTransport
from tests.device.links import RST, PhoneSide, ScriptedPhone
from tests.net.test_pipe import PipeCase


class SessionPipeTests(PipeCase):
    """
    A client's transport joined with a session.
    """

    def setUp(self) -> None:
        """
        Join them.
        """
        super().setUp()
        self.phone = ScriptedPhone.ready()
        self.phone.clock = self.clock
        self.phone.muxer.clock = self.clock

    def joinSession(self, budget: int | None = None) -> tuple[BudgetTransport, PhoneSide]:
        """
        A client, and the phone's side.
        """
        client = self.connect(self.pipe.first, budget)
        side = self.phone.open(self.pipe.second)
        self.clock.advance(0)
        return client, side

    def test_slowClient(self) -> None:
        """
        A client that does not read stops the phone: what is held is bounded by
        the window and the client's buffer, and comes in full when it reads.
        """
        client, side = self.joinSession(0)
        data = bytes(range(256)) * 256
        total = unacknowledged = 0
        while unacknowledged + len(data) <= 131072:
            side.say(data)
            total += len(data)
            unacknowledged += len(data)
            for one in side.take():
                unacknowledged = total + 1 - one.ack
        self.assertLessEqual(total, 131072 + 2 * 65536)
        self.assertEqual(client.take(), data * (total // len(data)))
        self.clock.advance(0.03)
        self.assertEqual(side.take()[-1].ack, total + 1)

    def test_slowPhone(self) -> None:
        """
        A phone that does not read pauses the client.
        """
        client, side = self.joinSession()
        for _ in range(20):
            client.deliver(b"x" * 16384)
        self.assertTrue(client.paused)
        side.take()
        for _ in range(3):
            side.acknowledge(65536)
            self.clock.advance(0)
        self.assertFalse(client.paused)

    def test_phoneEndsWithBytesHeld(self) -> None:
        """
        A RST while the client is slow loses nothing.
        """
        client, side = self.joinSession(0)
        side.say(b"x" * 65536)
        side.say(b"y" * 10)
        side.say(b"z" * 10)
        side.say(flags=RST)
        self.clock.advance(0)
        self.assertFalse(client.disconnected)
        self.assertEqual(client.take(), b"x" * 65536 + b"y" * 10 + b"z" * 10)
        self.clock.advance(0)
        self.assertTrue(client.disconnected)
        self.assertClosed(ConnectionDone)

    def test_clientEndsWithBytesPending(self) -> None:
        """
        A client that leaves has its last bytes delivered before the RST.
        """
        client, side = self.joinSession()
        side.say(window=0)
        client.deliver(b"last words")
        client.lose(ConnectionDone())
        self.assertEqual(side.take(), [])
        side.say(window=512)
        self.assertEqual([one.payload for one in side.take()], [b"last words"])
        side.acknowledge(10)
        self.assertEqual([one.flags for one in side.take()], [RST])
        self.assertClosed(ConnectionDone)

    def test_halfClose(self) -> None:
        """
        A client that finishes sending gets its answer, however late it comes, and the
        session ends when the client does.
        """
        client, side = self.joinSession()
        client.deliver(b"request")
        client.finish()
        side.acknowledge(7)
        self.clock.pump([1000, 1000])
        side.say(b"answer")
        self.assertEqual(client.value(), b"answer")
        client.lose(ConnectionDone())
        self.assertEqual([one.flags for one in side.take()][-1:], [RST])
        self.assertClosed(ConnectionDone)

    def test_twoSessions(self) -> None:
        """
        Two sessions can be joined, and closed from either side.
        """
        one = self.phone.open(self.pipe.first, port=1)
        two = self.phone.open(self.pipe.second, port=2)
        one.say(b"hello")
        sent = [(s.destinationPort, s.payload) for s in self.phone.take() if s.payload]
        self.assertEqual(sent, [(2, b"hello")])
        two.acknowledge(5)
        one.say(flags=RST)
        self.assertEqual([s.destinationPort for s in self.phone.take()], [2])
        self.assertClosed(ConnectionDone)
