# -*- test-case-name: tests.vulnerabilities.test_unread -*-
"""
Clients that ask for much and read nothing of it: what the daemon holds for them is
bounded by what they can be told, and not by how often they ask.
"""

from __future__ import annotations

import plistlib
from collections.abc import Iterable
from typing import Any, cast

from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IAddress

from muxd.server.clients import LONGEST_NAME
from muxd.server.output import PIECE
from muxd.server.protocol import ControlProtocol
from muxd.wire.messages import MessageReader, plistMessage
from tests.net.test_socketwriter import Socket, WriterReactor
from tests.server.serving import ServingTestCase, plist

LIST_LISTENERS = plistMessage({"MessageType": "ListListeners"}, 1)
LONG_NAME = "\u4e2d" * 255
"""As long as names were kept once; three bytes a character."""

ASKERS = 50


class BothWays(WriterReactor):
    """
    One that knows of readers too.
    """

    def addReader(self, reader: object) -> None:
        """
        Part of the interface.
        """


class UnreadSocket(Socket):
    """
    A socket with a protocol, whose peer takes nothing until it is told to.
    """

    protocol: ControlProtocol

    def __init__(self) -> None:
        super().__init__()
        self.fakeReactor = BothWays()
        self.reactor = cast("Any", self.fakeReactor)

    def getPeer(self) -> IAddress:
        """
        A program of this machine.
        """
        return UNIXAddress(None)


class UnreadTests(ServingTestCase):
    """
    Clients on sockets that nothing is read from.
    """

    def silent(self) -> UnreadSocket:
        """
        Connect a client that reads nothing.
        """
        socket = UnreadSocket()
        socket.protocol = self.factory.buildProtocol(None)
        socket.protocol.makeConnection(cast("Any", socket))
        return socket

    def listen(self, count: int) -> None:
        """
        Connect listeners with names as long as they can be.
        """
        request = {"MessageType": "Listen", "ProgName": LONG_NAME, "BundleID": LONG_NAME}
        for _ in range(count):
            self.client().send(plistMessage(request, 1))

    def test_oneReplyEach(self) -> None:
        """
        A client that does not take its reply gets no other, and nothing it asks is done.
        """
        self.listen(20)
        socket = self.silent()
        socket.protocol.dataReceived(LIST_LISTENERS.encode() * 10)
        self.assertEqual(self.counters.commands["ListListeners"], 1)
        socket.turn(1 << 24)
        socket.turn(1 << 24)
        self.settle()
        self.assertEqual(self.counters.commands["ListListeners"], 10)
        reader = MessageReader(1 << 24)
        reader.feed(socket.sent)
        self.assertEqual(len(list(reader)), 10)

    def test_oneBodyForAll(self) -> None:
        """
        A large reply is there once, whatever number of clients have asked for it: what is
        copied for each is one small piece.
        """
        self.listen(20)
        body = self.factory.feed.listenerListBody()
        self.assertGreater(len(body), 4 * PIECE)
        sockets = [self.silent() for _ in range(ASKERS)]
        for socket in sockets:
            socket.protocol.dataReceived(LIST_LISTENERS.encode())
        self.assertGreater(_held(sockets), len(body) // 2)
        self.assertLess(_held(sockets), len(body) + ASKERS * (PIECE + 2000))
        for socket in sockets:
            for _ in range(len(body) // PIECE + 2):
                socket.turn(3 * PIECE)
            self.assertTrue(socket.sent.endswith(body))

    def test_records(self) -> None:
        """
        The same for pair records, which a client stores in a fifth of the bytes that they are
        told in: one is read for each client that takes none, however often it asks.
        """
        self.store.save("x", plistlib.dumps({"HostID": "x", "Pad": bytes(40000)}))
        request = plistMessage({"MessageType": "ReadPairRecord", "PairRecordID": "x"}, 1)
        sockets = [self.silent() for _ in range(ASKERS)]
        for socket in sockets:
            socket.protocol.dataReceived(request.encode() * 10)
            self.settle()
        self.assertEqual(self.counters.commands["ReadPairRecord"], ASKERS)
        self.assertLess(_held(sockets), ASKERS * 80000)
        # One that takes all that it is told is told all that it has asked.
        sockets[0].turn(1 << 24)
        self.settle()
        self.assertEqual(self.counters.commands["ReadPairRecord"], ASKERS + 9)

    def test_names(self) -> None:
        """
        A listener cannot say more about itself than anyone needs to know it by.
        """
        self.listen(1)
        [listener] = plist(self.client().ask(MessageType="ListListeners"))["ListenerList"]
        self.assertEqual(listener["ProgName"], "\u4e2d" * LONGEST_NAME)
        self.assertEqual(listener["BundleID"], "\u4e2d" * LONGEST_NAME)

    def test_finished(self) -> None:
        """
        A client that has finished sending before it reads gets all that it has asked for.
        """
        self.listen(20)
        client = self.client(budget=0)
        client.transport.bufferSize = 100
        client.send(*[LIST_LISTENERS] * 3)
        client.transport.finish()
        self.assertEqual(self.counters.commands["ListListeners"], 1)
        client.transport.allow()
        self.settle()
        self.assertEqual(len(client.messages()), 3)
        self.assertTrue(client.transport.disconnected)


def _held(sockets: Iterable[UnreadSocket]) -> int:
    """
    How many bytes wait for clients, what several of them wait for counted once.
    """
    found: dict[int, int] = {}
    for each in sockets:
        waiting = (*each.protocol._output._waiting, each.dataBuffer, *each._tempDataBuffer)
        found.update((id(part), len(part)) for part in waiting)
    return sum(found.values())
