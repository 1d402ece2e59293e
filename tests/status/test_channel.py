# -*- test-case-name: tests.status.test_channel -*-
"""
Tests of L{muxd.status.channel}.
"""

from __future__ import annotations

from twisted.web.server import Request

from muxd.status.actions import Action, Values
from muxd.status.answers import StatusResource
from tests.status.asking import TINY, Reply, StatusTestCase, posted, request

LARGE = 1 << 20


class Large(StatusResource):
    """
    A long answer.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        """
        A megabyte.
        """
        return b"x" * LARGE


class ChannelTests(StatusTestCase):
    """
    What clients may cost.
    """

    def setUp(self) -> None:
        """
        Have an action, and a long answer.
        """
        super().setUp()
        self.given: list[object] = []

        def perform(values: Values) -> dict[str, object]:
            self.given.append(values.any("text"))
            return {}

        self.server.addAction(Action(name="act", summary="act", takes=("text",), perform=perform))
        self.server.addResource("large", Large())

    def test_longBody(self) -> None:
        """
        A body that says it is too long is refused before it comes.
        """
        client = self.client()
        client.deliver(
            posted("/api/act", {"text": "x" * 1000}).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        )
        self.assertEqual(Reply.parse(client.value()).status, 413)
        self.reactor.advance(0)
        self.assertTrue(client.disconnected)
        self.assertEqual(self.given, [])

    def test_longChunks(self) -> None:
        """
        A body that does not say how long it is is read as far as its limit.
        """
        client = self.client()
        head = request(
            "/api/act", "POST", Content_Type="application/json", Transfer_Encoding="chunked"
        )
        client.deliver(head)
        for _ in range(11):
            client.deliver(b"64\r\n" + b"1" * 100 + b"\r\n")
        self.assertEqual(Reply.parse(client.value()).status, 413)
        client.deliver(b"0\r\n\r\n" + request("/health"))
        self.reactor.advance(0)
        self.assertEqual((client.disconnected, client.value(), self.given), (True, b"", []))

    def test_chunks(self) -> None:
        """
        A body may come in pieces.
        """
        head = request(
            "/api/act", "POST", Content_Type="application/json", Transfer_Encoding="chunked"
        )
        reply = self.ask(head + b'e\r\n{"text": "yes"\r\n1\r\n}\r\n0\r\n\r\n')
        self.assertEqual((reply.status, self.given), (200, ["yes"]))

    def test_longHeaders(self) -> None:
        """
        Headers without an end are no request.
        """
        for header in (b"X: " + b"y" * 9000 + b"\r\n", b"X: y\r\n" * 70, b"y" * 20000):
            client = self.client()
            client.deliver(b"GET /health HTTP/1.1\r\n" + header + b"\r\n")
            self.reactor.advance(20)
            self.assertTrue(client.disconnected)
            self.assertNotIn(b" 200 ", client.value())

    def test_query(self) -> None:
        """
        A query of thousands of parameters has none.
        """
        self.assertEqual(self.get("/health?" + "a=1&" * 1000).status, 200)

    def test_connections(self) -> None:
        """
        One connection too many is told so, and makes room for none until one has gone, as long
        as all others wait for an answer or read one.
        """
        clients = [self.client(100) for _ in range(TINY.statusConnections)]
        for client in clients:
            client.deliver(request("/api/large"))
        late = self.client()
        self.assertEqual(Reply.parse(late.value()).status, 503)
        late.deliver(request("/health"))
        self.reactor.advance(0)
        self.assertEqual((late.disconnected, late.value()), (True, b""))
        clients.pop().lose()
        self.assertEqual(self.get("/health").status, 200)

    def test_slowRequest(self) -> None:
        """
        A request that comes a byte at a time has so long in all, and no more.
        """
        client = self.client()
        for byte in request("/health", X="y" * 100):
            client.deliver(bytes([byte]))
            self.reactor.advance(1)
            if client.disconnected:
                break
        self.assertTrue(client.disconnected)
        self.assertLessEqual(self.reactor.seconds(), TINY.statusTimeout + 2)

    def test_idle(self) -> None:
        """
        A connection that is kept without a request ends.
        """
        client = self.client()
        client.deliver(request("/health"))
        self.reactor.advance(TINY.statusTimeout - 1)
        client.deliver(request("/health"))
        self.reactor.advance(TINY.statusTimeout - 1)
        self.assertFalse(client.disconnected)
        self.reactor.advance(2)
        self.reactor.advance(0)
        self.assertTrue(client.disconnected)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_unread(self) -> None:
        """
        An answer that is not read is dropped in the end, whether the connection was to be
        kept or not; and no other is made meanwhile.
        """
        for connection in ("close", "keep-alive"):
            client = self.client(budget=10)
            client.deliver(request("/api/large", Connection=connection) * 5)
            self.assertLess(client.pending, 2 * LARGE)
            self.reactor.pump([1] * 50)
            self.assertTrue(client.aborted, connection)
        self.assertTrue(
            [event for event in self.log if "does not read" in event.get("kind", "")], self.log
        )

    def test_pipelined(self) -> None:
        """
        Requests that come at one go are answered in turn.
        """
        client = self.client()
        client.deliver(request("/health") * 3)
        self.reactor.advance(0)
        self.assertEqual(client.value().count(b'{"status":"ok"}'), 3)

    def test_garbage(self) -> None:
        """
        What is no request ends its connection, and nothing is logged as our mistake.
        """
        for data in (
            b"\0" * 100,
            b"\r\n" * 100,
            b"GET\r\n\r\n",
            b"\x16\x03\x01",
            b"POST / HTTP/9.9\r\n\r\n",
        ):
            client = self.client()
            client.deliver(data)
            self.reactor.pump([1] * 50)
            self.assertTrue(client.disconnected, data)
        self.assertEqual(self.flushLoggedErrors(), [])
