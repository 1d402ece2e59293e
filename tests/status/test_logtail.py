# -*- test-case-name: tests.status.test_logtail -*-
"""
Tests of L{muxd.status.logtail}.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.logger import ILogObserver, Logger, LogLevel, globalLogPublisher
from zope.interface.verify import verifyObject

from muxd.status.logtail import KEPT, LONGEST, PER_SECOND
from muxd.testing import BudgetTransport
from tests.status.asking import StatusTestCase, request

log = Logger()


class LogTests(StatusTestCase):
    """
    The end of the log.
    """

    def setUp(self) -> None:
        """
        Observe the log.
        """
        super().setUp()
        globalLogPublisher.addObserver(self.server.logTail)
        self.addCleanup(globalLogPublisher.removeObserver, self.server.logTail)

    def follow(self, budget: int | None = None) -> BudgetTransport:
        """
        A reader that goes on.
        """
        client = self.client(budget)
        client.deliver(request("/api/log?follow=1"))
        return client

    def lines(self, data: bytes) -> list[dict[str, Any]]:
        """
        The lines of a stream.
        """
        return [json.loads(line) for line in data.splitlines() if line.startswith(b"{")]

    def test_kept(self) -> None:
        """
        The last lines are kept, and are not as long as anybody likes.
        """
        verifyObject(ILogObserver, self.server.logTail)
        for number in range(KEPT + 5):
            log.info("line {number}", number=number)
        log.error("{text}", text="x" * 10000)
        lines = self.get("/api/log").values["lines"]
        self.assertEqual(len(lines), KEPT)
        self.assertEqual((lines[-1]["level"], len(lines[-1]["text"])), ("error", LONGEST))
        self.assertEqual(lines[-2]["text"], f"line {KEPT + 4}")

    def test_lines(self) -> None:
        """
        A reader may want the last few alone.
        """
        for number in range(5):
            log.info("line {number}", number=number)
        texts = [f"line {number}" for number in range(5)]
        for count, expected in ((2, texts[3:]), (0, []), (99, texts)):
            lines = self.get(f"/api/log?lines={count}").values["lines"]
            self.assertEqual([line["text"] for line in lines], expected)
        for wrong in ("x", "-1", "9" * 5000, ""):
            self.assertEqual(self.get(f"/api/log?lines={wrong}").status, 400)

    def test_level(self) -> None:
        """
        What is below the daemon's level is not kept.
        """
        log.debug("detail")
        self.assertEqual(self.server.logTail.lines, [])
        self.server.logTail.level = LogLevel.debug
        log.debug("detail")
        self.assertEqual(len(self.server.logTail.lines), 1)

    def test_follow(self) -> None:
        """
        A reader gets what was kept, and then each line at once.
        """
        log.info("before")
        client = self.follow()
        log.info("after")
        self.assertEqual([line["text"] for line in self.lines(client.value())], ["before", "after"])
        client.lose()
        log.info("later")
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_begun(self) -> None:
        """
        A reader is told that it has begun also when there is nothing yet.
        """
        self.assertIn(b"200 OK", self.follow().value())

    def test_behind(self) -> None:
        """
        What a reader does not take is left out, and counted.
        """
        client = self.follow(budget=1)
        for _ in range(10):
            self.reactor.advance(0.9)
            for _ in range(PER_SECOND):
                log.info("{text}", text="x" * 1000)
        self.assertLess(client.pending, 200000)
        client.value()
        client.allow()
        self.reactor.advance(1)
        client.value()
        log.info("at last")
        skipped, line = self.lines(client.value())
        self.assertEqual(line["text"], "at last")
        self.assertGreater(skipped["skipped"], 8 * PER_SECOND)

    def test_flood(self) -> None:
        """
        No more than so many lines a second are sent.
        """
        client = self.follow()
        for number in range(3 * PER_SECOND):
            log.info("{number}", number=number)
        self.assertEqual(len(self.lines(client.value())), PER_SECOND)
        self.reactor.advance(1)
        log.info("then")
        self.assertEqual(self.lines(client.value())[0], {"skipped": 2 * PER_SECOND})
