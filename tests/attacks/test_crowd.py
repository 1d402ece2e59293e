# -*- test-case-name: tests.attacks.test_crowd -*-
"""
Hundreds of clients of one user that all ask for what takes long: each had its turn, and so
another user's client waited for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from muxd.server import protocol
from muxd.server.quickplist import LONGEST_REQUEST, parseRequest
from muxd.wire.messages import Message, MessageType, plistMessage
from tests.net.workingclock import WorkingClock
from tests.server.serving import TINY, Client, ServingTestCase, plist

CROWD = 500
COST = 0.0005
"""Of one request, in seconds of the injected clock."""

COSTLY = Message(1, MessageType.PLIST, 1, b"<plist><dict/></plist>".ljust(LONGEST_REQUEST - 16))
IN_A_TURN = round(TINY.turnLength / COST)


class CrowdTests(ServingTestCase):
    """
    A crowd, and a client that is alone.
    """

    makeClock = WorkingClock
    clock: WorkingClock

    def setUp(self) -> None:
        """
        Have each request take some time.
        """
        super().setUp()
        self.performed = 0

        def parse(body: bytes) -> Mapping[str, Any]:
            self.performed += 1
            self.clock.work(COST)
            return parseRequest(body)

        self.patch(protocol, "parseRequest", parse)
        self.victim = self.client(host="192.0.2.1")

    def crowd(self, requests: int = 10) -> list[Client]:
        """
        Connect them, and have them ask.
        """
        clients = [self.client(host="192.0.2.2") for _ in range(CROWD)]
        for client in clients:
            client.send(*[COSTLY] * requests)
        return clients

    def test_oneTurn(self) -> None:
        """
        In one turn of the reactor no more is done than there is time for, by any number of
        clients.
        """
        self.crowd()
        self.assertEqual(self.performed, IN_A_TURN)
        self.clock.turn()
        self.assertEqual(self.performed, 2 * IN_A_TURN)

    def test_anotherUser(self) -> None:
        """
        A client of another user has its answer in the next turn, after one client of theirs.
        """
        self.crowd()
        for _ in range(20):
            self.victim.send(plistMessage({"MessageType": "ReadBUID"}, 1))
            self.clock.turn()
            self.assertIn("BUID", plist(self.victim.messages()[0]))

    def test_newClient(self) -> None:
        """
        So has one that comes meanwhile.
        """
        self.crowd()
        late = self.client(host="192.0.2.1")
        late.send(plistMessage({"MessageType": "ReadBUID"}, 1))
        self.clock.turn()
        self.assertIn("BUID", plist(late.messages()[0]))

    def test_crowdIsServed(self) -> None:
        """
        All of the crowd are answered in the end, in order, and none is read from while it waits.
        """
        clients = self.crowd(2)
        self.assertEqual(sum(one.transport.paused for one in clients), CROWD - 4)
        for _ in range(2 * CROWD // IN_A_TURN):
            self.clock.turn()
        self.assertEqual([len(one.messages()) for one in clients], [2] * CROWD)
        self.assertFalse(any(one.transport.paused for one in clients))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_goneMeanwhile(self) -> None:
        """
        Those that go while they wait cost no turn.
        """
        clients = self.crowd()
        for one in clients[:-1]:
            one.transport.lose()
        before = self.performed
        self.clock.turn()
        self.assertEqual(self.performed, before + 2)
        self.assertEqual(len(clients[-1].messages()), 2)
        clients[-1].transport.lose()
        self.assertEqual(self.clock.getDelayedCalls(), [])
