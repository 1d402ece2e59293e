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
from muxd.client.rememberedlist import TRUSTED
from muxd.client.requests import CONNECT_TIMEOUT, Dialect
from muxd.client.shortway import KEPT, READ_SIZE, ShortWay
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


def entryOf(number: int) -> dict[str, Any]:
    """
    What a daemon says of a device.
    """
    return {
        "DeviceID": number,
        "MessageType": "Attached",
        "Properties": {
            "ConnectionType": "USB",
            "DeviceID": number,
            "SerialNumber": UDID.replace("-", ""),
        },
    }


def devicesMessage(*numbers: int) -> bytes:
    """
    The list of these devices.
    """
    return plistMessage({"DeviceList": [entryOf(number) for number in numbers]}, 1).encode()


def attachedMessage(number: int) -> bytes:
    """
    A device has come.
    """
    return plistMessage(entryOf(number), 0).encode()


def detachedMessage(number: int) -> bytes:
    """
    A device has gone.
    """
    return plistMessage({"MessageType": "Detached", "DeviceID": number}, 0).encode()


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


class WayCase(SynchronousTestCase):
    """
    What tests of a way need.
    """

    def setUp(self) -> None:
        """
        A daemon, and the way to a port of its phone.
        """
        self.before = len(os.listdir("/proc/self/fd"))
        self.clock = ClockAround()
        self.loop = EventLoop(self.clock)
        path = self.mktemp()
        self.daemon = self.listen(path)
        access = accessAt(LoopReactor(self.clock, self.loop), UnixAddress(path))
        self.endpoint = UsbmuxClientEndpoint(self.clock, 22, via=access)
        self.path, self.access = path, access
        way = socketWayTo(self.endpoint)
        assert isinstance(way, ShortWay)
        self.way = way
        self.taker = Taker()
        self.clients: list[socket.socket] = []
        self.addCleanup(self.cleanUp)

    def listen(self, path: str) -> socket.socket:
        """
        A daemon's socket.
        """
        daemon = socket.socket(socket.AF_UNIX)
        daemon.bind(path)
        daemon.listen(3)
        daemon.settimeout(5)
        return daemon

    def cleanUp(self) -> None:
        """
        Nothing is left.
        """
        self.way.close()
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
        Have the phone looked for.

        @return: the connection to it, not answered yet.
        """
        self.begin()
        return self.found(number)

    def asked(self, kind: str) -> socket.socket:
        """
        The next connection to the daemon, which says this.
        """
        client, question = self.accept()
        self.assertEqual(question["MessageType"], kind)
        return client

    def found(self, number: int = 1) -> socket.socket:
        """
        Say where the phone is.

        @return: the connection to it, not answered yet.
        """
        client = self.asked("ListDevices")
        self.say(client, devicesMessage(number))
        self.assertEqual(client.recv(1), b"")
        return self.connected(number)

    def connected(self, number: int = 1) -> socket.socket:
        """
        The connection to the phone, not answered yet.
        """
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

    def failure(self, kind: type[Exception]) -> str:
        """
        What the taker has been told instead.
        """
        (told,) = self.taker.told
        self.assertIsInstance(told, kind)
        return str(told)


@skipUnless(sys.platform.startswith("linux"), "there is no epoll")
class ShortWayTests(WayCase):
    """
    Tests of L{ShortWay}, for a program that connects now and then.
    """

    def begin(self) -> None:
        """
        Begin an attempt, long after the last one.
        """
        self.clock.advance(TRUSTED)
        super().begin()

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
        self.assertEqual((len(self.way._lists), len(self.way.welcome)), (1, 1))

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
        The answers may come in pieces.
        """
        self.begin()
        client = self.asked("ListDevices")
        for byte in devicesMessage(1):
            self.say(client, bytes([byte]))
            self.assertEqual(self.taker.told, [])
        client = self.connected()
        answer = resultMessage(0) + b"SSH"
        for place in range(len(answer) - 4):
            self.say(client, answer[place : place + 1])
            self.assertEqual(self.taker.told, [])
        self.say(client, answer[-4:])
        self.assertEqual(self.ready()[1], b"SSH")
        client = self.find()
        answer = resultMessage(0)
        self.say(client, answer[:-4])
        self.say(client, answer[-4:])
        self.ready()
        # The last piece is not taken for an answer later.
        self.assertEqual((len(self.way._lists), len(self.way.welcome)), (1, 0))

    def test_manyPhones(self) -> None:
        """
        A list that is longer than is read at once is read, and not kept.
        """
        listing = plistMessage({"DeviceList": [entryOf(1)] * 100}, 1).encode()
        self.assertGreater(len(listing), READ_SIZE)
        self.begin()
        self.say(self.asked("ListDevices"), listing)
        for _ in range(len(listing) // READ_SIZE):
            self.loop.doRead()
        self.say(self.connected(), resultMessage(0))
        self.ready()
        self.assertEqual(len(self.way._lists), 0)

    def test_bounded(self) -> None:
        """
        No more than so much is remembered.
        """
        for number in range(1, KEPT + 10):
            exchange = self.way.exchange(self.way.lookUp)[0]
            devices = self.way.understandList(exchange, devicesMessage(number))
            assert devices is not None
            device = self.way.meant(devices)
            assert device is not None
            self.way.questionFor(device)
        self.assertEqual((len(self.way._lists), len(self.way.questions)), (KEPT, KEPT))

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
        for said in (b"", devicesMessage(1)[:-3]):
            self.begin()
            client = self.asked("ListDevices")
            client.sendall(said)
            client.close()
            for _ in range(2):
                self.loop.doRead()
            self.assertEqual(self.taker.told, ["transport"])
            self.taker.told.clear()

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

        self.patch(self.way, "listed", fails)
        self.say(client, devicesMessage(1))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.failure(ZeroDivisionError)


@skipUnless(sys.platform.startswith("linux"), "there is no epoll")
class AgainTests(WayCase):
    """
    Tests of L{ShortWay}, for a program that connects again and again.
    """

    def setUp(self) -> None:
        """
        It has been told which phone there is, and hears of others.
        """
        super().setUp()
        self.begin()
        self.take(self.found())
        self.begin()
        self.feed = self.asked("Listen")
        self.say(self.feed, resultMessage(0) + attachedMessage(1))
        self.take(self.found())
        self.begin()
        self.take(self.found())

    def take(self, client: socket.socket) -> None:
        """
        Have it connected.
        """
        self.say(client, resultMessage(0))
        self.assertEqual(self.ready()[1], b"")

    def test_known(self) -> None:
        """
        The phone is connected to at once.
        """
        for _ in range(3):
            self.begin()
            self.take(self.connected())
        self.clock.advance(CONNECT_TIMEOUT)

    def test_shared(self) -> None:
        """
        So is any port of it.
        """
        way = socketWayTo(UsbmuxClientEndpoint(self.clock, 23, via=self.access))
        assert way is not None
        attempt = way.open(self.taker)
        assert attempt is not None
        self.assertEqual(self.accept()[1]["PortNumber"], 23 << 8)
        attempt.cancel()

    def test_other(self) -> None:
        """
        A phone that is not there is looked for, and what to say of it is left to the ordinary way.
        """
        way = socketWayTo(UsbmuxClientEndpoint(self.clock, 22, udid="0" * 40, via=self.access))
        assert way is not None
        way.open(self.taker)
        self.say(self.asked("ListDevices"), devicesMessage(1))
        self.assertEqual(self.taker.told, ["transport"])
        self.taker.told.clear()

    def test_replugged(self) -> None:
        """
        When the daemon has told of something, the phone is looked for, if it is only just now.
        """
        self.feed.sendall(detachedMessage(1) + attachedMessage(2))
        self.begin()
        self.take(self.found(2))
        self.begin()
        self.take(self.connected(2))

    def test_badDevice(self) -> None:
        """
        A phone that the daemon does not know is looked for: it may have come back.
        """
        self.begin()
        self.say(self.connected(), resultMessage(Result.BAD_DEVICE))
        self.take(self.found(2))
        self.begin()
        self.take(self.connected(2))

    def test_badDeviceAgain(self) -> None:
        """
        If it is listed nevertheless, that is the end; and the next one asks at once.
        """
        self.begin()
        self.say(self.connected(), resultMessage(Result.BAD_DEVICE))
        self.say(self.found(), resultMessage(Result.BAD_DEVICE))
        self.failure(PhoneGone)
        self.taker.told.clear()
        self.begin()
        self.take(self.found())

    def test_closed(self) -> None:
        """
        A daemon that closes the connection may mean the same.
        """
        self.begin()
        self.connected().close()
        self.loop.doRead()
        self.take(self.found(2))

    def test_refused(self) -> None:
        """
        A port that the phone refuses is refused, without another look.
        """
        for _ in range(2):
            self.begin()
            self.say(self.connected(), resultMessage(Result.CONNECTION_REFUSED))
            self.failure(PortRefused)
            self.taker.told.clear()

    def otherDaemon(self, number: int) -> None:
        """
        Have another daemon answer with this Result.
        """
        self.begin()
        client = self.connected()
        self.feed.close()
        self.say(client, resultMessage(number) + b"SSH-2.0")
        self.assertEqual(self.taker.told, [])
        self.assertEqual(client.recv(1), b"")
        self.take(self.found(7))

    def test_otherDaemon(self) -> None:
        """
        What another daemon has answered does not count: its numbers may be other phones'.
        """
        self.otherDaemon(0)

    def test_otherDaemonRefuses(self) -> None:
        """
        Nor does what it has refused.
        """
        self.otherDaemon(Result.CONNECTION_REFUSED)

    def test_daemonGone(self) -> None:
        """
        Where no daemon is any more, it is for the ordinary way to say so.
        """
        self.begin()
        client = self.connected()
        self.daemon.close()
        self.feed.close()
        client.close()
        self.loop.doRead()
        self.assertEqual(self.taker.told, ["transport"])
        self.assertIs(self.way.open(self.taker), None)

    def test_late(self) -> None:
        """
        All of it has no more time than the endpoint has.
        """
        self.begin()
        client = self.connected()
        self.clock.advance(CONNECT_TIMEOUT - 1)
        self.say(client, resultMessage(Result.BAD_DEVICE))
        self.asked("ListDevices")
        self.clock.advance(0.75)
        self.assertEqual(self.taker.told, [])
        self.clock.advance(0.25)
        self.assertIn("waiting for the daemon's answer (ListDevices", self.failure(TimedOut))

    def test_cancelled(self) -> None:
        """
        It can be given up.
        """
        self.begin()
        client = self.connected()
        self.attempt.cancel().trap(ConnectingCancelledError)
        self.assertEqual(client.recv(1), b"")

    def test_closedWay(self) -> None:
        """
        With the way, the listener ends.
        """
        self.way.close()
        self.assertEqual(self.feed.recv(1), b"")
        self.begin()
        self.take(self.found())
