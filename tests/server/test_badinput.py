# -*- test-case-name: tests.server.test_badinput -*-
"""
Tests of L{muxd.server.protocol} with clients that break the rules or go slow.
"""

from __future__ import annotations

import plistlib
from typing import Any

from muxd.server.quickplist import LONGEST_REQUEST
from muxd.wire.messages import (
    HEADER,
    Message,
    MessageType,
    Result,
    plistMessage,
)
from tests.server.serving import Client, ServingTestCase, plist

BINARY_LISTEN = Message(0, MessageType.LISTEN, 1)
LIST_DEVICES = {"MessageType": "ListDevices"}


class BadInputTests(ServingTestCase):
    """
    Every line of protocol 4.6.
    """

    def assertStays(self, client: Client) -> None:
        """
        Fail unless the client can go on.
        """
        self.assertIn("BUID", plist(client.ask(77, MessageType="ReadBUID")))

    def assertCloses(self, client: Client) -> None:
        """
        Fail unless the connection is over, and nothing is left of it.
        """
        self.settle()
        self.assertTrue(client.transport.disconnected)
        self.assertFalse(client.transport.aborted)
        self.assertNotIn(client.protocol, self.factory.clients)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_badLengths(self) -> None:
        """
        Lengths below 16 and above the limit close the connection without a
        Result; the last length that is allowed does not.
        """
        for length in (0, 15, 65537, 0xFFFFFFFF):
            client = self.client()
            client.transport.deliver(HEADER.pack(length, 1, 8, 1))
            self.assertEqual(client.stream(), b"")
            self.assertCloses(client)
        self.assertEqual(self.counters.malformedMessages, 4)
        client = self.client()
        client.send(Message(1, MessageType.PLIST, 1, bytes(65536 - 16)))
        self.assertEqual([message.tag for message in client.messages()], [1])

    def test_repliesBeforeABadLength(self) -> None:
        """
        What was asked before the mistake is answered before the close.
        """
        client = self.client()
        request = plistMessage({"MessageType": "ReadBUID"}, 1)
        client.transport.deliver(request.encode() + bytes(16))
        self.assertEqual(client.plists(), [{"BUID": self.store.buid}])
        self.assertCloses(client)

    def test_longBinary(self) -> None:
        """
        A message that its header tells to be longer than any of its kind is refused before
        it has come.
        """
        for version, kind in ((0, MessageType.CONNECT), (0, MessageType.PLIST), (1, 99)):
            client = self.client()
            header = HEADER.pack(HEADER.size + LONGEST_REQUEST + 1, version, kind, 1)
            client.transport.deliver(header)
            self.settle()
            self.assertTrue(client.transport.disconnected)
        self.assertEqual(self.counters.malformedMessages, 3)

    def test_longRequest(self) -> None:
        """
        Of property lists only a SavePairRecord may be long, and only its record: others are
        not even parsed.
        """
        padding = "x" * LONGEST_REQUEST
        client = self.client()
        self.assertEqual(client.result(MessageType="ListDevices", a=padding), 1)
        self.assertEqual(client.result(MessageType="SavePairRecord", a=[""] * 1000), 1)
        self.settle()
        data = plistlib.dumps({"HostID": padding, "lines": "\n" * 1000})
        saved = client.result(
            MessageType="SavePairRecord", PairRecordID="x", PairRecordData=data, Label="<&>"
        )
        self.assertEqual(saved, 0)
        self.settle()
        binary = plistlib.dumps(
            {"MessageType": "SavePairRecord", "PairRecordID": "y", "PairRecordData": data},
            fmt=plistlib.FMT_BINARY,
        )
        client.send(Message(1, MessageType.PLIST, 1, binary))
        self.assertEqual([plist(one)["Number"] for one in client.messages()], [1])
        self.assertEqual(self.counters.commands, {"SavePairRecord": 1})

    def test_badVersion(self) -> None:
        """
        Versions other than 0 and 1 get Result 6 in the present format, and the
        connection goes on.
        """
        client = self.client()
        client.send(Message(2, MessageType.PLIST, 1, b"whatever"))
        self.assertEqual(client.messages(), [Message(0, MessageType.RESULT, 1, b"\x06\0\0\0")])
        self.assertStays(client)
        client.send(Message(0xFFFFFFFF, MessageType.LISTEN, 2))
        self.assertEqual(client.plists(), [{"MessageType": "Result", "Number": 6}])
        self.assertStays(client)
        self.assertEqual(self.counters.badVersions, 2)

    def test_unknownMessages(self) -> None:
        """
        Unknown numbers and names get Result 1, and the connection goes on.
        """
        client = self.client()
        for number in (0, 1, 4, 5, 6, 7, 9, 0xFFFFFFFF):
            client.send(Message(0, number, number))
            (answer,) = client.messages()
            self.assertEqual((answer.tag, answer.body), (number, b"\x01\0\0\0"))
        self.assertEqual(client.result(MessageType="Instances"), Result.BAD_COMMAND)
        self.assertStays(client)
        self.assertEqual(self.counters.commands["unknown"], 9)

    def test_malformedPlists(self) -> None:
        """
        What is no property list, no dictionary or has no MessageType gets
        Result 1 rather than silence (protocol 9, edge 46).
        """
        bodies = [b"", b"garbage", plistlib.dumps([]), plistlib.dumps({"a": "b"})]
        wrong: list[Any] = [1, True, [], b"Listen"]
        bodies += [plistlib.dumps({"MessageType": value}) for value in wrong]
        client = self.client()
        for tag, body in enumerate(bodies):
            client.send(Message(1, MessageType.PLIST, tag, body))
            (answer,) = client.messages()
            self.assertEqual(answer.tag, tag)
            self.assertEqual(plist(answer), {"MessageType": "Result", "Number": 1})
        self.assertStays(client)
        self.assertEqual(self.counters.malformedMessages, len(bodies))

    def test_shortBinaryConnect(self) -> None:
        """
        A binary Connect without a whole port gets Result 1; the two bytes behind it
        need not be there.
        """
        client = self.client()
        for size in range(6):
            client.send(Message(0, MessageType.CONNECT, size, bytes(size)))
            (answer,) = client.messages()
            self.assertEqual((answer.tag, answer.body), (size, b"\x01\0\0\0"))
        self.assertEqual(self.phone.connections, [])
        self.assertStays(client)
        client.send(Message(0, MessageType.CONNECT, 7, b"\1\0\0\0\0\26"))
        (connection,) = self.phone.connections
        self.assertEqual(connection.port, 22)

    def test_commandWhileListening(self) -> None:
        """
        A request on a listener's socket gets Result 1, which is delivered
        before the close (protocol 9, edge 45).
        """
        client = self.listener()
        client.send(plistMessage({"MessageType": "ReadBUID"}, 8))
        (answer,) = client.messages()
        self.assertEqual((answer.tag, plist(answer)["Number"]), (8, Result.BAD_COMMAND))
        self.assertCloses(client)

    def test_commandWhileListeningIsFlushed(self) -> None:
        """
        The Result is delivered also to a client that is slow to read, and
        nothing behind it is answered.
        """
        client = self.listener(budget=100000)
        client.transport.budget = 0
        client.send(BINARY_LISTEN, BINARY_LISTEN)
        self.settle()
        self.assertFalse(client.transport.disconnected)
        client.transport.allow(100000)
        self.assertCloses(client)
        self.assertEqual([reply["Number"] for reply in client.plists()], [1])


class TimeoutTests(ServingTestCase):
    """
    How long things may take.
    """

    def test_incompleteMessage(self) -> None:
        """
        Half a header, or half a body, does not stay for ever (protocol 9, edge
        48).
        """
        data = plistMessage(LIST_DEVICES, 1).encode()
        for cut in (1, 15, 16, len(data) - 1):
            client = self.client()
            client.transport.deliver(data[:cut])
            self.clock.advance(29)
            client.transport.deliver(b"")
            self.assertFalse(client.transport.disconnecting)
            self.clock.advance(1)
            self.settle()
            self.assertTrue(client.transport.disconnected)
        self.assertEqual(self.counters.timeouts, 4)

    def test_eachMessageHasItsOwnTime(self) -> None:
        """
        A client that completes its messages, one after the other, is never
        timed out although there is always one under way.
        """
        client = self.client()
        data = plistMessage(LIST_DEVICES, 1).encode()
        client.transport.deliver(data[:5])
        for _ in range(5):
            self.clock.advance(20)
            client.transport.deliver(data[5:] + data[:5])
        self.assertEqual(len(client.messages()), 5)
        self.assertFalse(client.transport.disconnecting)

    def test_dripping(self) -> None:
        """
        Single bytes do not gain time.
        """
        client = self.client()
        for byte in bytes(15):
            client.transport.deliver(bytes([byte]))
            self.clock.advance(2)
        self.settle()
        self.assertTrue(client.transport.disconnected)

    def test_idleClients(self) -> None:
        """
        A client that says nothing, or listens, may stay as long as it likes.
        """
        client, listener = self.client(), self.listener()
        client.ask(MessageType="ReadBUID")
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(1000000)
        self.assertFalse(client.transport.disconnecting or listener.transport.disconnecting)

    def test_flushDeadline(self) -> None:
        """
        A client that does not take its last reply is cut off.
        """
        client = self.client(budget=0)
        client.send(Message(0, 99, 1))
        client.transport.deliver(bytes(16))
        self.clock.advance(14)
        self.assertFalse(client.transport.aborted)
        self.clock.advance(1)
        self.settle()
        self.assertTrue(client.transport.aborted and client.transport.disconnected)
        self.assertEqual(self.counters.flushTimeouts, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
