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
from muxd.fleet import blocking
from muxd.fleet.blocking import HubLost, HubWay, hubAddress
from muxd.fleet.codec import BadMessage
from muxd.fleet.conversation import RETRY
from muxd.fleet.hubsession import Frames, HubSession
from muxd.fleet.messages import (
    FROM_HUB,
    LONGEST_TERM,
    TO_HUB,
    Alive,
    Leave,
    Refused,
    Reserved,
    Show,
    Welcome,
)
from muxd.fleet.terms import Times
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
        frames = Frames(FROM_HUB, 1000)
        found: list[Any] = []
        for place in range(len(data)):
            found += frames.add(data[place : place + 1])
        self.assertEqual(found, Frames(FROM_HUB, 1000).add(data))
        self.assertEqual(len(found), 2)
        self.assertRaises(BadMessage, Frames(FROM_HUB, 10).add, (11).to_bytes(4, "big"))

    def test_alive(self) -> None:
        """
        A job that has nothing to say says so in time.
        """
        self.far.sendall(framed(FROM_HUB.encode(Welcome(name="a", term=6.0))))
        self.session.begin(self.session.deadline(5))
        self.far.recv(1000)
        self.now = 1.4
        self.far.sendall(framed(FROM_HUB.encode(Alive())))
        self.session.listen(self.session.deadline(1))
        self.far.setblocking(False)
        self.assertRaises(BlockingIOError, self.far.recv, 1000)
        self.now = 1.6
        self.far.sendall(framed(FROM_HUB.encode(Alive())))
        self.session.listen(self.session.deadline(1))
        self.assertEqual(self.far.recv(1000), framed(TO_HUB.encode(Alive())))

    def test_saysNothing(self) -> None:
        """
        One that says nothing any more while something is waited for is lost, long before the
        time to wait is over; but not as long as it gives signs of life.
        """
        self.far.sendall(framed(FROM_HUB.encode(Welcome(name="a", term=2.0))))
        self.session.begin(self.session.deadline(5))
        heard: list[float] = []

        def listen(deadline: object, wake: object = None) -> None:
            self.now += 1.0
            if self.now < 20:
                self.far.sendall(framed(FROM_HUB.encode(Alive())))
                HubSession.listen(self.session, self.session.deadline(1))
                heard.append(self.now)

        self.patch(self.session, "listen", listen)
        deadline = self.session.deadline(600)
        error = self.assertRaises(HubLost, self.session.ask, Show, deadline)
        self.assertEqual(str(error), "the hub says nothing any more")
        self.assertEqual((len(heard), self.now), (19, 25.0))

    def test_leftInSilence(self) -> None:
        """
        One that says nothing any more finds that the connection is lost, when it does: not that the
        job has given up, as another one does.
        """
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)
        for isSilent in (False, True):
            near = socket.create_connection(listening.getsockname())
            far, _ = listening.accept()
            self.addCleanup(far.close)
            session = HubSession(near, "ann", lambda: self.now)
            far.sendall(framed(FROM_HUB.encode(Welcome(name="a", term=2.0))))
            session.begin(session.deadline(5))
            if isSilent:
                self.patch(session, "listen", lambda deadline: setattr(self, "now", self.now + 9))
                self.assertRaises(HubLost, session.ask, Show, session.deadline(600))
            session.close()
            if isSilent:
                with self.assertRaises(ConnectionResetError):
                    while far.recv(4096):
                        pass
            else:
                # All of it is there: it is this machine's.
                self.assertTrue(far.recv(4096).endswith(framed(TO_HUB.encode(Leave()))))
                self.assertEqual(far.recv(4096), b"")

    def test_noHub(self) -> None:
        """
        That there is none is said, with the place.
        """

        def refuse(address: object, deadline: object) -> socket.socket:
            raise NoDaemon("x", "refused") from ConnectionRefusedError("refused")

        way = HubWay(TCPAddress("hub", 1), "ann", opener=refuse)
        error = self.assertRaises(HubLost, way.connect)
        self.assertEqual(str(error), "hub:1 cannot be reached: refused")


class SeveralHubsTests(SynchronousTestCase):
    """
    Programs that know of two hubs.

    @ivar opened: The addresses that are tried, in order.
    @ivar hubs: What is said by each; one that is not there cannot be reached.
    """

    def setUp(self) -> None:
        """
        A way to both.
        """
        self.opened: list[str] = []
        self.hubs: dict[str, list[Any]] = {}
        self.slept: list[float] = []
        self.isMute = False
        self.now = 0.0
        one, other = TCPAddress("one", 1), TCPAddress("other", 1)
        self.way = HubWay(one, "ann", lambda: self.now, self.open, others=[other], sleep=self.sleep)
        # What is tried beside another one is so by what it says, and not by the time.
        self.way.times = Times(LONGEST_TERM)

    def sleep(self, seconds: float) -> None:
        """
        Time passes.
        """
        self.slept.append(seconds)
        self.now += seconds

    def open(self, address: Any, deadline: object) -> socket.socket:
        """
        A connection to one, which says what it has to say; the first says no more.
        """
        self.opened.append(address.host)
        if address.host not in self.hubs:
            raise NoDaemon("x", "refused") from ConnectionRefusedError("refused")
        near, far = socket.socketpair()
        self.addCleanup(near.close)
        self.addCleanup(far.close)
        for each in self.hubs[address.host]:
            far.sendall(framed(FROM_HUB.encode(each)))
        if address.host == "one" and not self.isMute:
            far.shutdown(socket.SHUT_WR)
        self.end = far
        return near

    def test_named(self) -> None:
        """
        They have spaces between them, and are reached in the same way.
        """
        way = HubWay.named("tcp:a:1 tcp:b:2", "ann", {})
        self.assertEqual(way._addresses, [TCPAddress("a", 1), TCPAddress("b", 2)])
        self.assertRaises(InvalidAddress, HubWay.named, "tcp:a:1 unix:/b", "ann", {})

    def test_other(self) -> None:
        """
        The other one is used if the first cannot be reached, and is the first then.
        """
        self.hubs["other"] = [Welcome(name="ann", term=10.0)]
        self.assertEqual(self.way.connect().place, TCPAddress("other", 1))
        self.way.connect()
        self.assertEqual(self.opened, ["one", "other", "other"])
        self.hubs.clear()
        self.assertRaises(HubLost, self.way.connect)
        self.assertEqual(self.opened[3:], ["other", "one"])

    def test_silent(self) -> None:
        """
        The other one is used if the first lets connect and says nothing; and the time in which that
        is tried follows from the term.
        """
        self.hubs["one"] = []
        self.hubs["other"] = [Welcome(name="ann", term=20.0)]
        self.isMute = True
        self.way.times = Times(0.0)
        self.assertEqual(self.way.connect().place, TCPAddress("other", 1))
        self.assertEqual(self.way.address, TCPAddress("other", 1))
        self.assertEqual(self.way.times, Times(20.0))

    def test_asksAgain(self) -> None:
        """
        A job whose hub is lost while it waits asks the other one, with the same ticket.
        """
        self.patch(blocking, "Reservation", lambda way, session, reserved: reserved)
        self.hubs["one"] = [Welcome(name="ann", term=10.0)]
        reserved = Reserved(number=1, token=5, key="k", term=30.0)
        self.hubs["other"] = [Welcome(name="ann", term=10.0)]
        asked: list[Any] = []
        ask = HubSession.ask

        def noted(session: HubSession, kind: Any, deadline: Any, **fields: Any) -> Any:
            asked.append(fields)
            self.now += 7
            if len(asked) == 2:
                self.end.sendall(framed(FROM_HUB.encode(reserved)))
            return ask(session, kind, deadline, **fields)

        self.patch(HubSession, "ask", noted)
        self.assertEqual(blocking.reserveBy(self.way, 60, phone="", term=30.0), reserved)
        self.assertEqual(self.opened, ["one", "other"])
        first, second = asked
        self.assertEqual((first["asked"], second["asked"]), (0, 1))
        self.assertEqual((first["wait"], second["wait"]), (60.0, 53.0))
        self.assertEqual(first["ticket"], second["ticket"])
        self.assertEqual(self.slept, [0.0])

    def test_staleHub(self) -> None:
        """
        A job whose hub has lost its registry asks the other one, even if it does not wait.
        """
        self.patch(blocking, "Reservation", lambda way, session, reserved: reserved)
        self.hubs["one"] = self.hubs["other"] = [Welcome(name="ann", term=10.0)]
        reserved = Reserved(number=1, token=5, key="k", term=30.0)
        ask = HubSession.ask

        def answered(session: HubSession, kind: Any, deadline: Any, **fields: Any) -> Any:
            if self.opened == ["one"]:
                raise FleetError(Why.STALE)
            self.end.sendall(framed(FROM_HUB.encode(reserved)))
            return ask(session, kind, deadline, **fields)

        self.patch(HubSession, "ask", answered)
        self.assertEqual(blocking.reserveBy(self.way, 0, phone="", term=30.0), reserved)
        self.assertEqual(self.opened, ["one", "other"])

    def test_givesUp(self) -> None:
        """
        If none is there any more, that is said after a while.
        """
        self.hubs["one"] = [Welcome(name="ann", term=10.0)]
        open_ = self.open

        def openOnce(address: Any, deadline: object) -> socket.socket:
            opened = open_(address, deadline)
            self.hubs.clear()
            return opened

        way = HubWay(TCPAddress("one", 1), "ann", lambda: self.now, openOnce, sleep=self.sleep)
        error = self.assertRaises(HubLost, blocking.reserveBy, way, 60, phone="", term=30.0)
        self.assertIn("cannot be reached", str(error))
        self.assertEqual(self.slept, [RETRY] * 15)


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
