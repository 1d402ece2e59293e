"""
What clients want of phones, and the services there that give it to them.

Every client has a port of its own on its phone, and bytes of its own to send and to get, so
that what reaches a wrong one is noticed.  None of the bytes could be the length of a packet:
the rest of one that was cut off is no packet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import Any

from twisted.internet.interfaces import IAddress, IPullProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

ALPHABET = bytes(range(33, 127))
PERIOD = 65521
PATTERN = bytes(Random("pattern").choices(ALPHABET, k=PERIOD)) * 4
LONGEST = 2 * PERIOD

SIZES = (0, 1, 100, 476, 484, 1000, 1000, 3000, 3000, 3000, 6000, 12000, 40000)

FIRST_PORT = 1000


class Kind(Enum):
    """
    What a client does.

    @cvar ECHO: Has its bytes sent back.
    @cvar DOWNLOAD: Is sent bytes until the phone closes.
    @cvar STREAM: Is sent bytes without end, and goes when it has had enough.
    @cvar UPLOAD: Sends bytes, and waits for the phone to say that all have come.
    @cvar DROP: Sends bytes and closes at once.
    @cvar ASK: Sends bytes, ends that direction, and is then sent others.
    @cvar KILLED: An echo whose client is gone in the middle.
    @cvar REFUSED: Tries a port that nothing listens on, and then has an echo.
    """

    ECHO = "echo"
    DOWNLOAD = "download"
    STREAM = "stream"
    UPLOAD = "upload"
    DROP = "drop"
    ASK = "ask"
    KILLED = "killed"
    REFUSED = "refused"


@dataclass(slots=True)
class Program:
    """
    One client's.

    @ivar port: The phone's.
    @ivar sent: What the client sends.
    @ivar expected: What it is to get.
    @ivar arrived: How much of what it sent has come to the service.
    @ivar wrong: What the service had to complain of.
    """

    kind: Kind
    port: int
    sent: bytes
    expected: bytes
    arrived: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def phoneCloses(self) -> bool:
        """
        Whether it is the phone that ends it.
        """
        return self.kind in (Kind.DOWNLOAD, Kind.UPLOAD, Kind.ASK)


def makeProgram(random: Random, index: int) -> Program:
    """
    A program for the client of this number.
    """
    kind = random.choice(tuple(Kind))
    size = random.choice(SIZES)
    size = random.randrange(size + 1) if random.random() < 0.7 else size
    start = index * 4099 % PERIOD
    data = PATTERN[start : start + size]
    other = PATTERN[start + 1009 : start + 1009 + size]
    port = FIRST_PORT + index
    if kind is Kind.DOWNLOAD:
        return Program(kind, port, b"", data)
    if kind is Kind.STREAM:
        return Program(kind, port, b"", data)
    if kind is Kind.UPLOAD:
        return Program(kind, port, data or b"x", b"all")
    if kind is Kind.DROP:
        return Program(kind, port, data, b"")
    if kind is Kind.ASK:
        return Program(kind, port, data or b"x", other)
    return Program(kind, port, data, data)


class Service(Protocol):
    """
    A phone's side of a program.
    """

    def __init__(self, program: Program) -> None:
        self._program = program

    def connectionMade(self) -> None:
        """
        Speak first, if that is the program.
        """
        program = self._program
        if program.kind is Kind.DOWNLOAD:
            assert self.transport is not None
            self.transport.write(program.expected)
            self.transport.loseConnection()
        elif program.kind is Kind.STREAM:
            Endless(self)

    def dataReceived(self, data: bytes) -> None:
        """
        Compare what comes, and answer.
        """
        program = self._program
        start = program.arrived
        if not program.sent.startswith(data, start):
            program.wrong.append(f"{len(data)} wrong bytes at {start} came to the phone")
        program.arrived += len(data)
        assert self.transport is not None
        if program.kind in (Kind.ECHO, Kind.KILLED, Kind.REFUSED):
            self.transport.write(data)
        elif program.phoneCloses and program.arrived >= len(program.sent):
            self.transport.write(program.expected)
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Nothing to do.
        """


@implementer(IPullProducer)
class Endless:
    """
    Sends the pattern again and again.
    """

    def __init__(self, service: Service) -> None:
        self._program = service._program
        self._sent = 0
        transport: Any = service.transport
        self._write: Callable[[bytes], object] = transport.write
        transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        """
        Some more.
        """
        data = self._program.expected[self._sent : self._sent + 5000]
        self._sent += 5000
        self._write(data or b"and so on" * 100)

    def stopProducing(self) -> None:
        """
        That was it.
        """


class ServiceFactory(Factory):
    """
    Serves one program.
    """

    noisy = False

    def __init__(self, program: Program) -> None:
        self._program = program
        self._isUsed = False

    def buildProtocol(self, addr: IAddress | None) -> Service | None:
        """
        Once: a client opens its stream once.
        """
        if self._isUsed:
            self._program.wrong.append("a second session was opened")
            return None
        self._isUsed = True
        return Service(self._program)
