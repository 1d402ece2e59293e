# -*- test-case-name: tests.client.test_requests -*-
"""
What a client asks a daemon for, in both of the protocol's dialects.

No I/O and no Twisted.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from muxd import __version__
from muxd.client.problems import Stage
from muxd.wire.messages import (
    BINARY_VERSION,
    PLIST_VERSION,
    Message,
    MessageType,
    connectMessage,
    plistMessage,
    swapPort,
    writePlist,
)

CONNECT_TIMEOUT = 30.0
"""
Seconds for connecting to a phone's port, all in all; as Twisted's own endpoints.  A
daemon gives up on a phone that does not answer, and says so, before.
"""


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


def programName(path: str) -> str:
    """
    What to call the program with this C{sys.argv[0]}, for C{muxctl listeners}.
    """
    directory, name = os.path.split(path)
    if name == "__main__.py":
        name = os.path.basename(directory)
    # Not every file name can be said in XML.
    return name if name and name.isprintable() else "python"


def introduction(program: str) -> dict[str, Any]:
    """
    What every request says of the program that asks (protocol 4.7).
    """
    return {
        "BundleID": "muxd.client",
        "ClientVersionString": f"muxd {__version__}",
        "ProgName": program,
        # Apple's daemon shows phones on the network only to version 3 and up.
        "kLibUSBMuxVersion": 3,
    }


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
    @ivar answersErrno: Whether its Result is an C{errno} (protocol 9, edge 49).
    """

    name: str
    keys: Mapping[str, Any]
    binary: Callable[[int], Message] | None = None
    stage: Stage = Stage.ANSWER
    keepsEvents: bool = False
    answersErrno: bool = False

    @property
    def handsOver(self) -> bool:
        """
        Whether the connection is something else after Result 0.  It is so with
        just those commands that every daemon has, in both dialects.
        """
        return self.binary is not None

    def encode(self, dialect: Dialect, tag: int, program: str) -> bytes:
        """
        The bytes to send; a property list where there is no binary form.

        @param program: The name of the program that asks.
        """
        if dialect is Dialect.BINARY and self.binary is not None:
            return self.binary(tag).encode()
        if all(type(value) in _PLAIN for value in self.keys.values()):
            body = _plainBody(self.name, program, tuple(self.keys.items()))
            return Message(PLIST_VERSION, MessageType.PLIST, tag, body).encode()
        return plistMessage(_said(self.name, program, self.keys), tag).encode()


_PLAIN = (int, str)
"""Of what a request is whose property list is kept."""


def _said(name: str, program: str, keys: Mapping[str, Any]) -> dict[str, Any]:
    return {**introduction(program), "MessageType": name, **keys}


@lru_cache(maxsize=64)
def _plainBody(name: str, program: str, keys: tuple[tuple[str, int | str], ...]) -> bytes:
    """
    A request as a property list, which for most is the same each time: to write one takes
    as long as a whole connection otherwise does.
    """
    return writePlist(_said(name, program, dict(keys)))


def commandRequest(name: str, **keys: Any) -> Request:
    """
    A command that exists as a property list only.
    """
    return Request(name, keys)


def recordRequest(name: str, udid: str, **keys: Any) -> Request:
    """
    A command about a pair record.
    """
    return Request(name, {"PairRecordID": udid, **keys}, answersErrno=True)


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
