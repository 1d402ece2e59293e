# -*- test-case-name: tests.net.test_laneport -*-
"""
A listening socket whose clients are let in by the event loop, and are bare sockets.

Twisted's ports make a transport of each client.  Where a client is served without one, the
port is stood in for by one that does everything else as it did: listens where it listened,
stops, pauses, and tells when a client cannot be let in (L{muxd.net.accepting}).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.tcp import Port
from twisted.python.failure import Failure
from zope.interface import classImplements

from muxd.net.accepting import SHORT
from muxd.net.eventloop import READABLE, EventLoop, Watched
from muxd.net.streams import Acceptor, StreamSocket

AT_ONCE = 16
"""How many clients are let in before everything else has its turn, unless it is said."""


class LanePort(Watched):
    """
    A port whose clients are let in here.

    As many are let in at once as waited the last time: to look for another one costs as much
    as to find one.

    @ivar numberAccepts: How many clients are let in the next time, at most.
    """

    def __init__(
        self,
        loop: EventLoop,
        port: Port,
        acceptFailed: Callable[[OSError], object],
        arrived: Callable[[StreamSocket, int], object],
        atOnce: int = AT_ONCE,
    ) -> None:
        """
        @param port: Is listening; it reads no more itself.
        @param acceptFailed: Called when a client cannot be let in, as the process or the
            system is short of something.
        @param arrived: Called with each client, and with the family of its socket.
        @param atOnce: How many clients are let in before everything else has its turn.
        """
        self.numberAccepts = self._atOnce = atOnce
        self._expected = 1
        self._turn = 0
        self._arrived = arrived
        self._loop = loop
        self._port = port
        self._acceptFailed = acceptFailed
        self._isReading = False
        self._family = int(port.socket.family)
        self._acceptor = Acceptor(port.socket)
        port.stopReading()
        self.startReading()

    def startListening(self) -> None:
        """
        It does already.
        """

    def stopListening(self) -> Deferred[None] | None:
        """
        Let no more clients in.
        """
        self.stopReading()
        stopped: Deferred[None] | None = self._port.stopListening()
        return stopped

    def getHost(self) -> IAddress:
        """
        Where it listens.
        """
        host: IAddress = self._port.getHost()
        return host

    def startReading(self) -> None:
        """
        Let clients in.
        """
        if not self._isReading:
            self._loop.watch(self._port.fileno(), READABLE, self)
            self._isReading = True

    def stopReading(self) -> None:
        """
        Leave them in the kernel's queue.
        """
        if self._isReading:
            self._isReading = False
            self._loop.forget(self._port.fileno())

    def happened(self, events: int) -> None:
        """
        Clients wait.
        """
        most, self.numberAccepts = self.numberAccepts, self._atOnce
        before, self._turn = self._turn, self._loop.turns
        # If it was left off too early the last time, the loop has said so at once.
        expected = self._expected if self._turn > before + 1 else self._atOnce
        count = 0
        while count < expected and count < most:
            client = self._acceptor.accept()
            if client is None:
                error = self._acceptor.error
                if error in SHORT:
                    self._acceptFailed(OSError(error, os.strerror(error)))
                break
            count += 1
            self._arrived(client, self._family)
            if not self._isReading:
                return
        self._expected = max(count, 1)

    def failed(self, failure: Failure) -> None:
        """
        One client was lost to a mistake of ours; others go on coming.
        """


# A compiled class takes no decorator.
classImplements(LanePort, IListeningPort)


def peerAddress(connected: socket.socket) -> IAddress:
    """
    The address of a socket's peer, where that means something.

    @raise OSError: It has gone.
    """
    family = connected.family
    return addressOf(family, None if family == socket.AF_UNIX else connected.getpeername())


def addressOf(family: int, name: Any) -> IAddress:
    """
    The address of a peer, where that means something.

    @param family: Of the socket.
    @param name: What C{getpeername} says; for a UNIX socket anything.
    """
    if family == socket.AF_UNIX:
        return UNIXAddress(None)
    host, port = name[:2]
    kind = IPv6Address if family == socket.AF_INET6 else IPv4Address
    return kind("TCP", host, port)
