# -*- test-case-name: tests.status.test_visitors -*-
"""
Tests of L{muxd.status.visitors}.
"""

from __future__ import annotations

from muxd.status.actions import Action, Values
from tests.status.asking import StatusTestCase, posted, request


class VisitorTests(StatusTestCase):
    """
    Which requests are taken.
    """

    def setUp(self) -> None:
        """
        Have an action.
        """
        super().setUp()
        self.done = 0

        def perform(values: Values) -> dict[str, object]:
            self.done += 1
            return {}

        self.server.addAction(Action(name="act", summary="act", perform=perform))

    def test_hosts(self) -> None:
        """
        Addresses, localhost and this machine's own names lead here.
        """
        for host in (
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:27016",
            "[::1]:27016",
            "farm1.example:9090",
            "farm1",
        ):
            self.assertEqual((self.get("/health", host=host).status, host), (200, host))

    def test_otherHosts(self) -> None:
        """
        A name that a stranger may have led here does not: a web page could read the answers.
        """
        for host in ("evil.example", "localhost.evil.example", "farm1.example.evil:80"):
            self.assertEqual((self.get("/health", host=host).status, host), (421, host))

    def test_oddHosts(self) -> None:
        """
        What is no name is refused, and so are two of them.
        """
        for host in ("a b", "[", "localhost:123456", "user@localhost", "localhost/"):
            self.assertEqual((self.get("/health", host=host).status, host), (400, host))
        both = b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n"
        self.assertEqual(self.ask(both).status, 400)

    def test_noHost(self) -> None:
        """
        A program may name none.
        """
        self.assertEqual(self.ask(b"GET /health HTTP/1.0\r\n\r\n").status, 200)

    def test_ownPage(self) -> None:
        """
        The page that came from here may act.
        """
        reply = self.ask(posted("/api/act", {}, Origin="http://localhost"))
        self.assertEqual((reply.status, self.done), (200, 1))

    def test_otherPages(self) -> None:
        """
        Another site's page may not, however it calls itself.
        """
        for origin in ("http://evil.example", "null", "http://localhost:99", "file://", ""):
            reply = self.ask(posted("/api/act", {}, Origin=origin))
            self.assertEqual((reply.status, origin), (403, origin))
        self.assertEqual(self.done, 0)

    def test_forms(self) -> None:
        """
        What a page may send without asking is no JSON, and nothing is done.
        """
        kinds = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "")
        for kind in kinds:
            reply = self.ask(request("/api/act", "POST", b"{}", Content_Type=kind))
            self.assertEqual((reply.status, kind), (415, kind))
        self.assertEqual(self.ask(request("/api/act", "POST", b"{}")).status, 415)
        self.assertEqual(self.done, 0)

    def test_charset(self) -> None:
        """
        JSON may say how its letters are written.
        """
        kind = "application/json; charset=utf-8"
        reply = self.ask(request("/api/act", "POST", b"{}", Content_Type=kind))
        self.assertEqual(reply.status, 200)

    def test_preflight(self) -> None:
        """
        A browser that asks whether another site's page may send JSON is not told yes.
        """
        asked = request("/api/act", "OPTIONS", Access_Control_Request_Method="POST")
        reply = self.ask(asked)
        self.assertEqual(reply.status, 405)
        self.assertFalse([name for name in reply.headers if name.startswith("access-control")])
