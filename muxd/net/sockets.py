# -*- test-case-name: tests.net.test_socketreader tests.net.test_socketwriter -*-
"""
Reading and writing the sockets of clients with less than Twisted's transports do.

I{Reading.}  Twisted's UNIX transports are ready to be sent file descriptors, and so
each of their reads is a C{recvmsg} with room for them, unpacked in Python: twice the
cost of a C{recv}, with every request and every chunk of an upload.  No protocol here
has a use for descriptors.  The kernel closes those that a client sends all the
same when no receiver asks for them.

I{Writing.}  A Twisted transport keeps what is written to it until the reactor's next turn,
which joins small writes but costs a turn, two changes of what epoll watches,
and a copy.  What a pipe writes is a phone's packet: it is as large as it gets,
and its reader waits for it.  So the socket is asked first, and the transport gets
what it does not take.

Then order is at stake: while the transport has something of ours, everything
has to go through it.  A transport tells a I{pull} producer when it has nothing
left, so the writer registers itself as one, and passes back-pressure on to the
push producer that is registered with it.  All of this is the public interface of
Twisted's file descriptors; other transports, such as TLS, are used as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from struct import Struct
from typing import Any, Protocol

from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IConsumer, IPullProducer
from twisted.internet.tcp import Connection
from zope.interface import implementer

from muxd.wire.mux import LARGE_PAYLOAD

READ_SIZE = 2 * LARGE_PAYLOAD
"""
How much is read from a socket at a time: whole segments, where a rounder number
would leave a short one behind each long one.
"""


class Consumer(Protocol):
    """
    What a pipe writes to.
    """

    def write(self, data: bytes) -> None:
        """
        Take bytes.
        """

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Pause this producer while too much is waiting.
        """

    def unregisterProducer(self) -> None:
        """
        Pause it no more.
        """


def consumerOf(transport: Any, isEmpty: bool = True, limit: int | None = None) -> Consumer:
    """
    The quickest way to write to a transport that has no producer.

    @param isEmpty: Whether everything that was written to it is known to have
        been sent.
    @param limit: How many bytes may wait before a producer is paused; None for
        the transport's own bound, which all but sockets keep in any case.
    """
    if isinstance(transport, FileDescriptor) and not getattr(transport, "TLS", False):
        return SocketWriter(transport, isEmpty, limit)
    consumer: Consumer = transport
    return consumer


def heldByKernel(descriptor: int) -> int:
    """
    How much a socket has taken that its peer has not, in a measure of the system's; 0
    where that is not known.
    """
    try:
        from fcntl import ioctl
        from termios import TIOCOUTQ

        return int(_COUNT.unpack(ioctl(descriptor, TIOCOUTQ, bytes(_COUNT.size)))[0])
    except (ImportError, OSError, ValueError):
        return 0


_COUNT = Struct("i")


@implementer(IConsumer, IPullProducer)
class SocketWriter:
    """
    See the module's text.

    @ivar limit: How many bytes may wait before the producer is paused.
    """

    __slots__ = (
        "_isBusy",
        "_isPaused",
        "_pending",
        "_producer",
        "_send",
        "_taken",
        "_transport",
        "limit",
    )

    def __init__(self, transport: FileDescriptor, isEmpty: bool, limit: int | None = None) -> None:
        self._transport = transport
        self._send: Callable[[Any], Any] = transport.writeSomeData
        if isinstance(transport, Connection):
            # A UNIX transport first looks for file descriptors to send along.
            self._send = partial(Connection.writeSomeData, transport)
        self._producer: Any = None
        self._isPaused = False
        self.limit = transport.bufferSize if limit is None else limit
        # Twisted reads as much at a time as it lets writes pile up.
        transport.bufferSize = READ_SIZE
        self._pending = 0
        self._taken = 0
        self._isBusy = True
        # This calls resumeProducing, whatever the transport has.
        transport.registerProducer(self, False)
        self._isBusy = not isEmpty

    @property
    def isBusy(self) -> bool:
        """
        Whether the transport has something, so that all has to go through it.
        """
        return self._isBusy

    def offer(self, data: bytes | memoryview) -> int:
        """
        Send what the socket takes, and leave nothing to the transport.

        @return: How many bytes were taken.
        """
        if self._isBusy:
            return 0
        sent = self._send(data)
        # An error will be met again by the transport, which knows what to do.
        return sent if isinstance(sent, int) and sent > 0 else 0

    def write(self, data: bytes) -> None:
        """
        Send what the socket takes, and leave the rest to the transport.
        """
        if not self._isBusy:
            count = self.offer(data)
            if count == len(data):
                return
            data = data[count:]
        self.leave(data)

    def leave(self, data: bytes) -> None:
        """
        Leave to the transport what the socket does not take.
        """
        self._isBusy = True
        self._transport.write(data)
        self._pending += len(data)
        if self._pending > self.limit and not self._isPaused and self._producer is not None:
            self._isPaused = True
            self._producer.pauseProducing()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Pause this push producer while the socket takes too little.
        """
        self._producer = producer
        self._isPaused = False

    def unregisterProducer(self) -> None:
        """
        Leave the transport alone, and its producer too.
        """
        if self._isBusy and "writeSomeData" not in vars(self._transport):
            self._countTaken()
        self._producer = None
        self._isBusy = True
        self._transport.unregisterProducer()

    @property
    def progress(self) -> tuple[int, int]:
        """
        What is different when the peer has read something since the socket was left to
        the transport.

        A UNIX socket that is full takes nothing before three quarters have been read:
        so what the kernel holds counts, too, where it says so.
        """
        return self._taken, heldByKernel(self._transport.fileno())

    @property
    def isPaused(self) -> bool:
        """
        Whether a producer is paused, as the peer has not read enough.
        """
        return self._isPaused

    @property
    def isCoarse(self) -> bool:
        """
        Whether the peer may have read and L{progress} is the same: a UNIX socket counts
        what it holds by buffers of up to 36 KiB, and one is held until all of it is read.
        """
        return heldByKernel(self._transport.fileno()) > 0

    def _countTaken(self) -> None:
        """
        Know from now on whether the rest is being taken, however slowly: that is when
        its reader waits for it.
        """
        transport: Any = self._transport
        send = transport.writeSomeData

        def sendAndCount(data: bytes) -> Any:
            sent = send(data)
            if isinstance(sent, int):
                self._taken += sent
            return sent

        # An attribute of the one transport that we were given: the class is
        # shared by all of its kind.
        transport.writeSomeData = sendAndCount

    def resumeProducing(self) -> None:
        """
        The transport has nothing left.
        """
        self._isBusy = False
        self._pending = 0
        if self._isPaused:
            self._isPaused = False
            self._producer.resumeProducing()

    def stopProducing(self) -> None:
        """
        The transport is gone.
        """
        producer, self._producer = self._producer, None
        self._isBusy = True
        if producer is not None:
            producer.stopProducing()


def readPlainly(transport: Any) -> None:
    """
    Let a transport read as a TCP transport does, if it has another way.
    """
    if isinstance(transport, Connection) and type(transport).doRead is not Connection.doRead:
        # An attribute of the one transport that we were given: the class is
        # shared by all of its kind.
        reader: Any = transport
        reader.doRead = partial(Connection.doRead, transport)


def letGo(transport: Any) -> None:
    """
    Take back what has been set on a transport here, once it is gone: it refers to the
    transport, which would stay in memory until Python looks for such circles.
    """
    if isinstance(transport, Connection):
        vars(transport).pop("doRead", None)
        vars(transport).pop("writeSomeData", None)


def readAtOnce(transport: Any) -> None:
    """
    Read what has come already to a socket that has just been accepted: a client
    sends its request as soon as it is connected, and the reactor's next turn is
    the price of many reads.
    """
    if isinstance(transport, Connection) and not getattr(transport, "TLS", False):
        # An end of file or an error will be met again by the reactor.
        transport.doRead()
