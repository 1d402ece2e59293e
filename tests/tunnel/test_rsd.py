# -*- test-case-name: tests.tunnel.test_rsd -*-
"""
Tests of what is said in a tunnel: L{muxd.tunnel.remotexpc}, L{muxd.tunnel.rsd} and
L{muxd.tunnel.checkin}.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.protocols.wire import Echo
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from muxd.phone.services.inet import ServiceFactory
from muxd.tunnel.checkin import LONGEST, CheckInEndpoint, CheckInFailed, PhoneCheckIn
from muxd.tunnel.rsd import MOST_SERVICES, PeerInfo, RemoteService, parsePeerInfo, writePeerInfo
from muxd.tunnel.stack import TunnelEndpoint
from muxd.tunnel.xpc import MalformedXPC, Message, readObject, writeObject
from tests.phone.services.hosts import frame
from tests.tunnel.ends import PORT, Ends, Making, Talker, isDone

try:
    from hyperframe.frame import DataFrame, GoAwayFrame, PingFrame, SettingsFrame

    from muxd.phone.services.rsdserver import RSDServer
    from muxd.tunnel.remotexpc import FRAME, PREFACE, RemoteXPC
    from muxd.tunnel.rsdclient import RSDClient
except ImportError as missing:
    raise SkipTest(f"these tests need the extra tunnel: {missing}") from missing

INFO = PeerInfo(
    {"UniqueDeviceID": "0000"},
    {
        "com.apple.afc.shim.remote": RemoteService("com.apple.afc.shim.remote", 50000),
        "com.apple.other": RemoteService("com.apple.other", 50001, isRemoteXPC=True),
        "com.apple.some": RemoteService("com.apple.some", 50002, True, ("one", "two")),
    },
)
TOLD = writePeerInfo(INFO, UUID(int=1))


class PeerInfoTests(SynchronousTestCase):
    """
    What a phone tells.
    """

    def test_again(self) -> None:
        """
        It is read as it was written.
        """
        self.assertEqual(parsePeerInfo(readObject(writeObject(TOLD))), INFO)

    def test_unreachable(self) -> None:
        """
        Services that cannot be reached, or named, are left out.
        """
        services = {
            "a": {"Port": "0"},
            "b": {"Port": 65536},
            "c": {},
            "d": 7,
            "e\n": {"Port": "1"},
            "": {"Port": "1"},
            "g": {"Port": "²"},
            "h": {"Port": 1, "Properties": 3},
        }
        found = parsePeerInfo({**TOLD, "Services": services}).services
        self.assertEqual(found, {"h": RemoteService("h", 1)})

    def test_malformed(self) -> None:
        """
        What is none is an error.
        """
        many: dict[str, Any] = {str(number): {} for number in range(MOST_SERVICES + 1)}
        for body in (None, {}, {**TOLD, "Properties": 1}, {**TOLD, "Services": many}):
            self.assertRaises(MalformedXPC, parsePeerInfo, body)


class _Pair:
    """
    The two ends of RSD, and what they say.
    """

    def __init__(self, told: Any = TOLD) -> None:
        self.client, self.server = RSDClient(UUID(int=2)), RSDServer(lambda: told)
        self.ends: list[Any] = [self.client, self.server]
        self.wires = [StringTransport(), StringTransport()]
        for end, wire in zip(self.ends, self.wires, strict=True):
            end.makeConnection(wire)

    def run(self, size: int = 100000) -> None:
        """
        Let them talk, in pieces of this size.
        """
        while any(wire.value() for wire in self.wires):
            for wire, other in zip(self.wires, reversed(self.ends), strict=True):
                data = wire.value()
                wire.clear()
                for at in range(0, len(data), size):
                    other.dataReceived(data[at : at + size])


class RSDTests(SynchronousTestCase):
    """
    A conversation.
    """

    def test_told(self) -> None:
        """
        The host hears of the services, whatever pieces all that comes in.
        """
        for size in (1, 7, 100000):
            pair = _Pair()
            pair.run(size)
            self.assertEqual(self.successResultOf(pair.client.whenTold), INFO)

    def test_order(self) -> None:
        """
        The phone answers each of the three beginnings before it tells anything.
        """
        pair = _Pair()
        pair.server.dataReceived(pair.wires[0].value())
        frames = list(framesIn(pair.wires[1].value()))
        data = [
            (one.stream_id, len(one.data) > 100) for one in frames if isinstance(one, DataFrame)
        ]
        self.assertEqual(data, [(1, False), (1, False), (3, False), (1, True)])

    def test_long(self) -> None:
        """
        What is longer than a frame or a window comes in several.
        """
        told = {**TOLD, "Properties": {"long": "x" * 200000}}
        pair = _Pair(told)
        pair.run()
        info = self.successResultOf(pair.client.whenTold)
        self.assertEqual(len(info.properties["long"]), 200000)

    def test_ping(self) -> None:
        """
        A ping is answered.
        """
        pair = _Pair()
        pair.run()
        pair.client.dataReceived(PingFrame(0, opaque_data=b"12345678").serialize())
        (frame,) = framesIn(pair.wires[0].value())
        self.assertEqual((type(frame), set(frame.flags)), (PingFrame, {"ACK"}))

    def test_goneAway(self) -> None:
        """
        An end that goes away is let go.
        """
        pair = _Pair()
        pair.client.dataReceived(GoAwayFrame(0).serialize())
        self.assertTrue(pair.wires[0].disconnecting)
        pair.client.connectionLost(Failure(ConnectionDone()))
        self.failureResultOf(pair.client.whenTold, ConnectionLost)

    def test_malformed(self) -> None:
        """
        What is no RemoteXPC ends the connection.
        """
        huge = SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 2**31}).serialize()
        for data in (
            (FRAME + 1).to_bytes(3) + bytes(6),
            DataFrame(1, b"x" * 24).serialize(),
            huge,
            b"\0\0\1\4\0\0\0\0\0x",
            b"\0\0\0\0\0\0\0\0\0",
        ):
            pair = _Pair()
            pair.client.dataReceived(data)
            self.assertTrue(pair.wires[0].disconnecting, data[:20])
            pair.client.dataReceived(b"more")
        server = _Pair()
        server.server.dataReceived(PREFACE[:3] + b"x")
        self.assertTrue(server.wires[1].disconnecting)

    def test_nothingTold(self) -> None:
        """
        A phone that tells something else ends the connection.
        """
        pair = _Pair({"MessageType": "Other"})
        pair.run()
        self.assertTrue(pair.wires[0].disconnecting)
        self.assertNoResult(pair.client.whenTold)

    def test_neverRead(self) -> None:
        """
        What an end that gives no room is not told costs no more than is allowed.
        """

        class Speaker(RemoteXPC):
            def messageReceived(self, message: Message) -> None:
                """
                Nothing.
                """

        speaker, wire = Speaker(), StringTransport()
        speaker.makeConnection(wire)
        for _ in range(20):
            speaker.send({"x": bytes(100000)})
        self.assertTrue(wire.disconnecting)
        self.assertLess(len(wire.value()), 100000)


def framesIn(data: bytes) -> Any:
    """
    The frames that bytes are.
    """
    from hyperframe.frame import Frame

    while data:
        frame, size = Frame.parse_frame_header(memoryview(data[:9]))
        frame.parse_body(memoryview(data[9 : 9 + size]))
        data = data[9 + size :]
        yield frame


class CheckInTests(SynchronousTestCase):
    """
    The way to a service that was lockdownd's.
    """

    def connect(self, ends: Ends, factory: Any) -> Deferred[Any]:
        """
        Connect, and check in.
        """
        endpoint = CheckInEndpoint(TunnelEndpoint(ends.host, PORT), ends.clock, 5.0)
        connecting: Deferred[Any] = endpoint.connect(factory)
        ends.run()
        return connecting

    def test_echo(self) -> None:
        """
        After it the service speaks, on the same connection.
        """
        ends = Ends(lambda: PhoneCheckIn("x", ServiceFactory(Echo)))
        factory = Making()
        host = self.successResultOf(self.connect(ends, factory))
        host.wire.write(b"hello")
        ends.run()
        self.assertEqual(host.heard, b"hello")
        host.wire.loseConnection()
        ends.run(5.0)
        self.assertTrue(isDone(host.lost))
        self.assertEqual(factory.stops, 1)
        self.assertTrue(ends.isEmpty())

    def test_speaksFirst(self) -> None:
        """
        A service may speak first.
        """

        class Greeter(Talker):
            def connectionMade(self) -> None:
                self.wire.write(b"hello")

        ends = Ends(lambda: PhoneCheckIn("x", ServiceFactory(Greeter)))
        host = self.successResultOf(self.connect(ends, Making()))
        ends.run()
        self.assertEqual(host.heard, b"hello")

    def test_refused(self) -> None:
        """
        A service that is not to be had is an error.
        """
        none = Making()
        none.buildProtocol = lambda addr: None  # type: ignore[method-assign,assignment,return-value]
        ends = Ends(lambda: PhoneCheckIn("x", none))
        error = self.failureResultOf(self.connect(ends, Making()), CheckInFailed)
        self.assertIn("ServiceProhibited", error.getErrorMessage())

    def test_other(self) -> None:
        """
        What answers something else, or nothing, or too much, is none.
        """
        ends = Ends(Echo)
        connecting = self.connect(ends, Making())
        self.assertNoResult(connecting)
        ends.run(5.0)
        self.failureResultOf(connecting, CheckInFailed)
        ends = Ends()
        connecting = self.connect(ends, Making())
        ends.server.made[0].wire.write(frame({"Request": "Other"}))
        ends.run()
        self.failureResultOf(connecting, CheckInFailed)
        ends = Ends()
        connecting = self.connect(ends, Making())
        ends.server.made[0].wire.write((LONGEST + 1).to_bytes(4))
        ends.run()
        self.failureResultOf(connecting, CheckInFailed)

    def test_closed(self) -> None:
        """
        A service that closes before it answers is an error.
        """
        ends = Ends()
        connecting = self.connect(ends, Making())
        ends.server.made[0].wire.loseConnection()
        ends.run()
        self.failureResultOf(connecting, ConnectionLost)

    def test_cancelled(self) -> None:
        """
        An attempt can be cancelled at any time.
        """
        for seconds in (0.0, 0.2):
            ends = Ends()
            endpoint = CheckInEndpoint(TunnelEndpoint(ends.host, PORT), ends.clock, 5.0)
            connecting = endpoint.connect(Making())
            ends.run(seconds)
            connecting.cancel()
            self.failureResultOf(connecting)
            ends.run()
            self.assertTrue(ends.isEmpty())

    def test_stranger(self) -> None:
        """
        A host that does not check in is not let in.
        """
        ends = Ends(lambda: PhoneCheckIn("x", ServiceFactory(Echo)))
        host, _ = ends.connect()
        host.wire.write(b"\0\0\0\2hi")
        ends.run(5.0)
        self.assertEqual(host.heard, b"")
        self.assertTrue(isDone(host.lost))
