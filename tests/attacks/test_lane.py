# -*- test-case-name: tests.attacks.test_lane -*-
"""
Hundreds of clients that speak at the same moment, each a Connect that takes long to understand:
all of them were understood within one turn of the reactor, which took 0.4 seconds for 1,500.
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Mapping
from typing import Any

from muxd.net.eventloop import READABLE
from muxd.net.loopreactor import LoopReactor
from muxd.net.turns import Turns
from muxd.server import fastlane
from muxd.server.quickplist import parseRequest
from muxd.wire.messages import plistMessage, swapPort
from tests.device.links import LOCKDOWN, SYN
from tests.net.eventloops import ClockAround
from tests.net.workingclock import WorkingClock
from tests.server.lanes import LaneCase

CROWD = 100
COST = 1 / 2048
"""Of one request, in seconds of the injected clock: times of these are exact."""

IN_A_TURN = 8


class CrowdOnTheLaneTests(LaneCase):
    """
    A crowd of clients that have not been served before.
    """

    def setUp(self) -> None:
        """
        Have each request take some time.
        """
        super().setUp()
        self.working = WorkingClock()
        self.lane.turns = Turns(self.working, IN_A_TURN * COST)

        def parse(body: bytes) -> Mapping[str, Any]:
            self.working.work(COST)
            return parseRequest(body)

        self.patch(fastlane, "parseRequest", parse)

    def finish(self) -> None:
        """
        Have as many turns as they need.
        """
        for _ in range(CROWD // IN_A_TURN):
            self.working.turn()

    def connects(self) -> int:
        """
        How many Connects the phone has been told of since it was asked the last time.
        """
        return [each.flags for each in self.phone.take()].count(SYN)

    def request(self, number: int, kind: str = "Connect") -> bytes:
        """
        One that no other is like.
        """
        values = {"DeviceID": 1, "PortNumber": swapPort(LOCKDOWN), "Number": number}
        return plistMessage({"MessageType": kind, **values}, 1).encode()

    def test_whileTheyCome(self) -> None:
        """
        Of those that have spoken when they come, no more are served in a turn than there is
        time for; the others are served in the turns after it.
        """
        for number in range(CROWD):
            self.client(self.request(number))
        self.assertEqual(self.connects(), IN_A_TURN)
        self.working.turn()
        self.assertEqual(self.connects(), IN_A_TURN)
        self.finish()
        self.assertEqual(self.connects(), CROWD - 2 * IN_A_TURN)

    def test_thatHaveBeenThere(self) -> None:
        """
        So it is with those that speak later, all at once.
        """
        clients = [self.client() for _ in range(CROWD)]
        self.working.work(1)
        for number, client in enumerate(clients):
            client.send(self.request(number))
        self.loop.doRead()
        self.assertEqual(self.connects(), IN_A_TURN)
        self.finish()
        self.assertEqual(self.connects(), CROWD - IN_A_TURN)

    def test_sameUser(self) -> None:
        """
        What a user's other clients want is done before all of its newcomers have had their turns.
        """

        class Other:
            owner = os.getuid()
            turns = 0

            def takeTurn(self) -> None:
                """
                Count.
                """
                self.turns += 1

        other = Other()
        for number in range(CROWD):
            self.client(self.request(number))
        self.lane.turns.wait(other)
        self.working.turn()
        self.assertEqual(other.turns, 1)
        self.finish()

    def test_letInAtOnce(self) -> None:
        """
        A crowd that connects, asks and leaves is let in as soon as another client is behind it
        in the kernel's queue; what they have said waits for their user's turns.
        """
        path = os.path.join(self.enterContext(tempfile.TemporaryDirectory()), "socket")
        reactor = LoopReactor(ClockAround(), self.loop)
        listening: Any = reactor.listenUNIX(path, self.entrance, backlog=CROWD)
        port = self.lane.takeOver(listening, self.fail)
        assert port is not None
        for number in range(CROWD):
            client = self.enterContext(socket.socket(socket.AF_UNIX))
            client.connect(path)
            client.send(self.request(number))
        for _ in range(3):
            port.happened(READABLE)
            self.loop.turns += 1
        self.assertEqual(len(self.server.clients), CROWD)
        self.assertEqual(self.connects(), IN_A_TURN)
        self.finish()
        port.stopListening()
        self.assertEqual(self.connects(), CROWD - IN_A_TURN)

    def test_almost(self) -> None:
        """
        And with those that have spoken of a Connect, and want none.
        """
        for number in range(CROWD):
            self.client(self.request(number, "NoConnect"))
        self.assertEqual(len(self.adopted()), IN_A_TURN)
        self.working.turn()
        self.assertEqual(len(self.adopted()), 2 * IN_A_TURN)
        self.finish()
        self.assertEqual(len(self.adopted()), CROWD)
