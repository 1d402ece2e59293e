# -*- test-case-name: tests.fleet.etcd.test_gateway -*-
"""
The JSON gateway of etcd, over Twisted's own HTTP client.

There are several nodes, of which one is asked; the next one, when it does not answer.  Not more is
asked at once than is answered soon: what comes when that is so waits here, and nothing of it is
too late by that.  What renews leases does not wait behind it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from twisted.internet.defer import (
    CancelledError,
    Deferred,
    DeferredLock,
    DeferredSemaphore,
    succeed,
)
from twisted.internet.interfaces import IConsumer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from muxd.fleet.etcd.answers import BadAnswer, Lines, number, objectOf, words
from muxd.fleet.patience import inTime
from muxd.fleet.terms import USUAL, Times

T = TypeVar("T")

AT_ONCE = 16
"""Requests that have no answer yet, besides urgent ones: as many as connections are kept open."""

LARGEST_ANSWER = 16 << 20
LONGEST_LINE = 32 << 20
"""Bytes.  After a while without the watch, a line has what has happened meanwhile."""

_UNAUTHENTICATED = 16
_UNAVAILABLE = frozenset({4, 8, 14})
"""gRPC's numbers for: too late, too much at present, not available."""


class EtcdError(Exception):
    """
    etcd does not do what it was asked.

    @ivar code: gRPC's number of the reason.
    """

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


class Unreachable(EtcdError):
    """
    No answer, or one that says that there is none at present: it may have been done or not.
    """


@dataclass(frozen=True, slots=True)
class Account:
    """
    What a hub proves itself by.

    @ivar password: Called for it, as it may be another one by the next time.
    """

    user: str
    password: Callable[[], str] = field(repr=False)


@implementer(IBodyProducer)
class _Body:
    """
    The body of a request.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.length = len(data)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """
        Write all of it.
        """
        consumer.write(self._data)
        return succeed(None)

    def pauseProducing(self) -> None:
        """
        It is written already.
        """

    def resumeProducing(self) -> None:
        """
        It is written already.
        """

    def stopProducing(self) -> None:
        """
        It is written already.
        """


class _Collector(Protocol):
    """
    Takes an answer as a whole, if it is no larger than any may be.
    """

    def __init__(self, most: int) -> None:
        self.done: Deferred[bytes] = Deferred(lambda _: self._close())
        self._most = most
        self._size = 0
        self._parts: list[bytes] = []

    def dataReceived(self, data: bytes) -> None:
        """
        A part has come.
        """
        self._size += len(data)
        if self._size <= self._most:
            self._parts.append(data)
        elif not self.done.called:
            self.done.errback(BadAnswer(f"expected an answer of up to {self._most} bytes"))
            self._close()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        That was all of it, or it was cut.
        """
        if self.done.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(b"".join(self._parts))
        else:
            self.done.errback(Unreachable(f"the answer was cut: {_text(reason.value)}"))

    def _close(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()


class EtcdStream(Protocol):
    """
    A stream's lines.
    """

    def __init__(self, lineReceived: Callable[[bytes], None], ended: Callable[[str], None]) -> None:
        """
        @param lineReceived: Called with each; it may raise a L{BadAnswer}.
        @param ended: Called with why there are no more.
        """
        self._lineReceived = lineReceived
        self._ended = ended
        self._lines = Lines(LONGEST_LINE)
        self._isOver = False

    def dataReceived(self, data: bytes) -> None:
        """
        More has come.
        """
        if self._isOver:
            return
        try:
            for line in self._lines.push(data):
                if not self._isOver:
                    self._lineReceived(line)
        except BadAnswer as error:
            self._end(str(error))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        It is over.
        """
        self._end(f"the stream has ended: {_text(reason.value)}")

    def close(self) -> None:
        """
        End it.
        """
        self._isOver = True
        if self.transport is not None:
            self.transport.loseConnection()

    def _end(self, why: str) -> None:
        if not self._isOver:
            self.close()
            self._ended(why)


class Gateway:
    """
    The nodes.

    @ivar place: The one that is asked at present.
    """

    def __init__(
        self,
        clock: IReactorTime,
        agent: IAgent,
        places: Sequence[str],
        account: Account | None = None,
        times: Times = USUAL,
    ) -> None:
        """
        @param places: Where they are, as the beginnings of URLs.
        @param times: What has to be answered when.
        """
        self.place = places[0]
        self._clock = clock
        self._agent = agent
        self._places = list(places)
        self._account = account
        self._patience = times.engineAnswer
        self._lock = DeferredLock()
        self._room = DeferredSemaphore(AT_ONCE)
        self._token = ""
        self._asking: set[Deferred[Any]] = set()
        self._isClosed = False

    def close(self) -> None:
        """
        Ask for nothing any more, and wait for no answer.
        """
        self._isClosed = True
        for each in list(self._asking):
            each.cancel()

    def moveFrom(self, place: str) -> None:
        """
        A node does not answer: ask the next one.  Harmless if that has been done.
        """
        if place == self.place:
            at = self._places.index(place)
            self.place = self._places[(at + 1) % len(self._places)]

    def told(self, place: str, why: str) -> str:
        """
        Trouble with a node, in words that say which one it is, and say so once.
        """
        return why if any(each in why for each in self._places) else f"{place}: {why}"

    async def ask(self, path: str, body: dict[str, Any], isUrgent: bool = False) -> dict[str, Any]:
        """
        Ask for something that may be done twice: it is asked for again if there is no answer.

        @param isUrgent: Whether it does not wait for what was asked before.
        @raise EtcdError: It is refused, or there is no answer.
        @raise BadAnswer: There is one that makes no sense.
        """
        data = json.dumps(body).encode()
        return objectOf(await self._answer(path, data, isUrgent))

    async def askEach(self, path: str, bodies: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """
        Ask for several things of one kind with one request that may be done twice, and that is
        urgent.

        @return: The answers, which may be fewer.
        @raise EtcdError: They are refused, or there is no answer.
        @raise BadAnswer: There is one that makes no sense.
        """
        data = b"\n".join(json.dumps(body).encode() for body in bodies)
        lines = (await self._answer(path, data, True)).splitlines()
        return [objectOf(line) for line in lines if line.strip()]

    async def stream(self, path: str, body: dict[str, Any], protocol: EtcdStream) -> None:
        """
        Begin a stream.

        @raise EtcdError: It is refused, or there is no answer.
        @raise BadAnswer: There is one that makes no sense.
        """
        place = self.place

        async def begin() -> None:
            response = await self._post(place, path, json.dumps(body).encode())
            if response.code != 200:
                raise _refusal(response.code, await self._read(response))
            response.deliverBody(protocol)

        try:
            await self._authenticated(begin)
        except Unreachable:
            self.moveFrom(place)
            raise

    async def _answer(self, path: str, data: bytes, isUrgent: bool) -> bytes:
        if isUrgent:
            return await self._asked(path, data)
        room = self._room.acquire()
        self._asking.add(room)
        try:
            await room
        finally:
            self._asking.discard(room)
        try:
            return await self._asked(path, data)
        finally:
            self._room.release()

    async def _asked(self, path: str, data: bytes) -> bytes:
        left = max(2, len(self._places))
        while True:
            place = self.place
            left -= 1
            try:
                return await self._authenticated(partial(self._ask, place, path, data))
            except Unreachable:
                self.moveFrom(place)
                if not left or self._isClosed:
                    raise

    async def _authenticated(self, act: Callable[[], Awaitable[T]]) -> T:
        if self._account is None:
            return await act()
        if not self._token:
            await self._authenticate("")
        before = self._token
        try:
            return await act()
        except EtcdError as error:
            isOld = error.code == _UNAUTHENTICATED or "auth token" in str(error)
            if not isOld or isinstance(error, Unreachable):
                raise
        await self._authenticate(before)
        return await act()

    async def _authenticate(self, before: str) -> None:
        """
        Have another token than before.
        """
        account = self._account
        assert account is not None
        await self._lock.acquire()
        try:
            if self._token != before:
                return
            self._token = ""
            try:
                password = account.password()
            except (OSError, ValueError) as error:
                raise EtcdError(f"there is no password: {error}") from error
            body = {"name": account.user, "password": password}
            place = self.place
            try:
                data = json.dumps(body).encode()
                said = objectOf(await self._ask(place, "/v3/auth/authenticate", data))
            except Unreachable:
                self.moveFrom(place)
                raise
            token = said.get("token")
            if type(token) is not str or not token.isascii() or not 0 < len(token) < 8192:
                raise BadAnswer("expected a token")
            self._token = token
        finally:
            self._lock.release()

    async def _ask(self, place: str, path: str, body: bytes) -> bytes:
        response = await self._post(place, path, body)
        data = await self._read(response)
        if response.code != 200:
            raise _refusal(response.code, data)
        return data

    async def _post(self, place: str, path: str, body: bytes) -> IResponse:
        headers = Headers({b"Content-Type": [b"application/json"], b"User-Agent": [b"muxhub"]})
        if self._token:
            headers.setRawHeaders(b"Authorization", [self._token.encode()])
        data = _Body(body)
        if self._isClosed:
            raise EtcdError("it is asked for nothing any more")
        try:
            asked = self._agent.request(b"POST", f"{place}{path}".encode(), headers, data)
            return await self._inTime(asked)
        except CancelledError:
            raise
        except Exception as error:
            # Whatever it is: of the network, of TLS, of HTTP.
            raise Unreachable(f"{place} does not answer: {_text(error)}") from error

    async def _read(self, response: IResponse) -> bytes:
        length = response.length
        if length is not UNKNOWN_LENGTH and length > LARGEST_ANSWER:
            raise BadAnswer(f"expected an answer of up to {LARGEST_ANSWER} bytes, got {length}")
        collector = _Collector(LARGEST_ANSWER)
        response.deliverBody(collector)
        try:
            return await self._inTime(collector.done)
        except TimeoutError as error:
            raise Unreachable("the answer does not end") from error

    async def _inTime(self, asked: Deferred[T]) -> T:
        self._asking.add(asked)
        try:
            return await inTime(asked, self._patience, self._clock)
        finally:
            self._asking.discard(asked)


def _refusal(status: int, data: bytes) -> EtcdError:
    """
    What an answer other than 200 says; not each of them is JSON.
    """
    try:
        said = objectOf(data)
        text, code = words(said, "message") or words(said, "error"), number(said, "code")
    except BadAnswer:
        text, code = "", 0
    if not text:
        text = "".join(each if each.isprintable() else " " for each in data[:80].decode("latin-1"))
    if status == 401:
        code = _UNAUTHENTICATED
    kind = Unreachable if code in _UNAVAILABLE or status in (502, 503, 504) else EtcdError
    # A node without its cluster says so in many ways.
    if "no leader" in text or "timed out" in text:
        kind = Unreachable
    return kind(f"{text.strip()} (HTTP {status})", code)


def _text(error: BaseException | None) -> str:
    """
    What is said of trouble; of several reasons, all of them.
    """
    reasons = getattr(error, "reasons", None)
    if reasons:
        return "; ".join(_text(each.value) for each in reasons)
    said = str(error)
    return f"{type(error).__name__}{': ' if said else ''}{said}"[:200]
