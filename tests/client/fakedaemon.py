"""
A daemon for tests of blocking programs: a real UNIX socket, a thread, and one
script for each connection.

All that happens is ordered by what is read and written, and every wait has a
deadline after which the test fails, so nothing sleeps and nothing hangs.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Thread
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from muxd.client.address import UnixAddress
from muxd.client.daemon import Daemon
from muxd.client.socketio import Deadline
from muxd.wire.messages import (
    DEVICE_ID_BODY,
    HEADER,
    DeviceRecord,
    Message,
    MessageType,
    parsePlist,
    plistMessage,
)
from tests.wire.results import resultMessage

PATIENCE = 20.0
"""Seconds after which a test has failed."""

UDID = "00008030-001A35E22E88002E"
OTHER = "00008030-0000000000000002"


class Peer:
    """
    The daemon's end of one connection.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        sock.settimeout(PATIENCE)

    def read(self) -> Message:
        """
        One message of the client.
        """
        length, version, kind, tag = HEADER.unpack(self.take(HEADER.size))
        return Message(version, kind, tag, self.take(length - HEADER.size))

    def request(self) -> dict[str, Any]:
        """
        One property list of the client.
        """
        message = self.read()
        assert (message.version, message.type) == (1, MessageType.PLIST), message
        return parsePlist(message.body)

    def take(self, count: int) -> bytes:
        """
        Exactly so many bytes.
        """
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            assert more, f"the client closed after {data!r}"
            data += more
        return data

    def rest(self) -> bytes:
        """
        Everything until the client stops sending.
        """
        data = b""
        while more := self.socket.recv(65536):
            data += more
        return data

    def untilGone(self) -> None:
        """
        Wait for the client to go, whatever it says and however it goes.
        """
        with suppress(ConnectionError):
            self.rest()

    def send(self, *messages: Message) -> None:
        """
        Messages, in one write.
        """
        self.socket.sendall(b"".join(message.encode() for message in messages))


Script = Callable[[Peer], None]


class FakeDaemon:
    """
    It serves one connection after the other, each by the next script, and checks
    at the end of the test that all were used and none failed.

    @ivar address: Where it listens.
    """

    def __init__(self, case: SynchronousTestCase, *scripts: Script) -> None:
        directory = tempfile.mkdtemp(prefix="muxd-")
        self.address = UnixAddress(os.path.join(directory, "socket"))
        self._case = case
        self._scripts = list(scripts)
        self._failure: BaseException | None = None
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(self.address.path)
        self._listening.listen()
        self._listening.settimeout(PATIENCE)
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()
        case.addCleanup(shutil.rmtree, directory)
        case.addCleanup(self._stop)

    def _serve(self) -> None:
        try:
            for script in self._scripts:
                connection, _ = self._listening.accept()
                with connection:
                    script(Peer(connection))
        except BaseException as failure:
            self._failure = failure
        finally:
            self._listening.close()

    def wait(self) -> None:
        """
        Wait until all connections are over.
        """
        self._thread.join(PATIENCE)

    def _stop(self) -> None:
        self.wait()
        if self._failure is not None:
            raise self._failure
        self._case.assertFalse(self._thread.is_alive(), "a script was not used")


class StandingDaemon:
    """
    It serves connections at once, all by one script, until the test is over.

    @ivar address: Where it listens.
    """

    def __init__(self, case: SynchronousTestCase, script: Script) -> None:
        directory = tempfile.mkdtemp(prefix="muxd-")
        self.address = UnixAddress(os.path.join(directory, "socket"))
        self._script = script
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(self.address.path)
        self._listening.listen()
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()
        case.addCleanup(shutil.rmtree, directory)
        case.addCleanup(self._stop)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                Thread(target=self._serveOne, args=(connection,), daemon=True).start()

    def _serveOne(self, connection: socket.socket) -> None:
        with connection:
            self._script(Peer(connection))

    def _stop(self) -> None:
        # Closing a socket does not wake an accept, shutting it down does.
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE)
        self._listening.close()


def answering(values: Mapping[str, Any], into: list[dict[str, Any]] | None = None) -> Script:
    """
    Read one command and answer it with a property list.

    @param into: Where to leave the command.
    """

    def script(peer: Peer) -> None:
        request = peer.request()
        if into is not None:
            into.append(request)
        peer.send(plistMessage(values, 1))

    return script


def result(number: int) -> Script:
    """
    Read one command and answer it with a Result in a property list.
    """
    return answering({"MessageType": "Result", "Number": number})


def refusingPlists(peer: Peer) -> None:
    """
    An old daemon's answer to a property list.
    """
    peer.request()
    peer.send(resultMessage(0, 1, 6))


def listening(*messages: Message, then: Script = lambda peer: None) -> Script:
    """
    Accept a Listen, send messages, and go on with something else; the end
    closes the connection.
    """

    def script(peer: Peer) -> None:
        assert peer.request()["MessageType"] == "Listen"
        peer.send(resultMessage(1, 1, 0), *messages)
        then(peer)

    return script


def binaryListening(*messages: Message, then: Script = lambda peer: None) -> Script:
    """
    The same in the binary protocol.
    """

    def script(peer: Peer) -> None:
        assert peer.read().type == MessageType.LISTEN
        peer.send(resultMessage(0, 1, 0), *messages)
        then(peer)

    return script


def connecting(then: Script, glued: bytes = b"") -> Script:
    """
    Accept a Connect and be the phone.

    @param glued: What the phone says in the same write as the Result.
    """

    def script(peer: Peer) -> None:
        assert peer.request()["MessageType"] == "Connect"
        peer.socket.sendall(resultMessage(1, 1, 0).encode() + glued)
        then(peer)

    return script


def untilClosed(peer: Peer) -> None:
    """
    Wait for the client to go, saying nothing.
    """
    assert peer.rest() == b""


def deviceEntry(deviceID: int = 1, udid: str = UDID, **properties: Any) -> dict[str, Any]:
    """
    A device as plist daemons describe it.
    """
    values = {
        "ConnectionSpeed": 480000000,
        "ConnectionType": "USB",
        "DeviceID": deviceID,
        "LocationID": 0x10002,
        "ProductID": 0x12A8,
        "SerialNumber": udid,
    }
    return {"MessageType": "Attached", "DeviceID": deviceID, "Properties": values | properties}


def listOf(*entries: object) -> dict[str, Any]:
    """
    The answer to ListDevices.
    """
    return {"DeviceList": list(entries)}


def attached(deviceID: int = 1, udid: str = UDID, **properties: Any) -> Message:
    """
    An event.
    """
    return plistMessage(deviceEntry(deviceID, udid, **properties), 0)


def detached(deviceID: int = 1) -> Message:
    """
    An event.
    """
    return plistMessage({"MessageType": "Detached", "DeviceID": deviceID}, 0)


def paired(deviceID: int = 1) -> Message:
    """
    An event.
    """
    return plistMessage({"MessageType": "Paired", "DeviceID": deviceID}, 0)


def binaryAttached(deviceID: int = 1, serial: str = UDID.replace("-", "")) -> Message:
    """
    A binary event.
    """
    body = DeviceRecord(deviceID, 0x12A8, serial, 0x10002).encode()
    return Message(0, MessageType.DEVICE_ADD, 0, body)


def binaryEvent(kind: MessageType, deviceID: int = 1) -> Message:
    """
    A binary DEVICE_REMOVE or DEVICE_PAIRED.
    """
    return Message(0, kind, 0, DEVICE_ID_BODY.pack(deviceID))


class DaemonCase(SynchronousTestCase):
    """
    Tests with a L{Daemon} and the other end of its socket.
    """

    def daemon(self, *scripts: Script) -> Daemon:
        """
        A daemon that follows scripts.
        """
        fake = FakeDaemon(self, *scripts)
        return Daemon(fake.address, "tests")

    def deadline(self) -> Deadline:
        """
        One that only a broken test meets.
        """
        return Deadline(PATIENCE)


class FakeTime:
    """
    A clock that only moves when somebody waits.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []

    def clock(self) -> float:
        """
        The time.
        """
        return self.now

    def sleep(self, seconds: float) -> None:
        """
        Let it pass.
        """
        self.sleeps.append(seconds)
        self.now += seconds


class SlowSocket:
    """
    A socket to a daemon that is too slow: it takes all the time there is, or
    C{pace} seconds for each piece of C{data}.

    @ivar sent: What was written.
    """

    def __init__(self, time: FakeTime, data: bytes = b"", pace: float = 0.0) -> None:
        self.sent = b""
        self.closed = False
        self._time = time
        self.data = data
        self.pace = pace
        self._timeout: float | None = None

    def settimeout(self, timeout: float | None) -> None:
        """
        As a socket's.
        """
        assert timeout is None or timeout > 0, timeout
        self._timeout = timeout

    def sendall(self, data: bytes) -> None:
        """
        As a socket's.
        """
        self.sent += data

    def recv(self, size: int) -> bytes:
        """
        One byte after some time, or a time-out.
        """
        patience = self._timeout
        if not self.data or (patience is not None and self.pace > patience):
            assert patience is not None, "this would hang"
            self._time.now += patience
            raise TimeoutError
        self._time.now += self.pace
        data, self.data = self.data[:1], self.data[1:]
        return data

    def close(self) -> None:
        """
        As a socket's.
        """
        self.closed = True
