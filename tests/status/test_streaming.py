# -*- test-case-name: tests.status.test_streaming -*-
"""
Tests of L{muxd.status.streaming}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface.verify import verifyObject

from muxd.status.answers import StatusResource
from muxd.status.streaming import AnswerStream
from tests.status.asking import TINY, Reply, StatusTestCase, request


class Endless(StatusResource):
    """
    A resource whose answers go on.
    """

    isLeaf = True
    isStream = True

    def __init__(self) -> None:
        super().__init__()
        self.streams: list[AnswerStream] = []
        self.ended = 0
        self.resumed = 0

    def render_GET(self, request: Request) -> Any:
        """
        Begin.
        """
        self.streams.append(AnswerStream(request, b"text/plain", self.end, self.resume))
        return NOT_DONE_YET

    def end(self) -> None:
        """
        Count.
        """
        self.ended += 1

    def resume(self) -> None:
        """
        Count.
        """
        self.resumed += 1


class StreamTests(StatusTestCase):
    """
    Answers without an end.
    """

    def setUp(self) -> None:
        """
        Have one.
        """
        super().setUp()
        self.endless = Endless()
        self.server.addResource("endless", self.endless)

    def test_stream(self) -> None:
        """
        What is written is sent at once, and the reader's end is told.
        """
        client = self.client()
        client.deliver(request("/api/endless"))
        (stream,) = self.endless.streams
        verifyObject(IPushProducer, stream)
        stream.write(b"one")
        reply = Reply.parse(client.value())
        self.assertEqual((reply.status, reply.headers["content-type"]), (200, "text/plain"))
        self.assertIn(b"one", reply.body)
        client.lose()
        self.assertEqual((stream.isOpen, self.endless.ended), (False, 1))
        stream.write(b"two")
        stream.finish()
        self.assertEqual(self.server.site.streams, 0)

    def test_finish(self) -> None:
        """
        The writer may end it.
        """
        client = self.client()
        client.deliver(request("/api/endless"))
        self.endless.streams[0].write(b"all")
        self.endless.streams[0].finish()
        self.assertTrue(client.value().endswith(b"0\r\n\r\n"))
        self.assertEqual((self.endless.ended, self.server.site.streams), (1, 0))

    def test_head(self) -> None:
        """
        It has no head alone.
        """
        self.assertEqual(self.ask(request("/api/endless", "HEAD")).status, 405)
        self.assertEqual(self.endless.streams, [])

    def test_many(self) -> None:
        """
        One too many is refused, until one has gone.
        """
        clients = [self.client() for _ in range(TINY.statusStreams)]
        for client in clients:
            client.deliver(request("/api/endless"))
        reply = self.get("/api/endless")
        self.assertEqual(
            (reply.status, reply.values["error"]), (503, "there are 2 streams already")
        )
        clients[0].lose()
        self.client().deliver(request("/api/endless"))
        self.assertEqual(len(self.endless.streams), TINY.statusStreams + 1)

    def test_full(self) -> None:
        """
        The writer is told when there is no room, and when there is again.
        """
        client = self.client(budget=100)
        client.deliver(request("/api/endless"))
        (stream,) = self.endless.streams
        stream.write(b"x" * 100000)
        self.assertFalse(stream.hasRoom)
        client.allow()
        self.assertEqual((stream.hasRoom, self.endless.resumed), (True, 1))
        self.reactor.advance(TINY.statusPatience + 1)
        self.assertTrue(stream.isOpen)

    def test_unread(self) -> None:
        """
        A reader that takes nothing is let go.
        """
        client = self.client(budget=100)
        client.deliver(request("/api/endless"))
        self.endless.streams[0].write(b"x" * 100000)
        self.reactor.advance(TINY.statusPatience)
        self.reactor.advance(0)
        self.assertTrue(client.aborted)
        self.assertEqual((self.endless.ended, self.server.site.streams), (1, 0))
        self.server.site.stopFactory()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_quiet(self) -> None:
        """
        A stream with nothing to say stays.
        """
        client = self.client()
        client.deliver(request("/api/endless"))
        self.reactor.advance(3600)
        self.assertTrue(self.endless.streams[0].isOpen)
