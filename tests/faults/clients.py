"""
Client programs on in-memory sockets, which do one thing each time they are asked to.
"""

from __future__ import annotations

from enum import Enum
from random import Random

from twisted.internet.error import ConnectionDone

from muxd.device.chunks import SMALL
from muxd.server.factory import ControlFactory
from muxd.server.registry import DeviceRegistry
from muxd.testing import BudgetTransport
from muxd.wire.messages import BINARY_VERSION, Result, connectMessage
from tests.faults.programs import Kind, Program
from tests.wire.results import resultMessage

NOBODY = 999
"""A port that nothing listens on."""

RESULT_SIZE = len(resultMessage(BINARY_VERSION, 0, 0).encode())


class Socket(BudgetTransport):
    """
    A client's socket, from the daemon's side.
    """

    @property
    def isEmpty(self) -> bool:
        """
        Whether the daemon has read everything.
        """
        return not self._undelivered


class State(Enum):
    """
    The life of a client.
    """

    OUTSIDE = "has not connected"
    REFUSED = "waits for the Result of a Connect that is to be refused"
    ASKED = "waits for the Result"
    STREAM = "has a stream"
    ENDED = "is gone"


class End(Enum):
    """
    How it ended for a client.

    @cvar COMPLETE: It got everything.
    @cvar CLOSED: The daemon closed before.
    @cvar REFUSED: There was no stream.
    @cvar ABSENT: There was no phone.
    @cvar SILENT: Nothing came any more, and it gave up.
    """

    COMPLETE = "complete"
    CLOSED = "closed"
    REFUSED = "refused"
    ABSENT = "absent"
    SILENT = "silent"


class Wrong(Exception):
    """
    What must not happen has happened.
    """


class Client:
    """
    One client.

    @ivar udid: The phone that it wants to talk to.
    @ivar end: How it ended, if it has.
    """

    def __init__(
        self,
        random: Random,
        factory: ControlFactory,
        registry: DeviceRegistry,
        udid: str,
        program: Program,
        name: str,
        packetSize: int,
    ) -> None:
        """
        @param packetSize: Of the largest packet that the phone sends.
        """
        self.udid = udid
        self.program = program
        self.name = name
        self.state = State.OUTSIDE
        self.end: End | None = None
        self.received = 0
        self._random = random
        self._factory = factory
        self._registry = registry
        self._socket: Socket | None = None
        self._answer = b""
        self._sent = 0
        self._hasFinished = False
        self._isSlow = random.random() < 0.3
        self._buffer = random.choice((1000, 65536))
        # A producer is paused when there is more, and may just have written a packet,
        # or several that had waited together.
        self._mostPending = self._buffer + max(packetSize, SMALL)
        self._killAt = random.randrange(len(program.expected) + 1)

    def __str__(self) -> str:
        program = self.program
        return (
            f"{self.name} ({program.kind.value} on port {program.port} of {self.udid}): "
            f"{self.state.value}, sent {self._sent} of {len(program.sent)}, of which "
            f"{program.arrived} arrived, received {self.received} of {len(program.expected)}"
        )

    # What the driver asks.

    def isReady(self) -> bool:
        """
        Whether there is something to do.
        """
        if self.state is State.ENDED:
            return False
        if self.state is State.OUTSIDE:
            return self._registry.findByUDID(self.udid) is not None
        socket = self._socket
        assert socket is not None
        if socket.disconnected or socket.aborted or socket.pending:
            return True
        return self._maySend() or self._mayFinish() or self._isDone()

    def step(self) -> None:
        """
        Do something.

        @raise Wrong: It could not have been.
        """
        if self.state is State.OUTSIDE:
            self._connect()
            return
        socket = self._socket
        assert socket is not None
        if socket.pending > self._mostPending:
            raise Wrong(f"{self}: {socket.pending} bytes wait for it")
        choices = []
        if socket.pending:
            choices.append(self._read)
        if self._maySend():
            choices.append(self._send)
        if self._mayFinish():
            choices.append(self._finish)
        if choices:
            self._random.choice(choices)()
        if self.state is State.ENDED:
            return
        if self._isDone():
            self._leave(End.COMPLETE)
        elif socket.disconnected or socket.aborted:
            self._read()
            self._closed()

    def giveUp(self) -> None:
        """
        Nothing has come for long.
        """
        if self.state is State.OUTSIDE:
            self._ended(End.ABSENT)
        else:
            self._leave(End.SILENT)

    # How it is done.

    def _connect(self) -> None:
        attached = self._registry.findByUDID(self.udid)
        assert attached is not None
        if self._socket is None:
            clock = self._factory.clock
            protocol = self._factory.buildProtocol(None)
            budget = 0
            self._socket = Socket(clock, budget, protocol)
            self._socket.bufferSize = self._buffer
            protocol.makeConnection(self._socket)
        isToBeRefused = self.program.kind is Kind.REFUSED and self._random.random() < 0.9
        port = NOBODY if isToBeRefused else self.program.port
        self.state = State.REFUSED if isToBeRefused else State.ASKED
        self._deliver(connectMessage(attached.deviceID, port, 1).encode())
        if self.state is State.ASKED and self._random.random() < 0.3 and self._maySend():
            # Behind the request, without waiting for its Result.
            self._send()

    def _deliver(self, data: bytes) -> None:
        assert self._socket is not None
        if self._random.random() < 0.2:
            cut = self._random.randrange(len(data) + 1)
            self._socket.deliver(data[:cut])
            data = data[cut:]
        self._socket.deliver(data)

    def _maySend(self) -> bool:
        socket = self._socket
        assert socket is not None
        return (
            self._sent < len(self.program.sent)
            and self.state in (State.ASKED, State.STREAM)
            and not (socket.disconnected or socket.aborted or self._hasFinished)
            and socket.isEmpty
            and (self.state is State.STREAM or self._random.random() < 0.1)
        )

    def _send(self) -> None:
        size = self._random.choice((1, 2000, 5000, 65536, 65536))
        data = self.program.sent[self._sent : self._sent + size]
        self._sent += len(data)
        self._deliver(data)

    def _mayFinish(self) -> bool:
        """
        Whether all is sent, and its program says so.
        """
        socket = self._socket
        assert socket is not None
        return (
            self.program.kind is Kind.ASK
            and self.state is State.STREAM
            and not self._hasFinished
            and self._sent == len(self.program.sent)
            and not (socket.disconnected or socket.aborted)
            and socket.isEmpty
            and not socket.paused
        )

    def _finish(self) -> None:
        assert self._socket is not None
        self._hasFinished = True
        self._socket.finish()

    def _isDone(self) -> bool:
        """
        Whether it is the client's turn to go.
        """
        program, socket = self.program, self._socket
        assert socket is not None
        if self.state is not State.STREAM or program.phoneCloses:
            return False
        if program.kind is Kind.KILLED:
            return self.received >= self._killAt
        if program.kind is Kind.DROP:
            return self._sent == len(program.sent) and socket.isEmpty and not socket.paused
        return self.received >= len(program.expected)

    def _read(self) -> None:
        socket = self._socket
        assert socket is not None
        isOver = socket.disconnected or socket.aborted
        if isOver:
            data = socket.value()
        else:
            most = 3000 if self._isSlow and self.state is State.STREAM else 200000
            data = socket.take(min(socket.pending, self._random.randrange(most) + 1))
        while data:
            data = self._take(data)

    def _take(self, data: bytes) -> bytes:
        """
        Take a Result or a part of the stream.

        @return: What is left.
        """
        if self.state is State.STREAM:
            program = self.program
            wanted = program.expected[self.received : self.received + len(data)]
            isMore = program.kind is Kind.STREAM
            if data[: len(wanted)] != wanted or (len(wanted) < len(data) and not isMore):
                raise Wrong(f"{self}: {len(data)} bytes at {self.received} are not the right ones")
            self.received += len(data)
            return b""
        missing = RESULT_SIZE - len(self._answer)
        self._answer += data[:missing]
        if len(self._answer) == RESULT_SIZE:
            answer, self._answer = self._answer, b""
            self._answered(answer)
        return data[missing:]

    def _answered(self, answer: bytes) -> None:
        if answer == resultMessage(BINARY_VERSION, 1, Result.OK).encode():
            if self.state is State.REFUSED:
                raise Wrong(f"{self}: a port that nobody listens on was connected to")
            self.state = State.STREAM
            return
        refusals = [
            resultMessage(BINARY_VERSION, 1, number).encode()
            for number in (Result.BAD_DEVICE, Result.CONNECTION_REFUSED)
        ]
        if answer not in refusals:
            raise Wrong(f"{self}: {answer.hex()} is no Result of a Connect")
        attached = self._registry.findByUDID(self.udid)
        if self.state is State.REFUSED and attached is not None:
            self.program.kind = Kind.ECHO
            self._connect()
        else:
            self._leave(End.REFUSED)

    def _closed(self) -> None:
        """
        The daemon has closed.
        """
        program = self.program
        isComplete = program.phoneCloses and self.received == len(program.expected)
        if self.state is State.STREAM and isComplete:
            self._ended(End.COMPLETE)
        else:
            self._ended(End.CLOSED)

    def _leave(self, end: End) -> None:
        """
        Close the socket.
        """
        self._ended(end)
        if self._socket is not None:
            self._socket.lose(ConnectionDone())

    def _ended(self, end: End) -> None:
        self.state = State.ENDED
        self.end = end
