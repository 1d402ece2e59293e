# -*- test-case-name: tests.status.test_troubles -*-
"""
Tests of L{muxd.status.troubles}, and of C{/ready}.
"""

from __future__ import annotations

import os

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import directlyProvides

from muxd.interfaces import IDeviceSource, ISourceHealth, SourceHealth
from muxd.status.troubles import DISK
from tests.status.asking import Reply, StatusTestCase, request


class ReadyTests(StatusTestCase):
    """
    Whether the daemon can do its work.
    """

    def setUp(self) -> None:
        """
        Have a service that runs, with a source that tells how it is.
        """
        super().setUp()
        self.obstacle: Deferred[str] = succeed("")
        self.patch(self.service, "recordsObstacle", lambda: self.obstacle)
        self.service.startService()
        self.server.overview.heartbeat.start()
        self.addCleanup(self.server.overview.heartbeat.stop)
        directlyProvides(self.source, IDeviceSource, ISourceHealth)
        self.health = SourceHealth(library="libusb 1")
        self.patch(self.source, "health", lambda: self.health)

    def problems(self) -> list[str]:
        """
        Why it is not ready.
        """
        reply = self.get("/ready")
        self.assertEqual(reply.status, 503 if reply.values["problems"] else 200)
        problems: list[str] = reply.values["problems"]
        return problems

    def patch(self, obj: object, attribute: str, value: object) -> None:
        """
        Set an attribute that may not be there.
        """
        if not hasattr(obj, attribute):
            setattr(obj, attribute, None)
        super().patch(obj, attribute, value)

    def test_ready(self) -> None:
        """
        It is, if nothing is wrong.
        """
        self.assertEqual(self.problems(), [])

    def test_head(self) -> None:
        """
        A supervisor may ask for the head alone.
        """
        self.health = SourceHealth(problem="no libusb")
        reply = self.ask(request("/ready", "HEAD"))
        self.assertEqual((reply.status, reply.body), (503, b""))

    def test_notRunning(self) -> None:
        """
        It is not while it starts or stops.
        """
        self.service.stopService()
        self.assertIn("the daemon is starting, or stopping", self.problems())

    def test_source(self) -> None:
        """
        It is not when a source can find no phone, or did not start.
        """
        self.health = SourceHealth(problem="there is no libusb: install libusb-1.0-0")
        self.assertEqual(self.problems(), ["there is no libusb: install libusb-1.0-0"])
        self.source.running = 0
        self.assertEqual(self.problems(), ["the source shelf did not start: see the log"])

    def test_phone(self) -> None:
        """
        Single phones that cannot be used do not keep it from its work, and are told.
        """
        self.health = SourceHealth(troubles=("the phone at bus 3 cannot be opened",))
        self.assertEqual(self.problems(), [])
        (problem,) = self.get("/api/status").values["problems"]
        self.assertEqual(problem["severity"], "warning")

    def test_records(self) -> None:
        """
        It is not when records cannot be written, or their disk does not answer.
        """
        self.obstacle = succeed("the disk is full: make room")
        self.assertEqual(self.problems(), ["the disk is full: make room"])
        self.obstacle = fail(OSError("broken"))
        self.assertEqual(len(self.problems()), 1)

    def test_slowDisk(self) -> None:
        """
        A disk that does not answer is not waited for.
        """
        self.obstacle = Deferred()
        client = self.client()
        client.deliver(request("/ready"))
        self.assertEqual(client.value(), b"")
        self.reactor.advance(DISK)
        self.assertIn("does not answer", Reply.parse(client.value()).values["problems"][0])

    def test_gone(self) -> None:
        """
        A supervisor that does not wait costs nothing.
        """
        self.obstacle = Deferred()
        client = self.client()
        client.deliver(request("/ready"))
        client.lose()
        self.obstacle.callback("")
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_late(self) -> None:
        """
        It is not when the reactor was late.
        """
        self.reactor.advance(3)
        (problem,) = self.problems()
        self.assertIn("2.0 s late", problem)

    def test_closed(self) -> None:
        """
        That no client is accepted is told.
        """
        self.service.server.throttle.isClosed = True
        (problem,) = self.get("/api/status").values["problems"]
        self.assertIn("no client is accepted", problem["text"])

    def test_trust(self) -> None:
        """
        A phone that waits for a tap is told, with what to do.
        """
        self.patch(self.service, "trustOf", lambda device: "waiting")
        (problem,) = self.get("/api/status").values["problems"]
        self.assertEqual(problem["remedy"], "unlock it and tap Trust")
        self.assertIn(self.source.device.identity.udid, problem["text"])


class RecordsTests(StatusTestCase):
    """
    The place of pair records.
    """

    def test_writable(self) -> None:
        """
        A place that is not there yet will do, if it can be made.
        """
        self.assertEqual(self.service._store.obstacle(), "")

    def test_full(self) -> None:
        """
        A full disk is seen.
        """
        full = os.statvfs_result([0] * 10)
        self.patch(os, "statvfs", lambda path: full)
        self.assertIn("is full", self.service._store.obstacle())

    def test_mayNot(self) -> None:
        """
        So is a place where this user may not write.
        """
        self.patch(os, "access", lambda path, mode: False)
        self.assertIn("let this user write there", self.service._store.obstacle())
