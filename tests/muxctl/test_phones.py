"""
Tests for L{muxd.muxctl.phones}.
"""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from muxd.client import blocking
from muxd.client.answers import Device, Paired
from muxd.client.daemon import Daemon
from tests.client.fakedaemon import (
    OTHER,
    UDID,
    FakeDaemon,
    answering,
    attached,
    detached,
    deviceEntry,
    listening,
    listOf,
    paired,
)
from tests.muxctl.console import muxctl

WIRELESS = deviceEntry(2, OTHER, ConnectionType="Network", ProductID=0, LocationID=0)
BOTH = answering(listOf(deviceEntry(), WIRELESS))


class ListTests(SynchronousTestCase):
    """
    C{muxctl list}.
    """

    def test_table(self) -> None:
        """
        People get aligned columns.
        """
        outcome = muxctl("list", address=FakeDaemon(self, BOTH).address)
        self.assertEqual((outcome.status, outcome.err), (0, ""))
        self.assertEqual(
            outcome.out.splitlines(),
            [
                "UDID                       CONNECTION  PRODUCT  ID  LOCATION",
                f"{UDID}  USB         0x12a8   1   0x00010002",
                f"{OTHER}  Network     -        2   -",
            ],
        )

    def test_json(self) -> None:
        """
        Programs get an object a line.
        """
        outcome = muxctl("list", "--json", address=FakeDaemon(self, BOTH).address)
        first, second = map(json.loads, outcome.out.splitlines())
        self.assertEqual(first["udid"], UDID)
        self.assertEqual(first["deviceID"], 1)
        self.assertEqual(first["productID"], 0x12A8)
        self.assertEqual(second["connectionType"], "Network")

    def test_none(self) -> None:
        """
        No phone is no error, but a person is told.
        """
        outcome = muxctl("list", address=FakeDaemon(self, answering(listOf())).address)
        self.assertEqual(
            (outcome.status, outcome.out, outcome.err),
            (0, "", "muxctl: no phone is attached\n"),
        )

    def test_named(self) -> None:
        """
        Of a phone that was named nothing else is shown, and its absence is an
        exit status.
        """
        outcome = muxctl("list", "-u", OTHER.lower(), address=FakeDaemon(self, BOTH).address)
        self.assertEqual((outcome.status, len(outcome.out.splitlines())), (0, 2))
        outcome = muxctl("-u", "other", "list", address=FakeDaemon(self, BOTH).address)
        self.assertEqual(outcome.status, 1)
        self.assertEqual(outcome.err, "muxctl: no phone other is attached\n")


class WatchTests(SynchronousTestCase):
    """
    C{muxctl watch}.
    """

    def watch(self, *words: str) -> list[str]:
        """
        The lines about a short life, up to the loss of the daemon.
        """
        fake = FakeDaemon(
            self, listening(attached(), attached(2, OTHER), paired(), detached(2), detached())
        )

        def interrupt(seconds: float) -> None:
            raise KeyboardInterrupt

        daemon = Daemon(fake.address, "tests", sleep=interrupt)
        self.patch(blocking, "_remembered", lambda address: daemon)
        outcome = muxctl("watch", *words)
        self.assertEqual(outcome.status, 130)
        self.assertIn("while waiting for events", outcome.err)
        self.assertIn("; waiting for it", outcome.err)
        return outcome.out.splitlines()

    def test_sentences(self) -> None:
        """
        People get a line for each event; a loss of the daemon is told apart from
        them and does not end it, an interrupt does.
        """
        self.assertEqual(
            self.watch(),
            [
                f"attached  {UDID}  USB  id 1",
                f"attached  {OTHER}  USB  id 2",
                f"paired    {UDID}  USB  id 1",
                f"detached  {OTHER}  USB  id 2",
                f"detached  {UDID}  USB  id 1",
            ],
        )

    def test_json(self) -> None:
        """
        Programs get an object a line.
        """
        events = [json.loads(line) for line in self.watch("--json")]
        self.assertEqual(
            [(event["event"], event["deviceID"]) for event in events],
            [("attached", 1), ("attached", 2), ("paired", 1), ("detached", 2), ("detached", 1)],
        )

    def test_named(self) -> None:
        """
        A phone that is named is the only one told of.
        """
        self.assertEqual(len(self.watch("-u", OTHER)), 2)

    def test_timeout(self) -> None:
        """
        C{--timeout} ends it without an error.
        """
        seen: list[object] = []

        def watch(timeout: object, **_: object) -> object:
            seen.append(timeout)
            yield Paired(Device(deviceID=1, udid=UDID))

        self.patch(blocking, "watch", watch)
        outcome = muxctl("watch", "--timeout", "3")
        self.assertEqual((outcome.status, seen), (0, [3.0]))
        self.assertEqual(outcome.out, f"paired    {UDID}  USB  id 1\n")


class ListenersTests(SynchronousTestCase):
    """
    C{muxctl listeners}.
    """

    def setUp(self) -> None:
        """
        Start a daemon with a listener.
        """
        entry = {"ID String": "3-x", "ProgName": "x\u2028", "kLibUSBMuxVersion": 3}
        self.fake = FakeDaemon(self, answering({"ListenerList": [entry]}))

    def test_table(self) -> None:
        """
        People get columns.
        """
        outcome = muxctl("listeners", address=self.fake.address)
        self.assertEqual(outcome.out, "ID   PROGRAM  BUNDLE  VERSION\n3-x  x?               3\n")

    def test_json(self) -> None:
        """
        Programs get an object a line.
        """
        outcome = muxctl("listeners", "--json", address=self.fake.address)
        self.assertEqual(json.loads(outcome.out)["program"], "x\u2028")


class BUIDTests(SynchronousTestCase):
    """
    C{muxctl buid}.
    """

    def test_printed(self) -> None:
        """
        It is printed, and nothing else.
        """
        outcome = muxctl("buid", address=FakeDaemon(self, answering({"BUID": "A-B"})).address)
        self.assertEqual((outcome.status, outcome.out, outcome.err), (0, "A-B\n", ""))

    def test_json(self) -> None:
        """
        Programs get an object.
        """
        address = FakeDaemon(self, answering({"BUID": "A-B"})).address
        self.assertEqual(muxctl("buid", "--json", address=address).out, '{"buid": "A-B"}\n')
