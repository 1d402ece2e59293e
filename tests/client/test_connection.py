# -*- test-case-name: tests.client.test_connection -*-
"""
Tests for what is asked and answered in L{muxd.client.connection}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from muxd.client.answers import Answer
from muxd.client.connection import Conversation
from muxd.client.errors import DaemonLost, DaemonNonsense, DaemonRefused
from muxd.client.exchange import State
from muxd.client.requests import Dialect, commandRequest
from muxd.wire.messages import Message, MessageReader, MessageType, parsePlist, plistMessage
from tests.client.conversations import EVENT, ConversationCase
from tests.running.properties import examples
from tests.wire.results import resultMessage


class AskTests(ConversationCase):
    """
    Tests for L{Conversation.ask}.
    """

    def test_interfaces(self) -> None:
        """
        It can stand for any application's protocol.
        """
        verifyObject(IHalfCloseableProtocol, self.conversation)

    def test_answer(self) -> None:
        """
        The answer is given to who asked, and the next request can be made, with
        another tag.
        """
        for tag in (1, 2):
            self.transport.clear()
            asked = self.ask()
            reader = MessageReader(4096)
            reader.feed(self.transport.value())
            sent = reader.next()
            assert sent is not None
            self.assertEqual(tag, sent.tag)
            self.assertEqual("ReadBUID", parsePlist(sent.body)["MessageType"])
            self.assertNoResult(asked)
            self.answer(plistMessage({"BUID": "x"}, tag))
            self.assertEqual({"BUID": "x"}, self.successResultOf(asked).values)

    def test_pieces(self) -> None:
        """
        An answer may come byte by byte.
        """
        asked = self.ask()
        for byte in plistMessage({"BUID": "x"}, 1).encode():
            self.assertNoResult(asked)
            self.conversation.dataReceived(bytes([byte]))
        self.assertEqual({"BUID": "x"}, self.successResultOf(asked).values)

    def test_refusal(self) -> None:
        """
        A Result other than 0 is an error with its number, in either dialect, and
        another request may follow.
        """
        for version in (0, 1):
            asked = self.ask()
            tag = version + 1
            self.answer(resultMessage(version, tag, 5))
            self.assertEqual(5, self.failureResultOf(asked, DaemonRefused).value.result)
            self.assertIs(State.IDLE, self.conversation.state)

    def test_events(self) -> None:
        """
        Events may come at any time, and are nobody's business here.
        """
        self.answer(plistMessage(EVENT, 0))
        asked = self.ask()
        self.answer(plistMessage(EVENT, 0), Message(0, MessageType.DEVICE_REMOVE, 0, bytes(4)))
        self.assertNoResult(asked)
        self.answer(plistMessage({"BUID": "x"}, 1), plistMessage(EVENT, 0))
        self.successResultOf(asked)

    def test_oneAtATime(self) -> None:
        """
        A second request before the answer is a mistake of the program.
        """
        asked = self.ask()
        self.assertRaises(RuntimeError, self.ask)
        self.assertNoResult(asked)

    def test_askedAnew(self) -> None:
        """
        The next request may be made from within the answer to the last one, even
        if its answer is there already.
        """
        second: list[object] = []
        self.ask().addCallback(lambda _: self.ask().addCallback(second.append))
        self.answer(plistMessage({"BUID": "x"}, 1), plistMessage({"BUID": "y"}, 2))
        self.assertEqual([Answer(None, {"BUID": "y"})], second)

    def test_lost(self) -> None:
        """
        A daemon that dies is an error that names the command.
        """
        asked = self.ask()
        self.conversation.connectionLost(Failure(ConnectionLost()))
        self.assertIn("ReadBUID", str(self.failureResultOf(asked, DaemonLost).value))

    def test_halfClosed(self) -> None:
        """
        So is one that will not say anything any more.
        """
        asked = self.ask()
        self.conversation.readConnectionLost()
        self.failureResultOf(asked, DaemonLost)
        self.assertAborted()
        self.conversation.connectionLost(Failure(ConnectionDone()))

    def test_closedBefore(self) -> None:
        """
        A request after the end fails as if the daemon had gone during it.
        """
        self.conversation.connectionLost(Failure(ConnectionDone()))
        self.failureResultOf(self.ask(), DaemonLost)

    def test_cancel(self) -> None:
        """
        Cancelling leaves no socket; an answer that comes later is not looked at.
        """
        asked = self.ask()
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertAborted()
        self.answer(plistMessage({"BUID": "x"}, 1))

    def test_nonsense(self) -> None:
        """
        Bytes that are no answer end the conversation with an error that asks
        whether this is a usbmuxd at all.
        """
        for data in (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"\x0f\0\0\0" + bytes(12),
            b"\xff\xff\xff\xff" + bytes(12),
            Message(1, MessageType.PLIST, 1, b"garbage").encode(),
            Message(1, 7, 1, b"").encode(),
            Message(0, MessageType.RESULT, 1, b"").encode(),
            plistMessage({"MessageType": "Result", "Number": "0"}, 1).encode(),
            plistMessage({"BUID": "x"}, 2).encode(),
        ):
            self.setUp()
            asked = self.ask()
            self.conversation.dataReceived(data)
            self.assertIn(
                "really a usbmuxd", self.failureResultOf(asked, DaemonNonsense).getErrorMessage()
            )
            self.assertAborted()

    def test_unasked(self) -> None:
        """
        An answer to nothing ends the conversation.
        """
        self.answer(plistMessage({"BUID": "x"}, 0))
        self.assertAborted()

    def test_close(self) -> None:
        """
        Closing is gentle and may be repeated.
        """
        self.conversation.close()
        self.conversation.close()
        self.assertTrue(self.transport.disconnecting)
        self.assertFalse(self.transport.disconnected)
        self.conversation.connectionLost(Failure(ConnectionDone()))

    def test_gentleTransport(self) -> None:
        """
        A transport that cannot be aborted is closed as well as it can.
        """

        class Gentle:
            closed = False

            def write(self, data: bytes) -> None:
                """
                Ignore it.
                """

            def loseConnection(self) -> None:
                self.closed = True

        gentle = Gentle()
        conversation = Conversation("here", "tests")
        conversation.makeConnection(gentle)
        asked = conversation.ask(commandRequest("ReadBUID"), Dialect.PLIST)
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertTrue(gentle.closed)

    @settings(deadline=None, max_examples=examples(50))
    @given(st.binary(max_size=80), st.booleans())
    def test_anything(self, data: bytes, plausible: bool) -> None:
        """
        Whatever comes, there is one answer or one error, or more is awaited.
        """
        self.setUp()
        asked = self.ask()
        results: list[object] = []
        asked.addBoth(results.append)
        head = (16 + len(data)).to_bytes(4, "little") if plausible else b""
        self.conversation.dataReceived(head + data)
        self.conversation.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(1, len(results))
