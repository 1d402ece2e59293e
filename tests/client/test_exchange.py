# -*- test-case-name: tests.client.test_exchange -*-
"""
Tests for L{muxd.client.exchange}, without any kind of I/O.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muxd.client import socketerrors
from muxd.client.answers import Answer, Attached
from muxd.client.exchange import NEXT, DialectChoice, EventStream, Exchange, State
from muxd.client.requests import Dialect, Request, commandRequest, connectRequest, listenRequest
from muxd.client.socketerrors import DaemonLost, DaemonNonsense, DaemonRefused
from muxd.limits import Limits
from muxd.wire.messages import MessageReader, parsePlist, plistMessage
from tests.client.fakedaemon import attached, binaryAttached, paired
from tests.running.properties import examples
from tests.wire.results import resultMessage

READ_BUID = commandRequest("ReadBUID")


class ExchangeTests(SynchronousTestCase):
    """
    Tests for L{Exchange}.
    """

    def setUp(self) -> None:
        """
        Begin one.
        """
        self.exchange = Exchange("here", socketerrors, "tests", Limits(replySize=4096))

    def ask(self, request: Request = READ_BUID) -> None:
        """
        Make a request.
        """
        self.exchange.ask(request, Dialect.PLIST)

    def test_request(self) -> None:
        """
        Each request has another tag.
        """
        for tag in (1, 2):
            reader = MessageReader(4096)
            reader.feed(self.exchange.ask(READ_BUID, Dialect.PLIST))
            message = reader.next()
            assert message is not None
            self.assertEqual(tag, message.tag)
            self.assertEqual("ReadBUID", parsePlist(message.body)["MessageType"])
            self.exchange.receive(resultMessage(1, tag, 0).encode())

    def test_answer(self) -> None:
        """
        The answer comes when its last byte has come, and what is behind it stays for
        the next call.
        """
        self.ask()
        data = plistMessage({"BUID": "x"}, 1).encode()
        self.assertIsNone(self.exchange.receive(data[:-1]))
        self.assertTrue(self.exchange.withinMessage)
        behind = plistMessage({"BUID": "y"}, 2).encode()
        self.assertEqual(Answer(None, {"BUID": "x"}), self.exchange.receive(data[-1:] + behind))
        self.ask()
        self.assertEqual(Answer(None, {"BUID": "y"}), self.exchange.receive(b""))
        self.assertFalse(self.exchange.withinMessage)

    def test_exactReads(self) -> None:
        """
        If no more than what is wanted is taken from a stream, nothing is taken that
        is behind the answer.
        """
        self.ask(connectRequest(1, 22))
        stream = paired().encode() + resultMessage(1, 1, 0).encode() + b"SSH-"
        position, answer = 0, None
        while answer is None:
            end = position + self.exchange.wanted
            answer = self.exchange.receive(stream[position:end])
            position = end
        self.assertEqual(b"SSH-", stream[position:])
        self.assertEqual(b"", self.exchange.takeRest())

    def test_handedOver(self) -> None:
        """
        Behind the Result of a Connect or a Listen nothing is taken for a message.
        """
        tail = resultMessage(1, 2, 3).encode()
        for request, rest in (
            (connectRequest(1, 22), tail),
            (listenRequest(), paired().encode() + tail),
        ):
            self.setUp()
            self.ask(request)
            data = paired().encode() + resultMessage(1, 1, 0).encode() + tail
            answer = self.exchange.receive(data)
            assert answer is not None
            self.assertEqual(0, answer.result)
            self.assertIs(State.HANDED_OVER, self.exchange.state)
            self.assertIsNone(self.exchange.receive(b"more"))
            self.assertEqual(rest + b"more", self.exchange.takeRest())

    def test_refused(self) -> None:
        """
        A refusal is raised with its number, and another request may follow; events
        that were kept for the first one are forgotten.
        """
        self.ask(listenRequest())
        refusal = paired().encode() + resultMessage(0, 1, 3).encode()
        error = self.assertRaises(DaemonRefused, self.exchange.receive, refusal)
        self.assertEqual(3, error.result)
        self.ask(connectRequest(1, 22))
        self.exchange.receive(resultMessage(0, 2, 0).encode())
        self.assertEqual(b"", self.exchange.takeRest())

    def test_earlyEventsOfEachRequest(self) -> None:
        """
        How many events may come before an answer is counted for each request.
        """
        event = paired().encode()
        for tag in range(1, 30):
            self.ask()
            self.exchange.receive(event * 2 + resultMessage(1, tag, 0).encode())
        self.ask()
        self.assertRaises(DaemonNonsense, self.exchange.receive, event * 30)
        self.assertIs(State.CLOSED, self.exchange.state)

    def test_unasked(self) -> None:
        """
        An answer to nothing ends it, an event does not.
        """
        self.assertIsNone(self.exchange.receive(paired().encode()))
        error = self.assertRaises(
            DaemonNonsense, self.exchange.receive, resultMessage(1, 0, 0).encode()
        )
        self.assertIn("there is no question", str(error))
        self.assertIs(State.CLOSED, self.exchange.state)

    def test_lost(self) -> None:
        """
        A daemon that is lost is so while something is awaited.
        """
        self.ask()
        error = self.exchange.lost()
        self.assertIsInstance(error, DaemonLost)
        self.assertIn("while waiting for the answer to ReadBUID", str(error))
        self.assertIs(State.CLOSED, self.exchange.state)
        self.exchange.close()

    def test_transitions(self) -> None:
        """
        Only what is in the table may follow, and nothing follows the end.
        """
        self.assertEqual(set(State), set(NEXT))
        for state, following in NEXT.items():
            for other in set(State) - following:
                self.exchange.state = state
                self.assertRaises(RuntimeError, self.exchange._enter, other)
        self.assertEqual(frozenset(), NEXT[State.CLOSED])

    @settings(deadline=None, max_examples=examples(50))
    @given(st.binary(max_size=80), st.booleans(), st.integers(1, 40))
    def test_anything(self, data: bytes, plausible: bool, size: int) -> None:
        """
        Whatever comes, in whichever pieces, is an answer, one of two errors, or a
        reason to wait.
        """
        self.setUp()
        self.ask()
        head = (16 + len(data)).to_bytes(4, "little") if plausible else b""
        whole = head + data
        for start in range(0, len(whole), size):
            try:
                answer = self.exchange.receive(whole[start : start + size])
            except (DaemonRefused, DaemonNonsense):
                return
            if answer is not None:
                return
        self.assertGreater(self.exchange.wanted, 0)


class EventStreamTests(SynchronousTestCase):
    """
    Tests for L{EventStream}.
    """

    def test_lostWhy(self) -> None:
        """
        What is known of the end of a feed is in its error.
        """
        error = EventStream("here", socketerrors).lost("our certificate has expired")
        self.assertIn("waiting for events: our certificate has expired", str(error))

    def test_events(self) -> None:
        """
        Events come one by one, when they are complete.
        """
        stream = EventStream("here", socketerrors)
        data = attached().encode() + binaryAttached(2).encode()
        stream.feed(data[:-1])
        first = stream.next()
        assert isinstance(first, Attached)
        self.assertEqual(1, first.device.deviceID)
        self.assertIsNone(stream.next())
        self.assertTrue(stream.withinMessage)
        stream.feed(data[-1:])
        second = stream.next()
        assert isinstance(second, Attached)
        self.assertEqual([1, 2], [device.deviceID for device in stream.devices])

    def test_complaint(self) -> None:
        """
        Events that make no sense are counted, and the first is remembered.
        """
        stream = EventStream("here", socketerrors)
        stream.feed(b"\x14\0\0\0" + b"\0\0\0\0\x04\0\0\0\0\0\0\0abcd" + attached().encode())
        self.assertIsInstance(stream.next(), Attached)
        self.assertEqual(1, stream.malformed)
        self.assertIn("device record", stream.complaint)

    def test_impossibleLength(self) -> None:
        """
        Behind a length that cannot be there is nothing to be understood.
        """
        stream = EventStream("here", socketerrors)
        stream.feed(bytes(16) + attached().encode())
        self.assertRaises(DaemonNonsense, stream.next)
        self.assertIsNone(stream.next())


class DialectChoiceTests(SynchronousTestCase):
    """
    Tests for L{DialectChoice}.
    """

    def speak(self, request: Request, *outcomes: int) -> tuple[list[Dialect], object]:
        """
        Make a request, of which the attempts end with these Results.

        @return: the dialects that were tried, and what came of it.
        """
        tried: list[Dialect] = []
        results = iter(outcomes)

        async def attempt(dialect: Dialect) -> str:
            tried.append(dialect)
            number = next(results)
            if number:
                raise DaemonRefused("here", request.name, number)
            return "done"

        try:
            self.choice.speak(request, attempt).send(None)
        except StopIteration as end:
            return tried, end.value
        except OSError as error:
            return tried, type(error).__name__
        raise AssertionError("it waits")

    def setUp(self) -> None:
        """
        Begin without knowledge.
        """
        self.choice = DialectChoice("here", socketerrors)

    def test_fallback(self) -> None:
        """
        After Result 6 the other dialect is spoken, then and later.
        """
        both = [Dialect.PLIST, Dialect.BINARY]
        self.assertEqual((both, "done"), self.speak(listenRequest(), 6, 0))
        self.assertEqual(([Dialect.BINARY], "done"), self.speak(listenRequest(), 0))
        self.assertEqual((both[::-1], "done"), self.speak(listenRequest(), 6, 0))
        self.assertIs(Dialect.PLIST, self.choice.dialect)

    def test_refusalIsUnderstanding(self) -> None:
        """
        A daemon that refuses a request otherwise has understood it.
        """
        self.speak(listenRequest(), 6, 0)
        self.assertEqual(
            ([Dialect.PLIST], "DaemonRefused"), self.speak(commandRequest("ReadBUID"), 4)
        )
        self.assertIs(Dialect.PLIST, self.choice.dialect)

    def test_neither(self) -> None:
        """
        After Result 6 in both, it begins anew the next time.
        """
        self.assertEqual("NotSupported", self.speak(listenRequest(), 6, 6)[1])
        self.assertIs(Dialect.PLIST, self.choice.dialect)
