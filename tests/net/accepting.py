"""
What the tests of accepting have in common: Twisted's own port, over a queue and a reactor
in memory.
"""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from errno import EAGAIN

from twisted.internet.protocol import Factory, Protocol
from twisted.internet.tcp import Port
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.server.serving import observeLog

FOREVER = 1000
"""Turns after which a reactor that has not come to rest runs in circles."""


class Queue:
    """
    A listening socket: clients who wait in it, and what the system says before it lets
    the first of them in.

    @ivar calls: How often somebody was to be let in.
    """

    def __init__(self, case: SynchronousTestCase, clients: int, errors: list[int]) -> None:
        self.calls = 0
        self.errors = errors
        self.waiting: list[socket.socket] = []
        self.ours: list[socket.socket] = []
        open = ExitStack()
        case.addCleanup(open.close)
        for _ in range(clients):
            theirs, ours = (open.enter_context(one) for one in socket.socketpair())
            ours.setblocking(False)
            self.waiting.append(theirs)
            self.ours.append(ours)

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        """
        Let the first one in.
        """
        self.calls += 1
        if self.errors:
            number = self.errors.pop(0)
            raise OSError(number, os.strerror(number))
        if not self.waiting:
            raise BlockingIOError(EAGAIN, os.strerror(EAGAIN))
        return self.waiting.pop(0), ("127.0.0.1", 1)

    def getsockname(self) -> tuple[str, int]:
        """
        Where it is.
        """
        return "127.0.0.1", 1


class AcceptTestCase(SynchronousTestCase):
    """
    Twisted's own port, over a queue and a reactor in memory.
    """

    def setUp(self) -> None:
        """
        Watch the log.
        """
        self.reactor = MemoryReactorClock()
        self.factory = Factory.forProtocol(Protocol)
        self.logged = observeLog(self)

    def listen(self, clients: int, *errors: int) -> Port:
        """
        A port that is open.
        """
        self.queue = Queue(self, clients, list(errors))
        return self.listenOnSame()

    def listenOnSame(self) -> Port:
        """
        Another port for those who wait already.
        """
        port = Port(0, self.factory, reactor=self.reactor)
        # As it is after startListening.
        port.socket = self.queue
        port.numberAccepts = 100
        port.connected = True
        port.startReading()
        return port

    def turns(self, *ports: Port) -> int:
        """
        Have the reactor call the ports that it watches, as long as somebody waits.

        @return: How often it did.
        """
        count = 0
        while self.queue.waiting and any(port in self.reactor.readers for port in ports):
            for port in ports:
                if port in self.reactor.readers:
                    port.doRead()
                    count += 1
            self.assertLess(count, FOREVER, "it runs in circles")
        return count

    def texts(self) -> list[str]:
        """
        The lines of the log.
        """
        return [formatEvent(event) for event in self.logged]
