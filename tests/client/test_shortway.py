"""
Tests of L{muxd.client.shortway}, with a daemon that the test plays on a real socket.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Any
from unittest import skipUnless

from twisted.internet.error import ConnectingCancelledError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.client.access import accessAt
from muxd.client.address import UnixAddress
from muxd.client.endpoint import UsbmuxClientEndpoint
from muxd.client.errors import DaemonNonsense, PhoneGone, PortRefused, TimedOut
from muxd.client.requests import CONNECT_TIMEOUT, Dialect
from muxd.client.shortway import KEPT, ShortWay
from muxd.limits import LIMITS
from muxd.net.eventloop import EventLoop
from muxd.net.loopreactor import LoopReactor
from muxd.net.socketway import ISocketEndpoint, socketWayTo
from muxd.net.streams import StreamSocket
from muxd.wire.messages import Message, MessageReader, Result, parsePlist, plistMessage
from tests.net.eventloops import ClockAround
from tests.relays import ListeningPoint

UDID = "00008110-000A1B2C3D4E5F60"


def resultMessage(number: int) -> bytes:
    """
    A Result.
    """
    return plistMessage({"MessageType": "Result", "Number": number}, 1).encode()


def devicesMessage(*numbers: int) -> bytes:
    """
    The list of these devices.
    """
    entries = [
        {
            "DeviceID": number,
            "MessageType": "Attached",
            "Properties": {
                "ConnectionType": "USB",
                "DeviceID": number,
                "SerialNumber": UDID.replace("-", ""),
            },
        }
        for number in numbers
    ]
    return plistMessage({"DeviceList": entries}, 1).encode()


class Taker:
    """
    What a socket is for.

    @ivar told: What has been said.
    """

    def __init__(self) -> None:
        self.told: list[Any] = []

    def socketReady(self, connected: StreamSocket, data: bytes) -> None:
        """
        Have it.
        """
        self.told.append((connected, data))

    def socketFailed(self, reason: Failure) -> None:
        """
        Have none.
        """
        self.told.append(reason.value)

    def needsTransport(self) -> None:
        """
        Have none here.
        """
        self.told.append("transport")


@skipUnless(sys.platform.startswith("linux"), "there is no epoll")
class ShortWayTests(SynchronousTestCase):
    """
    Tests of L{ShortWay}.
    """

    def setUp(self) -> None:
        """
        A daemon, and the way to a port of its phone.
        """
        self.before = len(os.listdir("/proc/self/fd"))
        self.clock = ClockAround()
        self.loop = EventLoop(self.clock)
        path = self.mktemp()
        self.daemon = socket.socket(socket.AF_UNIX)
        self.daemon.bind(path)
        self.daemon.listen(1)
        self.daemon.settimeout(5)
        access = accessAt(LoopReactor(self.clock, self.loop), UnixAddress(path))
        self.endpoint = UsbmuxClientEndpoint(self.clock, 22, via=access)
        way = socketWayTo(self.endpoint)
        assert isinstance(way, ShortWay)
        self.way = way
        self.taker = Taker()
        self.clients: list[socket.socket] = []
        self.addCleanup(self.cleanUp)

    def cleanUp(self) -> None:
        """
        Nothing is left.
        """
        for each in (self.daemon, *self.clients):
            each.close()
        for told in self.taker.told:
            if isinstance(told, tuple):
                told[0].close()
        self.assertEqual(self.loop.owners, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(len(os.listdir("/proc/self/fd")), self.before)

    def begin(self) -> None:
        """
        Begin an attempt.
        """
        attempt = self.way.open(self.taker)
        assert attempt is not None
        self.attempt = attempt

    def accept(self) -> tuple[socket.socket, dict[str, Any]]:
        """
        The next connection to the daemon, and what it says.
        """
        client, _ = self.daemon.accept()
        client.settimeout(5)
        self.clients.append(client)
        return client, parsePlist(self.hear(client).body)

    def hear(self, client: socket.socket) -> Message:
        """
        One message.
        """
        reader = MessageReader(10_000)
        while True:
            reader.feed(client.recv(reader.missing))
            message = reader.next()
            if message is not None:
                return message

    def say(self, client: socket.socket, data: bytes) -> None:
        """
        Answer.
        """
        client.sendall(data)
        self.loop.doRead()

    def find(self, number: int = 1) -> socket.socket:
        """
        Have the phone found.

        @return: the connection to it, not answered yet.
        """
        self.begin()
        client, question = self.accept()
        self.assertEqual(question["MessageType"], "ListDevices")
        self.say(client, devicesMessage(number))
        self.assertEqual(client.recv(1), b"")
        client, question = self.accept()
        self.assertEqual(question["MessageType"], "Connect")
        self.assertEqual((question["DeviceID"], question["PortNumber"]), (number, 22 << 8))
        self.assertEqual(self.taker.told, [])
        return client

    def ready(self) -> tuple[StreamSocket, bytes]:
        """
        What the taker has got.
        """
        (told,) = self.taker.told
        assert isinstance(told, tuple), told
        self.taker.told.clear()
        self.addCleanup(told[0].close)
        return told

    def test_interface(self) -> None:
        """
        The endpoint knows the way; those that do not know one have none.
        """
        verifyObject(ISocketEndpoint, self.endpoint)
        self.assertIs(socketWayTo(ListeningPoint()), None)
        elsewhere = UsbmuxClientEndpoint(self.clock, 22, via=accessAt(self.clock, UnixAddress("x")))
        self.assertIs(socketWayTo(elsewhere), None)
        long = accessAt(LoopReactor(self.clock, self.loop), UnixAddress("x" * 200))
        self.assertIs(socketWayTo(UsbmuxClientEndpoint(self.clock, 22, via=long)), None)

    def test_connected(self) -> None:
        """
        The socket is the phone's port, each time.
        """
        for _ in range(2):
            client = self.find()
            self.say(client, resultMessage(0))
            connected, data = self.ready()
            self.assertEqual(data, b"")
            connected.send(b"hello")
            self.assertEqual(client.recv(10), b"hello")
        self.assertEqual((len(self.way._devices), len(self.way.welcome)), (1, 1))

    def test_otherDevice(self) -> None:
        """
        A phone that is another device now is found as that.
        """
        self.say(self.find(1), resultMessage(0))
        self.ready()
        self.say(self.find(2), resultMessage(0))
        self.ready()

    def test_dataAlong(self) -> None:
        """
        What the phone says at once is not lost, and not taken for a part of an answer later.
        """
        for _ in range(2):
            self.say(self.find(), resultMessage(0) + b"SSH-2.0")
            self.assertEqual(self.ready()[1], b"SSH-2.0")
        self.assertEqual(len(self.way.welcome), 0)

    def test_pieces(self) -> None:
        """
        The answer may come in pieces.
        """
        client = self.find()
        answer = resultMessage(0) + b"SSH"
        for place in range(len(answer) - 4):
            self.say(client, answer[place : place + 1])
            self.assertEqual(self.taker.told, [])
        self.say(client, answer[-4:])
        self.assertEqual(self.ready()[1], b"SSH")

    def test_bounded(self) -> None:
        """
        No more than so much is remembered.
        """
        for number in range(1, KEPT + 10):
            device = self.way.device(devicesMessage(number))
            assert device is not None
            self.way.questionFor(device)
        self.assertEqual((len(self.way._devices), len(self.way.questions)), (KEPT, KEPT))

    def failure(self, kind: type[Exception]) -> str:
        """
        What the taker has been told instead.
        """
        (told,) = self.taker.told
        self.assertIsInstance(told, kind)
        return str(told)

    def test_refused(self) -> None:
        """
        A refusal means what it always does.
        """
        self.say(self.find(), resultMessage(Result.CONNECTION_REFUSED))
        self.failure(PortRefused)

    def test_phoneGone(self) -> None:
        """
        So does a phone that the daemon does not know any more.
        """
        self.say(self.find(), resultMessage(Result.BAD_DEVICE))
        self.failure(PhoneGone)

    def test_daemonGone(self) -> None:
        """
        And a daemon that goes without a word, or within one.
        """
        client = self.find()
        self.say(client, resultMessage(0)[:10])
        client.close()
        self.loop.doRead()
        self.assertIn("closed the connection", self.failure(PhoneGone))

    def test_nonsense(self) -> None:
        """
        And one that does not speak the protocol.
        """
        self.say(self.find(), b"HTTP/1.0 400 Bad Request\r\n\r\n")
        self.failure(DaemonNonsense)

    def test_binary(self) -> None:
        """
        With a daemon that speaks the other dialect only the ordinary way is gone, now and the
        next time.
        """
        self.say(self.find(), resultMessage(Result.BAD_VERSION))
        self.assertEqual(self.taker.told, ["transport"])
        self.assertIs(self.way.access.choice.dialect, Dialect.BINARY)
        self.assertIs(self.way.open(self.taker), None)

    def test_notFound(self) -> None:
        """
        Whatever the first answer is but a list in which the phone is, is left to the ordinary
        way.
        """
        answers = (
            devicesMessage(),
            devicesMessage(1)[:-3],
            devicesMessage(1) + b"x",
            resultMessage(Result.BAD_VERSION),
            resultMessage(Result.BAD_COMMAND),
            resultMessage(0),
            plistMessage({"DeviceList": 7}, 1).encode(),
            b"HTTP/1.0 400 Bad Request\r\n\r\n",
        )
        for answer in answers:
            self.begin()
            client, _ = self.accept()
            self.say(client, answer)
            self.assertEqual(self.taker.told, ["transport"], answer)
            self.taker.told.clear()

    def test_lookUpLost(self) -> None:
        """
        So is a daemon that goes.
        """
        self.begin()
        client, _ = self.accept()
        client.close()
        self.loop.doRead()
        self.assertEqual(self.taker.told, ["transport"])

    def test_nothingListens(self) -> None:
        """
        Nothing is begun where nothing listens, and what is between two connections is left to
        the ordinary way.
        """
        self.begin()
        client, _ = self.accept()
        self.daemon.close()
        self.say(client, devicesMessage(1))
        self.assertEqual(self.taker.told, ["transport"])
        self.assertIs(self.way.open(self.taker), None)

    def test_late(self) -> None:
        """
        Each answer has its time, and all of it no more than the endpoint's.
        """
        self.begin()
        self.clock.advance(LIMITS.answerTimeout - 1)
        self.assertEqual(self.taker.told, [])
        self.clock.advance(1)
        self.assertIn("waiting for the daemon's answer (ListDevices", self.failure(TimedOut))
        self.taker.told.clear()
        self.daemon.accept()[0].close()
        self.find()
        self.clock.advance(CONNECT_TIMEOUT - 0.25)
        self.assertEqual(self.taker.told, [])
        self.clock.advance(0.25)
        self.assertIn("30 s while waiting for the phone to accept", self.failure(TimedOut))

    def test_cancelled(self) -> None:
        """
        It can be given up at any time: nothing is told.
        """
        self.begin()
        self.attempt.cancel().trap(ConnectingCancelledError)
        self.daemon.accept()[0].close()
        client = self.find()
        self.attempt.cancel().trap(ConnectingCancelledError)
        self.assertEqual(client.recv(1), b"")
        self.attempt.happened(1)
        self.assertEqual(self.taker.told, [])

    def test_mistake(self) -> None:
        """
        A mistake of ours is an end as well.
        """
        self.begin()
        client, _ = self.accept()

        def fails(data: bytes) -> None:
            raise ZeroDivisionError

        self.patch(self.way, "device", fails)
        self.say(client, devicesMessage(1))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.failure(ZeroDivisionError)
