# -*- test-case-name: tests.muxctl.test_waiting -*-
"""
Tests for L{muxd.muxctl.waiting}: C{muxctl wait}.
"""

from __future__ import annotations

import json
import socket
from typing import cast

from twisted.trial.unittest import SynchronousTestCase

from muxd.client import blocking
from muxd.client.address import UnixAddress
from muxd.client.daemon import Daemon
from muxd.client.socketerrors import NoDaemon
from muxd.muxctl import waiting
from muxd.wire.messages import Message, plistMessage
from tests.client.fakedaemon import (
    OTHER,
    PATIENCE,
    UDID,
    FakeDaemon,
    FakeTime,
    Peer,
    SlowSocket,
    StandingDaemon,
    attached,
    detached,
    listening,
    paired,
    untilClosed,
)
from tests.muxctl.console import Outcome, muxctl
from tests.wire.results import resultMessage


class WaitTests(SynchronousTestCase):
    """
    C{muxctl wait}.
    """

    def wait(self, *words: str, events: tuple[Message, ...] = ()) -> Outcome:
        """
        Wait, of a daemon where this happens.
        """
        fake = FakeDaemon(self, listening(*events, then=untilClosed))
        return muxctl("wait", *words, address=fake.address)

    def udids(self, outcome: Outcome) -> list[str]:
        """
        Those that it has printed.
        """
        self.assertEqual((outcome.status, outcome.err), (0, ""))
        return [json.loads(line)["udid"] for line in outcome.out.splitlines()]

    def test_one(self) -> None:
        """
        It ends as soon as there is a phone, and shows it.
        """
        outcome = self.wait(events=(attached(),))
        self.assertEqual((outcome.status, outcome.err), (0, ""))
        self.assertEqual(
            ["UDID                       CONNECTION  PRODUCT  ID  LOCATION", UDID],
            [outcome.out.splitlines()[0], outcome.out.splitlines()[1].split()[0]],
        )

    def test_count(self) -> None:
        """
        With C{--count} it waits for so many phones; one that goes meanwhile does not
        count, nor does one twice that is reached both ways.
        """
        wireless = attached(3, UDID, ConnectionType="Network")
        events = (attached(7, "gone"), detached(7), attached(), wireless, attached(2, OTHER))
        outcome = self.wait("--count", "2", "-n", "--json", events=events)
        self.assertEqual([UDID, OTHER], self.udids(outcome))

    def test_network(self) -> None:
        """
        Phones on the network count if they are asked for.
        """
        events = (attached(3, OTHER, ConnectionType="Network"), attached())
        self.assertEqual([UDID], self.udids(self.wait("--json", events=events)))
        self.assertEqual([OTHER], self.udids(self.wait("--json", "-n", events=events)))

    def test_named(self) -> None:
        """
        It waits for the phone that is named.
        """
        events = (attached(), attached(2, OTHER))
        plain = OTHER.replace("-", "")
        self.assertEqual([OTHER], self.udids(self.wait("--json", "-u", plain, events=events)))


class WaitPairedTests(SynchronousTestCase):
    """
    C{muxctl wait --paired}.
    """

    def wait(self, *events: Message) -> tuple[Outcome, int]:
        """
        Wait for a paired phone.

        @return: what came of it, and how often the record was asked for.
        """
        asked: list[str] = []

        def serve(peer: Peer) -> None:
            request = peer.request()
            if request["MessageType"] == "Listen":
                peer.send(resultMessage(1, 1, 0), *events)
                peer.untilGone()
                return
            asked.append(request["PairRecordID"])
            if len(asked) >= self.pairedAt:
                peer.send(plistMessage({"PairRecordData": b"x"}, 1))
            else:
                peer.send(resultMessage(1, 1, 2))

        address = StandingDaemon(self, serve).address
        words = ("wait", "--paired", "--timeout", str(PATIENCE))
        return muxctl(*words, address=address), len(asked)

    def test_record(self) -> None:
        """
        A phone counts whose pair record there is.
        """
        self.pairedAt = 1
        outcome, asked = self.wait(attached())
        self.assertEqual((outcome.status, asked), (0, 1))
        self.assertIn(UDID, outcome.out)

    def test_pairedLater(self) -> None:
        """
        One that is paired later counts then; no record is asked for twice meanwhile.
        """
        self.pairedAt = 1000
        outcome, asked = self.wait(attached(), attached(2, OTHER), paired())
        self.assertEqual((outcome.status, asked), (0, 2))
        self.assertIn(UDID, outcome.out)
        self.assertNotIn(OTHER, outcome.out)


class WaitTimeTests(SynchronousTestCase):
    """
    C{muxctl wait} by a clock of ours.
    """

    def setUp(self) -> None:
        """
        Have daemons whose connections, or failures, come from a list.
        """
        self.time = FakeTime()
        self.sockets: list[SlowSocket] = []

        def make(address: UnixAddress) -> Daemon:
            return Daemon(
                address, "tests", clock=self.time.clock, sleep=self.time.sleep, opener=self.open
            )

        self.patch(blocking, "_remembered", make)
        self.patch(waiting, "monotonic", self.time.clock)

    def open(self, address: object, deadline: object, sleep: object) -> socket.socket:
        """
        The next connection; there is no daemon if there is none.
        """
        if not self.sockets:
            raise NoDaemon("here", "no such file")
        return cast(socket.socket, self.sockets.pop(0))

    def answer(self, *messages: Message) -> SlowSocket:
        """
        A connection on which these come, and then nothing any more.
        """
        return SlowSocket(self.time, b"".join(message.encode() for message in messages))

    def listener(self) -> SlowSocket:
        """
        One on which a phone is told of.
        """
        return self.answer(resultMessage(1, 1, 0), attached())

    def test_tooLong(self) -> None:
        """
        After C{--timeout} it is a time-out that says what there was.
        """
        self.sockets = [self.listener()]
        outcome = muxctl("wait", "--count", "3", "--timeout", "7")
        self.assertEqual((outcome.status, outcome.out, self.time.now), (4, "", 1007))
        self.assertIn("time-out after 7 s while waiting for the phone to be", outcome.err)
        self.assertIn("(3 phones wanted, 1 attached)", outcome.err)

    def test_noDaemon(self) -> None:
        """
        A daemon that is not there is waited for, which is said once.
        """
        outcome = muxctl("wait", "--timeout", "7")
        self.assertEqual((outcome.status, self.time.now), (4, 1007))
        remark, error = outcome.err.splitlines()
        self.assertIn("no usbmuxd at here (no such file)", remark)
        self.assertTrue(remark.endswith("; waiting for it"), remark)
        self.assertIn("(1 phone wanted, 0 attached; no usbmuxd at here", error)

    def test_recordAppears(self) -> None:
        """
        A record that is saved without a word is found after a while.
        """
        missing = resultMessage(1, 1, 2)
        found = plistMessage({"PairRecordData": b"x"}, 1)
        for record in (missing, missing, found):
            self.sockets += [self.listener(), self.answer(record)]
        outcome = muxctl("wait", "--paired")
        self.assertEqual((outcome.status, outcome.err), (0, ""))
        self.assertIn(UDID, outcome.out)
        self.assertEqual(self.time.now, 1000 + 2 * waiting.RECHECK)

    def test_neverPaired(self) -> None:
        """
        The time-out says what kind of phone was wanted.
        """
        for _ in range(3):
            self.sockets += [self.listener(), self.answer(resultMessage(1, 1, 2))]
        outcome = muxctl("wait", "--paired", "--timeout", "12")
        self.assertEqual((outcome.status, self.time.now), (4, 1012))
        self.assertIn("(1 paired phone wanted, 1 attached)", outcome.err)
