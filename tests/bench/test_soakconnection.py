"""
Tests for L{bench.soak.connection}.
"""

from __future__ import annotations

import plistlib

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.trial.unittest import SynchronousTestCase

from bench.soak.connection import HEADER, PATIENCE, Connection, Gone, Wrong, request


class ConnectionTests(SynchronousTestCase):
    """
    Tests of L{Connection}.
    """

    def setUp(self) -> None:
        """
        Connect.
        """
        self.clock = Clock()
        self.connection = Connection(self.clock)
        self.transport = StringTransportWithDisconnection()
        self.transport.protocol = self.connection
        self.transport.abortConnection = self.transport.loseConnection  # type: ignore[method-assign]
        self.connection.makeConnection(self.transport)
        self.taken: list[bytes] = []

    def asking(self) -> Deferred[object]:
        """
        A question.
        """
        return Deferred.fromCoroutine(self.connection.ask("ReadBUID", Key=1))

    def test_ask(self) -> None:
        """
        A request is a property list, and so is its reply, which may come in pieces.
        """
        asking = self.asking()
        sent = self.transport.value()
        self.assertEqual(HEADER.unpack_from(sent), (len(sent), 1, 8, 1))
        self.assertEqual(plistlib.loads(sent[HEADER.size :])["MessageType"], "ReadBUID")
        reply = request("x", BUID="y")
        for number in range(len(reply)):
            self.assertNoResult(asking)
            self.connection.dataReceived(reply[number : number + 1])
        self.assertEqual(
            self.successResultOf(asking), {"MessageType": "x", "ProgName": "soak", "BUID": "y"}
        )
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stream(self) -> None:
        """
        What is behind the reply to a Connect is the stream's, to the last byte.
        """
        connecting = Deferred.fromCoroutine(self.connection.connect(1, 7))
        self.connection.dataReceived(request("Result", Number=0) + b"\x10\0\0\0first")
        self.assertEqual(self.successResultOf(connecting), 0)
        self.connection.stream(self.taken.append, lambda: self.taken.append(b"lost"))
        self.connection.dataReceived(b"second")
        self.transport.loseConnection()
        self.assertEqual(self.taken, [b"\x10\0\0\0first", b"second", b"lost"])

    def test_binary(self) -> None:
        """
        The result of the old protocol is understood.
        """
        receiving = Deferred.fromCoroutine(self.connection.receive())
        self.connection.dataReceived(HEADER.pack(20, 0, 1, 1) + b"\3\0\0\0")
        self.assertEqual(self.successResultOf(receiving), {"MessageType": "Result", "Number": 3})

    def test_otherwise(self) -> None:
        """
        Anything else is wrong; so is a reply to Connect that is no Result.
        """
        asking = self.asking()
        self.connection.dataReceived(HEADER.pack(16, 7, 8, 1))
        self.failureResultOf(asking, Wrong)
        connecting = Deferred.fromCoroutine(self.connection.connect(1, 7))
        self.connection.dataReceived(request("Attached"))
        self.failureResultOf(connecting, Wrong)

    def test_gone(self) -> None:
        """
        A caller that waits is told of the end, and so is one that begins afterwards.
        """
        asking = self.asking()
        self.connection.kill()
        self.assertTrue(self.connection.killed)
        self.failureResultOf(asking, Gone)
        self.successResultOf(self.connection.lost)
        self.failureResultOf(self.asking(), Gone)
        self.failureResultOf(Deferred.fromCoroutine(self.connection.receive()), Gone)
        self.connection.stream(self.taken.append, lambda: self.taken.append(b"lost"))
        self.assertEqual(self.taken, [b"lost"])

    def test_notKilledTwice(self) -> None:
        """
        A connection that has ended by itself was not killed.
        """
        self.connection.close()
        self.connection.kill()
        self.assertFalse(self.connection.killed)

    def test_impatient(self) -> None:
        """
        A reply that does not come is wrong; an event may take forever.
        """
        asking = self.asking()
        self.clock.advance(PATIENCE)
        self.failureResultOf(asking, Wrong)
        receiving = Deferred.fromCoroutine(self.connection.receive(None))
        self.clock.advance(1e6)
        self.assertNoResult(receiving)
        self.connection.close()
        self.failureResultOf(receiving, Gone)
