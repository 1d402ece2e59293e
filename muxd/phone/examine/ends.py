# -*- test-case-name: tests.phone.examine.test_examination -*-
"""
Both ends of what a daemon joins: a program that is its client, and a service on the phone.
"""

from __future__ import annotations

import plistlib
from collections.abc import Awaitable, Callable
from typing import Any, cast

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from muxd.phone.examine.findings import Violated
from muxd.phone.examine.recording import Recording
from muxd.wire.messages import HEADER, PLIST_VERSION, Message, MessageType

Until = Callable[[Callable[[], object], float], Awaitable[bool]]
"""Waits until something is so, and says whether it is so in time."""

PATIENCE = 10.0
"""Seconds that an answer may take."""

TAG = 7
"""Of all requests; events have none."""


class End(Protocol):
    """
    One end of a stream.

    @ivar received: What has come and was not taken.
    @ivar isMade: Whether it is connected, or was.
    @ivar isLost: Whether the connection has ended.
    """

    def __init__(self, until: Until) -> None:
        self.received = bytearray()
        self.isMade = self.isLost = False
        self._until = until

    def connectionMade(self) -> None:
        """
        It begins.
        """
        self.isMade = True

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it.
        """
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        It is over.
        """
        self.isLost = True

    def send(self, data: bytes) -> None:
        """
        Send something.
        """
        assert self.transport is not None
        self.transport.write(data)

    def pause(self) -> None:
        """
        Read no more.
        """
        cast(IPushProducer, self.transport).pauseProducing()

    def resume(self) -> None:
        """
        Read on.
        """
        cast(IPushProducer, self.transport).resumeProducing()

    def hangUp(self) -> None:
        """
        Close when all has been sent.
        """
        if self.transport is not None and not self.isLost:
            self.transport.loseConnection()

    async def exactly(self, count: int, seconds: float = PATIENCE) -> bytes:
        """
        Take this many bytes.

        @raise Violated: They do not come.
        """
        if not await self._until(lambda: len(self.received) >= count or self.isLost, seconds):
            raise Violated(f"expected {count} bytes within {seconds:g} s, got {len(self.received)}")
        if len(self.received) < count:
            raise Violated(
                f"expected {count} bytes, got {len(self.received)} and then the end of the stream"
            )
        data = bytes(self.received[:count])
        del self.received[:count]
        return data

    async def ended(self, seconds: float = PATIENCE) -> None:
        """
        Wait for the end of the connection.

        @raise Violated: It does not come.
        """
        if not await self._until(lambda: self.isLost, seconds):
            raise Violated(f"expected the end of the connection within {seconds:g} s")


class Client(End):
    """
    A program that talks to the daemon.
    """

    def __init__(self, until: Until, recording: Recording) -> None:
        super().__init__(until)
        self._recording = recording

    def request(self, kind: str, **keys: object) -> None:
        """
        Send a request as a property list.
        """
        body = plistlib.dumps({"MessageType": kind, "ProgName": "examine", **keys})
        self.message(Message(PLIST_VERSION, MessageType.PLIST, TAG, body))

    def message(self, message: Message) -> None:
        """
        Send any message.
        """
        data = message.encode()
        self._recording.message(data, True)
        self.send(data)

    async def answer(self, seconds: float = PATIENCE) -> Message:
        """
        Take the next message.

        @raise Violated: None comes.
        """
        header = await self.exactly(HEADER.size, seconds)
        length, version, kind, tag = HEADER.unpack(header)
        body = await self.exactly(max(0, length - HEADER.size), seconds)
        self._recording.message(header + body, False)
        return Message(version, kind, tag, body)

    async def dictionary(self, seconds: float = PATIENCE) -> dict[str, Any]:
        """
        Take the next message, which is a property list.

        @raise Violated: It is not.
        """
        return asDictionary(await self.answer(seconds))

    async def ask(self, kind: str, seconds: float = PATIENCE, **keys: object) -> dict[str, Any]:
        """
        Send a request, and take its answer.
        """
        self.request(kind, **keys)
        return await self.dictionary(seconds)

    async def result(self, kind: str, seconds: float = PATIENCE, **keys: object) -> int:
        """
        Send a request whose answer is a number, and take that.

        @raise Violated: It is answered by something else.
        """
        return asResult(await self.ask(kind, seconds, **keys))


def asDictionary(message: Message) -> dict[str, Any]:
    """
    The property list of a message.

    @raise Violated: It is none in XML, or no dictionary.
    """
    if (message.version, message.type) != (PLIST_VERSION, MessageType.PLIST):
        raise Violated(
            f"expected a property list, got version {message.version} message {message.type}"
        )
    try:
        value = plistlib.loads(message.body)
    except Exception as error:
        raise Violated(f"expected a property list, got {message.body[:80]!r}: {error}") from None
    if not isinstance(value, dict):
        raise Violated(f"expected a dictionary, got {value!r}")
    return value


def asResult(answer: dict[str, Any]) -> int:
    """
    The number of a Result.

    @raise Violated: It is none.
    """
    number = answer.get("Number")
    if answer.get("MessageType") != "Result" or not isinstance(number, int):
        raise Violated(f"expected a Result, got {answer!r}")
    return number


class Services(Factory):
    """
    A service of the phone.

    @ivar ends: The phone's ends of all sessions that there were, the last one last.
    """

    noisy = False

    def __init__(self, until: Until) -> None:
        self.ends: list[End] = []
        self._until = until

    def buildProtocol(self, addr: object) -> End:
        """
        An end for each session.
        """
        end = End(self._until)
        self.ends.append(end)
        return end
