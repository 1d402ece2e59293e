# -*- test-case-name: tests.client.test_rememberedlist -*-
"""
Which phones a daemon has, for as long as that is known to be so still.

A program that connects again and again need not ask each time: a connection in Listen mode
hears whenever a phone comes or goes.  What it says is not understood here.  Any word of it
makes the last answer to ListDevices old, and the next that wants to know asks for another; so
what counts is always an answer that the daemon has given, with all that is in it.  It counts as
long as

  - it was asked for after the daemon had accepted the listener, and nothing has been heard
    since; what has come is read before the answer is used,

  - the connection of the listener has not ended, as it does with the daemon: the next one may
    give the same numbers to other phones,

  - it is not older than L{TRUSTED} seconds.  Some things change without a word: which of two
    devices with one UDID is doubtful, what a view shows, or a host that a socket leads to and
    that is without power.

There is a listener only while it is of use: one is opened when the list is asked for twice
within that time, and closed when the list has not been wanted for so long.  Where it cannot be
opened, or is refused, each connection asks, and after that time another is tried.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from muxd.client.answers import Device
from muxd.client.errors import UsbmuxError
from muxd.client.exchange import Exchange
from muxd.client.requests import Dialect, listenRequest
from muxd.net.eventloop import READABLE, EventLoop, Watched
from muxd.net.packetmemory import PacketMemory
from muxd.net.streams import BLOCKED, StreamSocket, openUNIX

TRUSTED = 5.0
"""Seconds that an answer is believed without asking again."""

READ_SIZE = 4096
"""How much is heard at once."""

PIECES = 4
"""How often it is heard before everything else has its turn."""


class RememberedList(Watched):
    """
    The last answer of a daemon to ListDevices.

    @ivar listener: The number of the listener that the daemon has accepted; 0 if there is none.
    """

    def __init__(
        self, clock: IReactorTime, loop: EventLoop, path: bytes, exchange: Callable[[], Exchange]
    ) -> None:
        """
        @param path: Of the daemon's socket.
        @param exchange: Makes the conversation of a new connection.
        """
        self.listener = 0
        self._clock = clock
        self._loop = loop
        self._path = path
        self._makeExchange = exchange
        self._memory: PacketMemory | None = None
        self._devices: tuple[Device, ...] | None = None
        self._until = 0.0
        self._askedAt = float("-inf")
        self._openAfter = float("-inf")
        self._listeners = 0
        self._news = 0
        self._socket: StreamSocket | None = None
        self._exchange: Exchange | None = None
        self._timer: IDelayedCall | None = None
        self._isWanted = False

    def current(self) -> tuple[Device, ...] | None:
        """
        The devices that there are, the same object as long as they are the same answer's; None
        if that has to be asked for.
        """
        if self._devices is None:
            return None
        self._isWanted = True
        if self._clock.seconds() >= self._until:
            self._devices = None
        elif not self._hear():
            return None
        return self._devices

    def asking(self) -> tuple[int, float]:
        """
        The list is about to be asked for.

        @return: what L{answered} has to be told.
        """
        now = self._clock.seconds()
        recently, self._askedAt = now - self._askedAt < TRUSTED, now
        self._isWanted = True
        if self._socket is None and recently and now >= self._openAfter:
            self._openAfter = now + TRUSTED
            self._open()
        return self._news, now

    def answered(self, asked: tuple[int, float], devices: tuple[Device, ...]) -> None:
        """
        The answer has come: keep it, if it will be known when it is old.

        @param asked: What L{asking} has said.
        """
        if self.listener and self._hear() and asked[0] == self._news:
            self._devices = devices
            # It is as old as the question.
            self._until = asked[1] + TRUSTED

    def isHeard(self, listener: int) -> bool:
        """
        Whether what was current when there was a certain listener is of the daemon that is
        there now.
        """
        return self._hear() and self.listener == listener

    def forget(self) -> None:
        """
        It has turned out to be wrong.
        """
        self._news += 1
        self._devices = None

    def close(self) -> None:
        """
        Have no listener any more, until the list is asked for again and again.
        """
        self.forget()
        self.listener = 0
        self._exchange = None
        connected, self._socket = self._socket, None
        if connected is not None:
            self._loop.forget(connected.fileno())
            connected.close()
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    # Watched

    def happened(self, events: int) -> None:
        """
        The daemon has said something, or has gone.
        """
        self._hear()

    def failed(self, failure: Failure) -> None:
        """
        A mistake of ours.
        """
        self.close()

    def _open(self) -> None:
        """
        Ask to be told.
        """
        connected = openUNIX(self._path)
        if connected is None:
            return
        exchange = self._makeExchange()
        question = exchange.ask(listenRequest(), Dialect.PLIST)
        if connected.send(question) != len(question):
            connected.close()
            return
        if self._memory is None:
            self._memory = PacketMemory(READ_SIZE)
        self._loop.watch(connected.fileno(), READABLE, self)
        self._socket = connected
        self._exchange = exchange
        self._timer = self._clock.callLater(TRUSTED, self._timeOver)

    def _hear(self) -> bool:
        """
        Take in what the daemon has said.

        @return: Whether that was all; if not, or if it was the end, nothing is known now.
        """
        memory = self._memory
        for _ in range(PIECES):
            connected = self._socket
            if connected is None or memory is None:
                return False
            count = memory.receive(connected, 0, memory.size)
            if count == BLOCKED:
                return True
            self.forget()
            if count <= 0:
                self.close()
            elif self._exchange is not None:
                self._answerCame(self._exchange, memory.read(0, count))
        return False

    def _answerCame(self, exchange: Exchange, data: bytes) -> None:
        """
        The daemon has said whether it accepts the listener, or a part of that.
        """
        try:
            answer = exchange.receive(data)
        except UsbmuxError:
            self.close()
            return
        if answer is not None:
            self._exchange = None
            self._listeners += 1
            self.listener = self._listeners

    def _timeOver(self) -> None:
        """
        Go on for as long as the list is wanted.
        """
        self._timer = None
        if self._isWanted and self.listener:
            self._isWanted = False
            self._timer = self._clock.callLater(TRUSTED, self._timeOver)
        else:
            self.close()
