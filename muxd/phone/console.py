# -*- test-case-name: tests.phone.test_console -*-
"""
The control socket of simulated phones: one line of words is a command, and its
answer one line of JSON.

What C{docs/simulated-phone.md} says of it is said to programs: it may be added to,
but not changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from muxd.limits import LIMITS, Limits
from muxd.net.connections import Answering, Connections
from muxd.phone.pluggedphone import CannotNow, PluggedPhone
from muxd.phone.usbip.commands import Errno

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
    )
}
"""What can be done to a phone, by name."""


def helpFor(verbs: Mapping[str, Verb]) -> tuple[str, ...]:
    """
    What the command C{help} answers.
    """
    return (*(verb.usage for verb in verbs.values()), "help", "quit")


HELP = helpFor(VERBS)


class Console:
    """
    Understands commands and carries them out.
    """

    def __init__(
        self,
        stations: Sequence[PluggedPhone],
        quit: Callable[[], object],
        verbs: Mapping[str, Verb] = VERBS,
    ) -> None:
        """
        @param quit: Ends the process, or whatever it is that can be ended.
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
        try:
            return self._execute(line.split())
        except WrongCommand as problem:
            return {"error": str(problem)}

    def _execute(self, words: Sequence[str]) -> Any:
        name, rest = (words[0], words[1:]) if words else ("", ())
        if name == "help" and not rest:
            return list(helpFor(self._verbs))
        if name == "quit" and not rest:
            self._quit()
            return DONE
        verb = self._verbs.get(name)
        if verb is None:
            raise WrongCommand(f"no such command: {' '.join(words)!r:.80}; there is help")
        arguments = verb.parse(rest)
        answers = [self._do(verb, station, arguments) for station in self._chosen(arguments.number)]
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

    def connectionMade(self) -> None:
        """
        Be ready.
        """
        self._server.connections.add(self)
        self.beginAnswering()

    def lineReceived(self, line: bytes) -> None:
        """
        Carry out a command.
        """
        self._answer(self._server.console.execute(line.decode("utf-8", "replace")))

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
        self._server.connections.discard(self)


class ConsoleFactory(Factory):
    """
    Lets programs in that give commands.

    @ivar console: Understands them.
    @ivar limits: What may not be exceeded.
    @ivar connections: Those that are open.
    """

    noisy = False
    _log = Logger()

    def __init__(self, console: Console, limits: Limits = LIMITS) -> None:
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
