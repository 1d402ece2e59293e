# -*- test-case-name: tests.status.test_events -*-
"""
Tests of L{muxd.status.events}.
"""

from __future__ import annotations

import json
import re
from typing import Any

from muxd.status.events import RARELY
from muxd.testing import BudgetTransport
from tests.status.asking import TINY, StatusTestCase, request
from tests.status.phones import PhoneTestCase


def eventsOf(data: bytes) -> list[tuple[str, Any]]:
    """
    The events of a stream.
    """
    found = re.findall(rb"event: (\w+)\ndata: (.*)\n", data)
    return [(name.decode(), json.loads(values)) for name, values in found]


class EventTests(PhoneTestCase):
    """
    What is told to those that watch.
    """

    def watch(self, budget: int | None = None) -> BudgetTransport:
        """
        One that watches.
        """
        client = self.client(budget)
        client.deliver(request("/api/events"))
        return client

    def tick(self, client: BudgetTransport) -> dict[str, Any]:
        """
        What is told after a second.
        """
        self.reactor.advance(1)
        return dict(eventsOf(client.value()))

    def test_state(self) -> None:
        """
        It begins with everything, and the last minutes' traffic.
        """
        self.server.overview.heartbeat.start()
        self.addCleanup(self.server.overview.heartbeat.stop)
        self.reactor.advance(1)
        ((name, values),) = eventsOf(self.watch().value())
        self.assertEqual((name, len(values["phones"]), len(values["history"])), ("state", 1, 1))

    def test_quiet(self) -> None:
        """
        While nothing happens a tick says so, and nothing else is said.
        """
        client = self.watch()
        client.value()
        events = self.tick(client)
        self.assertEqual(list(events), ["tick"])
        tick = events["tick"]
        self.assertEqual((tick["opened"], tick["closed"], tick["moved"]), ([], [], {}))

    def test_sessions(self) -> None:
        """
        Sessions that open, move and close are told once each.
        """
        client = self.watch()
        client.value()
        other, session = self.twistedClient()
        (opened,) = self.tick(client)["tick"]["opened"]
        self.assertEqual(opened["port"], 22)
        session.bytesReceived += 5
        self.assertEqual(self.tick(client)["tick"]["moved"], {opened["name"]: [0, 5, 0, 0]})
        self.assertEqual(self.tick(client)["tick"]["moved"], {})
        other.lose()
        self.assertEqual(self.tick(client)["tick"]["closed"], [opened["name"]])

    def test_phones(self) -> None:
        """
        A phone that goes is told, and what phones have carried.
        """
        client = self.watch()
        client.value()
        self.phone.muxer.counters.bytesSent += 9
        self.assertEqual(self.tick(client)["tick"]["phones"], {"1": [9, 0]})
        self.service.registry.deviceDetached(self.device)
        self.assertEqual(self.tick(client)["phones"], [])

    def test_rarely(self) -> None:
        """
        What costs more is looked at now and then.
        """
        client = self.watch()
        for _ in range(RARELY):
            self.reactor.advance(1)
        client.value()
        self.service.sources[0].running = not self.service.sources[0].running
        seen = [self.tick(client) for _ in range(RARELY)]
        self.assertEqual(sum("sources" in events for events in seen), 1)

    def test_behind(self) -> None:
        """
        One that is behind misses events, holds nothing, and gets everything anew.
        """
        fast, slow = self.watch(), self.watch(budget=100)
        before = slow.pending
        self.patch(slow, "bufferSize", 10)
        self.reactor.advance(1)
        for _ in range(15):
            self.reactor.advance(1)
        self.assertLess(slow.pending, before + 1000)
        self.assertEqual([name for name, _ in eventsOf(fast.value())].count("tick"), 16)
        slow.value()
        slow.allow()
        self.assertEqual(eventsOf(slow.value())[-1][0], "state")
        self.reactor.advance(1)
        self.assertEqual(eventsOf(slow.value())[-1][0], "tick")

    def test_unread(self) -> None:
        """
        One that never reads is let go; others go on.
        """
        fast, slow = self.watch(), self.watch(budget=0)
        self.patch(slow, "bufferSize", 10)
        for _ in range(int(TINY.statusPatience) + 3):
            self.reactor.advance(1)
        self.assertTrue(slow.aborted)
        self.assertFalse(fast.disconnected)

    def test_nobody(self) -> None:
        """
        While none watches, nothing is done and nothing kept.
        """
        self.twistedClient()
        clients = [self.watch(), self.watch()]
        self.reactor.advance(1)
        timers = len(self.reactor.getDelayedCalls())
        for client in clients:
            client.lose()
        self.assertEqual(len(self.reactor.getDelayedCalls()), timers - 1)
        self.assertEqual(self.server.overview.sessions._known, {})
        again = self.watch()
        again.value()
        self.assertEqual(list(self.tick(again)), ["tick"])


class ManyTests(StatusTestCase):
    """
    Many that watch.
    """

    def test_refused(self) -> None:
        """
        One too many is refused; the others go on.
        """
        clients = [self.client() for _ in range(TINY.statusStreams)]
        for client in clients:
            client.deliver(request("/api/events"))
        self.assertEqual(self.get("/api/events").status, 503)
        self.reactor.advance(1)
        for client in clients:
            self.assertIn(b"event: tick", client.value())
