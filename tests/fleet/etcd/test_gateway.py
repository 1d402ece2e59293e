# -*- test-case-name: tests.fleet.etcd.test_gateway -*-
"""
Tests of L{muxd.fleet.etcd.gateway} and L{muxd.fleet.etcd.answers}.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from hypothesis import given
from hypothesis.strategies import binary, lists
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from muxd.fleet.etcd import gateway as gatewayModule
from muxd.fleet.etcd.answers import (
    BadAnswer,
    Event,
    KeyValue,
    Lines,
    WatchAnswer,
    rangeAnswer,
    watchAnswer,
)
from muxd.fleet.etcd.gateway import AT_ONCE, Account, EtcdError, Gateway, Unreachable
from muxd.fleet.terms import USUAL
from tests.fleet.etcd.cases import NODES
from tests.fleet.etcd.engine import FakeEtcd, Response

GRANT = "/v3/lease/grant"


class GatewayTests(SynchronousTestCase):
    """
    Tests of asking.
    """

    def setUp(self) -> None:
        """
        An etcd, and its gateway.
        """
        self.clock = Clock()
        self.etcd = FakeEtcd(self.clock)
        self.gateway = Gateway(self.clock, self.etcd, NODES)

    def ask(self) -> Any:
        """
        What comes of asking for a lease: an answer, an error, or nothing yet.
        """
        found: list[Any] = []
        asked = self.gateway.ask(GRANT, {"TTL": "5"})
        Deferred.fromCoroutine(asked).addBoth(found.append)
        if not found:
            return None
        return found[0].value if isinstance(found[0], Failure) else found[0]

    def test_answer(self) -> None:
        """
        What is asked is answered.
        """
        self.assertEqual(self.ask()["TTL"], "5")

    def test_nextNode(self) -> None:
        """
        A node that is not there is left for the next.
        """
        self.etcd.refusing.add(NODES[0])
        self.assertEqual(self.ask()["TTL"], "5")
        self.assertEqual(self.gateway.place, NODES[1])

    def test_nothing(self) -> None:
        """
        Where no node answers, that is said; with one node, it is tried twice.
        """
        self.etcd.refusing.update(NODES)
        self.assertIsInstance(self.ask(), Unreachable)
        self.assertEqual(self.etcd.asked, [GRANT] * 2)
        self.gateway = Gateway(self.clock, self.etcd, NODES[:1])
        self.assertIn("does not answer", str(self.ask()))
        self.assertEqual(self.etcd.asked, [GRANT] * 4)

    def test_silent(self) -> None:
        """
        A node that takes a request and says nothing is waited for, for a while.
        """
        self.etcd.frozen.update(NODES)
        found: list[Any] = []
        Deferred.fromCoroutine(self.gateway.ask(GRANT, {})).addBoth(found.append)
        self.clock.advance(USUAL.engineAnswer)
        self.assertEqual(found, [])
        self.clock.advance(USUAL.engineAnswer)
        self.assertIsInstance(found[0].value, Unreachable)

    def test_endless(self) -> None:
        """
        An answer that begins and does not end is none.
        """
        stalled = Response(200, lambda protocol: None)
        self.patch(self.etcd, "request", lambda *asked: succeed(stalled))
        found: list[Any] = []
        Deferred.fromCoroutine(self.gateway.ask(GRANT, {})).addBoth(found.append)
        for _ in NODES:
            self.assertEqual(found, [])
            self.clock.advance(USUAL.engineAnswer)
        self.assertIsInstance(found[0].value, Unreachable)
        self.assertIn("does not end", str(found[0].value))

    def test_many(self) -> None:
        """
        More than is answered soon is not asked at once; what is urgent does not wait behind it.
        """
        self.etcd.frozen.update(NODES)
        found: list[Any] = []

        def ask(isUrgent: bool) -> None:
            asked = self.gateway.ask(GRANT, {"TTL": "5"}, isUrgent=isUrgent)
            Deferred.fromCoroutine(asked).addBoth(found.append)

        for _ in range(AT_ONCE + 3):
            ask(False)
        self.assertEqual(len(self.etcd.asked), AT_ONCE)
        ask(True)
        self.assertEqual(len(self.etcd.asked), AT_ONCE + 1)
        self.etcd.frozen.clear()
        # Those that waited here are not too late.
        self.clock.advance(USUAL.engineAnswer)
        self.assertEqual([each["TTL"] for each in found], ["5"] * (AT_ONCE + 4))

    def test_closed(self) -> None:
        """
        One that is closed waits for nothing, and asks for nothing.
        """
        self.etcd.frozen.update(NODES)
        found: list[Any] = []
        for _ in range(AT_ONCE + 1):
            Deferred.fromCoroutine(self.gateway.ask(GRANT, {})).addBoth(found.append)
        self.gateway.close()
        self.assertEqual(len(found), AT_ONCE + 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIsInstance(self.ask(), EtcdError)
        self.assertEqual(self.etcd.asked, [GRANT] * AT_ONCE)

    def test_refusals(self) -> None:
        """
        Whatever is answered other than what was wanted is an error with a text; one that says
        that there is no answer at present has the next node asked.
        """
        for code, content, kind, words in (
            (400, b'{"error": "e", "message": "m", "code": 3}', EtcdError, "m (HTTP 400)"),
            (404, b"Not Found\n", EtcdError, "Not Found (HTTP 404)"),
            (503, b'{"message": "m", "code": 14}', Unreachable, "m (HTTP 503)"),
            (500, b'{"message": "etcdserver: no leader"}', Unreachable, "no leader"),
            (500, b"\xff\x00\x1b[2J", EtcdError, "HTTP 500"),
            (200, b"nonsense", BadAnswer, "expected JSON"),
            (200, b"[" * 100000, BadAnswer, "expected JSON"),
            (200, b"[]", BadAnswer, "expected an object"),
        ):
            self.etcd.instead[GRANT] = (code, content)
            error = self.ask()
            self.assertIs(type(error), kind, content)
            self.assertIn(words, str(error))
            self.assertTrue(str(error).isprintable())

    def test_large(self) -> None:
        """
        An answer that is larger than any may be is not kept.
        """
        self.patch(gatewayModule, "LARGEST_ANSWER", 100)
        self.etcd.instead[GRANT] = (200, b"x" * 101)
        self.assertIn("up to 100 bytes", str(self.ask()))

    def test_authenticated(self) -> None:
        """
        A user proves itself first, and again when its token is not known any more.
        """
        self.etcd.users["hub"] = "secret"
        passwords = ["secret"]
        self.gateway = Gateway(self.clock, self.etcd, NODES, Account("hub", lambda: passwords[0]))
        self.assertEqual(self.ask()["TTL"], "5")
        self.assertEqual(self.ask()["TTL"], "5")
        self.etcd.tokens.clear()
        self.assertEqual(self.ask()["TTL"], "5")
        self.assertEqual(self.etcd.asked.count("/v3/auth/authenticate"), 2)
        passwords[0] = "wrong"
        self.etcd.tokens.clear()
        self.assertIn("authentication failed", str(self.ask()))
        self.assertNotIn("wrong", repr(self.gateway._account))

    def test_noPassword(self) -> None:
        """
        Where the password cannot be read, that is said.
        """

        def password() -> str:
            raise OSError("no such file")

        self.gateway = Gateway(self.clock, self.etcd, NODES, Account("hub", password))
        self.assertIn("no such file", str(self.ask()))


class AnswerTests(SynchronousTestCase):
    """
    Tests of reading.
    """

    def test_watch(self) -> None:
        """
        What is left out is zero, numbers are text, and what ends has no value.
        """
        key = b64encode(b"k").decode()
        line = (
            '{"result": {"header": {"cluster_id": "7", "revision": "9"}, "events": ['
            f'{{"kv": {{"key": "{key}", "mod_revision": "8", "lease": "3"}}}},'
            f'{{"type": "DELETE", "kv": {{"key": "{key}", "mod_revision": "9"}}}}]}}}}'
        )
        put, end = KeyValue(b"k", b"", 0, 8, 3), KeyValue(b"k", b"", 0, 9, 0)
        wanted = WatchAnswer(7, 9, (Event(put, False), Event(end, True)))
        self.assertEqual(watchAnswer(line.encode()), wanted)

    def test_cancelled(self) -> None:
        """
        A watch that is cancelled says why, and whether that is for what has been forgotten.
        """
        gone = watchAnswer(b'{"result": {"canceled": true, "compact_revision": "3"}}')
        self.assertEqual((gone.trouble, gone.isCompacted), ("the watch was cancelled", True))
        other = watchAnswer(b'{"result": {"canceled": true, "cancel_reason": "x\\u001b"}}')
        self.assertEqual((other.trouble, other.isCompacted), ("x?", False))
        error = watchAnswer(b'{"error": {"grpc_code": 14, "message": "gone"}}')
        self.assertEqual(error.trouble, "gone")

    def test_nonsense(self) -> None:
        """
        What makes no sense is refused.
        """
        for result in (
            "1",
            '{"header": []}',
            '{"header": {"revision": "-1"}}',
            '{"header": {"revision": "999999999999999999999"}}',
            '{"header": {"revision": 1.5}}',
            '{"created": 1}',
            '{"events": {}}',
            '{"events": [1]}',
            '{"events": [{"type": "OTHER"}]}',
            '{"events": [{"kv": {"key": "?"}}]}',
            '{"events": [{"kv": {"key": 7}}]}',
        ):
            self.assertRaises(BadAnswer, watchAnswer, f'{{"result": {result}}}'.encode())
        self.assertRaises(BadAnswer, rangeAnswer, {"kvs": [[]]})

    @given(lists(binary(max_size=20)))
    def test_lines(self, pieces: list[bytes]) -> None:
        """
        Lines are the same however they are cut, without the empty ones.
        """
        lines = Lines(1000)
        got = [line for piece in pieces for line in lines.push(piece)]
        whole = b"".join(pieces).split(b"\n")[:-1]
        self.assertEqual(got, [line for line in whole if line.strip()])

    def test_longLine(self) -> None:
        """
        A line that is too long is refused, also before it ends.
        """
        self.assertRaises(BadAnswer, Lines(3).push, b"abcd")
        self.assertRaises(BadAnswer, Lines(3).push, b"abcd\n")
        self.assertEqual(Lines(3).push(b"abc\nabc"), [b"abc"])
