# -*- test-case-name: tests.client.test_answers -*-
"""
What a daemon says, as values: answers to commands, devices, events.

Both forms of the protocol come out the same: a binary device record and a
property list make the same L{Device}.  No I/O and no Twisted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from types import MappingProxyType
from typing import Any

from muxd.identity import sameUDID, udidFromSerial
from muxd.wire.messages import (
    DEVICE_ID_BODY,
    RESULT_BODY,
    DeviceRecord,
    MalformedMessage,
    Message,
    MessageType,
    parsePlist,
)

IPV4_FAMILY = 2
IPV6_FAMILIES = frozenset({10, 23, 30})
"""In a C{sockaddr} of Linux, Windows and Apple's systems."""

MOST_DEVICES = 1 << 16
"""Of one daemon: far more than the largest fleet has, and bounded."""

LONGEST_HOST = 64
"""Characters of a host's name."""

MOST_CHARACTERS = 16 << 20
"""Of all their UDIDs together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """
    One phone, as the daemon describes it (protocol 4.9).

    A phone that is reached both ways is two devices with one UDID.

    @ivar deviceID: The daemon's number for it; a new one for each plugging-in.
    @ivar udid: With its dash, as pair records are named.
    @ivar connectionType: "USB" or "Network".
    @ivar productID: The USB product id, 0 where there is none.
    @ivar locationID: Where on which bus, 0 where there is none.
    @ivar portPath: Where it is plugged in, such as C{3-1.4}, the same after each plug; empty
        if the daemon does not tell.
    @ivar speed: Of the connection in bit/s, 0 if the daemon does not tell.
    @ivar networkAddress: The IP address of one on the network, None if the
        daemon does not tell.
    @ivar host: The name of the host that it is plugged into, if the daemon tells and it is
        another one than the daemon's.
    @ivar isDoubtful: Whether another device claims the same UDID, and this one has not
        proved that it is the phone; daemons other than this one do not tell.
    """

    deviceID: int
    udid: str
    connectionType: str = "USB"
    productID: int = 0
    locationID: int = 0
    portPath: str = ""
    speed: int = 0
    networkAddress: str | None = None
    isDoubtful: bool = False
    host: str = ""

    def matches(self, udid: str) -> bool:
        """
        Whether this is the phone meant, with or without its dash, in either case.
        """
        return sameUDID(self.udid, udid)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerRecord:
    """
    A program that is told of phones (protocol 4.7).

    @ivar listenerID: As the daemon names its connection.
    @ivar program: The program's name.
    @ivar bundleID: Its bundle identifier; "" if it has none.
    @ivar version: The version of the client library that it says it is.
    """

    listenerID: str
    program: str
    bundleID: str = ""
    version: int = 0


@dataclass(frozen=True, slots=True)
class Attached:
    """
    A phone can be connected to from now on.
    """

    device: Device


@dataclass(frozen=True, slots=True)
class Detached:
    """
    It is gone.
    """

    device: Device


@dataclass(frozen=True, slots=True)
class Paired:
    """
    A program has just paired this host with it.
    """

    device: Device


Event = Attached | Detached | Paired


@dataclass(frozen=True, slots=True)
class Answer:
    """
    The answer to a command.

    @ivar result: The Result number, or None if the answer is something else.
    @ivar values: The property list; empty in the binary protocol.
    """

    result: int | None
    values: Mapping[str, Any] = field(default_factory=dict)


def parseAnswer(message: Message) -> Answer | None:
    """
    Read an answer; None if this is an event that got in between.

    @raise MalformedMessage: It is neither.
    """
    if message.type == MessageType.RESULT:
        if len(message.body) < RESULT_BODY.size:
            raise MalformedMessage(f"a Result of {len(message.body)} bytes, expected 4")
        return Answer(RESULT_BODY.unpack_from(message.body)[0])
    if message.type in (
        MessageType.DEVICE_ADD,
        MessageType.DEVICE_REMOVE,
        MessageType.DEVICE_PAIRED,
    ):
        return None
    if message.type != MessageType.PLIST:
        raise MalformedMessage(f"a message of type {message.type}")
    values = _read(message.body)
    kind = values.get("MessageType")
    if kind in ("Attached", "Detached", "Paired"):
        return None
    if kind != "Result":
        return Answer(None, values)
    number = values.get("Number")
    if type(number) is not int:
        raise MalformedMessage(f"a Result whose Number is {number!r}")
    return Answer(number, values)


KEPT_LENGTH = 4096
"""Of the answers that are kept, in bytes."""


def _read(body: bytes) -> Mapping[str, Any]:
    """
    Read a property list.  A program that connects to a phone again and again gets the
    same answers each time, so the last ones are kept; but never those with data, which may
    be a pair record.

    @raise MalformedMessage: It is none.
    """
    if len(body) > KEPT_LENGTH or b"<data" in body or not body.startswith(b"<?xml"):
        return parsePlist(body)
    return _kept(body)


@lru_cache(maxsize=64)
def _kept(body: bytes) -> Mapping[str, Any]:
    return MappingProxyType(parsePlist(body))


def devicesFrom(values: Mapping[str, Any]) -> list[Device]:
    """
    The devices of an answer to ListDevices.  One that makes no sense is left
    out and the others are kept (protocol 9, edge 52).

    @raise MalformedMessage: There is no list.
    """
    entries = values.get("DeviceList")
    if not isinstance(entries, list):
        raise MalformedMessage(f"an answer to ListDevices without a list: {list(values)!r}")
    found = (_deviceFrom(entry) for entry in entries)
    return [device for device in found if device is not None]


def listenersFrom(values: Mapping[str, Any]) -> list[ListenerRecord]:
    """
    The programs of an answer to ListListeners.  An entry that makes no sense is
    left out.

    @raise MalformedMessage: There is no list.
    """
    entries = values.get("ListenerList")
    if not isinstance(entries, list):
        raise MalformedMessage(f"an answer to ListListeners without a list: {list(values)!r}")
    return [_listenerFrom(entry) for entry in entries if isinstance(entry, dict)]


class DeviceTable:
    """
    Which devices a listener has been told of.

    A daemon names a device only once and speaks of a number afterwards; C
    daemons also take back devices that they never announced (protocol 9,
    edge 59).  A reader of what comes out of here sees each device attached
    before anything else happens to it.  No more than L{MOST_DEVICES} are kept.
    """

    def __init__(self) -> None:
        self._devices: dict[int, Device] = {}
        self._characters = 0

    def __iter__(self) -> Iterator[Device]:
        return iter(self._devices.values())

    def update(self, message: Message) -> Event | None:
        """
        Take a message in.

        @return: what it says, or None if that is nothing new or nothing of ours.
        @raise MalformedMessage: It is no message of this protocol.
        """
        match message.type:
            case MessageType.PLIST:
                values = parsePlist(message.body)
                return self._plist(values.get("MessageType"), values)
            case MessageType.DEVICE_ADD:
                return self._attached(_deviceFromRecord(DeviceRecord.decode(message.body)))
            case MessageType.DEVICE_REMOVE:
                return self._detached(_deviceID(message))
            case MessageType.DEVICE_PAIRED:
                return self._paired(_deviceID(message))
            case _:
                return None

    def clear(self) -> list[Event]:
        """
        Forget all devices, as when the daemon is lost.

        @return: their detachments.
        """
        events: list[Event] = [Detached(device) for device in self]
        self._devices.clear()
        self._characters = 0
        return events

    def _plist(self, kind: object, values: Mapping[str, Any]) -> Event | None:
        match kind:
            case "Attached":
                return self._attached(_deviceFrom(values))
            case "Detached":
                return self._detached(values.get("DeviceID"))
            case "Paired":
                return self._paired(values.get("DeviceID"))
            case _:
                return None

    def _attached(self, device: Device | None) -> Event | None:
        if device is None or self._devices.get(device.deviceID) == device:
            return None
        before = self._devices.get(device.deviceID)
        characters = self._characters + len(device.udid) - (len(before.udid) if before else 0)
        if characters > MOST_CHARACTERS or (before is None and len(self._devices) >= MOST_DEVICES):
            raise MalformedMessage(f"more than {MOST_DEVICES} devices, or too long ones")
        self._characters = characters
        self._devices[device.deviceID] = device
        return Attached(device)

    def _detached(self, deviceID: object) -> Event | None:
        device = self._devices.pop(deviceID, None) if isinstance(deviceID, int) else None
        if device is None:
            return None
        self._characters -= len(device.udid)
        return Detached(device)

    def _paired(self, deviceID: object) -> Event | None:
        device = self._devices.get(deviceID) if isinstance(deviceID, int) else None
        return None if device is None else Paired(device)


def networkAddressText(data: bytes) -> str | None:
    """
    Read the C{sockaddr} of a device on the network (protocol 4.10), whichever
    system it comes from: Apple's begin with their length and have the family in
    the second byte, others have it in the first two, little-endian.

    @return: the address, with its zone if it has one (C{"fe80::1%4"}); None if
        it is none.
    """
    if len(data) < 8:
        return None
    family = data[1] or data[0]
    if family == IPV4_FAMILY:
        return str(IPv4Address(data[4:8]))
    if family not in IPV6_FAMILIES or len(data) < 24:
        return None
    zone = int.from_bytes(data[24:28], "little")
    address = IPv6Address(data[8:24])
    return f"{address}%{zone}" if zone else str(address)


def _deviceID(message: Message) -> int:
    if len(message.body) < DEVICE_ID_BODY.size:
        raise MalformedMessage(f"a device number of {len(message.body)} bytes, expected 4")
    number: int = DEVICE_ID_BODY.unpack_from(message.body)[0]
    return number


def _deviceFromRecord(record: DeviceRecord) -> Device | None:
    if not record.serial:
        return None
    return Device(
        deviceID=record.deviceID,
        udid=udidFromSerial(record.serial),
        productID=record.productID,
        locationID=record.location,
    )


def _deviceFrom(entry: object) -> Device | None:
    """
    A device from an Attached dictionary; None without a number or a serial
    number, since nothing could be done with it.
    """
    if not isinstance(entry, dict) or not isinstance(entry.get("Properties"), dict):
        return None
    properties: dict[str, Any] = entry["Properties"]
    deviceID = entry.get("DeviceID", properties.get("DeviceID"))
    udid = properties.get("UDID") or properties.get("SerialNumber")
    if type(deviceID) is not int or not isinstance(udid, str) or not udid:
        return None
    connectionType = properties.get("ConnectionType")
    address = properties.get("NetworkAddress")
    return Device(
        deviceID=deviceID,
        udid=udidFromSerial(udid),
        connectionType=connectionType if isinstance(connectionType, str) else "USB",
        productID=_integer(properties.get("ProductID")),
        locationID=_integer(properties.get("LocationID")),
        portPath=_portPath(properties.get("MuxdPortPath")),
        speed=_integer(properties.get("ConnectionSpeed")),
        networkAddress=networkAddressText(address) if isinstance(address, bytes) else None,
        isDoubtful=properties.get("MuxdDoubtful") is True,
        host=_host(properties.get("MuxdHost")),
    )


def _portPath(value: object) -> str:
    return value if isinstance(value, str) and re.fullmatch(r"[0-9.-]{1,64}", value) else ""


def _host(value: object) -> str:
    return value if isinstance(value, str) and len(value) <= LONGEST_HOST else ""


def _listenerFrom(entry: Mapping[str, Any]) -> ListenerRecord:
    return ListenerRecord(
        listenerID=str(entry.get("ID String", "")),
        program=str(entry.get("ProgName", "")),
        bundleID=str(entry.get("BundleID", "")),
        version=_integer(entry.get("kLibUSBMuxVersion")),
    )


def _integer(value: object) -> int:
    return value if isinstance(value, int) else 0
