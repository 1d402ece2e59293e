# -*- test-case-name: tests.netns.test_history -*-
"""
Tests of L{tests.netns.history}: that what must not be is seen.
"""

from __future__ import annotations

import io
import json

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import FileLogObserver, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from muxd.fleet.door import Door
from muxd.tap.logfields import jsonText
from tests.fleet.fleets import udid
from tests.netns.history import Began, Bytes, Event, History, Over, Started, eventsOf
from tests.netns.witness import Witness

PHONE = udid(1)


class HistoryTests(SynchronousTestCase):
    """
    Tests of L{History}.
    """

    def problems(self, *events: Event) -> int:
        """
        How much was wrong.
        """
        return len(History(events).problems)

    def test_good(self) -> None:
        """
        Jobs one after the other, and what was on its way when the first was cut.
        """
        history = History(
            [
                Started(),
                Began(PHONE, "ann", 5),
                Bytes(PHONE, "ann", 1),
                Over(PHONE, "ann", 5),
                Bytes(PHONE, "ann", 2),
                Began(PHONE, "bob", 9),
                Bytes(PHONE, "ann", 3),
                Bytes(PHONE, "bob", 1),
                Started(),
                Began(PHONE, "bob", 9),
                Bytes(PHONE, "bob", 2),
            ]
        )
        self.assertEqual(history.problems, [])
        self.assertEqual((history.bytesOf("ann"), history.bytesOf("bob")), (3, 2))
        self.assertEqual(history.tokens, {PHONE: [5, 9, 9]})

    def test_bytes(self) -> None:
        """
        Bytes of a job that has no phone, or has it no more since another one's have come.
        """
        began, bob = Began(PHONE, "ann", 5), Began(PHONE, "bob", 9)
        late = Bytes(PHONE, "ann", 2)
        self.assertEqual(self.problems(late), 1)
        self.assertEqual(self.problems(Began(udid(2), "ann", 5), late), 1)
        over = Over(PHONE, "ann", 5)
        self.assertEqual(self.problems(began, over, bob, Bytes(PHONE, "bob", 1), late), 1)
        self.assertEqual(self.problems(began, Started(), late), 1)

    def test_tokens(self) -> None:
        """
        Two jobs at once, and tokens that do not grow.
        """
        ann, bob = Began(PHONE, "ann", 5), Began(PHONE, "bob", 9)
        over = Over(PHONE, "bob", 9)
        self.assertEqual(self.problems(ann, bob), 1)
        self.assertEqual(self.problems(bob, over, ann), 1)
        self.assertEqual(self.problems(bob, over, bob), 1)
        self.assertEqual(self.problems(ann, over), 1)


class EventTests(SynchronousTestCase):
    """
    Tests of L{eventsOf}: it understands what a host writes.
    """

    def setUp(self) -> None:
        """
        Keep the log.
        """
        self.written = io.StringIO()
        observer = FileLogObserver(self.written, jsonText)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def events(self) -> list[Event]:
        """
        What is in it.
        """
        return list(eventsOf(self.written.getvalue()))

    def test_door(self) -> None:
        """
        A reservation begins, and is over.
        """
        clock = Clock()
        door = Door(clock, None)  # type: ignore[arg-type]
        door.gate.grant(5, "secret", PHONE, "ann", 10)
        clock.advance(10)
        self.assertEqual(self.events(), [Began(PHONE, "ann", 5), Over(PHONE, "ann", 5)])

    def test_witness(self) -> None:
        """
        A job's bytes have come, and go back.
        """
        witness, transport = Witness(), StringTransport()
        witness.makeConnection(transport)
        witness.dataReceived(f"{PHONE} ann 7\n".encode())
        self.assertEqual(self.events(), [Bytes(PHONE, "ann", 7)])
        self.assertEqual(transport.value(), f"{PHONE} ann 7\n".encode())

    def test_others(self) -> None:
        """
        A host begins; other lines, and such as were cut, are nothing.
        """
        lines = [
            json.dumps({"message": "twistd 26 (python) starting up.", "fields": {}}),
            json.dumps({"message": "something", "fields": {"udid": PHONE}}),
            '{"message": "cut',
            "no JSON",
        ]
        self.assertEqual(list(eventsOf("\n".join(lines))), [Started()])
