# -*- test-case-name: tests.server.test_stream -*-
"""
Tests of L{muxd.server.protocol} once a Connect has succeeded: bytes both ways,
and how streams end.
"""

from __future__ import annotations

from twisted.internet.error import (
    ConnectionDone,
    ConnectionLost,
)

from muxd.testing import BudgetTransport, FakeAddress
from muxd.wire.messages import Message, MessageType, plistMessage
from tests.server.serving import Client, ServingTestCase, connectRequest


class StreamTests(ServingTestCase):
    """
    A Connect after its Result.
    """

    def stream(self, budget: int | None = None) -> tuple[Client, BudgetTransport]:
        """
        A client that is connected, and the phone's transport.
        """
        client = self.client()
        client.send(connectRequest(1, 22))
        phone = self.phone.connections[-1].accept()
        client.messages()
        client.transport.budget = budget
        return client, phone

    def test_resultIsFirst(self) -> None:
        """
        A phone that talks first is heard behind the Result, however early and
        however slow the client (protocol 9, edge 43).
        """
        client = self.client(budget=0)
        client.send(plistMessage({"MessageType": "ReadBUID"}, 1), connectRequest(1, 22, 2))
        connection = self.phone.connections[0]
        protocol = connection.factory.buildProtocol(FakeAddress())
        assert protocol is not None
        phone = BudgetTransport(self.clock, protocol=protocol)
        protocol.makeConnection(phone)
        phone.deliver(b"SSH-2.0")
        connection.result.callback(protocol)
        self.settle()
        phone.deliver(b"-more")
        data = client.transport.take()
        self.assertTrue(data.endswith(b"</plist>\nSSH-2.0-more"))
        self.assertEqual(data.count(b"<plist"), 2)

    def test_bothWays(self) -> None:
        """
        Bytes go both ways, and the server looks at none of them.
        """
        client, phone = self.stream()
        client.transport.deliver(bytes(16))
        phone.deliver(b"hello")
        self.assertEqual((phone.value(), client.stream()), (bytes(16), b"hello"))

    def test_protocolIsNotInTheWay(self) -> None:
        """
        The client's bytes go from its transport to the pipe directly.
        """
        client, _ = self.stream()
        attempt = client.protocol._attempt
        assert attempt is not None
        self.assertEqual(client.protocol.dataReceived, attempt.pipe.first.dataReceived)

    def test_clientThatDoesNotRead(self) -> None:
        """
        A client that does not read pauses its session, and loses nothing.
        """
        client, phone = self.stream(budget=0)
        sent = bytes(range(256)) * 400
        phone.deliver(sent)
        self.assertTrue(phone.paused)
        phone.deliver(b"held by the phone")
        self.assertEqual(client.transport.pending, len(sent))
        received = client.transport.take()
        self.settle()
        received += client.stream()
        self.assertEqual(received, sent + b"held by the phone")

    def test_phoneThatDoesNotRead(self) -> None:
        """
        A phone that does not read pauses its client.
        """
        client, phone = self.stream()
        phone.budget = 0
        client.transport.deliver(bytes(70000))
        self.assertTrue(client.transport.paused)
        phone.take()
        self.settle()
        self.assertFalse(client.transport.paused)

    def test_clientCloses(self) -> None:
        """
        What the client has sent last reaches the phone (protocol 9, edge 32).
        """
        client, phone = self.stream()
        phone.budget = 0
        client.transport.deliver(b"last words")
        client.transport.lose(ConnectionDone())
        self.assertEqual(self.factory.clients, set())
        self.assertFalse(phone.disconnected)
        self.assertEqual(phone.take(), b"last words")
        self.settle()
        self.assertTrue(phone.disconnected)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_phoneResets(self) -> None:
        """
        What the phone has sent last reaches the client, which is closed then
        (protocol 9, edge 31).
        """
        client, phone = self.stream(budget=0)
        phone.deliver(b"last words")
        phone.lose(ConnectionDone())
        self.settle()
        self.assertFalse(client.transport.disconnected)
        self.assertEqual(client.transport.take(), b"last words")
        self.settle()
        self.assertTrue(client.transport.disconnected)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_unplugged(self) -> None:
        """
        The same is true of a phone that is unplugged, and a client that does not
        take its last bytes is cut off by the deadline; nobody else waits.
        """
        stalled, first = self.stream(budget=0)
        other, second = self.stream()
        for phone in (first, second):
            phone.deliver(b"last words")
            phone.lose(ConnectionLost())
        self.settle()
        self.assertEqual(other.stream(), b"last words")
        self.assertTrue(other.transport.disconnected)
        self.assertFalse(stalled.transport.disconnected)
        self.clock.advance(15)
        self.settle()
        self.assertTrue(stalled.transport.aborted and stalled.transport.disconnected)
        self.assertEqual(self.factory.clients, set())

    def test_halfClose(self) -> None:
        """
        A client that has finished sending still hears the phone.
        """
        client, phone = self.stream()
        client.transport.deliver(b"request")
        client.transport.finish()
        self.assertTrue(phone.writeClosed)
        phone.deliver(b"answer")
        self.assertEqual(client.stream(), b"answer")
        phone.lose(ConnectionDone())
        self.settle()
        self.assertTrue(client.transport.disconnected)

    def test_counted(self) -> None:
        """
        The bytes of finished streams are counted.
        """
        client, phone = self.stream()
        client.transport.deliver(b"123")
        phone.deliver(b"12345")
        client.transport.lose()
        self.settle()
        self.assertEqual((self.counters.bytesToPhones, self.counters.bytesFromPhones), (3, 5))

    def test_heldBytesToAPhoneThatDoesNotRead(self) -> None:
        """
        Bytes that were held and do not fit pause the client like any others.
        """
        client = self.client()
        client.send(connectRequest(1, 22))
        client.transport.deliver(bytes(70000))
        phone = self.phone.connections[0].accept(budget=0)
        client.transport.deliver(b"more")
        self.settle()
        self.assertTrue(client.transport.paused)
        phone.take()
        self.settle()
        self.assertFalse(client.transport.paused)

    def test_binaryHeader(self) -> None:
        """
        Nothing that looks like a message is one any more.
        """
        client, phone = self.stream()
        client.send(Message(0, MessageType.LISTEN, 1))
        self.assertEqual(len(phone.value()), 16)
        self.assertEqual(client.stream(), b"")
