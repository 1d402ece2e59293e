# -*- test-case-name: tests.fleet.test_door -*-
"""
Tests of what connects to a door or a hub and does not behave: L{muxd.fleet.door},
L{muxd.fleet.frames} and L{muxd.fleet.peers}.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from muxd.fleet import door as module
from muxd.fleet.door import PATIENCE, framed
from muxd.fleet.frames import MOST_UNTAKEN
from muxd.fleet.messages import (
    AT_DOOR,
    FROM_DOOR,
    FROM_HUB,
    TO_HUB,
    Alive,
    Enter,
    Hello,
    Knock,
    Role,
)
from muxd.wire.messages import plistMessage
from tests.fleet.fleets import udid
from tests.fleet.world import HUB, WorldCase


class Stranger(Protocol):
    """
    Whatever connects.

    @ivar heard: What it has heard.
    @ivar isOver: Whether its connection is over.
    """

    def __init__(self) -> None:
        self.heard = b""
        self.isOver = False

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it.
        """
        self.heard += data

    def connectionLost(self, reason: Failure | None = None) -> None:
        """
        Remember.
        """
        self.isOver = True

    def say(self, data: bytes) -> None:
        """
        Send bytes.
        """
        transport: Any = self.transport
        if transport is not None:
            transport.write(data)

    def answers(self) -> list[dict[str, Any]]:
        """
        The messages that it has heard.
        """
        found, rest = [], self.heard
        while rest:
            size = int.from_bytes(rest[:4], "big")
            found.append(json.loads(rest[4 : 4 + size]))
            rest = rest[4 + size :]
        return found


class DoorTests(WorldCase):
    """
    A host's door.
    """

    def setUp(self) -> None:
        """
        A host with a phone that the hub's key opens.
        """
        super().setUp()
        self.host = self.world.addHost("a", 1)
        self.key = self.world.hub.keyOf("a")

    def stranger(self, *sent: bytes) -> Stranger:
        """
        Something connects to the door, and sends these.
        """
        stranger = Stranger()
        self.world.join(self.host.path, stranger)
        for each in sent:
            stranger.say(each)
            self.world.settle()
        return stranger

    def knock(self, **said: Any) -> bytes:
        """
        A knock.
        """
        knock = Knock(**{"version": 1, "udid": udid(1), "key": self.key, **said})
        return framed(AT_DOOR.encode(knock))

    def test_letIn(self) -> None:
        """
        However a knock is cut into pieces, and whatever comes along with it, a usbmuxd with
        that phone is behind the door.
        """
        self.host.plug(2)
        asked = plistMessage({"MessageType": "ListDevices"}, 1)
        whole = self.knock() + asked.encode()
        for pieces in ([whole], [whole[:2], whole[2:9], whole[9:]], [bytes([b]) for b in whole]):
            stranger = self.stranger(*pieces)
            enter = framed(FROM_DOOR.encode(Enter()))
            self.assertTrue(stranger.heard.startswith(enter))
            self.assertIn(udid(1).encode(), stranger.heard)
            self.assertNotIn(udid(2).encode(), stranger.heard)

    def test_keptOut(self) -> None:
        """
        What has no key, wants no phone that is here, or speaks another version, is told so.
        """
        for said, detail in (
            ({"key": "guessed"}, "the key opens nothing"),
            ({"udid": udid(9)}, "is not here"),
            ({"version": 2}, "speaks version 1"),
        ):
            stranger = self.stranger(self.knock(**said))
            (answer,) = stranger.answers()
            self.assertIn(detail, answer["detail"])
            self.assertTrue(stranger.isOver)
        self.assertEqual(self.host.host.door.refusals, 3)

    def test_nonsense(self) -> None:
        """
        What is no knock, or is longer than any, ends the connection, and leaves nothing.
        """
        for sent in (framed(b"{}"), b"\xff" * 8, b"GET / HTTP/1.1\r\n\r\n"):
            self.assertTrue(self.stranger(sent).isOver)
        self.assertEqual(self.host.host.door.knocking, 0)

    def test_silent(self) -> None:
        """
        What connects and says nothing has to go; meanwhile so many are let that far.
        """
        self.patch(module, "MOST_KNOCKING", 3)
        silent = [self.stranger() for _ in range(3)]
        self.assertTrue(self.stranger(self.knock()).isOver)
        self.world.advance(PATIENCE + 1)
        self.assertTrue(all(each.isOver for each in silent))
        self.assertEqual(self.host.host.door.knocking, 0)
        self.assertFalse(self.stranger(self.knock()).isOver)


class PeerTests(WorldCase):
    """
    What connects to a hub.
    """

    def stranger(self, *sent: bytes) -> Stranger:
        """
        Something connects to the hub, and sends these.
        """
        stranger = Stranger()
        self.world.join(HUB, stranger)
        for each in sent:
            stranger.say(each)
        self.world.settle()
        return stranger

    def job(self) -> bytes:
        """
        A job's first message.
        """
        return framed(TO_HUB.encode(Hello(version=1, role=Role.JOB, name="ann")))

    def refusal(self, *sent: bytes) -> str:
        """
        What something is told that is refused.
        """
        stranger = self.stranger(*sent)
        self.assertTrue(stranger.isOver)
        (*_, answer) = stranger.answers()
        self.assertEqual(answer["kind"], "refused")
        return str(answer["detail"])

    def test_refused(self) -> None:
        """
        What is not said as it should be is refused, with what was expected.
        """
        hello = {"kind": "hello", "version": 1, "role": "HOST", "name": "a"}
        for sent, detail in (
            ([framed(TO_HUB.encode(Alive()))], "expected hello first"),
            ([framed(json.dumps({**hello, "version": 9}).encode())], "speaks version 1"),
            ([framed(json.dumps(hello).encode())], "expected a host's door"),
            ([framed(b"{")], "expected JSON"),
            ([b"\x7f\xff\xff\xff"], "up to 4096 bytes"),
            ([self.job(), self.job()], "nothing that a job says"),
            ([self.job(), framed(b'{"kind": "phones"}')], "nothing that a job says"),
            ([self.job(), b"\x00\x10\x00\x00"], "up to 16384 bytes"),
        ):
            self.assertIn(detail, self.refusal(*sent))
        self.assertEqual(self.world.hub.connections, 0)
        self.assertEqual(self.world.hub.jobs, set())

    def test_silent(self) -> None:
        """
        What says nothing has to go: soon if it has never said what it is, a job after a minute.
        """
        never, job = self.stranger(), self.stranger(self.job())
        self.world.advance(11)
        self.assertEqual((never.isOver, job.isOver), (True, False))
        self.world.advance(50)
        self.assertTrue(job.isOver)

    def test_takesNothing(self) -> None:
        """
        A job that asks on and on and does not take the answers has to go.
        """
        alive = framed(TO_HUB.encode(Alive()))
        stranger = self.stranger(self.job(), *[alive] * (MOST_UNTAKEN + 5))
        self.assertFalse(stranger.isOver)
        (job,) = self.world.hub.jobs
        taking = job._connection._taking  # type: ignore[attr-defined]
        taking.pauseProducing()
        stranger.say(alive * MOST_UNTAKEN)
        self.world.settle()
        taking.resumeProducing()
        taking.pauseProducing()
        stranger.say(alive * MOST_UNTAKEN)
        self.world.settle()
        self.assertFalse(stranger.isOver)
        stranger.say(alive)
        self.world.settle()
        self.assertTrue(stranger.isOver)

    def test_hello(self) -> None:
        """
        A job that says what it is is welcome.
        """
        (answer,) = self.stranger(self.job()).answers()
        self.assertEqual(FROM_HUB.decode(json.dumps(answer).encode()).name, "ann")

    def test_untakenGrants(self) -> None:
        """
        A host may confirm only what is its own.
        """
        self.world.addHost("a", 1)
        self.world.addHost("b", 2)
        session = self.world.session()
        reserved = self.world.result(session.reserve("host=a"))
        self.world.hub.confirmed("b", reserved.token, False)
        self.world.settle()
        self.world.result(session.renew(reserved))
