# -*- test-case-name: tests.server.test_pipelining -*-
"""
Tests of clients that ask on and on and wait for no answer.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.error import ConnectionRefusedError

from muxd.server.factory import ControlFactory
from muxd.server.states import State
from muxd.testing import BudgetTransport
from muxd.wire.messages import Message, connectMessage, plistMessage
from tests.server.laterecords import LateRecords
from tests.server.serving import TINY, Client, ServingTestCase

MANY = 200
PORT = 22


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
