# -*- test-case-name: tests.client.test_exchange,tests.client.test_everyclient -*-
"""
The conversation with a daemon, without I/O.

Every kind of client (Twisted, blocking, asyncio) moves bytes and keeps the
time; what the bytes mean is here, once: tags, events that come before the answer
and how many of them, which dialect is spoken, and which error a refusal is.

No Twisted in here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from itertools import count
from typing import TypeVar

from muxd.client.answers import Answer, Device, DeviceTable, Event, parseAnswer
from muxd.client.problems import DaemonLost, DaemonNonsense, DaemonRefused, Errors
from muxd.client.requests import Dialect, Request
from muxd.limits import LIMITS, Limits
from muxd.wire.messages import MalformedMessage, Message, MessageReader, Result
from muxd.wire.text import printable

T = TypeVar("T")


class State(Enum):
    """
    Where an exchange is.
    """

    IDLE = "nothing is asked"
    AWAITING = "an answer is awaited"
    HANDED_OVER = "the connection speaks in these messages no more"
    CLOSED = "over"


NEXT: Mapping[State, frozenset[State]] = {
    State.IDLE: frozenset({State.AWAITING, State.CLOSED}),
    State.AWAITING: frozenset({State.IDLE, State.HANDED_OVER, State.CLOSED}),
    State.HANDED_OVER: frozenset({State.CLOSED}),
    State.CLOSED: frozenset(),
}
"""What may follow what."""


class Exchange:
    """
    Requests and their answers on one connection.

    @ivar where: The daemon's address as a person would write it.
    @ivar state: Where it is; changed by L{_enter} alone.
    @ivar messages: How many messages have come.
    """

    def __init__(self, where: str, errors: Errors, program: str, limits: Limits = LIMITS) -> None:
        """
        @param errors: Of which kind the errors are to be.
        @param program: The name of the program that asks, for the daemon.
        """
        self.state = State.IDLE
        self.messages = 0
        self.where = where
        self._errors = errors
        self._program = program
        self._limits = limits
        self._reader = MessageReader(limits.replySize)
        self._tags = count(1)
        self._tag = 0
        self._request: Request | None = None
        self._early: list[bytes] = []
        self._passed = 0

    @property
    def wanted(self) -> int:
        """
        How many bytes can be taken without taking any that is not a message's:
        for connections from which too much must not be read.
        """
        return self._reader.missing

    @property
    def withinMessage(self) -> bool:
        """
        Whether a message has begun and not ended.
        """
        return len(self._reader) > 0

    def ask(self, request: Request, dialect: Dialect) -> bytes:
        """
        Begin a request.

        @return: the bytes to send.
        @raise RuntimeError: The last one is not answered yet, or it is all over.
        """
        self._enter(State.AWAITING)
        self._request = request
        self._tag = next(self._tags)
        return request.encode(dialect, self._tag, self._program)

    def receive(self, data: bytes) -> Answer | None:
        """
        Take bytes that have come.  While there is an answer, call it again with
        none: another may be behind it.

        @return: an answer that is no refusal, or None if more has to come.  Its
            C{result} is 0 if L{Request.handsOver}; L{takeRest} then.
        @raise DaemonRefused: A Result that is not 0; another request may follow.
        @raise DaemonNonsense: It is no answer to what was asked, or nothing was;
            this is the end.
        """
        self._reader.feed(data)
        try:
            while self.state in (State.IDLE, State.AWAITING):
                message = self._reader.next()
                if message is None:
                    break
                self.messages += 1
                answer = self._understand(message)
                if answer is not None:
                    return answer
        except MalformedMessage as error:
            awaited = self.awaited
            self.close()
            raise self._errors.DaemonNonsense(self.where, awaited, error) from error
        return None

    def takeRest(self) -> bytes:
        """
        Take what belongs to whatever the connection is now: events that came
        before the Result of a Listen, and all that came behind it.
        """
        rest = b"".join(self._early) + self._reader.takeRest()
        self._early = []
        return rest

    def close(self) -> None:
        """
        The connection is closed, or will be; harmless if this is known.
        """
        self._request = None
        if self.state is not State.CLOSED:
            self._enter(State.CLOSED)

    def lost(self, reason: str = "") -> DaemonLost:
        """
        The daemon has closed the connection.

        @param reason: Why, if it is known.
        @return: the error that this is for the request.
        """
        error = self._errors.DaemonLost(self.where, self.awaited, reason)
        self.close()
        return error

    @property
    def awaited(self) -> str:
        """
        What is awaited, for an error's text.
        """
        return "nothing" if self._request is None else f"the answer to {self._request.name}"

    def _understand(self, message: Message) -> Answer | None:
        """
        @return: the answer, or None if this is an event.
        @raise MalformedMessage: It is no answer to what was asked.
        """
        answer = parseAnswer(message)
        request = self._request
        if answer is None:
            self._eventCame(message)
        elif request is None:
            raise MalformedMessage("an answer came to which there is no question")
        elif message.tag != self._tag:
            raise MalformedMessage(f"expected an answer with tag {self._tag}, got {message.tag}")
        elif answer.result:
            self._answered(State.IDLE)
            raise self._errors.DaemonRefused(self.where, request.name, answer.result)
        elif not request.handsOver:
            self._answered(State.IDLE)
        elif answer.result is None:
            raise MalformedMessage(f"expected a Result, got {sorted(answer.values)}")
        else:
            self._answered(State.HANDED_OVER)
        return answer

    def _eventCame(self, message: Message) -> None:
        """
        Between requests and answers an event matters only to a feed of them.  A
        daemon that sends nothing else is given up all the same: time may be
        unlimited.
        """
        request = self._request
        if request is None:
            return
        data = message.encode()
        self._passed += len(data)
        if self._passed > self._limits.replySize:
            raise MalformedMessage("events without end and no answer")
        if request.keepsEvents:
            self._early.append(data)

    def _answered(self, state: State) -> None:
        self._request = None
        self._passed = 0
        if state is State.IDLE:
            self._early = []
        self._enter(state)

    def _enter(self, state: State) -> None:
        """
        The one place where the state changes.

        @raise RuntimeError: A request was made before the last one was answered.
        """
        if state not in NEXT[self.state]:
            raise RuntimeError(
                f"expected one of {NEXT[self.state]} after {self.state}, got {state}"
            )
        self.state = state


class EventStream:
    """
    The events on a connection in Listen mode.

    An event that makes no sense is counted and left out: it must not take the
    others away.

    @ivar devices: Which devices are there.
    @ivar messages: How many messages have come.
    @ivar malformed: How many messages made no sense.
    @ivar complaint: What was wrong with the first of them.
    """

    def __init__(
        self,
        where: str,
        errors: Errors,
        limits: Limits = LIMITS,
        devices: DeviceTable | None = None,
    ) -> None:
        """
        @param devices: What the listener knows already, and adds to.
        """
        self.devices = DeviceTable() if devices is None else devices
        self.messages = 0
        self.malformed = 0
        self.complaint = ""
        self._where = where
        self._errors = errors
        self._reader = MessageReader(limits.replySize)

    @property
    def withinMessage(self) -> bool:
        """
        Whether a message has begun and not ended.
        """
        return len(self._reader) > 0

    def feed(self, data: bytes) -> None:
        """
        Add bytes that have come.
        """
        self._reader.feed(data)

    def next(self) -> Event | None:
        """
        Take the next event, which C{devices} includes; None if more has to come.

        @raise DaemonNonsense: This is no sequence of messages; there is no way to
            go on.
        """
        while True:
            try:
                message = self._reader.next()
            except MalformedMessage as error:
                self._reader.takeRest()
                self._count(error)
                raise self._errors.DaemonNonsense(self._where, "an event", error) from error
            if message is None:
                return None
            self.messages += 1
            try:
                event = self.devices.update(message)
            except MalformedMessage as error:
                self._count(error)
            else:
                if event is not None:
                    return event

    def lost(self, reason: str = "") -> DaemonLost:
        """
        What it means that the daemon has closed the connection.

        @param reason: Why, if it is known.
        """
        return self._errors.DaemonLost(self._where, "events", reason)

    def _count(self, error: MalformedMessage) -> None:
        self.malformed += 1
        self.complaint = self.complaint or printable(str(error))


class DialectChoice:
    """
    Which dialect a daemon is believed to speak.

    Property lists come first.  A daemon that answers them with Result 6 is old,
    and is spoken to in binary on another connection (protocol 4.3); that is
    remembered, and forgotten again as soon as binary does not work either, since
    a daemon may be replaced while we run.

    @ivar dialect: What it is believed to speak.
    """

    def __init__(self, where: str, errors: Errors) -> None:
        self.dialect = Dialect.PLIST
        self._where = where
        self._errors = errors

    async def speak(self, request: Request, attempt: Callable[[Dialect], Awaitable[T]]) -> T:
        """
        Make a request in the dialect that is believed to be right, then in the
        other.

        @param attempt: Makes it in a dialect, on a connection of its own.
        @raise NotSupported: The daemon has no such command, or none in a dialect
            that it speaks.
        @raise DaemonRefused: Any other Result.
        """
        dialect = self.dialect if request.binary is not None else Dialect.PLIST
        try:
            try:
                result = await attempt(dialect)
            except DaemonRefused as refusal:
                if refusal.result != Result.BAD_VERSION:
                    raise
                dialect = dialect.other
                self.dialect = dialect
                if request.binary is None:
                    raise self._errors.NotSupported(self._where, request.name) from refusal
                result = await attempt(dialect)
        except DaemonRefused as refusal:
            # Any other Result is one that has understood the question.
            self.dialect = Dialect.PLIST if refusal.result == Result.BAD_VERSION else dialect
            raise self._meaning(request, refusal) from refusal
        except (DaemonLost, DaemonNonsense):
            # Perhaps there is another daemon now: begin anew with it.
            self.dialect = Dialect.PLIST
            raise
        self.dialect = dialect
        return result

    def _meaning(self, request: Request, refusal: DaemonRefused) -> Exception:
        """
        Tell a command that the daemon does not know from one that it refuses.
        """
        unknown = (
            refusal.result in (Result.BAD_COMMAND, Result.MALFORMED)
            and not request.answersErrno
            and not request.handsOver
        )
        if unknown or refusal.result == Result.BAD_VERSION:
            return self._errors.NotSupported(self._where, request.name)
        return refusal


@contextmanager
def connecting(device: Device, port: int, where: str, errors: Errors) -> Iterator[None]:
    """
    Within it, what becomes of a Connect is raised as what it means for the phone.

    @raise PortRefused: Result 3.
    @raise PhoneGone: Result 2, or the daemon has closed the connection: daemons do
        so when the phone goes at this moment.
    """
    try:
        yield
    except DaemonRefused as refusal:
        if refusal.result == Result.CONNECTION_REFUSED:
            raise errors.PortRefused(device.udid, port) from refusal
        if refusal.result == Result.BAD_DEVICE:
            reason = f"the usbmuxd at {where} does not know it any more"
            raise errors.PhoneGone(device.udid, port, reason) from refusal
        raise
    except DaemonLost as lost:
        reason = f"the usbmuxd at {where} closed the connection"
        raise errors.PhoneGone(device.udid, port, reason) from lost
