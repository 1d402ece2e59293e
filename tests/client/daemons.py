"""
Daemons of every kind, for the tests of programs that use one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from muxd.wire.messages import (
    BINARY_VERSION,
    CONNECT_BODY,
    DEVICE_ID_BODY,
    DeviceRecord,
    Message,
    MessageReader,
    MessageType,
    Result,
    parsePlist,
    plistMessage,
    swapPort,
)
from tests.client.transports import MemoryTransport
from tests.wire.results import resultMessage

UDID = "00008030-001A2B3C4D5E6F70"
OTHER_UDID = "0123456789abcdef0123456789abcdef01234567"


def attachedProperties(udid: str = UDID, kind: str = "USB", **more: Any) -> dict[str, Any]:
    """
    The Properties of an Attached event, as the C daemon writes them.
    """
    return {
        "ConnectionSpeed": 480_000_000,
        "ConnectionType": kind,
        "LocationID": 0x10004,
        "ProductID": 0x12A8,
        "SerialNumber": udid,
        **more,
    }


class FakeDaemon:
    """
    A daemon that is what it should be: as the C daemon, for both dialects.

    @ivar connection: What kind of daemon it is; may be changed, as in an update.
    @ivar devices: Properties by device id.
    @ivar records: Pair records by id.
    @ivar greeting: What a phone sends as soon as it is connected to, glued to
        the Result.
    @ivar results: Result numbers of Connects by port; 0 for others.
    @ivar connections: All that were made.
    @ivar heard: The MessageTypes of all requests, C{"binary"} before those that
        were binary.
    """

    def __init__(self, connection: type[DaemonConnection] | None = None) -> None:
        self.connection = connection or DaemonConnection
        self.devices: dict[int, dict[str, Any]] = {}
        self.records: dict[str, bytes] = {}
        self.greeting = b""
        self.results: dict[int, int] = {}
        self.connections: list[DaemonConnection] = []
        self.heard: list[str] = []

    def serve(self) -> DaemonConnection:
        """
        Serve another client.
        """
        return self.connection(self)

    def attach(self, deviceID: int, udid: str = UDID, **more: Any) -> None:
        """
        Plug a phone in.
        """
        self.devices[deviceID] = attachedProperties(udid, **more)
        for connection in self.listeners():
            connection.sendAttached(deviceID)

    def detach(self, deviceID: int) -> None:
        """
        Unplug it.
        """
        self.devices.pop(deviceID, None)
        for connection in self.listeners():
            connection.sendEvent("Detached", MessageType.DEVICE_REMOVE, deviceID)

    def pair(self, deviceID: int) -> None:
        """
        The phone's owner taps Trust.
        """
        for connection in self.listeners():
            connection.sendEvent("Paired", MessageType.DEVICE_PAIRED, deviceID)

    def listeners(self) -> list[DaemonConnection]:
        """
        The client that is to be told.
        """
        return [connection for connection in self.connections if connection.listening]

    def streams(self) -> list[DaemonConnection]:
        """
        Connections that have become a phone's.
        """
        return [connection for connection in self.connections if connection.streaming]


class DaemonConnection(Protocol):
    """
    One client's connection.

    @ivar received: What came for the phone.
    @ivar ended: Whether the client is gone.
    """

    transport: MemoryTransport

    def __init__(self, daemon: FakeDaemon) -> None:
        self.daemon = daemon
        self.version = BINARY_VERSION
        self.listening = False
        self.streaming = False
        self.ended = False
        self.received = b""
        self._reader = MessageReader(65536)

    def connectionMade(self) -> None:
        """
        A client came.
        """
        self.daemon.connections.append(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        It is gone.
        """
        self.listening = self.streaming = False
        self.ended = True

    def dataReceived(self, data: bytes) -> None:
        """
        Part of a message came, or bytes for a phone.
        """
        if self.streaming:
            self.received += data
            return
        self._reader.feed(data)
        for message in self._reader:
            if message.type == MessageType.PLIST:
                self.version = 1
                values = parsePlist(message.body)
                name = values["MessageType"]
                self.daemon.heard.append(name)
                self.requestReceived(name, values, message.tag)
            else:
                name, values = self._binary(message)
                self.daemon.heard.append(f"binary {name}")
                self.binaryReceived(name, values, message.tag)

    def requestReceived(self, name: str, values: Mapping[str, Any], tag: int) -> None:
        """
        Answer a request.
        """
        match name:
            case "ListDevices":
                entries = [self._attached(number) for number in self.daemon.devices]
                self.send({"DeviceList": entries}, tag)
            case "ListListeners":
                self.send({"ListenerList": [{"ProgName": "somebody"}]}, tag)
            case "ReadBUID":
                self.send({"BUID": "THE-BUID"}, tag)
            case "Listen":
                self.listening = True
                self.sendResult(Result.OK, tag)
                for number in self.daemon.devices:
                    self.sendAttached(number)
            case "Connect":
                self._connect(values["DeviceID"], swapPort(values["PortNumber"]), tag)
            case "ReadPairRecord" if values["PairRecordID"] in self.daemon.records:
                self.send({"PairRecordData": self.daemon.records[values["PairRecordID"]]}, tag)
            case "SavePairRecord" if values["PairRecordData"]:
                self.daemon.records[values["PairRecordID"]] = values["PairRecordData"]
                if "DeviceID" in values:
                    self.daemon.pair(values["DeviceID"])
                self.sendResult(Result.OK, tag)
            case "SavePairRecord":
                self.sendResult(22, tag)
            case "DeletePairRecord" if values["PairRecordID"] in self.daemon.records:
                del self.daemon.records[values["PairRecordID"]]
                self.sendResult(Result.OK, tag)
            case "ReadPairRecord" | "DeletePairRecord":
                self.sendResult(2, tag)
            case _:
                self.sendResult(Result.BAD_COMMAND, tag)

    def binaryReceived(self, name: str, values: Mapping[str, Any], tag: int) -> None:
        """
        Answer a binary request.
        """
        self.requestReceived(name, values, tag)

    def sendResult(self, number: int, tag: int) -> None:
        """
        Answer with a Result.
        """
        self.transport.write(resultMessage(self.version, tag, number).encode())

    def send(self, values: Mapping[str, Any], tag: int) -> None:
        """
        Answer with something else.
        """
        self.transport.write(plistMessage(values, tag).encode())

    def sendAttached(self, deviceID: int) -> None:
        """
        Tell of a phone.
        """
        if self.version:
            self.send(self._attached(deviceID), 0)
            return
        properties = self.daemon.devices[deviceID]
        record = DeviceRecord(
            deviceID,
            properties["ProductID"],
            properties["SerialNumber"],
            properties["LocationID"],
        )
        message = Message(BINARY_VERSION, MessageType.DEVICE_ADD, 0, record.encode())
        self.transport.write(message.encode())

    def sendEvent(self, name: str, kind: MessageType, deviceID: int) -> None:
        """
        Tell of anything else.
        """
        if self.version:
            self.send({"MessageType": name, "DeviceID": deviceID}, 0)
        else:
            body = DEVICE_ID_BODY.pack(deviceID)
            self.transport.write(Message(BINARY_VERSION, kind, 0, body).encode())

    def _attached(self, deviceID: int) -> dict[str, Any]:
        properties = {**self.daemon.devices[deviceID], "DeviceID": deviceID}
        return {"MessageType": "Attached", "DeviceID": deviceID, "Properties": properties}

    def _connect(self, deviceID: int, port: int, tag: int) -> None:
        number = self.daemon.results.get(port, Result.OK)
        if deviceID not in self.daemon.devices:
            number = Result.BAD_DEVICE
        self.sendResult(number, tag)
        if number == Result.OK:
            self.streaming = True
            self.transport.write(self.daemon.greeting)

    def _binary(self, message: Message) -> tuple[str, dict[str, Any]]:
        if message.type == MessageType.CONNECT:
            deviceID, port, _ = CONNECT_BODY.unpack(message.body)
            return "Connect", {
                "DeviceID": deviceID,
                "PortNumber": swapPort(int.from_bytes(port, "big")),
            }
        return {MessageType.LISTEN: "Listen"}.get(MessageType(message.type), "?"), {}


class PlistOnlyConnection(DaemonConnection):
    """
    As Apple's daemon: what is binary is not even answered.
    """

    def binaryReceived(self, name: str, values: Mapping[str, Any], tag: int) -> None:
        """
        Hang up.
        """
        self.transport.loseConnection()


class BinaryOnlyConnection(DaemonConnection):
    """
    As daemons before property lists: they are a bad version.
    """

    def requestReceived(self, name: str, values: Mapping[str, Any], tag: int) -> None:
        """
        Answer Result 6, in binary.
        """
        self.version = BINARY_VERSION
        self.sendResult(Result.BAD_VERSION, tag)

    def binaryReceived(self, name: str, values: Mapping[str, Any], tag: int) -> None:
        """
        Answer as it should be.
        """
        super().requestReceived(name, values, tag)


class SilentConnection(DaemonConnection):
    """
    Answers late: when it is told to, or never.
    """

    def __init__(self, daemon: FakeDaemon) -> None:
        super().__init__(daemon)
        self._unanswered: list[tuple[str, Mapping[str, Any], int]] = []

    def requestReceived(self, name: str, values: Mapping[str, Any], tag: int) -> None:
        """
        Keep the request for later.
        """
        self._unanswered.append((name, values, tag))

    def answer(self) -> None:
        """
        Answer what has been asked.
        """
        for request in self._unanswered:
            super().requestReceived(*request)


class ClosingConnection(DaemonConnection):
    """
    Hangs up on everybody.
    """

    def connectionMade(self) -> None:
        """
        Hang up.
        """
        super().connectionMade()
        self.transport.loseConnection()


class DyingConnection(DaemonConnection):
    """
    Hangs up on every request.
    """

    def requestReceived(self, name: str, values: Mapping[str, Any], tag: int) -> None:
        """
        Hang up.
        """
        self.transport.loseConnection()


class CrashingConnection(DyingConnection):
    """
    Dies in the middle of an answer.
    """

    def requestReceived(self, name: str, values: Mapping[str, Any], tag: int) -> None:
        """
        Send half of a header.
        """
        self.transport.write(plistMessage({}, tag).encode()[:9])
        self.transport.abortConnection()


class ChattyConnection(DaemonConnection):
    """
    Sends events before every answer.
    """

    def requestReceived(self, name: str, values: Mapping[str, Any], tag: int) -> None:
        """
        Tell of everything, then answer.
        """
        for number in self.daemon.devices:
            self.sendAttached(number)
        self.sendEvent("Paired", MessageType.DEVICE_PAIRED, 1)
        self.sendEvent("Detached", MessageType.DEVICE_REMOVE, 77)
        super().requestReceived(name, values, tag)


def lying(answer: Callable[[int], bytes]) -> type[DaemonConnection]:
    """
    A daemon that sends these bytes as the answer to everything.

    @param answer: Makes them, for a tag.
    """

    class LyingConnection(DaemonConnection):
        def requestReceived(self, name: str, values: Mapping[str, Any], tag: int) -> None:
            self.transport.write(answer(tag))

    return LyingConnection
