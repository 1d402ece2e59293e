# -*- test-case-name: tests.attacks.test_greed -*-
"""
A user that takes all there is: one had all descriptors with connections that said nothing, and
all sessions of a phone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast
from unittest import skipUnless

from OpenSSL import crypto
from twisted.internet.address import IPv4Address

from muxd.server.factory import ControlFactory
from muxd.server.fastlane import LaneClient
from muxd.testing import BudgetTransport, ImmediateRecords
from muxd.wire.messages import Result, plistMessage
from tests.device.links import LOCKDOWN, RST
from tests.net.test_acceptthrottle import AcceptingPort
from tests.server.lanes import LINUX, LaneCase
from tests.server.serving import (
    TINY,
    Client,
    ServingTestCase,
    connectRequest,
    observeLog,
    plist,
)

GREEDY, OTHER = "192.0.2.1", "192.0.2.2"
LIMITS = replace(TINY, connectionsPerUser=20, streamsPerUser=5, listenersPerUser=4)


class QuotaTests(ServingTestCase):
    """
    How much a user may have.
    """

    def setUp(self) -> None:
        """
        Let each have little.
        """
        super().setUp()
        records = ImmediateRecords(self.store)
        self.factory = ControlFactory(self.clock, self.registry, records, LIMITS)
        self.counters = self.factory.counters
        self.logged = observeLog(self)

    def assertServed(self, host: str) -> Client:
        """
        A new client of this user gets its answer.
        """
        client = self.client(host=host)
        self.assertIn("BUID", plist(client.ask(MessageType="ReadBUID")))
        return client

    def test_connections(self) -> None:
        """
        One more is closed, unheard; others of other users, and of this one when it has fewer, are
        not.
        """
        clients = [self.client(host=GREEDY) for _ in range(LIMITS.connectionsPerUser)]
        late = self.client(host=GREEDY)
        self.assertTrue(late.transport.aborted)
        late.send(plistMessage({"MessageType": "ReadBUID"}, 1))
        self.settle()
        self.assertEqual(late.messages(), [])
        self.assertEqual(self.counters.refusedClients, 1)
        self.assertServed(OTHER)
        clients[0].transport.lose()
        self.assertServed(GREEDY)

    def test_streams(self) -> None:
        """
        One Connect more is refused, and its client goes on; a stream that ends makes room.
        """
        clients = [self.client(host=GREEDY) for _ in range(LIMITS.streamsPerUser)]
        for client in clients:
            client.send(connectRequest(1, 22))
        late = self.client(host=GREEDY)
        late.send(connectRequest(1, 22))
        self.assertEqual(plist(late.messages()[0])["Number"], Result.CONNECTION_REFUSED)
        self.assertIn("BUID", plist(late.ask(MessageType="ReadBUID")))
        self.assertEqual(self.counters.refusedStreams, 1)
        other = self.client(host=OTHER)
        other.send(connectRequest(1, 22))
        self.assertEqual(other.messages(), [])
        clients[0].transport.lose()
        late.send(connectRequest(1, 22))
        self.assertEqual(late.messages(), [])

    def test_listeners(self) -> None:
        """
        One Listen more is refused, and its client goes on.
        """
        request = plistMessage({"MessageType": "Listen"}, 1)
        clients = [self.client(host=GREEDY) for _ in range(LIMITS.listenersPerUser)]
        for client in clients:
            client.send(request)
        late = self.client(host=GREEDY)
        self.assertEqual(late.result(MessageType="Listen"), Result.CONNECTION_REFUSED)
        self.assertIn("BUID", plist(late.ask(MessageType="ReadBUID")))
        other = self.client(host=OTHER)
        other.send(request)
        self.assertEqual(plist(other.messages()[0])["Number"], Result.OK)
        self.assertEqual(self.counters.refusedListeners, 1)
        clients[0].transport.lose()
        late.send(request)
        self.assertEqual(plist(late.messages()[0])["Number"], Result.OK)

    def test_certificate(self) -> None:
        """
        With TLS, clients with one name in their certificates are one user's, wherever they are.
        """
        shown = crypto.X509()
        shown.get_subject().CN = "farm"
        for number in range(LIMITS.connectionsPerUser + 1):
            client = self.client(host=f"192.0.2.{number}")
            client.transport.getPeerCertificate = lambda: shown  # type: ignore[attr-defined]
            client.send(plistMessage({"MessageType": "ReadBUID"}, 1))
            isOneMore = number == LIMITS.connectionsPerUser
            self.assertEqual(client.transport.aborted, isOneMore)
            self.assertEqual(len(client.messages()), not isOneMore)
        self.assertEqual(self.factory.accounts.sizes()["CN=farm"], (number, 0, 0))
        self.settle()
        self.assertEqual(len(self.factory.accounts), 1)

    def test_told(self) -> None:
        """
        The log says which user it is, a few times.
        """
        for _ in range(LIMITS.connectionsPerUser + 50):
            self.client(host=GREEDY)
        lines = [event for event in self.logged if "its user" in event["log_format"]]
        self.assertEqual({event["owner"] for event in lines}, {GREEDY})
        self.assertLessEqual(len(lines), 5)


class Work:
    """
    Work that waits for its turn.
    """

    owner = "another"

    def takeTurn(self) -> None:
        """
        There is nothing to do.
        """


class Numbered(BudgetTransport):
    """
    A transport with a descriptor, the lowest that is free.
    """

    taken: set[int] = set()

    @classmethod
    def lowest(cls) -> int:
        """
        The lowest that is free.
        """
        return next(number for number in range(1000) if number not in cls.taken)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._number = self.lowest()
        self.taken.add(self._number)

    def fileno(self) -> int:
        """
        The descriptor.
        """
        return self._number

    def lose(self, reason: Exception | None = None) -> None:
        """
        It is free again.
        """
        self.taken.discard(self._number)
        super().lose(reason)


class SilenceTests(ServingTestCase):
    """
    Connections that say nothing, where descriptors are short.
    """

    def setUp(self) -> None:
        """
        Let clients have few of them.
        """
        super().setUp()
        self.patch(Numbered, "taken", set())
        self.port = AcceptingPort()
        throttle = self.factory.throttle
        throttle.ports = [self.port]
        self.patch(throttle, "_lowestFree", Numbered.lowest)
        self.allowed = 40
        throttle.begin(self.allowed)
        self.highest = throttle.room or 0
        self.factory.accounts.share(throttle.room)
        self.logged = observeLog(self)

    def tearDown(self) -> None:
        """
        Leave nothing behind.
        """
        self.factory.doStart()
        self.factory.doStop()

    def come(self, host: str) -> Client:
        """
        Another client.
        """
        peer = IPv4Address("TCP", host, 1)
        client = Client(Numbered.connect(self.clock, self.factory, peer=peer))
        self.settle()
        return client

    def fill(self, spare: int = 0) -> list[Client]:
        """
        Take all that clients may have.
        """
        return [self.come(GREEDY) for _ in range(self.highest - spare)]

    def test_longestSilentGoes(self) -> None:
        """
        Another user's clients are let in, each for one of those that have been silent for the
        longest.
        """
        alone = self.come(OTHER)
        silent = self.fill(spare=1)
        self.clock.advance(2)
        for number in range(10):
            late = self.come(OTHER)
            self.assertIn("BUID", plist(late.ask(MessageType="ReadBUID")))
            gone = [one.transport.disconnected for one in silent]
            self.assertEqual(gone, sorted(gone, reverse=True))
            self.assertGreater(gone.count(True), number)
            late.transport.lose()
            self.come(GREEDY)
        self.assertFalse(self.factory.throttle.isClosed)
        self.assertFalse(alone.transport.disconnected)
        self.assertGreaterEqual(self.counters.droppedSilent, 10)
        lines = [event for event in self.logged if "says nothing" in event["log_format"]]
        self.assertEqual({event["owner"] for event in lines}, {GREEDY})

    def test_thoseThatSpeakStay(self) -> None:
        """
        One that asks something is not the longest silent any more.
        """
        silent = self.fill()
        self.clock.advance(2)
        silent[0].ask(MessageType="ReadBUID")
        self.come(OTHER)
        gone = [one.transport.disconnected for one in silent]
        self.assertEqual(gone[0], False)
        self.assertTrue(gone[1])

    def test_comeTogether(self) -> None:
        """
        Clients that have come just now have their chance to speak: others wait, and have their
        room a second later.
        """
        silent = self.fill()
        self.come(OTHER)
        self.assertFalse(any(one.transport.disconnected for one in silent[:-1]))
        self.assertTrue(self.factory.throttle.isClosed)
        self.clock.pump([1, 0, 1, 0])
        self.assertTrue(silent[0].transport.disconnected)
        self.assertFalse(self.factory.throttle.isClosed)

    def test_streamsAndListeners(self) -> None:
        """
        A user cannot take all of them with streams and listeners, which do not go.
        """
        refused = 0
        for _ in range(self.highest):
            client = self.come(GREEDY)
            client.send(connectRequest(1, 22))
            if client.messages():
                client.send(plistMessage({"MessageType": "Listen"}, 1))
                if plist(client.messages()[0])["Number"] != Result.OK:
                    refused += 1
                    client.transport.lose()
        self.assertLessEqual(len(self.factory.clients), self.highest * 7 // 8)
        self.assertGreater(refused, 0)
        late = self.come(OTHER)
        self.assertIn("BUID", plist(late.ask(MessageType="ReadBUID")))


@skipUnless(LINUX, "there is no epoll")
class LaneQuotaTests(LaneCase):
    """
    The same for clients on the short way.
    """

    limits = LIMITS

    def setUp(self) -> None:
        """
        Have a request.
        """
        super().setUp()
        self.request = connectRequest(1, LOCKDOWN).encode()

    def test_streams(self) -> None:
        """
        A Connect beyond the user's number becomes an ordinary client, which is told; streams
        that end are counted no longer.
        """
        self.server.accounts.mostStreams = 2
        clients = [self.client(self.request) for _ in range(3)]
        self.assertEqual(self.adopted(), [self.request])
        [account] = self.server.accounts._accounts.values()
        self.assertEqual((account.connections, account.streams), (3, 2))
        [protocol] = self.reactor.protocols
        self.assertIs(protocol.account, account)
        for client in clients:
            client.close()
        self.loop.doRead()
        self.assertEqual((account.connections, account.streams), (1, 0))

    def test_refused(self) -> None:
        """
        One that the phone refuses is no stream any more, and still one of the user's connections.
        """
        self.client(self.request)
        self.answer(RST)
        [account] = self.server.accounts._accounts.values()
        self.assertEqual((account.connections, account.streams), (1, 0))

    def test_connections(self) -> None:
        """
        One connection more is closed at once.
        """
        clients = [self.client() for _ in range(LIMITS.connectionsPerUser)]
        late = self.client()
        self.assertEqual(late.recv(1), b"")
        self.assertEqual(self.counters.refusedClients, 1)
        for client in clients:
            client.close()
        self.loop.doRead()
        self.assertEqual(len(self.server.accounts), 0)

    def test_silent(self) -> None:
        """
        One that says nothing goes when descriptors are short.
        """
        first, second = self.client(), self.client()
        self.clock.advance(LIMITS.leastSilence)
        self.assertTrue(self.server.accounts.dropSilent())
        self.assertEqual(first.recv(1), b"")
        self.assertRaises(BlockingIOError, second.recv, 1)
        self.assertEqual(self.counters.droppedSilent, 1)
        second.send(self.request)
        self.loop.doRead()
        self.assertFalse(self.server.accounts.dropSilent())
        second.close()
        self.loop.doRead()

    def test_turns(self) -> None:
        """
        Where others wait for their turns, so do Connects; one whose client is disconnected
        meanwhile has none.
        """
        turns = self.server.turns
        turns.wait(Work())
        clients = [self.client(self.request) for _ in range(2)]
        self.assertEqual(self.counters.commands["Connect"], 0)
        self.assertEqual(len(self.server.clients), 2)
        newest = max(self.server.clients, key=lambda each: cast("LaneClient", each).fileno())
        newest.disconnect()
        self.clock.advance(0)
        self.assertEqual(self.counters.commands["Connect"], 1)
        for client in clients:
            client.close()
        self.loop.doRead()
