# -*- test-case-name: tests.server.test_waiting -*-
"""
Tests of clients whose pair records take their time.
"""

from __future__ import annotations

import plistlib
from errno import EINVAL
from typing import Any

from zope.interface.verify import verifyObject

from muxd.interfaces import IPairRecords
from muxd.server.factory import ControlFactory
from muxd.server.states import State
from muxd.testing import BudgetTransport, fakeIdentity
from muxd.wire.messages import Result, plistMessage
from tests.server.laterecords import LateRecords
from tests.server.serving import TINY, Client, ServingTestCase, connectRequest, plist

UDID = fakeIdentity().udid
RECORD = plistlib.dumps({"HostID": "A"})
SAVE: dict[str, Any] = {
    "MessageType": "SavePairRecord",
    "PairRecordID": UDID,
    "PairRecordData": RECORD,
}
READ: dict[str, Any] = {"MessageType": "ReadPairRecord", "PairRecordID": UDID}


class WaitingTests(ServingTestCase):
    """
    A disk that is slow.
    """

    def setUp(self) -> None:
        """
        Make a server whose records take their time.
        """
        super().setUp()
        self.records = LateRecords(self.store)
        self.factory = ControlFactory(self.clock, self.registry, self.records, TINY)
        self.counters = self.factory.counters

    def finish(self) -> None:
        """
        The disk has done the next thing.
        """
        self.records.finish()
        self.clock.advance(0)

    def test_interface(self) -> None:
        """
        They are pair records all the same.
        """
        verifyObject(IPairRecords, self.records)

    def test_inOrder(self) -> None:
        """
        What a client sends behind such a request waits for its reply, so the replies
        come in the order of the requests, each with its tag.
        """
        client = self.client()
        requests = (
            SAVE,
            READ,
            {"MessageType": "ReadBUID"},
            {"MessageType": "ListDevices"},
        )
        for tag, request in enumerate(requests):
            client.send(plistMessage(dict(request), tag))
        self.assertEqual((client.messages(), len(self.records.waiting)), ([], 1))
        self.assertIs(client.protocol.state, State.WAITING)
        for _ in range(3):
            self.finish()
        answers = client.messages()
        self.assertEqual([answer.tag for answer in answers], [0, 1, 2, 3])
        self.assertEqual(plist(answers[1]), {"PairRecordData": RECORD})
        self.assertIs(client.protocol.state, State.COMMAND)

    def test_held(self) -> None:
        """
        What is not done yet is counted to the byte: the request, and what came behind it.
        """
        client = self.client()
        request = plistMessage(READ, 1)
        client.send(request)
        client.transport.deliver(b"123456")
        self.assertEqual(self.factory.accounts.held, len(request.body) + 6)
        self.finish()
        self.assertEqual(self.factory.accounts.held, 6)
        client.transport.lose()
        self.assertEqual(self.factory.accounts.held, 0)

    def test_thenConnect(self) -> None:
        """
        Bytes for the phone that were sent behind both go to the phone.
        """
        client = self.client()
        client.send(plistMessage(READ, 1), connectRequest(1, 22, 2))
        client.transport.deliver(b"for the phone")
        self.assertEqual(self.phone.connections, [])
        self.records.finish()
        stream = self.phone.connections[0].accept()
        self.clock.advance(0)
        self.assertEqual(stream.value(), b"for the phone")
        self.assertEqual([answer.tag for answer in client.messages()], [1, 2])

    def test_others(self) -> None:
        """
        No other client waits for a client's records.
        """
        self.client().send(plistMessage(SAVE, 1))
        self.assertEqual(
            plist(self.client().ask(MessageType="ListListeners")), {"ListenerList": []}
        )

    def test_trouble(self) -> None:
        """
        What the system objects to is answered with its number, and the connection
        goes on.
        """
        client = self.client()
        client.send(plistMessage({**SAVE, "PairRecordID": ""}, 1), plistMessage(SAVE, 2))
        self.records.finish()
        self.records.finish()
        self.assertEqual([plist(one)["Number"] for one in client.messages()], [EINVAL, 0])

    def test_defect(self) -> None:
        """
        A mistake of ours costs a client its answer and nothing else.
        """
        self.store.trouble = ZeroDivisionError("for this test")
        client = self.client()
        client.send(plistMessage(READ, 5), plistMessage({"MessageType": "ListDevices"}, 6))
        done, _, _ = self.records.waiting.popleft()
        done.errback(ZeroDivisionError("for this test"))
        failed, listed = client.messages()
        self.assertEqual((failed.tag, plist(failed)["Number"]), (5, Result.BAD_COMMAND))
        self.assertIn("DeviceList", plist(listed))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_gone(self) -> None:
        """
        A record is saved, and listeners are told, also if the client does not wait
        for it.
        """
        listener = self.listener()
        client = self.client()
        client.send(plistMessage({**SAVE, "DeviceID": 1}, 1))
        client.transport.lose()
        self.finish()
        self.assertEqual(self.store.records, {UDID: RECORD})
        self.assertEqual([one["MessageType"] for one in listener.plists()], ["Paired"])
        self.assertEqual(client.messages(), [])
        self.assertIs(client.protocol.state, State.CLOSED)

    def orphans(self) -> int:
        """
        How many requests are not done whose clients have finished sending, or gone.
        """
        return sum(each.orphans for each in self.factory.accounts._accounts.values())

    def test_orphaned(self) -> None:
        """
        While very many of a user's that have gone have something left to be done, none of its
        clients is let in; others' are.
        """
        for number in range(TINY.orphanedRequests):
            client = self.client()
            self.assertFalse(client.transport.aborted)
            client.send(plistMessage(SAVE, 1))
            # Whoever closes a socket has finished sending first.
            if number % 2:
                client.transport.finish()
            if number % 4 != 1:
                client.transport.lose()
        self.assertTrue(self.client().transport.aborted)
        self.assertFalse(self.client(host="192.0.2.1").transport.aborted)
        self.assertEqual(self.factory.counters.refusedClients, 1)
        self.finish()
        self.assertFalse(self.client().transport.aborted)
        while self.records.waiting:
            self.finish()
        self.assertEqual(self.orphans(), 0)

    def test_notLeftBehind(self) -> None:
        """
        Who has finished sending and has all it wanted of records has left nothing
        behind, whatever it does not read.
        """
        reading = Client(BudgetTransport.connect(self.clock, self.factory, budget=0))
        streaming = self.client()
        reading.send(plistMessage(READ, 1), plistMessage(READ, 2))
        streaming.send(plistMessage(READ, 1), connectRequest(1, 22))
        streaming.transport.deliver(b"for the phone")
        for client in (reading, streaming):
            client.transport.finish()
        self.assertEqual(self.orphans(), 2)
        self.finish()
        self.finish()
        self.assertEqual(self.orphans(), 1)
        self.phone.connections[-1].accept()
        self.finish()
        self.assertEqual(self.orphans(), 0)
        self.assertIs(streaming.protocol.state, State.CONNECTED)
        self.assertIs(reading.protocol.state, State.CLOSING)
        for client in (reading, streaming):
            client.transport.lose()
        self.assertEqual(self.orphans(), 0)

    def test_finishedSending(self) -> None:
        """
        A client that sends no more gets the replies to all that it has asked for.
        """
        client = self.client()
        client.send(plistMessage(SAVE, 1), plistMessage(READ, 2))
        client.transport.finish()
        self.finish()
        self.assertIs(client.protocol.state, State.WAITING)
        self.finish()
        self.assertEqual([answer.tag for answer in client.messages()], [1, 2])
        self.assertIs(client.protocol.state, State.CLOSED)

    def test_bounded(self) -> None:
        """
        A client that sends on and on is read no further meanwhile, and then again.
        """
        client = self.client()
        client.send(plistMessage(READ, 1))
        request = plistMessage({"MessageType": "ListDevices"}, 2)
        count = TINY.pendingInput // len(request.encode()) + 2
        for _ in range(count):
            client.send(request)
        self.assertTrue(client.transport.paused)
        self.finish()
        self.assertFalse(client.transport.paused)
        self.assertEqual(len(client.messages()), count + 1)

    def test_stopped(self) -> None:
        """
        A daemon that stops still gives the reply, but does nothing more.
        """
        client = self.client()
        client.send(plistMessage(SAVE, 1), plistMessage(READ, 2))
        stopped = self.factory.stop()
        self.assertNoResult(stopped)
        self.finish()
        self.assertEqual([plist(answer)["Number"] for answer in client.messages()], [0])
        self.successResultOf(stopped)
        self.assertEqual(len(self.records.waiting), 0)

    def test_incomplete(self) -> None:
        """
        The time for an incomplete message counts from when it can be read.
        """
        client = self.client()
        client.send(plistMessage(READ, 1))
        client.transport.deliver(plistMessage(READ, 2).encode()[:20])
        self.clock.advance(TINY.messageTimeout * 2)
        self.assertEqual(self.counters.timeouts, 0)
        self.records.finish()
        self.assertEqual(len(client.messages()), 1)
        self.clock.advance(TINY.messageTimeout)
        self.assertEqual(self.counters.timeouts, 1)


class UnreadTests(ServingTestCase):
    """
    A client that takes nothing, when its record is there at last.
    """

    def test_heldBack(self) -> None:
        """
        Nothing else that it asks for is performed, as after any other reply.
        """
        records = LateRecords(self.store)
        self.store.records["x"] = bytes(50000)
        self.factory = ControlFactory(self.clock, self.registry, records, TINY)
        client = Client(BudgetTransport.connect(self.clock, self.factory, budget=0))
        request = plistMessage({"MessageType": "ReadPairRecord", "PairRecordID": "x"}, 1)
        client.send(*[request] * 5)
        records.finish()
        self.settle()
        self.assertIs(client.protocol.state, State.COMMAND)
        self.assertEqual(len(records.waiting), 0)
        self.assertEqual(self.factory.counters.commands["ReadPairRecord"], 1)
        client.transport.allow()
        self.settle()
        while records.waiting:
            records.finish()
            self.clock.advance(0)
        self.assertEqual(len(client.messages()), 5)
