# -*- test-case-name: tests.server.test_descriptions -*-
"""
An attached device in the words of the protocol (protocol 4.2, 4.9).

Ten thousand devices may be listed, and a thousand listeners be told of each: what the list says of
one is made once, and kept; events are made of it.
"""

from __future__ import annotations

from typing import Any

from muxd.interfaces import AttachedDevice
from muxd.server.replies import EVENT_TAG, encode, encodePlist, listedAlone, listEntry
from muxd.wire.messages import (
    BINARY_VERSION,
    DEVICE_ID_BODY,
    DeviceRecord,
    MessageType,
    writePlist,
)
from muxd.wire.text import printable

MASK_16 = 0xFFFF
MASK_32 = 0xFFFFFFFF


class DeviceDescription:
    """
    What clients are told of one attached device.

    @ivar deviceID: Its number.
    @ivar entry: What the list of devices says of it.
    """

    def __init__(self, attached: AttachedDevice) -> None:
        self.deviceID = attached.deviceID
        self._identity = attached.device.identity
        # At once: the first list would otherwise have ten thousand to describe.
        self.entry = listEntry(self.values)

    @property
    def values(self) -> dict[str, Any]:
        """
        The C{Attached} dictionary, which is also an entry of C{ListDevices}.
        """
        identity = self._identity
        return {
            "MessageType": "Attached",
            "DeviceID": self.deviceID,
            "Properties": {
                **(self._networkPlace() if self.isOnNetwork else self._usbPlace()),
                "ConnectionType": identity.connectionType,
                "DeviceID": self.deviceID,
                "SerialNumber": printable(identity.udid),
                "UDID": printable(identity.udid),
            },
        }

    @property
    def isOnNetwork(self) -> bool:
        """
        Whether clients are told an address.
        """
        return bool(self._identity.networkAddress) and self._identity.connectionType == "Network"

    def _usbPlace(self) -> dict[str, Any]:
        identity = self._identity
        place: dict[str, Any] = {
            "ConnectionSpeed": identity.speed,
            # More than 32 bits crash Apple's library (protocol 1.6).
            "LocationID": identity.locationID & MASK_32,
            "ProductID": identity.productID & MASK_16,
            "USBSerialNumber": printable(identity.serial),
        }
        if identity.portPath:
            place["MuxdPortPath"] = printable(identity.portPath)
        if identity.host:
            place["MuxdHost"] = printable(identity.host)
        return place

    def _networkPlace(self) -> dict[str, Any]:
        identity = self._identity
        return {
            "EscapedFullServiceName": printable(identity.serviceName),
            "InterfaceIndex": identity.interfaceIndex,
            "NetworkAddress": identity.networkAddress,
        }

    @property
    def doubtfulValues(self) -> dict[str, Any]:
        """
        The same of a device that has a rival and has proved nothing.
        """
        values = self.values
        return {**values, "Properties": {**values["Properties"], "MuxdDoubtful": True}}

    @property
    def doubtfulEntry(self) -> bytes:
        """
        What the list says of a device that has a rival and has proved nothing.
        """
        return listEntry(self.doubtfulValues)

    @property
    def record(self) -> DeviceRecord:
        """
        The binary form.
        """
        identity = self._identity
        return DeviceRecord(
            self.deviceID,
            identity.productID & MASK_16,
            printable(identity.udid),
            identity.locationID & MASK_32,
        )

    def attachedEvent(self, version: int) -> bytes:
        """
        The whole event in a connection's format.
        """
        if version == BINARY_VERSION:
            body = self.record.encode()
            return encode(BINARY_VERSION, MessageType.DEVICE_ADD, EVENT_TAG, body)
        return encodePlist(EVENT_TAG, listedAlone(self.entry))


def encodeDetached(deviceID: int, version: int) -> bytes:
    """
    The event that says that a device is gone.
    """
    return _encodeNumbered("Detached", MessageType.DEVICE_REMOVE, deviceID, version)


def encodePaired(deviceID: int, version: int) -> bytes:
    """
    The event that says that a device has been paired.
    """
    return _encodeNumbered("Paired", MessageType.DEVICE_PAIRED, deviceID, version)


def _encodeNumbered(name: str, kind: MessageType, deviceID: int, version: int) -> bytes:
    if version == BINARY_VERSION:
        return encode(BINARY_VERSION, kind, EVENT_TAG, DEVICE_ID_BODY.pack(deviceID))
    return encodePlist(EVENT_TAG, writePlist({"MessageType": name, "DeviceID": deviceID}))
