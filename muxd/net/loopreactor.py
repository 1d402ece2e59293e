# -*- test-case-name: tests.net.test_loopreactor -*-
"""
A reactor whose sockets are watched by its event loop.

Twisted's transports, ports and connectors ask their reactor for nothing but to be told
when their descriptor is ready, and for time.  Here it is the event loop
(L{muxd.net.eventloop}) that tells them, which costs a fraction of what a reactor's turn
does; all else is the reactor's.  So whatever is built on such transports works as it did:
there is no other kind of transport, and no rule about sockets is written anew.
"""

from __future__ import annotations

from typing import Any, Protocol, cast

from twisted.internet import tcp, unix
from twisted.internet.error import ConnectionDone, ConnectionFdescWentAway, ConnectionLost
from twisted.internet.interfaces import (
    IConnector,
    IHalfCloseableDescriptor,
    IListeningPort,
    IReactorFDSet,
    IReactorTCP,
    IReactorUNIX,
)
from twisted.internet.posixbase import PosixReactorBase
from twisted.internet.protocol import ClientFactory, Factory
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer, providedBy

from muxd.net.eventloop import GONE, READABLE, WRITABLE, EventLoop, Watched, loopOf


class Selectable(Protocol):
    """
    What Twisted's reactors watch.
    """

    def fileno(self) -> int:
        """
        Its descriptor; -1 if that is closed.
        """

    def doRead(self) -> Exception | None:
        """
        Read, and return why that was the last time, if it was.
        """

    def doWrite(self) -> Exception | None:
        """
        Write, likewise.
        """

    def connectionLost(self, reason: Failure) -> None:
        """
        It is over.
        """


class _Watch(Watched):
    """
    One selectable on the loop.

    @ivar events: What it waits for.
    """

    __slots__ = ("_reactor", "_selectable", "descriptor", "events")

    def __init__(self, reactor: LoopReactor, selectable: Selectable, descriptor: int) -> None:
        self.descriptor = descriptor
        self.events = 0
        self._reactor = reactor
        self._selectable = selectable

    def happened(self, events: int) -> None:
        """
        Have it read and write, and end it if it cannot any more.
        """
        selectable = self._selectable
        isReading = False
        why: Exception | None
        if events & GONE and not events & READABLE:
            # What had come before has been read.
            isReading = bool(self.events & READABLE)
            why = ConnectionDone() if isReading else ConnectionLost()
        elif selectable.fileno() == -1:
            why = ConnectionFdescWentAway("Filedescriptor went away")
        else:
            why = None
            if events & READABLE:
                why = selectable.doRead()
                isReading = True
            if not why and events & WRITABLE and self.events & WRITABLE:
                why = selectable.doWrite()
                isReading = False
        if why:
            self._end(why, isReading)

    def failed(self, failure: Failure) -> None:
        """
        Its protocol has raised: that is its end.
        """
        self._reactor.forget(self._selectable)
        self._selectable.connectionLost(failure)

    def _end(self, why: Exception, isReading: bool) -> None:
        reactor, selectable = self._reactor, self._selectable
        reactor.removeReader(selectable)
        if (
            isReading
            and isinstance(why, ConnectionDone)
            and IHalfCloseableDescriptor.providedBy(selectable)
        ):
            selectable.readConnectionLost(Failure(why))
        else:
            reactor.removeWriter(selectable)
            selectable.connectionLost(Failure(why))


@implementer(IReactorFDSet, IReactorTCP, IReactorUNIX)
class LoopReactor:
    """
    A reactor in whose place its event loop watches sockets; see the module's text.

    @ivar loop: Its loop.
    """

    _supportedAddressFamilies = PosixReactorBase._supportedAddressFamilies

    def __init__(self, reactor: Any, loop: EventLoop) -> None:
        """
        @param reactor: Has the time, names, signals, and all else.
        @param loop: Its loop.
        """
        self._reactor = reactor
        self.loop = loop
        self._watches: dict[Selectable, _Watch] = {}
        directlyProvides(self, providedBy(reactor))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    # IReactorFDSet

    def addReader(self, reader: Any) -> None:
        """
        Have it read when there is something.
        """
        self._want(reader, READABLE)

    def addWriter(self, writer: Any) -> None:
        """
        Have it write when there is room.
        """
        self._want(writer, WRITABLE)

    def removeReader(self, reader: Any) -> None:
        """
        Have it read no more.
        """
        self._leave(reader, READABLE)

    def removeWriter(self, writer: Any) -> None:
        """
        Have it write no more.
        """
        self._leave(writer, WRITABLE)

    def getReaders(self) -> list[Any]:
        """
        Those that read.
        """
        return [one for one, watch in self._watches.items() if watch.events & READABLE]

    def getWriters(self) -> list[Any]:
        """
        Those that write.
        """
        return [one for one, watch in self._watches.items() if watch.events & WRITABLE]

    def removeAll(self) -> list[Any]:
        """
        Have none read or write any more.

        @return: what they were.
        """
        removed = list(self._watches)
        for each in removed:
            self.forget(each)
        return removed

    def forget(self, selectable: Any) -> None:
        """
        Have one neither read nor write any more.
        """
        watch = self._watches.pop(selectable, None)
        if watch is not None:
            self.loop.forget(watch.descriptor)

    def _want(self, selectable: Any, event: int) -> None:
        watch = self._watches.get(selectable)
        if watch is None:
            watch = _Watch(self, selectable, selectable.fileno())
            self.loop.watch(watch.descriptor, event, watch)
            self._watches[selectable] = watch
        elif not watch.events & event:
            self.loop.change(watch.descriptor, watch.events | event)
        watch.events |= event

    def _leave(self, selectable: Any, event: int) -> None:
        watch = self._watches.get(selectable)
        if watch is None or not watch.events & event:
            return
        watch.events &= ~event
        if watch.events:
            self.loop.change(watch.descriptor, watch.events)
        else:
            self.forget(selectable)

    def adoptStreamConnection(self, descriptor: int, family: int, factory: Factory) -> object:
        """
        Make a transport of a copy of a connected socket; see C{IReactorSocket}.
        """
        return PosixReactorBase.adoptStreamConnection(
            cast("PosixReactorBase", self), descriptor, family, factory
        )

    # IReactorTCP, IReactorUNIX

    def listenTCP(
        self, port: int, factory: Any, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        """
        Listen; see C{IReactorTCP}.
        """
        listening = tcp.Port(port, factory, backlog, interface, self)
        listening.startListening()
        return listening

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: ClientFactory[Any],
        timeout: float = 30,
        bindAddress: tuple[str, int] | None = None,
    ) -> IConnector:
        """
        Connect; see C{IReactorTCP}.
        """
        connector = tcp.Connector(host, port, factory, timeout, bindAddress, self)
        connector.connect()
        return connector

    def listenUNIX(
        self,
        address: Any,
        factory: Factory,
        backlog: int = 50,
        mode: int = 0o666,
        wantPID: bool = False,
    ) -> IListeningPort:
        """
        Listen; see C{IReactorUNIX}.
        """
        listening = unix.Port(address, factory, backlog, mode, self, wantPID)
        listening.startListening()
        return listening

    def connectUNIX(
        self, address: Any, factory: ClientFactory[Any], timeout: float = 30, checkPID: bool = False
    ) -> IConnector:
        """
        Connect; see C{IReactorUNIX}.
        """
        connector = unix.Connector(address, factory, timeout, self, checkPID)
        connector.connect()
        return connector


def onLoop(reactor: Any) -> Any:
    """
    A reactor that watches sockets by its event loop, if it has one; otherwise the reactor.
    """
    loop = loopOf(reactor)
    return reactor if loop is None else LoopReactor(reactor, loop)


def loopBeneath(reactor: Any) -> EventLoop | None:
    """
    The event loop that watches a reactor's sockets, if one does (L{onLoop}).
    """
    return reactor.loop if isinstance(reactor, LoopReactor) else None
