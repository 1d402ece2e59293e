# -*- test-case-name: tests.tap.test_tunnelsockets -*-
"""
Tests of L{muxd.tap.tunnelsockets}.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from twisted.internet.defer import fail
from twisted.internet.error import ConnectError
from twisted.trial.unittest import SkipTest
from twisted.web.server import Site

if find_spec("wsproto") is None or find_spec("hyperframe") is None:
    raise SkipTest("these tests need the extra tunnel")

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    Pong,
    RejectConnection,
    Request,
    TextMessage,
)

from muxd.limits import LIMITS
from muxd.tap.tunnels import TunnelList
from muxd.tap.tunnelsockets import ListPort, SocketVisitor, parseTarget
from muxd.tunnel.opening import SharedTunnel
from tests.tap.test_tunnels import DoorCase, Wire
from tests.tunnel.ends import PHONE, PORT

ECHO = f"/connect?udid=0000&port={PORT}"


class Aborting(Wire):
    """
    A connection that says how it ended.
    """

    isAborted = False

    def abortConnection(self) -> None:
        """
        Note it.
        """
        self.isAborted = True


class SocketCase(DoorCase):
    """
    A program with a WebSocket.
    """

    def setUp(self) -> None:
        """
        Nothing is said yet.
        """
        super().setUp()
        self.program = WSConnection(ConnectionType.CLIENT)
        self.wire = Aborting()
        self.visitor = SocketVisitor(self.doors)
        self.visitor.makeConnection(self.wire)

    def ask(self, target: str, host: str = "127.0.0.1:49151", **headers: str) -> None:
        """
        Ask for a stream.
        """
        more = [(name.encode(), value.encode()) for name, value in headers.items()]
        self.say(Request(host=host, target=target, extra_headers=more))

    def say(self, event: Any) -> None:
        """
        Say something, byte by byte.
        """
        for byte in self.program.send(event):
            self.visitor.dataReceived(bytes((byte,)))
        self.ends.run()

    def heard(self) -> list[Any]:
        """
        What is answered.
        """
        self.ends.run()
        self.program.receive_data(self.wire.value())
        self.wire.clear()
        return list(self.program.events())

    def open(self) -> None:
        """
        Have a stream to the echo in the tunnel.
        """
        self.ask(ECHO)
        (accepted,) = self.heard()
        self.assertIsInstance(accepted, AcceptConnection)

    def closed(self) -> CloseConnection:
        """
        How the WebSocket was closed.
        """
        closing = self.heard()[-1]
        assert isinstance(closing, CloseConnection), closing
        self.assertTrue(self.wire.disconnecting)
        return closing


class StreamTests(SocketCase):
    """
    Streams by WebSockets.
    """

    def test_both(self) -> None:
        """
        What is said in messages of any kind of pieces is a stream, and so is the answer.
        """
        self.open()
        self.say(BytesMessage(b"one", message_finished=False))
        self.say(BytesMessage(b"two"))
        self.say(BytesMessage(b""))
        answer = b"".join(event.data for event in self.heard())
        self.assertEqual(answer, b"onetwo")
        self.assertEqual(self.doors.visitors, 1)

    def test_early(self) -> None:
        """
        What is said before there is a stream is not lost.
        """
        self.ends.lose = lambda: True
        self.ask(ECHO)
        self.heard()
        self.visitor.dataReceived(self.program.send(BytesMessage(b"early")))
        self.assertEqual(self.wire.producerState, "paused")
        self.ends.lose = lambda: False
        self.ends.run(5.0)
        self.assertEqual(b"".join(event.data for event in self.heard()), b"early")
        self.assertEqual(self.wire.producerState, "producing")

    def test_part(self) -> None:
        """
        A message that says it is enormous is passed on as it comes, and not kept.
        """
        self.open()
        whole = self.program.send(BytesMessage(bytes(1 << 20)))
        self.visitor.dataReceived(whole[:1000])
        self.assertGreater(sum(len(event.data) for event in self.heard()), 900)

    def test_ping(self) -> None:
        """
        A ping is answered.
        """
        self.open()
        self.say(Ping(b"there?"))
        (pong,) = self.heard()
        self.assertEqual((type(pong), pong.payload), (Pong, b"there?"))

    def test_closed(self) -> None:
        """
        A program that closes its WebSocket has the stream closed, and nothing is left.
        """
        self.open()
        self.say(CloseConnection(1000))
        self.assertEqual(self.closed().code, 1000)
        self.visitor.connectionLost()
        self.ends.run(5.0)
        self.assertTrue(self.ends.isEmpty())
        self.assertEqual(self.doors.visitors, 0)

    def test_phoneCloses(self) -> None:
        """
        Where the phone ends the stream, the WebSocket is closed.
        """
        self.open()
        far: Any = self.visitor.other
        far.readConnectionLost()
        self.assertEqual(self.closed().code, 1000)
        self.visitor.deliver(b"too late")
        self.assertEqual(self.wire.value(), b"")

    def test_text(self) -> None:
        """
        Text is no part of a stream.
        """
        self.open()
        self.say(TextMessage("hello"))
        self.assertEqual(self.closed().code, 1003)

    def test_noFrame(self) -> None:
        """
        What is no frame ends the connection, and only that.
        """
        self.open()
        self.visitor.dataReceived(b"\xff" * 20)
        self.assertEqual(self.closed().code, 1002)
        self.visitor.dataReceived(b"more")

    def test_noRequest(self) -> None:
        """
        What asks for no WebSocket is told so, and the connection ends.
        """
        beyond = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: \xa4\r\n\r\n"
        for asked in (
            b"GET /connect HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /connect nonsense\r\n\r\n",
            beyond,
        ):
            self.setUp()
            self.visitor.dataReceived(asked)
            said = self.wire.value()
            self.assertTrue(said.startswith(b"HTTP/1.1 400 "), said)
            self.assertIn(b"\r\n\r\nexpected a WebSocket: ", said)
            self.assertTrue(self.wire.disconnecting)
            self.visitor.dataReceived(b"more")
            self.assertEqual(self.wire.value(), said)


class RefusedTests(SocketCase):
    """
    Programs that have no stream.
    """

    def refused(self) -> tuple[int, str | None]:
        """
        Why a WebSocket was closed.
        """
        closing = self.closed()
        return int(closing.code), closing.reason

    def test_otherPhone(self) -> None:
        """
        A phone that is not the tunnel's has none, nor has an address that is not in it.
        """
        self.ask("/connect?udid=1111")
        self.assertEqual(self.refused(), (4404, "no tunnel exists for udid: 1111"))

    def test_otherAddress(self) -> None:
        """
        An address that is not in the tunnel is reached by none, the phone's is.
        """
        self.ask(f"{ECHO}&address=fd00%3A%3A9")
        self.assertEqual(self.refused()[0], 4404)

    def test_ownAddress(self) -> None:
        """
        The phone's address is the tunnel's.
        """
        self.ask(f"{ECHO}&address={PHONE}")
        self.assertIsInstance(self.heard()[0], AcceptConnection)
        self.assertFalse(self.wire.disconnecting)

    def test_noPort(self) -> None:
        """
        Without a port, RSD's is meant; where nothing is, there is no stream.
        """
        self.ask("/connect?udid=0000")
        code, reason = self.refused()
        self.assertEqual(code, 4502)
        self.assertIn("port 58783", reason or "")

    def test_noTunnel(self) -> None:
        """
        Where there is no tunnel, the program is told why, in so far as there is room.
        """
        self.doors.tunnel = SharedTunnel(lambda: fail(ConnectError(string="no phone " * 40)))
        self.ask(ECHO)
        code, reason = self.refused()
        self.assertEqual(code, 4404)
        self.assertIn("no phone", reason or "")

    def test_tooMany(self) -> None:
        """
        There is a bound to their number.
        """
        self.doors.visitors = LIMITS.tunnelSessions + 1
        self.ask(ECHO)
        self.assertEqual(self.refused()[0], 1013)

    def test_page(self) -> None:
        """
        A page that a browser shows has no stream, whatever it calls this machine.
        """
        for host, headers in (("127.0.0.1:49151", {"Origin": "null"}), ("example.org", {})):
            self.setUp()
            self.ask(ECHO, host, **headers)
            rejected = self.heard()[0]
            assert isinstance(rejected, RejectConnection)
            self.assertEqual(rejected.status_code, 403)
            self.assertTrue(self.wire.disconnecting)

    def test_target(self) -> None:
        """
        What is asked for has to be something that there can be.
        """
        for target in ("/connect", "/connected?udid=0", "/connect?udid=0&port=0"):
            self.setUp()
            self.ask(target)
            rejected = self.heard()[0]
            assert isinstance(rejected, RejectConnection)
            self.assertEqual(rejected.status_code, 400)
        self.assertEqual(parseTarget("/connect?udid=0"), ("0", None, None))
        self.assertRaises(ValueError, parseTarget, "/connect?udid=0&port=99999")

    def test_gone(self) -> None:
        """
        One that goes while it is being connected leaves nothing.
        """
        self.ends.lose = lambda: True
        self.ask(ECHO)
        self.visitor.connectionLost()
        self.assertTrue(self.ends.isEmpty())
        self.assertEqual(self.doors.visitors, 0)

    def test_silent(self) -> None:
        """
        One that does not ask is sent away in time.
        """
        self.reactor.advance(LIMITS.tunnelTimeout)
        self.assertTrue(self.wire.isAborted)
        self.visitor.connectionLost()
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class ListPortTests(DoorCase):
    """
    The port that both kinds of programs connect to.
    """

    def begin(self, *pieces: bytes) -> tuple[Any, Any]:
        """
        A program that says something.

        @return: Its wire, and what hears it in the end.
        """
        site = Site(TunnelList(self.doors), reactor=self.reactor)
        port = ListPort(self.doors, site)
        wire = Aborting()
        protocol: Any = port.buildProtocol(None)
        wire.protocol = protocol  # type: ignore[attr-defined]
        protocol.makeConnection(wire)
        for piece in pieces:
            wire.protocol.dataReceived(piece)  # type: ignore[attr-defined]
        return wire, wire.protocol  # type: ignore[attr-defined]

    def test_list(self) -> None:
        """
        One that asks for the list has it.
        """
        wire, _ = self.begin(b"GE", b"T /services HTTP/1.0\r\nHost: localhost\r\n\r\n")
        self.assertIn(b'{"a": 1}', wire.value())

    def test_socket(self) -> None:
        """
        One that asks for a stream has one.
        """
        request = WSConnection(ConnectionType.CLIENT).send(Request("localhost", ECHO))
        wire, protocol = self.begin(request[:5], request[5:])
        self.ends.run()
        self.assertIsInstance(protocol, SocketVisitor)
        self.assertIn(b"101", wire.value())

    def test_silent(self) -> None:
        """
        One that says nothing is sent away in time.
        """
        wire, protocol = self.begin(b"GET /c")
        self.reactor.advance(LIMITS.tunnelTimeout)
        self.assertTrue(wire.disconnecting)
        protocol.connectionLost()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
