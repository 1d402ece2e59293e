# -*- test-case-name: tests.client.test_shortway -*-
"""
A port of a phone as a bare socket, by way of a daemon's UNIX socket.

What is said is what L{muxd.client.endpoint} says: the phone is looked for, and then connected
to, each on a connection of its own.  Here an event loop moves it, without a transport.  What
an answer means is for the ordinary parts to say (L{Exchange}, L{DialectChoice}); a
program that connects again and again gets the same answers, to the byte, so for the last few
it is remembered what they meant.

Nor is the phone looked for by a program that connects again and again, as long as nothing can
have changed (L{muxd.client.rememberedlist}).  If it is not there after all, or the daemon has
gone meanwhile, then it is looked for.

Whatever is not as it nearly always is before the phone is connected to, is left to the ordinary
way from its beginning: nothing has happened by then that cannot happen again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TypeVar

from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from muxd.client import errors
from muxd.client.access import DaemonAccess
from muxd.client.answers import Answer, Device, devicesFrom
from muxd.client.daemon import completed
from muxd.client.errors import PortRefused, UsbmuxError
from muxd.client.exchange import Exchange, connecting
from muxd.client.requests import Dialect, Request, commandRequest, connectRequest
from muxd.net.eventloop import READABLE, EventLoop, Watched
from muxd.net.packetmemory import PacketMemory
from muxd.net.socketway import SocketTaker
from muxd.net.streams import BLOCKED, StreamSocket, openUNIX
from muxd.wire.messages import MalformedMessage

KEPT = 64
"""How many answers are remembered, of each kind."""

LONGEST_KEPT = 4096
"""Of an answer that is remembered, in bytes."""

K = TypeVar("K")
V = TypeVar("V")

READ_SIZE = 16384
"""How much is read of an answer at once."""


class OtherDialect(Exception):
    """
    The daemon has to be spoken to in the other dialect: that is for the ordinary way.
    """


class ShortWay:
    """
    The way to one port.

    @ivar questions: What has been asked, ready to be sent: to connect to a device, by its
        number.
    @ivar welcome: Answers that mean that the phone is connected to, and nothing else.
    @ivar memory: What is read goes through it.
    """

    def __init__(
        self,
        access: DaemonAccess,
        loop: EventLoop,
        port: int,
        timeout: float,
        choose: Callable[[Iterable[Device]], Device],
        cancelled: Callable[[], Failure],
    ) -> None:
        """
        @param access: The daemon, whose socket has a path.
        @param port: On the phone.
        @param timeout: Seconds for everything together.
        @param choose: Which device is meant; it raises a L{UsbmuxError} if there is none.
        @param cancelled: What an attempt fails with that is given up.
        """
        self.access = access
        self.loop = loop
        self.timeout = timeout
        self.lookUpTimeout = min(timeout, access.limits.answerTimeout)
        self.path = access.path
        self.lookUp = commandRequest("ListDevices")
        self.question = self.exchange(self.lookUp)[1]
        self.questions: OrderedDict[int, bytes] = OrderedDict()
        self.welcome: OrderedDict[bytes, None] = OrderedDict()
        self.memory = PacketMemory(READ_SIZE)
        self.cancelled = cancelled
        self.remembered = access.rememberedList
        self._lists: OrderedDict[bytes, tuple[Device, ...]] = OrderedDict()
        self._known: tuple[Device, ...] = ()
        self._meant: Device | None = None
        self._port = port
        self._choose = choose

    def open(self, taker: SocketTaker) -> ShortAttempt | None:
        """
        Begin to connect a socket.

        @return: None if only the endpoint's C{connect} can.
        """
        if self.access.choice.dialect is not Dialect.PLIST:
            return None
        attempt = ShortAttempt(self, taker)
        return attempt if attempt.begin() else None

    def close(self) -> None:
        """
        Hold nothing open for it, until it is gone again.
        """
        self.remembered.close()

    def exchange(self, request: Request) -> tuple[Exchange, bytes]:
        """
        The conversation of a new connection, and what begins it.
        """
        exchange = self.access.exchange()
        return exchange, exchange.ask(request, Dialect.PLIST)

    def request(self, device: Device) -> Request:
        """
        What asks for the port.
        """
        return connectRequest(device.deviceID, self._port)

    def questionFor(self, device: Device) -> bytes:
        """
        The same, ready to be sent.
        """
        found = self.questions.get(device.deviceID)
        if found is None:
            found = self.exchange(self.request(device))[1]
            _keep(self.questions, device.deviceID, found)
        return found

    def listed(self, data: bytes) -> tuple[Device, ...] | None:
        """
        The devices of an answer that is one of the last few.
        """
        return self._lists.get(data)

    def understandList(self, exchange: Exchange, data: bytes) -> tuple[Device, ...] | None:
        """
        The devices of an answer.

        @param data: What has come.
        @return: None if more has to come.
        @raise UsbmuxError: It is no list.
        @raise MalformedMessage: Likewise.
        """
        isFirst = not exchange.withinMessage
        answer = exchange.receive(data)
        if answer is None:
            return None
        if exchange.withinMessage:
            raise MalformedMessage("more than an answer")
        devices = tuple(devicesFrom(answer.values))
        if isFirst and exchange.messages == 1 and len(data) <= LONGEST_KEPT:
            _keep(self._lists, data, devices)
        return devices

    def meant(self, devices: tuple[Device, ...]) -> Device | None:
        """
        Which of them is meant; None if that is not for here to say.
        """
        if devices is not self._known:
            self._known = devices
            try:
                self._meant = self._choose(devices)
            except UsbmuxError:
                self._meant = None
        return self._meant

    def understand(self, exchange: Exchange, device: Device, data: bytes) -> Answer | None:
        """
        What comes of a request for the port.

        @param data: What has come; nothing if that was the end.
        @return: None if more has to come.
        @raise UsbmuxError: The phone is not connected to.
        @raise OtherDialect: The daemon does not understand.
        """

        async def attempt(dialect: Dialect) -> Answer | None:
            if dialect is not Dialect.PLIST:
                raise OtherDialect
            if not data:
                raise exchange.lost()
            return exchange.receive(data)

        access = self.access
        with connecting(device, self._port, access.where, errors):
            return completed(access.choice.speak(self.request(device), attempt))


def _keep(kept: OrderedDict[K, V], key: K, value: V) -> None:
    """
    Remember the last few.
    """
    kept[key] = value
    if len(kept) > KEPT:
        kept.popitem(last=False)


class ShortAttempt(Watched):
    """
    One socket that is being connected.
    """

    __slots__ = (
        "_asked",
        "_begun",
        "_device",
        "_exchange",
        "_listener",
        "_loop",
        "_remembered",
        "_seconds",
        "_socket",
        "_taker",
        "_timer",
        "_way",
    )

    def __init__(self, way: ShortWay, taker: SocketTaker) -> None:
        self._way = way
        self._loop = way.loop
        self._remembered = way.remembered
        self._taker: SocketTaker | None = taker
        self._socket: StreamSocket | None = None
        self._timer: IDelayedCall | None = None
        self._device: Device | None = None
        self._exchange: Exchange | None = None
        self._begun = 0.0
        self._seconds = 0.0
        self._asked = (0, 0.0)
        self._listener = 0

    def begin(self) -> bool:
        """
        Connect to the phone if it is known, or look for it.

        @return: Whether that can be done here.
        """
        way = self._way
        clock = way.access.clock
        self._begun = clock.seconds()
        devices = self._remembered.current()
        device = None if devices is None else way.meant(devices)
        if device is None:
            if not self._askForList():
                return False
            self._seconds = way.lookUpTimeout
        else:
            if not self._ask(way.questionFor(device)):
                return False
            self._device = device
            self._listener = self._remembered.listener
            self._seconds = way.timeout
        self._timer = clock.callLater(self._seconds, self._late)
        return True

    def cancel(self) -> Failure:
        """
        Give it up.

        @return: what a cancelled C{connect} fails with.
        """
        self._over()
        return self._way.cancelled()

    def happened(self, events: int) -> None:
        """
        The daemon has answered, or has gone.
        """
        memory, connected = self._way.memory, self._socket
        if connected is None:
            return
        count = memory.receive(connected, 0, memory.size)
        if count == BLOCKED:
            return
        data = memory.read(0, max(count, 0))
        if self._device is None:
            self._found(data)
        else:
            self._answered(connected, data)

    def failed(self, failure: Failure) -> None:
        """
        A mistake of ours.
        """
        taker = self._over()
        if taker is not None:
            taker.socketFailed(failure)

    def _ask(self, question: bytes) -> bool:
        """
        Say something on a new connection.
        """
        way = self._way
        connected = openUNIX(way.path)
        if connected is None:
            return False
        if connected.send(question) != len(question):
            connected.close()
            return False
        self._loop.watch(connected.fileno(), READABLE, self)
        self._socket = connected
        return True

    def _leave(self) -> StreamSocket | None:
        """
        Watch the connection no more.
        """
        connected, self._socket = self._socket, None
        if connected is not None:
            self._loop.forget(connected.fileno())
        return connected

    def _over(self, keepsSocket: bool = False) -> SocketTaker | None:
        """
        Have done.

        @return: what is to be told, if nothing has been yet.
        """
        connected = self._leave()
        if connected is not None and not keepsSocket:
            connected.close()
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        taker, self._taker = self._taker, None
        return taker

    def _needsTransport(self) -> None:
        taker = self._over()
        if taker is not None:
            taker.needsTransport()

    def _askForList(self) -> bool:
        """
        Look for the phone.
        """
        self._asked = self._remembered.asking()
        return self._ask(self._way.question)

    def _found(self, data: bytes) -> None:
        """
        The list of devices has come, or a part of it.
        """
        way = self._way
        devices = None if self._exchange is not None else way.listed(data)
        if devices is None:
            if self._exchange is None:
                self._exchange = way.exchange(way.lookUp)[0]
            try:
                devices = way.understandList(self._exchange, data)
            except (UsbmuxError, MalformedMessage):
                self._needsTransport()
                return
            if devices is None:
                if not data:
                    self._needsTransport()
                return
        self._exchange = None
        self._close()
        self._remembered.answered(self._asked, devices)
        device = way.meant(devices)
        if device is None or not self._ask(way.questionFor(device)):
            self._needsTransport()
            return
        self._device = device
        self._giveTime(way.timeout)

    def _giveTime(self, most: float) -> None:
        """
        Have what is left of all the time, or less.
        """
        way = self._way
        left = max(0.0, way.timeout - (way.access.clock.seconds() - self._begun))
        self._seconds = min(most, left)
        if self._timer is not None:
            self._timer.reset(self._seconds)

    def _answered(self, connected: StreamSocket, data: bytes) -> None:
        """
        The answer to the request for the port has come, or a part of it.
        """
        way, device = self._way, self._device
        assert device is not None
        rest = b""
        if self._exchange is not None or data not in way.welcome:
            if self._exchange is None:
                self._exchange = way.exchange(way.request(device))[0]
            exchange = self._exchange
            isFirst = not exchange.withinMessage
            try:
                if way.understand(exchange, device, data) is None:
                    return
            except OtherDialect:
                self._needsTransport()
                return
            except UsbmuxError as error:
                self._refused(error)
                return
            rest = exchange.takeRest()
            if isFirst and not rest and len(data) <= LONGEST_KEPT and exchange.messages == 1:
                _keep(way.welcome, data, None)
        if self._listener and not self._remembered.isHeard(self._listener):
            # It may be another daemon that has answered, whose numbers are other phones'.
            self._lookAgain()
            return
        taker = self._over(keepsSocket=True)
        if taker is None:
            connected.close()
        else:
            taker.socketReady(connected, rest)

    def _refused(self, error: UsbmuxError) -> None:
        """
        The phone is not connected to.
        """
        remembered = self._remembered
        if self._listener:
            if isinstance(error, PortRefused) and remembered.isHeard(self._listener):
                self.failed(Failure(error))
            else:
                self._lookAgain()
            return
        if not isinstance(error, PortRefused):
            remembered.forget()
        self.failed(Failure(error))

    def _lookAgain(self) -> None:
        """
        What was remembered is not so any more: look for the phone, as if nothing had been.
        """
        way = self._way
        self._close()
        self._device = None
        self._exchange = None
        self._listener = 0
        self._remembered.forget()
        if not self._askForList():
            self._needsTransport()
            return
        self._giveTime(way.lookUpTimeout)

    def _close(self) -> None:
        """
        Have no connection any more.
        """
        connected = self._leave()
        if connected is not None:
            connected.close()

    def _late(self) -> None:
        """
        The time is over.
        """
        way = self._way
        request = way.lookUp if self._device is None else way.request(self._device)
        self.failed(Failure(way.access.late(request, request.stage, self._seconds)))
