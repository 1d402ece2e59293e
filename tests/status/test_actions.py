# -*- test-case-name: tests.status.test_actions -*-
"""
Tests of L{muxd.status.actions}.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.logger import formatEvent
from twisted.trial.unittest import SkipTest

from muxd.status.actions import Action, Values
from muxd.status.answers import RequestError
from tests.status.asking import TINY, Reply, StatusTestCase, posted, request


class ActionTests(StatusTestCase):
    """
    Things done for operators.
    """

    def setUp(self) -> None:
        """
        Have actions of several kinds.
        """
        super().setUp()
        self.waiting: list[Deferred[Any]] = []

        def echo(values: Values) -> dict[str, object]:
            return {
                "name": values.text("name", "nameless"),
                "count": values.number("count", 1, 9, 5),
                "wanted": values.flag("wanted", False),
            }

        def wait(values: Values) -> Deferred[Any]:
            done: Deferred[Any] = Deferred()
            self.waiting.append(done)
            return done

        def refuse(values: Values) -> Deferred[Any]:
            return fail(RequestError(404, "no such phone", "plug it in"))

        takes = ("name", "count", "wanted")
        self.server.addAction(Action(name="echo", summary="say it", takes=takes, perform=echo))
        self.server.addAction(Action(name="wait", summary="wait", perform=wait))
        self.server.addAction(Action(name="refuse", summary="refuse", perform=refuse))
        self.server.addAction(Action(name="need", summary="need", takes=("udid",), perform=need))

    def act(self, name: str, values: object) -> Reply:
        """
        What is answered to a request for an action.
        """
        return self.ask(posted(f"/api/{name}", values))

    def test_done(self) -> None:
        """
        An action is given its values, and answers.
        """
        reply = self.act("echo", {"name": "é", "count": 9, "wanted": True})
        self.assertEqual(reply.values, {"name": "é", "count": 9, "wanted": True})
        self.assertEqual(self.act("echo", {}).values["name"], "nameless")

    def test_noBody(self) -> None:
        """
        An action that needs nothing needs no body.
        """
        reply = self.ask(request("/api/echo", "POST", Content_Type="application/json"))
        self.assertEqual((reply.status, reply.values["count"]), (200, 5))

    def test_logged(self) -> None:
        """
        It is written down what was asked for, and of long texts the beginning.
        """
        self.act("echo", {})
        self.act("echo", {"name": "a\nb", "count": 7, "wanted": True})
        self.act("echo", {"name": "x" * 90})
        lines = [formatEvent(event) for event in self.log if event.get("action") == "echo"]
        self.assertRegex(lines[0], "^echo, asked for by ")
        self.assertRegex(lines[1], r"^echo, name=a\?b, count=7, wanted=True, asked for by ")
        self.assertRegex(lines[2], r"^echo, name=x{80}, asked for by ")

    def test_loggedProcess(self) -> None:
        """
        The line has the process that asks, if the kernel tells.
        """
        if not hasattr(socket, "SO_PEERCRED"):
            raise SkipTest("this system does not tell")
        near, far = socket.socketpair()
        self.addCleanup(near.close)
        self.addCleanup(far.close)
        client = self.client()
        client.socket = near  # type: ignore[attr-defined]
        client.deliver(posted("/api/echo", {}))
        (line,) = (formatEvent(event) for event in self.log if event.get("action") == "echo")
        self.assertRegex(line, rf"^echo, asked for by pid {os.getpid()} ")

    def test_wrongValues(self) -> None:
        """
        Values of another kind, or out of bounds, or unknown, are errors that name them.
        """
        for values, text in (
            ({"name": 1}, "name: expected a text, got a whole number"),
            ({"count": True}, "count: expected a whole number, got true or false"),
            ({"count": 10}, "count: expected 1 to 9, got 10"),
            ({"count": 10**400}, "count: expected 1 to 9"),
            ({"count": 1.5}, "count: expected a whole number, got a number"),
            ({"wanted": None}, "wanted: expected true or false, got null"),
            ({"name": "x" * 5000}, "expected a body"),
            ({"nome": "x"}, "echo takes name, count, wanted, got 'nome'"),
            ([], "expected a JSON object"),
            ("x", "expected a JSON object"),
        ):
            reply = self.act("echo", values)
            self.assertIn(reply.status, (400, 413))
            self.assertIn(text, reply.values["error"])

    def test_missingValue(self) -> None:
        """
        A value that is needed is asked for by its name.
        """
        reply = self.act("need", {})
        self.assertEqual(
            (reply.status, reply.values["error"]), (400, "udid is missing: expected a text")
        )

    def test_noJSON(self) -> None:
        """
        A body that is no JSON is an error, however deep it is.
        """
        for body in (b"{", b"[" * 900, b"\xff\xfe", b"NaN", b'{"a": Infinity}', b"\0"):
            reply = self.ask(request("/api/echo", "POST", body, Content_Type="application/json"))
            self.assertEqual((reply.status, body), (400, body))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_later(self) -> None:
        """
        An action may take its time.
        """
        client = self.client()
        client.deliver(posted("/api/wait", {}))
        self.assertEqual(client.value(), b"")
        self.waiting[0].callback({"done": True})
        self.assertEqual(Reply.parse(client.value()).values, {"done": True})

    def test_tooLong(self) -> None:
        """
        It may not take forever.
        """
        client = self.client()
        client.deliver(posted("/api/wait", {}))
        self.reactor.advance(TINY.actionTimeout)
        reply = Reply.parse(client.value())
        self.assertEqual(
            (reply.status, reply.values["error"]), (504, "wait is not done after 60 s")
        )

    def test_gone(self) -> None:
        """
        It is done also for a client that does not wait for it.
        """
        client = self.client()
        client.deliver(posted("/api/wait", {}))
        client.lose()
        self.waiting[0].callback({})
        self.assertEqual(client.value(), b"")
        self.reactor.advance(100)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_refused(self) -> None:
        """
        An action says why it is not done, and what to do.
        """
        reply = self.act("refuse", {})
        self.assertEqual(reply.status, 404)
        self.assertEqual(reply.values, {"error": "no such phone", "remedy": "plug it in"})

    def test_contents(self) -> None:
        """
        There is a list of what can be asked and done.
        """
        for path in ("/api", "/api/"):
            values = self.get(path).values
            self.assertIn("status", values["questions"])
            self.assertEqual(values["actions"]["wait"], {"summary": "wait", "takes": []})

    def test_get(self) -> None:
        """
        Looking does nothing.
        """
        self.assertEqual(self.get("/api/wait").status, 405)
        self.assertEqual(self.waiting, [])


def need(values: Values) -> dict[str, object]:
    """
    An action that needs something.
    """
    return {"udid": values.text("udid")}


class ExposedTests(StatusTestCase):
    """
    A status socket that other machines can reach.
    """

    place = "tcp:27016:interface=0.0.0.0"

    def test_refused(self) -> None:
        """
        Nothing is done for them, since nothing guards it.
        """
        self.server.addAction(Action(name="need", summary="need", takes=("udid",), perform=need))
        reply = self.ask(posted("/api/need", {"udid": "x"}))
        self.assertEqual(reply.status, 403)
        self.assertIn("ssh -L", reply.values["remedy"])


class GuardedTests(StatusTestCase):
    """
    One that other machines can reach that have a certificate.
    """

    place = "mutualtls:27016:interface=0.0.0.0:files=/none"

    def test_done(self) -> None:
        """
        What they ask for is done.
        """
        self.server.addAction(Action(name="need", summary="need", takes=("udid",), perform=need))
        reply = self.ask(posted("/api/need", {"udid": "x"}))
        self.assertEqual((reply.status, reply.values), (200, {"udid": "x"}))
