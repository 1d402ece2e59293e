# -*- test-case-name: tests.client.test_handover -*-
"""
Tests for L{muxd.client.connection}: how a socket becomes an application's.
"""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionDone, ConnectionLost, NoProtocol
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.testing import AccumulatingProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.client.errors import DaemonNonsense, DaemonRefused
from muxd.client.requests import Dialect, listenRequest
from muxd.wire.messages import plistMessage
from tests.client.conversations import ADDRESS, EVENT, ConversationCase, OneFactory
from tests.running.properties import examples
from tests.wire.results import resultMessage


@implementer(IHalfCloseableProtocol)
class HalfCloseable(AccumulatingProtocol):
    """
    An application that knows half-closed connections.
    """

    def __init__(self) -> None:
        self.heard: list[str] = []

    def readConnectionLost(self) -> None:
        """
        Remember it.
        """
        self.heard.append("read")

    def writeConnectionLost(self) -> None:
        """
        Remember it.
        """
        self.heard.append("write")


class BecomeTests(ConversationCase):
    """
    Tests for L{Conversation.become}.
    """

    def test_stream(self) -> None:
        """
        After Result 0 the application has the daemon's transport itself.
        """
        application = AccumulatingProtocol()
        asked = self.become(application)
        self.assertEqual([], self.factory.addresses)
        self.answer(resultMessage(1, 1, 0))
        self.assertIs(application, self.successResultOf(asked))
        self.assertEqual([ADDRESS], self.factory.addresses)
        self.assertIs(self.transport, application.transport)
        self.conversation.dataReceived(b"bytes")
        self.assertEqual(b"bytes", application.data)
        self.assertEqual(1, self.factory.numPorts)
        self.conversation.connectionLost(Failure(ConnectionLost()))
        assert application.closedReason is not None
        application.closedReason.trap(ConnectionLost)
        self.assertEqual(0, self.factory.numPorts)

    def test_order(self) -> None:
        """
        C{connectionMade}, the Deferred, then the bytes that came behind the
        Result, which are taken for no message.
        """
        events: list[object] = []

        class Recorder(Protocol):
            def connectionMade(self) -> None:
                events.append("made")

            def dataReceived(self, data: bytes) -> None:
                events.append(data)

        self.become(Recorder()).addCallback(lambda _: events.append("fired"))
        tail = resultMessage(1, 1, 3).encode() + b"SSH-2.0"
        self.conversation.dataReceived(resultMessage(1, 1, 0).encode() + tail)
        self.assertEqual(["made", "fired", tail], events)

    @settings(deadline=None, max_examples=examples(50))
    @given(st.binary(min_size=1, max_size=300), st.lists(st.integers(0, 700), max_size=5))
    def test_noByteLost(self, data: bytes, cuts: list[int]) -> None:
        """
        However Result and stream are cut into reads, the application gets
        exactly the stream.
        """
        self.setUp()
        application = AccumulatingProtocol()
        asked = self.become(application)
        whole = resultMessage(1, 1, 0).encode() + data
        edges = [0, *sorted(cuts), len(whole)]
        for start, end in pairwise(edges):
            if whole[start:end]:
                self.conversation.dataReceived(whole[start:end])
        self.successResultOf(asked)
        self.assertEqual(data, application.data)

    def test_closedAtOnce(self) -> None:
        """
        An application that closes the connection at once is not given bytes.
        """
        application = AccumulatingProtocol()
        asked = self.become(application)
        asked.addCallback(lambda _: self.transport.loseConnection())
        self.conversation.dataReceived(resultMessage(1, 1, 0).encode() + b"bytes")
        self.successResultOf(asked)
        self.assertEqual(b"", application.data)

    def test_refused(self) -> None:
        """
        After a refusal nothing was built, and the socket can be used again.
        """
        asked = self.become(AccumulatingProtocol())
        self.answer(resultMessage(1, 1, 3))
        self.assertEqual(3, self.failureResultOf(asked, DaemonRefused).value.result)
        self.assertEqual([], self.factory.addresses)
        self.ask()

    def test_noResult(self) -> None:
        """
        An answer that is no Result is none.
        """
        asked = self.become(AccumulatingProtocol())
        self.answer(plistMessage({"BUID": "x"}, 1))
        self.failureResultOf(asked, DaemonNonsense)
        self.assertAborted()

    def test_cancelBeforeResult(self) -> None:
        """
        If it is cancelled before, nothing is built, and a Result that comes later
        is not looked at.
        """
        asked = self.become(AccumulatingProtocol())
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertAborted()
        self.answer(resultMessage(1, 1, 0))
        self.assertEqual([], self.factory.addresses)

    def test_noProtocol(self) -> None:
        """
        A factory that builds none ends it.
        """
        asked = self.become(None)
        self.answer(resultMessage(1, 1, 0))
        self.failureResultOf(asked, NoProtocol)
        self.assertAborted()
        self.conversation.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(0, self.factory.numPorts)

    def test_raisingProtocol(self) -> None:
        """
        An application that fails in C{connectionMade} ends it, is told so, and
        gets nothing more.
        """

        class Raising(AccumulatingProtocol):
            def connectionMade(self) -> None:
                raise ZeroDivisionError

        application = Raising()
        asked = self.become(application)
        self.conversation.dataReceived(resultMessage(1, 1, 0).encode() + b"bytes")
        self.failureResultOf(asked, ZeroDivisionError)
        self.assertAborted()
        self.conversation.connectionLost(Failure(ConnectionDone()))
        self.assertTrue(application.closed)
        self.assertEqual(b"", application.data)

    def test_earlyEvents(self) -> None:
        """
        Events that come before the Result of a Listen are not lost, though they
        should come behind it.
        """
        application = AccumulatingProtocol()
        self.factory = OneFactory(application)
        asked = self.conversation.become(listenRequest(), Dialect.PLIST, self.factory, ADDRESS)
        event = plistMessage(EVENT, 0)
        self.answer(event, resultMessage(1, 1, 0), event)
        self.successResultOf(asked)
        self.assertEqual(event.encode() * 2, application.data)

    def test_earlyEventsWithoutEnd(self) -> None:
        """
        They are not kept without limit.
        """
        asked = self.conversation.become(listenRequest(), Dialect.PLIST, OneFactory(None), ADDRESS)
        for _ in range(30):
            self.answer(plistMessage(EVENT, 0))
        self.failureResultOf(asked, DaemonNonsense)
        self.assertAborted()

    def test_closeLeavesItAlone(self) -> None:
        """
        What was handed over is not ours to close.
        """
        self.become(AccumulatingProtocol())
        self.answer(resultMessage(1, 1, 0))
        self.conversation.close()
        self.assertFalse(self.transport.disconnecting)


class HalfCloseTests(ConversationCase):
    """
    The end of one direction.
    """

    def handOver(self, application: Protocol) -> None:
        """
        Give the socket to an application.
        """
        self.become(application)
        self.answer(resultMessage(1, 1, 0))

    def test_known(self) -> None:
        """
        An application that knows half-closed connections is told of each half,
        and may go on with the other.
        """
        application = HalfCloseable()
        self.handOver(application)
        self.conversation.readConnectionLost()
        self.conversation.writeConnectionLost()
        self.assertEqual(["read", "write"], application.heard)
        self.assertFalse(self.transport.disconnecting)

    def test_unknown(self) -> None:
        """
        For any other, the end of what the phone sends is the end, at once and
        without regard to what is still to be sent; and it was no error.
        """
        application = AccumulatingProtocol()
        self.handOver(application)
        self.conversation.writeConnectionLost()
        self.conversation.readConnectionLost()
        self.assertAborted()
        self.conversation.connectionLost(Failure(ConnectionLost()))
        assert application.closedReason is not None
        application.closedReason.trap(ConnectionDone)
