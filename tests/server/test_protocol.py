# -*- test-case-name: tests.server.test_protocol -*-
"""
Tests of L{muxd.server.protocol}: framing, formats, bad input, the end.
"""

from __future__ import annotations

import plistlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory
from zope.interface.verify import verifyObject

from muxd.server import protocol
from muxd.server.states import TRANSITIONS, State
from muxd.wire.messages import (
    DeviceRecord,
    Message,
    MessageType,
    Result,
    connectMessage,
    plistMessage,
)
from tests.running.properties import examples
from tests.server.serving import Client, ServingTestCase, connectRequest, plist

BINARY_LISTEN = Message(0, MessageType.LISTEN, 1)
LIST_DEVICES = {"MessageType": "ListDevices"}


class FramingTests(ServingTestCase):
    """
    Requests in whatever pieces they come (protocol 9, edge 47).
    """

    def test_interface(self) -> None:
        """
        The protocol knows that one direction may end first.
        """
        verifyObject(IHalfCloseableProtocol, self.client().protocol)

    def test_splitAtEveryByte(self) -> None:
        """
        A request may be split anywhere.
        """
        data = plistMessage(LIST_DEVICES, 9).encode()
        for cut in range(1, len(data)):
            client = self.client()
            client.transport.deliver(data[:cut])
            self.assertEqual(client.messages(), [])
            client.transport.deliver(data[cut:])
            (answer,) = client.messages()
            self.assertEqual(answer.tag, 9)
            self.assertIn("DeviceList", plist(answer))
            client.transport.lose()

    def test_severalInOneWrite(self) -> None:
        """
        Two requests in one write get two answers, in their order.
        """
        client = self.client()
        client.send(
            plistMessage({"MessageType": "ReadBUID"}, 1),
            plistMessage(LIST_DEVICES, 2),
            plistMessage({"MessageType": "ReadBUID"}, 3),
        )
        self.assertEqual([message.tag for message in client.messages()], [1, 2, 3])

    def test_severalOneByOne(self) -> None:
        """
        A socket takes one command after the other.
        """
        client = self.client()
        for tag in range(5):
            self.assertIn("BUID", plist(client.ask(tag, MessageType="ReadBUID")))

    @settings(deadline=None, max_examples=examples(50))
    @given(st.data())
    def test_anyCuts(self, data: st.DataObject) -> None:
        """
        However requests of all kinds are cut up, each has one answer with its
        own tag.
        """
        makers: list[Any] = [
            lambda tag: plistMessage(LIST_DEVICES, tag),
            lambda tag: plistMessage({"MessageType": "Nonsense"}, tag),
            lambda tag: Message(1, MessageType.PLIST, tag, b"garbage"),
            lambda tag: Message(7, MessageType.PLIST, tag, b"xyz"),
            lambda tag: Message(0, 99, tag),
            lambda tag: connectMessage(99, 22, tag),
        ]
        chosen = data.draw(st.lists(st.sampled_from(makers), max_size=8))
        stream = b"".join(make(tag).encode() for tag, make in enumerate(chosen))
        client = self.client()
        while stream:
            cut = data.draw(st.integers(1, len(stream)))
            client.transport.deliver(stream[:cut])
            stream = stream[cut:]
        self.assertEqual([answer.tag for answer in client.messages()], list(range(len(chosen))))
        self.assertIs(client.protocol.state, State.COMMAND)
        client.transport.lose()

    @settings(deadline=None, max_examples=examples(100))
    @given(st.lists(st.binary(max_size=200), max_size=4))
    def test_anyBytes(self, pieces: list[bytes]) -> None:
        """
        Any bytes at all lead to answers or to a close; nothing is raised, and
        what is held stays within a message.
        """
        client = self.client()
        for piece in pieces:
            client.transport.deliver(piece)
        self.assertIn(client.protocol.state, (State.COMMAND, State.LISTENING, State.CLOSING))
        client.transport.lose()
        self.settle()
        self.factory.stopFactory()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class FormatTests(ServingTestCase):
    """
    Which format replies have (protocol 4.3).
    """

    def test_binaryListen(self) -> None:
        """
        A binary Listen is answered byte by byte as in protocol 4.13, and the
        phone follows as a record.
        """
        client = self.client()
        client.send(BINARY_LISTEN)
        data = client.stream()
        self.assertEqual(data[:20].hex(), "1400000000000000010000000100000000000000")
        self.assertEqual(data[20:36].hex(), "1c010000000000000400000000000000")
        self.assertEqual(DeviceRecord.decode(data[36:]).deviceID, 1)

    def test_plistFromTheFirstOn(self) -> None:
        """
        One property list makes all later replies property lists, also those to
        binary requests.
        """
        client = self.client()
        client.send(Message(0, 99, 1))
        client.send(plistMessage(LIST_DEVICES, 2))
        client.send(Message(0, 99, 3))
        self.assertEqual([message.version for message in client.messages()], [0, 1, 1])

    def test_formatIsTheMessagesNotTheHeaders(self) -> None:
        """
        The version field decides nothing: version 1 with a binary message is
        answered in binary, version 0 with a property list in XML.
        """
        client = self.client()
        client.send(Message(1, 99, 1))
        self.assertEqual(client.messages(), [Message(0, MessageType.RESULT, 1, b"\x01\0\0\0")])
        body = plistlib.dumps({"MessageType": "ReadBUID"})
        client.send(Message(0, MessageType.PLIST, 2, body))
        (answer,) = client.messages()
        self.assertEqual(plist(answer), {"BUID": self.store.buid})

    def test_binaryPlistRequest(self) -> None:
        """
        A request may be a binary property list; the reply is XML all the same
        (protocol 9, edge 54).
        """
        client = self.client()
        body = plistlib.dumps(LIST_DEVICES, fmt=plistlib.FMT_BINARY)
        client.send(Message(1, MessageType.PLIST, 5, body))
        (answer,) = client.messages()
        self.assertIn("DeviceList", plist(answer))


class EndTests(ServingTestCase):
    """
    How connections end.
    """

    def test_clientGoes(self) -> None:
        """
        A client may go at any time.
        """
        client, listener = self.client(), self.listener()
        client.transport.deliver(b"half")
        client.transport.lose()
        listener.transport.lose()
        self.attach(2)
        self.assertEqual(self.factory.clients, set())
        self.assertEqual(listener.messages(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIs(client.protocol.state, State.CLOSED)

    def test_endOfFileAfterARequest(self) -> None:
        """
        A client that has finished sending still gets its answers.
        """
        client = self.client(budget=0)
        client.send(plistMessage(LIST_DEVICES, 1))
        client.transport.finish()
        self.settle()
        self.assertFalse(client.transport.disconnected)
        client.transport.allow()
        self.assertEqual(len(client.messages()), 1)
        self.settle()
        self.assertTrue(client.transport.disconnected)

    def test_endOfFileOfAListener(self) -> None:
        """
        A listener that has finished sending is taken to be gone, as nothing
        would ever tell that it is.
        """
        client = self.listener()
        client.transport.finish()
        client.transport.finish()
        self.settle()
        self.assertTrue(client.transport.disconnected)

    def test_inputWhileClosing(self) -> None:
        """
        What comes while the last replies are delivered is ignored.
        """
        client = self.client(budget=0)
        client.send(Message(0, 99, 1))
        client.transport.deliver(bytes(16))
        client.protocol.dataReceived(Message(0, 99, 2).encode())
        client.protocol.writeConnectionLost()
        client.transport.allow()
        self.settle()
        self.assertEqual(len(client.messages()), 1)

    def test_neverReads(self) -> None:
        """
        Of a client that sends commands and never reads no more are performed than its
        transport takes replies, and no more is read than may be held.
        """
        client = self.client(budget=0)
        client.transport.bufferSize = 1000
        requests = [plistMessage(LIST_DEVICES, tag) for tag in range(200)]
        client.send(*requests)
        self.settle()
        self.assertEqual(self.counters.commands["ListDevices"], 2)
        self.assertTrue(client.transport.paused)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        client.transport.allow()
        while self.clock.getDelayedCalls():
            self.clock.advance(0)
        self.assertEqual([one.tag for one in client.messages()], list(range(200)))

    def test_transitionsAreChecked(self) -> None:
        """
        A transition that is none is a mistake in this program, and is told.
        """
        protocol = self.client().protocol
        with self.assertRaisesRegex(AssertionError, "command to connected"):
            protocol._enter(State.CONNECTED)
        self.assertEqual(set(TRANSITIONS), set(State))

    def test_ourMistake(self) -> None:
        """
        A command that fails for no fault of the client's gets Result 1, and
        everything goes on.
        """
        self.store.trouble = RuntimeError("a bad store")
        client = self.client()
        self.assertEqual(client.result(4, MessageType="ReadBUID"), Result.BAD_COMMAND)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertIn("DeviceList", plist(client.ask(MessageType="ListDevices")))

    def test_ourMistakeInMidConnect(self) -> None:
        """
        A command that fails after it has begun to connect is not answered twice.
        """

        def fail(*args: object) -> None:
            raise RuntimeError("a bad transition")

        client = self.client()
        original = client.protocol.startConnecting

        def startConnecting(*args: Any) -> None:
            original(*args)
            fail()

        self.patch(client.protocol, "startConnecting", startConnecting)
        client.send(connectRequest(1, 22))
        self.assertEqual(client.messages(), [])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_factoryIsWhereTwistedHasIt(self) -> None:
        """
        The protocol has its factory under the usual name.
        """
        factory: Factory | None = self.client().protocol.factory
        self.assertIs(factory, self.factory)


class SilenceTests(ServingTestCase):
    """
    Which client has been silent for the longest.
    """

    def longest(self) -> object:
        """
        The one.
        """
        (account,) = self.factory.accounts._accounts.values()
        return account.longestSilent(self.clock.seconds())

    def test_asking(self) -> None:
        """
        Not one that has asked something since.
        """
        first, second = self.client(), self.client()
        self.assertIs(self.longest(), first.protocol)
        self.clock.advance(1)
        first.ask(MessageType="ReadBUID")
        self.assertIs(self.longest(), second.protocol)

    def test_listening(self) -> None:
        """
        Nor one that listens, though it say half a word.
        """
        listener = self.listener()
        self.assertIsNone(self.longest())
        listener.transport.deliver(b"\x20\0\0")
        self.assertIsNone(self.longest())


class LeavingTests(ServingTestCase):
    """
    A client that is dropped, before and after its connection is gone.
    """

    def linger(self, client: Client) -> None:
        """
        Have its connection stay for a while when it is dropped.
        """
        self.patch(client.transport, "abortConnection", lambda: None)

    def test_stream(self) -> None:
        """
        A stream that is over leaves no way to itself.
        """
        client = self.client()
        client.send(connectRequest(1, 22))
        self.phone.connections[0].accept()
        self.settle()
        self.assertIn("dataReceived", vars(client.protocol))
        client.transport.lose()
        self.assertNotIn("dataReceived", vars(client.protocol))

    def test_overflow(self) -> None:
        """
        A listener that does not read hears of nothing more.
        """
        listener = self.listener()
        self.linger(listener)
        listener.protocol._outputOverflowed()
        self.assertIs(listener.protocol.state, State.CLOSING)
        self.attach(2)
        self.assertEqual(listener.messages(), [])
        listener.transport.lose()

    def test_oneTooMany(self) -> None:
        """
        One whose certificate is that of a user with too many connections gets no answer.
        """
        client = self.client()
        self.linger(client)
        self.patch(protocol, "nameOf", lambda transport: "a name")
        self.patch(self.factory, "enter", lambda owner: None)
        client.send(plistMessage(LIST_DEVICES, 1))
        self.assertIs(client.protocol.state, State.CLOSING)
        self.assertEqual(client.messages(), [])
        client.transport.lose()
