# -*- test-case-name: tests.net.test_pump -*-
"""
The short way between two plain sockets that a pipe has joined.

A Twisted transport makes an object of all that it reads, and a pipe passes it on as such.
Between two sockets nothing looks at it: so it is read into one piece of memory, which all
pipes of a program share, and sent from there.  What the other socket does not take goes
through its transport, and so does all that follows until that has nothing left: pauses,
ends, errors and whatever else is not bytes under way are those of the transports and of the
pipe, as on the long way.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.tcp import Connection

from muxd.net.packetmemory import PacketMemory
from muxd.net.sockets import SocketWriter
from muxd.net.streams import BLOCKED, StreamSocket


class SocketPump:
    """
    Reads one socket, and writes what has come to another.

    It stands in for the C{doRead} of the first one's transport.
    """

    __slots__ = ("_end", "_memory", "_source", "_target", "_writer")

    def __init__(
        self,
        end: Any,
        source: StreamSocket,
        target: StreamSocket,
        writer: SocketWriter,
        memory: PacketMemory,
    ) -> None:
        """
        @param end: The pipe's, which counts what has come.
        @param source: The socket that is read.
        @param target: The socket that is written to.
        @param writer: Takes what that socket does not.
        @param memory: Everything goes through it; it is in use within L{doRead} only.
        """
        self._end = end
        self._source = source
        self._target = target
        self._writer = writer
        self._memory = memory

    def doRead(self) -> Exception | None:
        """
        Pass on what has come.

        @return: Why nothing more will, as from a transport's.
        """
        memory, writer = self._memory, self._writer
        count = memory.receive(self._source, 0, memory.size)
        if count <= 0:
            if count == BLOCKED:
                return None
            return CONNECTION_LOST if count else CONNECTION_DONE
        self._end.received += count
        sent = 0
        if not writer.isBusy:
            sent = memory.send(self._target, 0, count)
            if sent == count:
                return None
            # An error will be met again by the transport, which knows what to do.
            sent = max(sent, 0)
        writer.leave(memory.read(sent, count - sent))
        return None


class Pumps:
    """
    The pumps of one pipe, both ways.
    """

    __slots__ = ("_sockets", "_transports")

    def __init__(self, first: Any, second: Any, memory: PacketMemory) -> None:
        """
        @param first: An end of a pipe, with its transport and consumer.
        @param second: The other.
        """
        self._transports = (first.transport, second.transport)
        self._sockets = tuple(StreamSocket(one.fileno()) for one in self._transports)
        ends, sockets = (first, second), self._sockets
        for here, there in ((0, 1), (1, 0)):
            pump = SocketPump(
                ends[here], sockets[here], sockets[there], ends[there].consumer, memory
            )
            # An attribute of the one transport that we were given: the class is shared
            # by all of its kind.
            self._transports[here].doRead = pump.doRead

    def stop(self) -> None:
        """
        Let the transports read as they did.  To be called before their sockets are closed
        or right after: they are theirs.
        """
        for one in self._sockets:
            one.detach()
        for transport in self._transports:
            vars(transport).pop("doRead", None)


def canPump(end: Any) -> bool:
    """
    Whether an end of a pipe is a plain socket, and is written to as one.
    """
    return (
        isinstance(end.transport, Connection)
        and isinstance(end.consumer, SocketWriter)
        and not getattr(end.transport, "TLS", False)
    )
