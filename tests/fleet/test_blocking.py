# -*- test-case-name: tests.fleet.test_blocking -*-
"""
Tests of L{muxd.fleet.blocking} that are its own; what both kinds of programs have in common is
in L{tests.fleet.test_jobs}.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

import muxd
from muxd.client.address import InvalidAddress, TCPAddress, TLSAddress, UnixAddress
from muxd.client.socketerrors import NoDaemon
from muxd.fleet.blocking import HubLost, HubSession, HubWay, _Frames, hubAddress
from muxd.fleet.codec import BadMessage
from muxd.fleet.messages import FROM_HUB, TO_HUB, Alive, Refused, Welcome
from muxd.fleet.values import Door, DoorKind, FleetError, Why
from tests.running.processes import startsProcesses

TLS = "mutualtls:hub.example:7300:files=/d"


def framed(message: bytes) -> bytes:
    """
    A message with its length before it.
    """
    return len(message).to_bytes(4, "big") + message


class AddressTests(SynchronousTestCase):
    """
    Where a hub is.
    """

    def test_addresses(self) -> None:
        """
        Descriptions of client endpoints are understood, and addresses as daemons have them.
        """
        for text, expected in (
            ("tcp:hub:7300", TCPAddress("hub", 7300)),
            ("tcp:host=hub:port=7300", TCPAddress("hub", 7300)),
            ("hub:7300", TCPAddress("hub", 7300)),
            ("unix:/run/hub", UnixAddress("/run/hub")),
            ("unix:path=/run/hub", UnixAddress("/run/hub")),
            ("/run/hub", UnixAddress("/run/hub")),
        ):
            self.assertEqual(hubAddress(text), expected, text)
        address = hubAddress(TLS)
        assert isinstance(address, TLSAddress)
        self.assertEqual(address.target.host, "hub.example")

    def test_wrong(self) -> None:
        """
        What is none is an error.
        """
        for text in ("", "tcp:hub", "tcp:hub:x", "nonsense", "mutualtls:hub"):
            self.assertRaises(InvalidAddress, hubAddress, text)

    def test_environment(self) -> None:
        """
        Without a word the environment says where it is.
        """
        way = HubWay.named(None, "ann", {"MUXD_HUB": "tcp:hub:1"})
        self.assertEqual((way.address, way.name), (TCPAddress("hub", 1), "ann"))
        self.assertEqual(HubWay.named(None, "ann", {}).address, TCPAddress("127.0.0.1", 7300))
        self.assertEqual(
            HubWay.named("tcp:a:1", "b", {"MUXD_HUB": "x"}).address, TCPAddress("a", 1)
        )

    def test_doors(self) -> None:
        """
        A hub that is reached by TLS leads to doors by TLS alone, with the same files, and one in
        plain text to none of these.
        """
        plain, safe = HubWay(hubAddress("hub:1"), "a"), HubWay(hubAddress(TLS), "a")
        doors = [Door(kind=kind, where="/x", port=7) for kind in DoorKind]
        for door in doors:
            way, other = (safe, plain) if door.kind is DoorKind.TLS else (plain, safe)
            self.assertRaises(FleetError, other.addressOf, door)
            way.addressOf(door)
        address = safe.addressOf(Door(kind=DoorKind.TLS, where="rack1", port=7))
        assert isinstance(address, TLSAddress) and isinstance(safe.address, TLSAddress)
        self.assertEqual((address.target.host, address.target.server), ("rack1", "rack1"))
        self.assertEqual(address.target.files, safe.address.target.files)


class SessionTests(SynchronousTestCase):
    """
    Hubs that do other things than talk.
    """

    def setUp(self) -> None:
        """
        A hub's end of a connection.
        """
        self.near, self.far = socket.socketpair()
        self.addCleanup(self.far.close)
        self.addCleanup(self.near.close)
        self.now = 0.0
        self.session = HubSession(self.near, "ann", lambda: self.now)

    def begin(self) -> str:
        """
        Why the hub is lost.
        """
        error = self.assertRaises(HubLost, self.session.begin, self.session.deadline(5))
        return str(error)

    def test_rejected(self) -> None:
        """
        One that does not want the job says why.
        """
        refused = Refused(number=0, why=Why.NOT_ALLOWED, detail="go away")
        self.far.sendall(framed(FROM_HUB.encode(refused)))
        self.assertEqual(self.begin(), "go away")

    def test_nonsense(self) -> None:
        """
        One that says what makes no sense is none.
        """
        for data in (b"\xff" * 4, framed(b"nonsense"), framed(b"{}")):
            self.setUp()
            self.far.sendall(data)
            self.assertIn("makes no sense", self.begin())

    def test_closed(self) -> None:
        """
        One that closes the connection is lost.
        """
        self.far.close()
        self.assertIn("the hub is lost", self.begin())

    def test_silent(self) -> None:
        """
        One that says nothing is not waited for beyond the deadline.
        """
        deadline = self.session.deadline(5)
        self.now = 6.0
        error = self.assertRaises(HubLost, self.session.begin, deadline)
        self.assertEqual(str(error), "the hub does not answer")

    def test_pieces(self) -> None:
        """
        Messages may come in pieces, and several at once.
        """
        data = framed(FROM_HUB.encode(Welcome(name="a", term=5.0))) + framed(
            FROM_HUB.encode(Alive())
        )
        frames = _Frames(FROM_HUB, 1000)
        found: list[Any] = []
        for place in range(len(data)):
            found += frames.add(data[place : place + 1])
        self.assertEqual(found, _Frames(FROM_HUB, 1000).add(data))
        self.assertEqual(len(found), 2)
        self.assertRaises(BadMessage, _Frames(FROM_HUB, 10).add, (11).to_bytes(4, "big"))

    def test_alive(self) -> None:
        """
        A job that has nothing to say says so in time.
        """
        self.far.sendall(framed(FROM_HUB.encode(Welcome(name="a", term=6.0))))
        self.session.begin(self.session.deadline(5))
        self.far.recv(1000)
        self.now = 2.9
        self.far.sendall(framed(FROM_HUB.encode(Alive())))
        self.session.listen(self.session.deadline(1))
        self.far.setblocking(False)
        self.assertRaises(BlockingIOError, self.far.recv, 1000)
        self.now = 3.1
        self.far.sendall(framed(FROM_HUB.encode(Alive())))
        self.session.listen(self.session.deadline(1))
        self.assertEqual(self.far.recv(1000), framed(TO_HUB.encode(Alive())))

    def test_noHub(self) -> None:
        """
        That there is none is said, with the place.
        """

        def refuse(address: object, deadline: object) -> socket.socket:
            raise NoDaemon("x", "refused") from ConnectionRefusedError("refused")

        way = HubWay(TCPAddress("hub", 1), "ann", opener=refuse)
        error = self.assertRaises(HubLost, way.connect)
        self.assertEqual(str(error), "hub:1 cannot be reached: refused")


class ImportTests(SynchronousTestCase):
    """
    What is imported.
    """

    @startsProcesses
    def test_noTwisted(self) -> None:
        """
        Nothing of Twisted.
        """
        program = "import sys, muxd.fleet.blocking; sys.exit('twisted' in sys.modules)"
        root = Path(muxd.__file__).parents[1]
        subprocess.run([sys.executable, "-c", program], check=True, cwd=root)
