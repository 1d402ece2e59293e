# -*- test-case-name: tests.server.test_exhaustion -*-
"""
Clients in great numbers, and clients that never stop, on a phone that does not
answer: the server and the muxer together.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muxd.device.device import MuxedDevice
from muxd.limits import LIMITS
from muxd.server.factory import ControlFactory
from muxd.server.registry import DeviceRegistry
from muxd.server.states import State
from muxd.testing import BudgetTransport, ImmediateRecords, fakeIdentity
from muxd.testing.packets import Segment
from muxd.wire.messages import Result
from tests.device.links import RST, SYN, SYN_ACK, ScriptedPhone
from tests.server.serving import Client, connectRequest

DEAF, GOOD = 4242, 7
MANY = 1000
PIECE = BudgetTransport.readSize


class PhoneTestCase(SynchronousTestCase):
    """
    A server with a phone that says only what the test dictates.
    """

    def setUp(self) -> None:
        """
        Make both.
        """
        self.phone = ScriptedPhone.ready(
            acknowledgeAt=LIMITS.acknowledgeAt, sendBuffer=LIMITS.sendBuffer
        )
        self.clock = self.phone.clock
        self.registry = DeviceRegistry()
        self.registry.deviceAttached(MuxedDevice(fakeIdentity(1), self.phone.muxer))
        self.factory = ControlFactory(self.clock, self.registry, ImmediateRecords())

    def client(self, port: int) -> Client:
        """
        A client that has asked for a port.
        """
        client = Client(BudgetTransport.connect(self.clock, self.factory))
        client.send(connectRequest(1, port))
        return client

    def answer(self, client: Client, port: int) -> tuple[int, int]:
        """
        Have the phone accept what was asked for last.

        @return: The ports.
        """
        syn = self.phone.take()[-1]
        self.assertEqual((syn.destinationPort, syn.flags), (port, SYN))
        self.phone.deliver(self.phone.segment(port, syn.sourcePort, 0, 1, SYN_ACK))
        self.phone.take()
        (result,) = client.plists()
        self.assertEqual(result["Number"], Result.OK)
        return port, syn.sourcePort

    def assertNothingLeft(self) -> None:
        """
        Neither a client nor a session nor a timer.
        """
        for _ in range(5):
            self.clock.advance(0)
        self.assertEqual(self.factory.clients, set())
        self.assertEqual(len(self.phone.muxer._sessions), 0)
        self.assertEqual(len(self.phone.muxer._ports), 0)
        self.assertEqual(self.phone.timers(), [])

    def flagsOf(self, sent: list[Segment], port: int) -> list[int]:
        """
        The flags of what was sent to a port.
        """
        return [int(one.flags) for one in sent if one.destinationPort == port]


class HalfOpenTests(PhoneTestCase):
    """
    1,000 Connects to a port that never answers.
    """

    def test_allAreAnswered(self) -> None:
        """
        Each has its Result when its time is over; others connect meanwhile.
        """
        waiting = [self.client(DEAF) for _ in range(MANY)]
        self.assertEqual(self.flagsOf(self.phone.take(), DEAF), [SYN] * MANY)
        other = self.client(GOOD)
        port, source = self.answer(other, GOOD)
        self.phone.deliver(self.phone.segment(port, source, 1, 1, payload=b"hello"))
        self.assertEqual(other.stream(), b"hello")
        self.clock.advance(LIMITS.connectTimeout - 0.1)
        self.assertEqual([client.messages() for client in waiting], [[]] * MANY)
        self.clock.advance(0.1)
        self.assertEqual(
            [[one["Number"] for one in client.plists()] for client in waiting],
            [[Result.CONNECTION_REFUSED]] * MANY,
        )
        self.assertEqual(self.flagsOf(self.phone.take(), DEAF), [RST] * MANY)
        self.assertEqual({client.protocol.state for client in waiting}, {State.COMMAND})
        self.assertEqual(self.phone.muxer.counters.connectTimeouts, MANY)
        for client in (*waiting, other):
            client.transport.lose()
        self.clock.advance(60)  # what the log has not told yet
        self.assertNothingLeft()

    def test_allAreGivenUp(self) -> None:
        """
        Clients that go before that take their attempts along, at once.
        """
        waiting = [self.client(DEAF) for _ in range(MANY)]
        self.phone.take()
        for client in waiting:
            client.transport.lose()
        self.assertEqual(self.flagsOf(self.phone.take(), DEAF), [RST] * MANY)
        self.assertEqual(self.factory.counters.cancelledConnects, MANY)
        self.assertNothingLeft()

    def test_lateAnswers(self) -> None:
        """
        A phone that answers when nobody waits any more opens nothing.
        """
        waiting = [self.client(DEAF) for _ in range(MANY)]
        syns = self.phone.take()
        for client in waiting:
            client.transport.lose()
        self.phone.take()
        self.phone.deliver(
            *(self.phone.segment(DEAF, syn.sourcePort, 0, 1, SYN_ACK) for syn in syns)
        )
        self.assertNothingLeft()
        self.assertEqual(self.phone.muxer.counters.strays, MANY)


class EndlessTests(PhoneTestCase):
    """
    A client that never stops writing, and a phone that never acknowledges.
    """

    def write(self, client: Client, pieces: int) -> int:
        """
        Write so many pieces, or until the client is not read from any more.

        @return: How many bytes were taken from it.
        """
        taken = 0
        for _ in range(pieces):
            if client.transport.paused:
                break
            client.transport.deliver(bytes(PIECE))
            taken += PIECE
        return taken

    def test_bounded(self) -> None:
        """
        It is read from until one window is on its way and one buffer is full, and
        then no more; nobody else is the slower for it.
        """
        client = self.client(GOOD)
        self.answer(client, GOOD)
        taken = self.write(client, 1000)
        sent = sum(len(one.payload) for one in self.phone.take())
        self.assertEqual(sent, 131072)
        self.assertLessEqual(taken, sent + LIMITS.sendBuffer + PIECE)
        for _ in range(100):
            self.clock.advance(1)
            taken += self.write(client, 1000)
        self.assertLessEqual(taken, sent + LIMITS.sendBuffer + PIECE)
        self.assertEqual(self.phone.take(), [])
        other = self.client(GOOD)
        self.answer(other, GOOD)
        other.transport.deliver(b"x" * 100)
        self.assertEqual([one.payload for one in self.phone.take()], [b"x" * 100])

    def test_goesOn(self) -> None:
        """
        When the phone acknowledges at last, the rest follows.
        """
        client = self.client(GOOD)
        port, source = self.answer(client, GOOD)
        taken = self.write(client, 1000)
        sent = sum(len(one.payload) for one in self.phone.take())
        while sent < taken:
            self.phone.deliver(self.phone.segment(port, source, 1, 1 + sent))
            sent += sum(len(one.payload) for one in self.phone.take())
        self.assertEqual(sent, taken)
        self.phone.deliver(self.phone.segment(port, source, 1, 1 + sent))
        self.assertFalse(client.transport.paused)

    def test_gone(self) -> None:
        """
        A client that goes then leaves nothing, once the time is over in which the
        phone might still have taken what was written.
        """
        client = self.client(GOOD)
        self.answer(client, GOOD)
        self.write(client, 1000)
        self.phone.take()
        client.transport.lose()
        self.clock.advance(LIMITS.flushTimeout)
        self.assertEqual(self.flagsOf(self.phone.take(), GOOD)[-1:], [RST])
        self.assertNothingLeft()
