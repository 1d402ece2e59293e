# -*- test-case-name: tests.phone.test_console -*-
"""
The control socket of simulated phones: one line of words is a command, or one of JSON with the
same in it, and its answer one line of JSON.

What C{docs/simulated-phone.md} says of it is said to programs: it may be added to,
but not changed.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IReactorTime,
)
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.limits import Limits
from muxd.net.connections import Answering, Connections
from muxd.phone.bus.faultplan import NO_FAULTS, FaultPlan
from muxd.phone.pluggedphone import CannotNow, PluggedPhone
from muxd.usbip.commands import Errno

DONE = "ok"

MOST_FILL = 16 << 20


class WrongCommand(Exception):
    """
    A command that makes no sense.  The text is one line.
    """


@dataclass(frozen=True, slots=True)
class Arguments:
    """
    What was said behind a verb.

    @ivar values: The words that must be there.
    @ivar flags: The words that may be there.
    @ivar number: Of the phone; C{None} for all.
    @ivar error: An errno.
    """

    values: tuple[str, ...] = ()
    flags: frozenset[str] = frozenset()
    number: int | None = None
    error: Errno | None = None


@dataclass(frozen=True, slots=True)
class Verb:
    """
    What can be done to a phone.

    @ivar name: How it is called.
    @ivar do: Does it; an answer of C{None} is told as L{DONE}.
    @ivar values: Names of the words that must follow.
    @ivar flags: Words that may.
    @ivar errors: Errnos that may.
    """

    name: str
    do: Callable[[PluggedPhone, Arguments], Any]
    values: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    errors: tuple[Errno, ...] = ()

    @property
    def usage(self) -> str:
        """
        How it is written.
        """
        words = [self.name, *self.values, "[N]"]
        if self.errors:
            words.append("[" + "|".join(f"-{error.value}" for error in self.errors) + "]")
        if self.flags:
            words.append("[" + "|".join(self.flags) + "]")
        return " ".join(words)

    def parse(self, words: Sequence[str]) -> Arguments:
        """
        Understand what was said behind it.

        @raise WrongCommand: That makes no sense.
        """
        count = len(self.values)
        if len(words) < count:
            raise WrongCommand(f"expected: {self.usage}")
        flags: set[str] = set()
        number, error = None, None
        for word in words[count:]:
            digits = word.removeprefix("-")
            isNumber = digits.isascii() and digits.isdecimal() and len(digits) < 6
            value = int(word) if isNumber else 0
            if word in self.flags and not flags:
                flags.add(word)
            elif value > 0 and number is None:
                number = value
            elif error is None and -value in self.errors:
                error = Errno(-value)
            else:
                raise WrongCommand(f"{word!r} makes no sense there; expected: {self.usage}")
        return Arguments(tuple(words[:count]), frozenset(flags), number, error)


def _unplug(station: PluggedPhone, arguments: Arguments) -> None:
    station.unplug(0 if arguments.error is None else arguments.error.local)


def _raw(station: PluggedPhone, arguments: Arguments) -> None:
    try:
        data = bytes.fromhex(arguments.values[0])
    except ValueError:
        raise WrongCommand("expected bytes in hexadecimal, such as raw 0001ff") from None
    station.transmit(data, "open" not in arguments.flags)


def _fill(station: PluggedPhone, arguments: Arguments) -> None:
    (text,) = arguments.values
    if not (text.isascii() and text.isdecimal() and len(text) < 9 and int(text) <= MOST_FILL):
        raise WrongCommand(f"expected a number of bytes, at most {MOST_FILL}")
    station.fill(int(text), "open" not in arguments.flags)


def _faults(station: PluggedPhone, arguments: Arguments) -> None:
    (text,) = arguments.values
    try:
        station.faults(NO_FAULTS if text == "off" else FaultPlan.fromString(text))
    except ValueError as error:
        raise WrongCommand(str(error)) from error


VERBS = {
    verb.name: verb
    for verb in (
        Verb("plug", lambda station, arguments: station.plug()),
        Verb("unplug", _unplug, errors=(Errno.EPROTO, Errno.ENODEV, Errno.EIO)),
        Verb("replug", lambda station, arguments: station.replug()),
        Verb("detach", lambda station, arguments: station.detach()),
        Verb("stats", lambda station, arguments: station.stats()),
        Verb(
            "halt",
            lambda station, arguments: station.halt("out" if "out" in arguments.flags else "in"),
            flags=("in", "out"),
        ),
        Verb("clear", lambda station, arguments: station.clear()),
        Verb("hold", lambda station, arguments: station.hold()),
        Verb("release", lambda station, arguments: station.release()),
        Verb("reset", lambda station, arguments: station.reset()),
        Verb("raw", _raw, values=("HEX",), flags=("open",)),
        Verb("fill", _fill, values=("BYTES",), flags=("open",)),
        Verb("trust", lambda station, arguments: station.accept()),
        Verb("deny", lambda station, arguments: station.deny()),
        Verb("lock", lambda station, arguments: station.lock()),
        Verb("unlock", lambda station, arguments: station.unlock()),
        Verb("reboot", lambda station, arguments: station.reboot()),
        Verb("faults", _faults, values=("PLAN|off",)),
    )
}
"""What can be done to a phone, by name."""


def helpFor(verbs: Mapping[str, Verb], mayQuit: bool = True) -> tuple[str, ...]:
    """
    What the command C{help} answers.
    """
    others = ("sleep SECONDS", "help", *(("quit",) if mayQuit else ()))
    return (*(verb.usage for verb in verbs.values()), *others)


HELP = helpFor(VERBS)

LONGEST_SLEEP = 3600.0
"""Seconds."""


def sleepTime(line: str) -> float | None:
    """
    How long a line says to wait; C{None} if it says something else.

    @raise WrongCommand: It says so, and not for how long.
    """
    words = line.split()
    if words[:1] != ["sleep"]:
        return None
    try:
        (text,) = words[1:]
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST_SLEEP:
        raise WrongCommand(f"expected: sleep SECONDS, at most {LONGEST_SLEEP:g}")
    return seconds


def wordsOf(line: str) -> tuple[list[str], Mapping[str, Any]]:
    """
    The words of a command that is given as JSON: C{{"command": "unplug", "phone": 1,
    "arguments": [-71], "id": 7}}, of which all but the first may be left out.

    @return: The words, and what the answer repeats.
    @raise WrongCommand: It is something else.
    """
    try:
        given = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise WrongCommand(f"expected one JSON object in a line: {error}"[:200]) from None
    expected = {"command", "phone", "arguments", "id"}
    if not isinstance(given, dict) or set(given) - expected:
        raise WrongCommand("expected a JSON object with command, phone, arguments and id")
    arguments = given.get("arguments", [])
    words = [given.get("command"), *(arguments if isinstance(arguments, list) else [None])]
    if "phone" in given:
        words.append(given["phone"])
    if any(type(word) not in (str, int) for word in words):
        raise WrongCommand("expected texts and numbers for command, phone and arguments")
    return [str(word) for word in words], {key: given[key] for key in ("id",) if key in given}


class Console:
    """
    Understands commands and carries them out.
    """

    def __init__(
        self,
        stations: Sequence[PluggedPhone],
        quit: Callable[[], object] | None,
        verbs: Mapping[str, Verb] = VERBS,
    ) -> None:
        """
        @param quit: Ends the process, or whatever it is that can be ended; C{None} where that is
            not for programs to say.
        @param verbs: What can be done to a phone, by name.
        """
        self._stations = stations
        self._quit = quit
        self._verbs = verbs

    def execute(self, line: str) -> Any:
        """
        Carry out one line.

        @return: The answer, for JSON.
        """
        repeated: Mapping[str, Any] = {}
        isJSON = line.lstrip()[:1] == "{"
        try:
            words = line.split()
            if isJSON:
                words, repeated = wordsOf(line)
            answer = self._execute(words)
        except WrongCommand as problem:
            answer = {"error": str(problem)}
        return {**repeated, "answer": answer} if isJSON else answer

    def _execute(self, words: Sequence[str]) -> Any:
        name, rest = (words[0], words[1:]) if words else ("", ())
        if name == "help" and not rest:
            return list(helpFor(self._verbs, self._quit is not None))
        if name == "quit" and not rest and self._quit is not None:
            self._quit()
            return DONE
        verb = self._verbs.get(name)
        if verb is None:
            raise WrongCommand(f"no such command: {' '.join(words)!r:.80}; help lists all")
        named = [s for s in self._stations if s.phone.udid in rest]
        arguments = verb.parse([word for word in rest if word not in {s.phone.udid for s in named}])
        if named and (len(named) > 1 or arguments.number is not None):
            raise WrongCommand(f"expected one phone; usage: {verb.usage}")
        chosen = named or self._chosen(arguments.number)
        answers = [self._do(verb, station, arguments) for station in chosen]
        return answers[0] if len(answers) == 1 else answers

    def _chosen(self, number: int | None) -> Sequence[PluggedPhone]:
        if number is None:
            return self._stations
        if number > len(self._stations):
            raise WrongCommand(f"there is no phone {number}; the last is {len(self._stations)}")
        return self._stations[number - 1 : number]

    def _do(self, verb: Verb, station: PluggedPhone, arguments: Arguments) -> Any:
        try:
            answer = verb.do(station, arguments)
        except CannotNow as problem:
            return {"error": str(problem)}
        return DONE if answer is None else answer


@implementer(IHalfCloseableProtocol)
class ConsoleConnection(Answering, LineOnlyReceiver):
    """
    A program that gives commands.

    It may have finished sending before it has been answered, as C{nc -N} does: what it
    has asked is answered all the same, also a last line without its end.
    """

    delimiter = b"\n"

    def __init__(self, factory: ConsoleFactory) -> None:
        self.MAX_LENGTH = factory.limits.controlLine
        self._server = factory
        self._sleeping: IDelayedCall | None = None
        self._waiting: deque[bytes] = deque()
        self._isFinished = False

    def connectionMade(self) -> None:
        """
        Be ready.
        """
        self._server.connections.add(self)
        self.beginAnswering()

    def lineReceived(self, line: bytes) -> None:
        """
        Carry out a command, unless one before it has still to be waited for.
        """
        if self._sleeping is not None:
            self._waiting.append(line)
            return
        text = line.decode("utf-8", "replace")
        try:
            seconds = sleepTime(text)
        except WrongCommand as problem:
            self._answer({"error": str(problem)})
            return
        if seconds is None:
            self._answer(self._server.console.execute(text))
        else:
            # What comes meanwhile stays where it is: it is bounded by what has been read.
            self.transport.pauseProducing()
            self._sleeping = self._server.clock.callLater(seconds, self._woke)

    def _woke(self) -> None:
        self._sleeping = None
        self._answer(DONE)
        while self._waiting and self._sleeping is None:
            self.lineReceived(self._waiting.popleft())
        if self._sleeping is not None:
            return
        if self._isFinished:
            self.disconnect()
        else:
            self.transport.resumeProducing()

    def lineLengthExceeded(self, line: bytes) -> None:
        """
        A line is longer than any command.
        """
        self._answer({"error": f"a line has at most {self.MAX_LENGTH} bytes"})
        self.disconnect()

    def _answer(self, answer: Any) -> None:
        self.sendLine(json.dumps(answer).encode("ascii"))

    def disconnect(self) -> None:
        """
        Close it, once what was answered has been read.
        """
        self.endAnswering()
        self.transport.loseConnection()

    def readConnectionLost(self) -> None:
        """
        There are no more commands.
        """
        rest, self._buffer = self._buffer, b""
        if rest and not self.transport.disconnecting:
            self.lineReceived(rest)
        self._isFinished = True
        if self._sleeping is None:
            self.disconnect()

    def writeConnectionLost(self) -> None:
        """
        The program takes no more; the loss of the connection follows.
        """

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        It has gone.
        """
        self.endAnswering()
        self._waiting.clear()
        if self._sleeping is not None:
            self._sleeping.cancel()
            self._sleeping = None
        self._server.connections.discard(self)


class ConsoleFactory(Factory):
    """
    Lets programs in that give commands.

    @ivar console: Understands them.
    @ivar clock: Where C{sleep} has its time from.
    @ivar limits: What may not be exceeded.
    @ivar connections: Those that are open.
    """

    noisy = False
    _log = Logger()

    def __init__(self, console: Console, limits: Limits, clock: IReactorTime) -> None:
        self.clock = clock
        self.console = console
        self.limits = limits
        self.connections = Connections[ConsoleConnection]()

    def buildProtocol(self, addr: IAddress | None) -> ConsoleConnection | None:
        """
        One connection; C{None} if there are too many.
        """
        if len(self.connections) >= self.limits.controlConnections:
            self._log.warn(
                "control socket: a connection is refused, there are {count} already",
                count=len(self.connections),
            )
            return None
        connection = ConsoleConnection(self)
        connection.factory = self
        return connection

    def stop(self) -> Deferred[None]:
        """
        Close what is open.

        @return: fires when all is closed.
        """
        return self.connections.stop(ConsoleConnection.disconnect)
