# -*- test-case-name: tests.fleet.test_blocking -*-
"""
A job's connection to its hub, for programs without a reactor.
"""

from __future__ import annotations

import selectors
import socket
from types import TracebackType
from typing import Any

from muxd.client.address import Address
from muxd.client.socketio import Clock, Deadline, abort
from muxd.fleet.codec import BadMessage, Codec
from muxd.fleet.conversation import (
    PATIENCE,
    Answered,
    Conversation,
    Ended,
    HubLost,
    Rejected,
    Unwanted,
    Welcomed,
    signsOfLife,
)
from muxd.fleet.messages import FROM_HUB, LONGEST_OF_HUB, TO_HUB, Alive, Leave
from muxd.fleet.terms import USUAL, Times
from muxd.fleet.values import FleetError

HEADER = 4


class HubSession:
    """
    A job's connection to its hub, for one thread at a time.

    @ivar over: Why reservations are over that the hub has told of, by token.
    @ivar place: Where its hub is; None if that does not matter.
    @ivar times: As the term has them that its hub has told of.
    """

    def __init__(
        self,
        sock: socket.socket,
        name: str,
        clock: Clock,
        place: Address | None = None,
        hubs: int = 1,
    ) -> None:
        """
        @param hubs: How many there are.
        @param sock: Connected to it.
        @param name: Of the job.
        """
        self.place = place
        self.over: dict[int, str] = {}
        self.times = USUAL
        self._socket = sock
        self._clock = clock
        self._talk = Conversation(name, hubs)
        self._frames = Frames(FROM_HUB, LONGEST_OF_HUB)
        self._isWelcome = False
        self._hubs = hubs
        self._interval = self._patience = PATIENCE
        self._nextAlive = clock() + PATIENCE
        self._heardAt = clock()
        self._isSilent = False
        self._answers: dict[int, Any] = {}

    def __enter__(self) -> HubSession:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def deadline(self, seconds: float) -> Deadline:
        """
        A deadline by this session's clock.
        """
        return Deadline(seconds, self._clock)

    def begin(self, deadline: Deadline) -> None:
        """
        Say what this is, and be welcome.

        @raise HubLost: It does not want this job, or does not answer.
        """
        self._send(self._talk.hello)
        while not self._isWelcome:
            self.listen(deadline)
            if deadline.expired and not self._isWelcome:
                raise HubLost("the hub does not answer")

    def ask(self, kind: Any, deadline: Deadline, **fields: Any) -> Any:
        """
        Ask for something, and wait for the answer.

        @raise FleetError: It says no.
        @raise HubLost: The connection is over, or there is no answer.
        """
        question = self._talk.ask(kind, **fields)
        self._send(question)
        while question.number not in self._answers:
            if deadline.expired:
                self._send(self._talk.withdraw(question.number))
                raise HubLost("the hub does not answer")
            self.listen(deadline)
            if self._isWelcome and self._clock() >= self._heardAt + self._patience:
                self._isSilent = True
                raise HubLost("the hub says nothing any more")
        answer = self._answers.pop(question.number)
        if isinstance(answer, FleetError):
            raise answer
        return answer

    def listen(self, deadline: Deadline, wake: socket.socket | None = None) -> None:
        """
        Hear what comes next, if something does before that.

        @param wake: Ends the waiting when something can be read there.
        @raise HubLost: The connection is over.
        """
        now = self._clock()
        if now >= self._nextAlive:
            self._send(Alive())
        seconds = deadline.atMost(max(0.0, self._nextAlive - self._clock()))
        if self._socket not in readable(seconds, self._socket, wake):
            return
        try:
            data = self._socket.recv(65536)
        except OSError as error:
            raise HubLost(f"the hub is lost: {error}") from error
        if not data:
            raise self._talk.lost()
        self._heardAt = self._clock()
        try:
            for message in self._frames.add(data):
                self._heard(message)
        except BadMessage as error:
            raise HubLost(f"the hub says what makes no sense: {error}") from error

    def close(self) -> None:
        """
        Go.  To a hub that says nothing that is not said: it may be there again, and would give
        away the place of a job that asks another one.
        """
        if self._isSilent:
            abort(self._socket)
            return
        try:
            self._send(Leave())
        except HubLost:
            pass
        self._socket.close()

    def _heard(self, message: Any) -> None:
        match self._talk.heard(message):
            case Welcomed(term):
                self._isWelcome = True
                self.times = Times(term)
                self._interval, self._patience = signsOfLife(self.times, self._hubs)
                self._nextAlive = self._clock() + self._interval
            case Rejected():
                raise self._talk.lost()
            case Answered(number, answer):
                self._answers[number] = answer
            case Unwanted(release):
                self._send(release)
            case Ended(token, why):
                self.over[token] = why

    def _send(self, message: Any) -> None:
        self._nextAlive = self._clock() + self._interval
        try:
            self._socket.settimeout(PATIENCE)
            self._socket.sendall(framed(TO_HUB.encode(message)))
        except OSError as error:
            raise HubLost(self._talk.problem or f"the hub is lost: {error}") from error


class Frames:
    """
    Messages, each with its length before it, in what is read of a stream.
    """

    def __init__(self, codec: Codec, longest: int) -> None:
        self._codec = codec
        self._longest = longest
        self._data = b""

    def add(self, data: bytes) -> list[Any]:
        """
        The messages that are whole now.

        @raise BadMessage: One makes no sense.
        """
        self._data += data
        found = []
        while len(self._data) >= HEADER:
            size = int.from_bytes(self._data[:HEADER], "big")
            if size > self._longest:
                raise BadMessage(f"expected up to {self._longest} bytes, got {size}")
            if len(self._data) < HEADER + size:
                break
            found.append(self._codec.decode(self._data[HEADER : HEADER + size]))
            self._data = self._data[HEADER + size :]
        return found


def readable(seconds: float, *sockets: socket.socket | None) -> list[Any]:
    """
    Wait until something can be read.

    @return: from which sockets.
    """
    with selectors.DefaultSelector() as selector:
        for each in filter(None, sockets):
            selector.register(each, selectors.EVENT_READ)
        return [key.fileobj for key, _ in selector.select(seconds)]


def framed(message: bytes) -> bytes:
    """
    A message with its length before it.
    """
    return len(message).to_bytes(HEADER, "big") + message
