# -*- test-case-name: tests.bench.test_soakconnection -*-
"""
A client of the daemon: requests and replies, and after a Connect a stream.

Nothing of L{muxd} is used, so that both sides cannot share one mistake.
"""

from __future__ import annotations

import plistlib
import socket
import struct
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

HEADER = struct.Struct("<IIII")
PLIST_VERSION = 1
PLIST_MESSAGE = 8
BINARY_VERSION = 0
BINARY_RESULT = 1
BINARY_CONNECT = 2
PATIENCE = 60.0
"""Seconds that a reply may take on a machine that has much to do."""


class Gone(Exception):
    """
    The connection has ended.
    """


class Wrong(Exception):
    """
    Something is not as it has to be; the text says what.
    """


def request(kind: str, tag: int = 1, /, **keys: object) -> bytes:
    """
    Make a request as a property list.
    """
    body = plistlib.dumps({"MessageType": kind, "ProgName": "soak", **keys})
    return HEADER.pack(HEADER.size + len(body), PLIST_VERSION, PLIST_MESSAGE, tag) + body


class Connection(Protocol):
    """
    A client's connection to the daemon.

    @ivar killed: Whether we have ended it, in whatever state it was.
    @ivar lost: Fires when it has ended.
    """

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self.killed = False
        self.isLost = False
        self.lost: Deferred[None] = Deferred()
        self._buffer = bytearray()
        self._waiting: Deferred[dict[str, Any]] | None = None
        self._take: Callable[[bytes], None] | None = None
        self._whenLost: Callable[[], None] | None = None

    # What the transport calls.

    def dataReceived(self, data: bytes) -> None:
        """
        Take a reply, or a piece of the stream.
        """
        if self._take is not None:
            self._take(data)
            return
        self._buffer += data
        self._deliver()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Tell the caller that waits, and the stream, that the connection has ended.
        """
        self.isLost = True
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.errback(Gone())
        if self._whenLost is not None:
            self._whenLost()
        self.lost.callback(None)

    # What jobs do.

    def kill(self) -> None:
        """
        End the connection as the death of a process would: at once, whatever is under way.
        """
        if not self.isLost:
            self.killed = True
            transport: Any = self.transport
            transport.abortConnection()

    def close(self) -> None:
        """
        End the connection when everything has been sent.
        """
        if not self.isLost:
            transport: Any = self.transport
            transport.loseConnection()

    def write(self, data: bytes) -> None:
        """
        Send bytes.
        """
        if self.isLost:
            raise Gone
        transport: Any = self.transport
        transport.write(data)

    async def ask(self, kind: str, **keys: object) -> dict[str, Any]:
        """
        Send a request and wait for its reply.

        @raise Gone: There will be none.
        """
        self.write(request(kind, 1, **keys))
        return await self.receive()

    async def receive(self, patience: float | None = PATIENCE) -> dict[str, Any]:
        """
        Wait for a reply or an event.

        @raise Gone: There will be none.
        """
        if self.isLost:
            raise Gone
        waiting: Deferred[dict[str, Any]] = Deferred()
        self._waiting = waiting
        timer = None
        if patience is not None:
            timer = self.reactor.callLater(patience, self._impatient)
        self._deliver()
        try:
            return await waiting
        finally:
            if timer is not None and timer.active():
                timer.cancel()

    async def connect(self, deviceID: int, port: int) -> int:
        """
        Connect to a phone's port.

        @return: The Result's number.
        """
        reply = await self.ask("Connect", DeviceID=deviceID, PortNumber=socket.htons(port))
        if reply.get("MessageType") != "Result":
            raise Wrong(f"the answer to Connect is {reply}")
        return int(reply["Number"])

    def stream(self, take: Callable[[bytes], None], whenLost: Callable[[], None]) -> None:
        """
        Be a stream from now on.

        @param take: Called with what comes.
        @param whenLost: Called when nothing comes any more.
        """
        self._take, self._whenLost = take, whenLost
        held, self._buffer = bytes(self._buffer), bytearray()
        if held:
            take(held)
        if self.isLost:
            whenLost()

    def _impatient(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.errback(Wrong(f"no reply within {PATIENCE:g} s"))

    def _deliver(self) -> None:
        """
        Hand one message to the caller that waits for it; what is behind it may be a stream.
        """
        waiting = self._waiting
        if waiting is None or len(self._buffer) < HEADER.size:
            return
        length, version, kind, _ = HEADER.unpack_from(self._buffer)
        if len(self._buffer) < length:
            return
        body = bytes(self._buffer[HEADER.size : length])
        del self._buffer[:length]
        self._waiting = None
        if (version, kind) == (BINARY_VERSION, BINARY_RESULT) and len(body) == 4:
            waiting.callback({"MessageType": "Result", "Number": int.from_bytes(body, "little")})
            return
        if (version, kind) != (PLIST_VERSION, PLIST_MESSAGE):
            waiting.errback(Wrong(f"expected a property list, got version {version}, type {kind}"))
            return
        waiting.callback(plistlib.loads(body))
