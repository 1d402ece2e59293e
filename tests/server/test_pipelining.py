# -*- test-case-name: tests.server.test_pipelining -*-
"""
Tests of clients that ask on and on and wait for no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.error import ConnectionRefusedError

from muxd.server import protocol
from muxd.server.factory import ControlFactory
from muxd.server.quickplist import parseRequest
from muxd.server.states import State
from muxd.testing import BudgetTransport
from muxd.wire.messages import Message, MessageType, connectMessage, plistMessage
from tests.server.laterecords import LateRecords
from tests.server.serving import TINY, Client, ServingTestCase, plist

MANY = 200
PORT = 22


class FairnessTests(ServingTestCase):
    """
    A client that has much to ask does not keep the others waiting.
    """

    REQUEST = plistMessage({"MessageType": "ReadBUID"}, 1)

    def test_turns(self) -> None:
        """
        So many requests are performed, then it is others' turn, and so on to the last.
        """
        client = self.client()
        client.send(*[self.REQUEST] * (3 * TINY.requestsAtOnce))
        self.assertEqual(len(client.messages()), TINY.requestsAtOnce)
        [later] = self.clock.getDelayedCalls()
        self.assertEqual(later.getTime(), self.clock.seconds())
        other = self.client()
        self.assertIn("BUID", plist(other.ask(MessageType="ReadBUID")))
        self.clock.advance(0)
        self.assertEqual(len(client.messages()), 2 * TINY.requestsAtOnce)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_large(self) -> None:
        """
        They are fewer if they are large.
        """
        client = self.client()
        client.transport.readSize = 10 * TINY.messageSize
        garbage = b"SavePairRecord".ljust(TINY.messageSize // 2)
        large = Message(1, MessageType.PLIST, 1, garbage)
        client.send(*[large] * 6)
        self.assertEqual(len(client.messages()), 1)
        self.clock.advance(0)
        self.assertEqual(len(client.messages()), 5)

    def test_notRead(self) -> None:
        """
        Meanwhile no more is read than must be, and nothing gets out of order.
        """
        client = self.client()
        count = 5 * TINY.requestsAtOnce
        requests = [plistMessage({"MessageType": "ReadBUID"}, tag) for tag in range(count)]
        client.transport.readSize = 2 * TINY.requestsAtOnce * len(requests[-1].encode())
        client.send(*requests[:-1])
        client.send(requests[-1])
        self.assertTrue(client.transport.paused)
        self.settle()
        self.assertFalse(client.transport.paused)
        self.assertEqual([one.tag for one in client.messages()], list(range(count)))

    def test_littleIsReadOn(self) -> None:
        """
        If what waits is little, the client is read on; not if there is no time for more.
        """
        small = Message(0, 99, 1)
        client = self.client()
        client.send(*[small] * (TINY.requestsAtOnce + 2))
        self.assertFalse(client.transport.paused)
        self.settle()

        def parseSlowly(body: bytes) -> Mapping[str, Any]:
            self.clock.rightNow += 1
            return parseRequest(body)

        self.patch(protocol, "parseRequest", parseSlowly)
        client.send(self.REQUEST, small)
        self.assertTrue(client.transport.paused)
        self.assertEqual(len(client.messages()), TINY.requestsAtOnce + 3)
        self.settle()
        self.assertFalse(client.transport.paused)
        self.assertEqual(len(client.messages()), 1)

    def test_finished(self) -> None:
        """
        A client that has finished sending gets all its answers.
        """
        client = self.client()
        client.send(*[self.REQUEST] * (2 * TINY.requestsAtOnce))
        client.transport.finish()
        self.assertFalse(client.transport.disconnecting)
        self.settle()
        self.assertEqual(len(client.messages()), 2 * TINY.requestsAtOnce)
        self.assertTrue(client.transport.disconnected)

    def test_gone(self) -> None:
        """
        Of one that is gone the rest is not performed, and of one that has to go.
        """
        first, second = self.client(), self.client()
        for client in (first, second):
            client.send(*[self.REQUEST] * (2 * TINY.requestsAtOnce))
        first.transport.lose()
        second.protocol.disconnect()
        self.settle()
        self.assertEqual(self.counters.commands["ReadBUID"], 2 * TINY.requestsAtOnce)
        self.assertEqual(len(second.messages()), TINY.requestsAtOnce)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_incomplete(self) -> None:
        """
        What is incomplete behind them has its time from when they are done.
        """
        client = self.client()
        client.send(*[self.REQUEST] * (2 * TINY.requestsAtOnce))
        client.transport.deliver(b"\x20\0\0")
        self.clock.advance(0)
        self.clock.advance(TINY.messageTimeout)
        self.assertEqual(self.counters.timeouts, 1)


class FinishedTests(ServingTestCase):
    """
    A client that has finished sending, and asks for what does not end by itself.
    """

    def setUp(self) -> None:
        """
        Make a server whose records take their time.
        """
        super().setUp()
        self.records = LateRecords(self.store)
        self.factory = ControlFactory(self.clock, self.registry, self.records, TINY)

    def test_listen(self) -> None:
        """
        A Listen behind requests that take their time ends as it does alone: nobody would
        notice when such a listener is gone.
        """
        listen = plistMessage({"MessageType": "Listen"}, 2)
        for first in (plistMessage({"MessageType": "ReadBUID"}, 1), connectMessage(1, PORT, 1)):
            client = self.client()
            client.send(first, listen)
            client.transport.finish()
            if self.records.waiting:
                self.records.finish()
            else:
                self.phone.connections[-1].refuse(ConnectionRefusedError())
            self.settle()
            self.assertTrue(client.transport.disconnected)
        self.assertEqual(list(self.factory.feed._listeners), [])

    def test_stopped(self) -> None:
        """
        A client that goes on asking does not keep a daemon from stopping.
        """
        request = plistMessage({"MessageType": "ReadBUID"}, 1)
        client = self.client()
        client.send(request)
        stopped = self.factory.stop()
        for _ in range(5):
            client.send(request)
        self.records.finish()
        self.settle()
        self.successResultOf(stopped)
        self.assertEqual(len(self.records.waiting), 0)


class PipeliningTests(ServingTestCase):
    """
    A client is read from no faster than it is answered, whoever takes the time.
    """

    def setUp(self) -> None:
        """
        Make a server whose records take their time, as its phone does.
        """
        super().setUp()
        self.records = LateRecords(self.store)
        self.factory = ControlFactory(self.clock, self.registry, self.records, TINY)

    def refuse(self) -> None:
        """
        The phone refuses what it was asked for last.
        """
        self.phone.connections[-1].refuse(ConnectionRefusedError())

    def assertReadAsAnswered(
        self, request: Callable[[int], Message], state: State, answer: Callable[[], None]
    ) -> None:
        """
        Fail unless the answers to many requests come one by one, in their order, and
        little is held between any two of them.
        """
        client = self.client()
        client.transport.readSize = 2 * len(request(0).encode())
        client.send(*(request(tag) for tag in range(MANY)))
        for tag in range(MANY):
            self.assertEqual([one.tag for one in client.messages()], [tag - 1] if tag else [])
            self.assertIs(client.protocol.state, state)
            held = len(client.protocol._input)
            self.assertLessEqual(held, TINY.pendingInput + client.transport.readSize)
            answer()
            self.settle()
        self.assertEqual([one.tag for one in client.messages()], [MANY - 1])
        self.assertFalse(client.transport.paused)
        self.assertIs(client.protocol.state, State.COMMAND)

    def test_connects(self) -> None:
        """
        Connects that the phone refuses, each in its own time.
        """
        self.assertReadAsAnswered(
            lambda tag: connectMessage(1, PORT, tag), State.CONNECTING, self.refuse
        )

    def test_gone(self) -> None:
        """
        A client that is gone, with more asked for than is held, is noticed with the next
        refusal: nobody reads its end of file.
        """
        client = self.client()
        client.transport.readSize = 200
        client.send(*[connectMessage(1, PORT, 1)] * MANY)
        self.refuse()
        self.settle()
        self.assertTrue(client.transport.paused)
        self.patch(protocol, "hasHungUp", lambda transport: True)
        asked = len(self.phone.connections)
        self.refuse()
        self.settle()
        self.assertTrue(client.transport.disconnected)
        self.assertEqual(len(self.phone.connections), asked)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_records(self) -> None:
        """
        Pair records, each of which the disk must look for.
        """
        request = {"MessageType": "ReadPairRecord", "PairRecordID": "nobody"}
        self.assertReadAsAnswered(
            lambda tag: plistMessage(request, tag), State.WAITING, self.records.finish
        )

    def test_both(self) -> None:
        """
        And both in turn.
        """
        record = {"MessageType": "ReadPairRecord", "PairRecordID": "nobody"}
        client = self.client()
        client.transport.readSize = 400
        for tag in range(0, MANY, 2):
            client.send(connectMessage(1, PORT, tag), plistMessage(record, tag + 1))
        for _ in range(MANY // 2):
            self.assertIs(client.protocol.state, State.CONNECTING)
            self.assertLessEqual(len(client.protocol._input), TINY.pendingInput + 400)
            self.refuse()
            self.settle()
            self.assertIs(client.protocol.state, State.WAITING)
            self.assertLessEqual(len(client.protocol._input), TINY.pendingInput + 400)
            self.records.finish()
            self.settle()
        self.assertEqual([one.tag for one in client.messages()], list(range(MANY)))

    def test_accepted(self) -> None:
        """
        What was held and not yet read goes to the phone that accepts at last.
        """
        client = Client(BudgetTransport.connect(self.clock, self.factory))
        client.transport.readSize = 100
        client.send(*[connectMessage(1, PORT, 1)] * 3)
        data = bytes(range(256)) * 4
        client.transport.deliver(data)
        for _ in range(2):
            self.refuse()
            self.settle()
        self.assertTrue(client.transport.paused)
        stream = self.phone.connections[-1].accept()
        self.settle()
        self.assertEqual(stream.value(), data)
        self.assertFalse(client.transport.paused)
