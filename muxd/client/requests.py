# -*- test-case-name: tests.client.test_requests -*-
"""
What a client asks a daemon for, in both of the protocol's dialects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from muxd import __version__
from muxd.client.errors import Stage
from muxd.wire.messages import (
    BINARY_VERSION,
    Message,
    MessageType,
    connectMessage,
    plistMessage,
    swapPort,
)

INTRODUCTION: Mapping[str, Any] = {
    "ClientVersionString": f"muxd {__version__}",
    "ProgName": "muxd",
    # Apple's daemon shows phones on the network only to version 3 and up.
    "kLibUSBMuxVersion": 3,
}
"""What every request says of who asks (protocol 4.7)."""


class Dialect(Enum):
    """
    A form of the protocol (protocol 4.3).
    """

    PLIST = "property lists"
    BINARY = "binary"

    @property
    def other(self) -> Dialect:
        """
        What to try with a daemon that does not speak this one.
        """
        return Dialect.BINARY if self is Dialect.PLIST else Dialect.PLIST


@dataclass(frozen=True, slots=True)
class Request:
    """
    One command.

    @ivar name: Its MessageType, also for the error texts.
    @ivar keys: Its other keys.
    @ivar binary: Makes the binary message with a given tag; None if there is no
        such thing.
    @ivar stage: What a time-out says was going on.
    @ivar keepsEvents: Whether events that come before the answer belong to what
        comes after it: some daemons send them too early (protocol 9, edge 42).
    """

    name: str
    keys: Mapping[str, Any]
    binary: Callable[[int], Message] | None = None
    stage: Stage = Stage.ANSWER
    keepsEvents: bool = False

    def encode(self, dialect: Dialect, tag: int) -> bytes:
        """
        The bytes to send; a property list where there is no binary form.
        """
        if dialect is Dialect.BINARY and self.binary is not None:
            return self.binary(tag).encode()
        values = {**INTRODUCTION, "MessageType": self.name, **self.keys}
        return plistMessage(values, tag).encode()


def commandRequest(name: str, **keys: Any) -> Request:
    """
    A command that exists as a property list only.
    """
    return Request(name, keys)


def listenRequest() -> Request:
    """
    Turn the connection into a feed of events.
    """
    return Request(
        "Listen",
        {},
        lambda tag: Message(BINARY_VERSION, MessageType.LISTEN, tag),
        keepsEvents=True,
    )


def connectRequest(deviceID: int, port: int) -> Request:
    """
    Turn the connection into a stream to a phone's port.
    """
    return Request(
        "Connect",
        {"DeviceID": deviceID, "PortNumber": swapPort(port)},
        lambda tag: connectMessage(deviceID, port, tag),
        stage=Stage.CONNECT,
    )
