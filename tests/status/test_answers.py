# -*- test-case-name: tests.status.test_answers -*-
"""
Tests of L{muxd.status.answers}.
"""

from __future__ import annotations

from twisted.web.server import Request

from muxd.status.answers import RequestError, StatusResource
from tests.status.asking import StatusTestCase, request


class Broken(StatusResource):
    """
    A resource with a mistake.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        """
        Fail.
        """
        raise ZeroDivisionError("the mistake")


class Failing(StatusResource):
    """
    A resource that cannot answer.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        """
        Fail as it should.
        """
        raise RequestError(409, "it is busy", "wait")


class AnswerTests(StatusTestCase):
    """
    Answers, good and bad.
    """

    def test_health(self) -> None:
        """
        An answer is JSON, is kept by no cache and read by no other site.
        """
        reply = self.get("/health")
        self.assertEqual((reply.status, reply.values), (200, {"status": "ok"}))
        self.assertEqual(reply.headers["content-type"], "application/json")
        self.assertEqual(reply.headers["content-length"], str(len(reply.body)))
        self.assertEqual(reply.headers["cache-control"], "no-store")
        self.assertEqual(reply.headers["x-content-type-options"], "nosniff")
        self.assertIn("default-src 'none'", reply.headers["content-security-policy"])
        self.assertNotIn("access-control-allow-origin", reply.headers)
        self.assertNotIn("twisted", reply.headers["server"].lower())

    def test_head(self) -> None:
        """
        HEAD has the headers of GET, and no body.
        """
        head, get = self.ask(request("/health", "HEAD")), self.get("/health")
        self.assertEqual((head.status, head.body), (200, b""))
        self.assertEqual(head.headers["content-length"], get.headers["content-length"])

    def test_missing(self) -> None:
        """
        What is not there is said so in JSON, without what a terminal would obey.
        """
        for path in (
            "/nothing",
            "/api/nothing",
            "/health/more",
            "/%1b[2J",
            "//",
            "/api/status/",
        ):
            reply = self.get(path)
            self.assertEqual((reply.status, path), (404, path))
            self.assertNotIn("\x1b", reply.values["error"])
        self.assertEqual(self.ask(request("/nothing", "HEAD")).body, b"")

    def test_methods(self) -> None:
        """
        Other methods are refused, and told which there are.
        """
        for method in ("DELETE", "PUT", "OPTIONS", "getChild"):
            reply = self.ask(request("/health", method))
            self.assertEqual(reply.status, 405, method)
            self.assertEqual(reply.headers["allow"], "GET")

    def test_mistake(self) -> None:
        """
        A mistake of ours is logged, and costs one answer.
        """
        self.server.addResource("broken", Broken())
        self.assertEqual(self.get("/api/broken").status, 500)
        (failure,) = self.flushLoggedErrors(ZeroDivisionError)
        self.assertEqual(failure.getErrorMessage(), "the mistake")
        self.assertEqual(self.get("/health").status, 200)

    def test_error(self) -> None:
        """
        An error has a line of its own for what to do.
        """
        self.server.addResource("failing", Failing())
        reply = self.get("/api/failing")
        self.assertEqual(reply.values, {"error": "it is busy", "remedy": "wait"})
        self.assertEqual(reply.status, 409)
