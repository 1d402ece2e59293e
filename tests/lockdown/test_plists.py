"""
Tests of L{muxd.lockdown.plists}.
"""

from __future__ import annotations

import plistlib
from struct import pack
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from muxd.lockdown.plists import LONGEST_MESSAGE, AnsweringProtocol, Message, PlistProtocol


class Listener(PlistProtocol):
    """
    Remembers what it hears.
    """

    def __init__(self) -> None:
        self.heard: list[Message] = []

    def plistReceived(self, message: Message) -> None:
        """
        Remember it.
        """
        self.heard.append(message)


class Answerer(AnsweringProtocol):
    """
    Repeats what it hears.
    """

    def plistReceived(self, message: Message) -> None:
        """
        Repeat it.
        """
        self.sendPlist(message)


def frame(data: bytes) -> bytes:
    """
    A message on the wire.
    """
    return pack(">I", len(data)) + data


class PlistProtocolTests(SynchronousTestCase):
    """
    Messages and what is none.
    """

    def setUp(self) -> None:
        """
        Begin to listen.
        """
        self.listener = Listener()
        self.transport = StringTransport()
        self.listener.makeConnection(self.transport)

    @given(st.lists(st.integers(1, 200), max_size=8))
    def test_pieces(self, cuts: list[int]) -> None:
        """
        Messages may come in any pieces.
        """
        self.setUp()
        data = frame(plistlib.dumps({"a": 1})) + frame(plistlib.dumps({"b": b"2"}))
        for cut in cuts:
            self.listener.dataReceived(data[:cut])
            data = data[cut:]
        self.listener.dataReceived(data)
        self.assertEqual(self.listener.heard, [{"a": 1}, {"b": b"2"}])

    def test_send(self) -> None:
        """
        What is said can be read.
        """
        self.listener.sendPlist({"a": 1})
        self.listener.dataReceived(self.transport.value())
        self.assertEqual(self.listener.heard, [{"a": 1}])

    def test_bad(self) -> None:
        """
        What is no message ends the conversation, and nothing behind it is heard.
        """
        good = frame(plistlib.dumps({"a": 1}))
        for bad in (frame(b"garbage"), frame(plistlib.dumps([1])), pack(">I", LONGEST_MESSAGE + 1)):
            self.setUp()
            self.listener.dataReceived(bad + good)
            self.assertEqual(self.listener.heard, [])
            self.assertTrue(self.transport.disconnecting)

    def test_closed(self) -> None:
        """
        What comes after the close is not kept, however much it is.
        """
        self.listener.dataReceived(frame(plistlib.dumps({"a": 1})) + b"\0\0")
        self.listener.close()
        for _ in range(100):
            self.listener.dataReceived(bytes(10000))
        self.assertEqual(self.listener.heard, [{"a": 1}])
        self.assertLess(len(self.listener._unprocessed), 10)

    def test_closeOfACarrier(self) -> None:
        """
        A transport that is carried by another one, as TLS is, is not waited for.
        """
        carrier = StringTransport()
        self.transport.transport = carrier  # type: ignore[attr-defined]  # as TLS has it
        self.listener.close()
        self.assertTrue(self.transport.disconnecting)
        self.assertTrue(carrier.disconnecting)

    def test_reason(self) -> None:
        """
        The log says why, in one line that can be shown, however much the other side
        has said.
        """
        with capturedLogs() as events:
            self.listener.malformed("expected Polo, got " + "\x1b[2J\n" * 10000)
        (line,) = map(formatEvent, events)
        self.assertLess(len(line), 400)
        self.assertTrue(line.isprintable())

    def test_closeUnconnected(self) -> None:
        """
        What was never connected can be closed.
        """
        Listener().close()
        Answerer().close()

    def test_abstract(self) -> None:
        """
        Hearing is for others to say how.
        """
        self.assertRaises(NotImplementedError, PlistProtocol().plistReceived, {})


class AnsweringProtocolTests(SynchronousTestCase):
    """
    Back-pressure.
    """

    def test_paused(self) -> None:
        """
        While answers wait, no request is looked at.
        """
        answerer = Answerer()
        transport = StringTransport()
        answerer.makeConnection(transport)
        producer: Any = transport.producer
        producer.pauseProducing()
        answerer.dataReceived(frame(plistlib.dumps({"a": 1})))
        self.assertEqual(transport.value(), b"")
        producer.resumeProducing()
        self.assertNotEqual(transport.value(), b"")
        answerer.close()
        self.assertIsNone(transport.producer)
