"""
All that the compiled modules and their twins do, to be done to both of them and compared.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from tests import twins
from tests.usb.fakelibusb import CONTEXT, HANDLE, FakeLibusb

SIZE = 48
"""Bytes of each memory."""

SOCKETS = 3
"""How many sockets there are, and memories."""


def outcome(function: Callable[..., Any], *arguments: Any) -> object:
    """
    What comes of a call: its value and the value's type, or the error's type.

    Of two arguments that are no numbers, either may be told of.
    """
    try:
        value = function(*arguments)
    except (TypeError, OverflowError):
        return "no number"
    except Exception as error:
        return type(error)
    if value is None or isinstance(value, int | bytes):
        return type(value).__name__, value
    return type(value).__name__


class Twin:
    """
    One of the two, with all that it is used with.
    """

    def __init__(self, modules: dict[str, Any], stack: ExitStack) -> None:
        streams = modules["muxd.net.streams"]
        self.sockets: list[Any] = []
        self.peers: list[socket.socket] = []
        for _ in range(SOCKETS):
            ours, theirs = socket.socketpair()
            self.sockets.append(streams.StreamSocket(ours.detach()))
            self.peers.append(stack.enter_context(theirs))
            stack.callback(self.sockets[-1].close)
            theirs.setblocking(False)
        self.descriptors = [one.fileno() for one in self.sockets]
        self.poller = modules["muxd.net.polling"].Poller()
        stack.callback(self.poller.close)
        self.library = FakeLibusb()
        self.transfers = modules[twins.TRANSFERS].Transfers(self.library, CONTEXT, HANDLE)
        self.memories = [
            modules["muxd.net.packetmemory"].PacketMemory(SIZE),
            self.transfers.transfer(0x04, SIZE),
            self.transfers.transfer(0x85, SIZE),
        ]
        stack.callback(self.end)

    def end(self) -> None:
        """
        Nothing is to be in flight.
        """
        for address in list(self.library.submitted):
            self.library.end(address)
        self.transfers.handleEvents()

    def perform(self, name: str, index: int, *arguments: Any) -> object:
        """
        Do something to the memory or socket with this number.
        """
        result: object = getattr(self, name)(index, *arguments)
        return result

    # To memory, of which two are transfers.

    def receive(self, index: int, source: int | None, *rest: Any) -> object:
        """
        From a socket.
        """
        return outcome(self.memories[index].receive, self._socket(source), *rest)

    def receiveNoting(self, index: int, source: int | None, *rest: Any) -> object:
        """
        The same, and whether something came along.
        """
        memory = self.memories[index]
        return outcome(memory.receiveNoting, self._socket(source), *rest), memory.wasCut

    def send(self, index: int, target: int | None, *rest: Any) -> object:
        """
        To a socket.
        """
        return outcome(self.memories[index].send, self._socket(target), *rest)

    def call(self, index: int, method: str, *rest: Any) -> object:
        """
        Any other method of it.
        """
        return outcome(lambda: getattr(self.memories[index], method)(*rest))

    def writeSegment(self, index: int, *rest: Any) -> object:
        """
        What was in its place is undefined when that fails.
        """
        memory = self.memories[index]
        result = outcome(memory.writeSegment, *rest)
        if not isinstance(result, tuple) and memory.size and not memory.isInFlight:
            memory.write(0, bytes(SIZE))
        return result

    # To USB.

    def ends(self, index: int, status: int, count: int) -> object:
        """
        The bus has finished with a transfer.
        """
        address = getattr(self.memories[index], "address", 0)
        if address not in self.library.submitted:
            return None
        self.library.end(address, status, count=count)
        return self.library.structure(address).length

    def refuse(self, index: int, code: int) -> None:
        """
        Libusb refuses the next submission.
        """
        self.library.refusals.append(code)

    def events(self, index: int) -> object:
        """
        Handle them.
        """
        return [self.memories.index(one) for one in self.transfers.handleEvents()]

    def make(self, index: int, endpoint: Any, size: Any) -> object:
        """
        A transfer that nobody uses.
        """
        return outcome(self.transfers.transfer, endpoint, size)

    # To sockets.

    def peerSends(self, index: int, data: bytes) -> object:
        """
        Something has come.
        """
        return outcome(self.peers[index].send, data)

    def peerReads(self, index: int) -> object:
        """
        What has arrived.
        """
        return outcome(self.peers[index].recv, 1000)

    def peerCloses(self, index: int) -> None:
        """
        The end.
        """
        self.peers[index].close()

    def onSocket(self, index: int, method: str, *rest: Any) -> object:
        """
        A method of it.
        """
        return outcome(getattr(self.sockets[index], method), *rest)

    # To the poller.

    def add(self, index: int, events: Any, owner: Any) -> object:
        """
        Watch a socket.
        """
        return outcome(self.poller.add, self.descriptors[index], events, owner)

    def modify(self, index: int, events: Any) -> object:
        """
        Otherwise.
        """
        return outcome(self.poller.modify, self.descriptors[index], events)

    def remove(self, index: int) -> object:
        """
        No more.
        """
        return outcome(self.poller.remove, self.descriptors[index])

    def oddly(self, index: int, method: str, *rest: Any) -> object:
        """
        With a descriptor that is none.
        """
        return outcome(getattr(self.poller, method), *rest)

    def wait(self, index: int, seconds: Any) -> object:
        """
        See what is ready.
        """
        return outcome(self.poller.wait, seconds)

    def waitAwake(self, index: int, seconds: Any) -> object:
        """
        The same without sleeping.
        """
        return outcome(self.poller.look, seconds)

    def look(self) -> object:
        """
        All that can be seen.
        """
        return (
            [
                (
                    *(one.size, one.isInFlight, bytes(one.view), one.protocol, one.packetLength),
                    *(one.transmitted, one.received, one.sourcePort, one.destinationPort),
                    *(one.seq, one.ack, one.dataOffset, one.flags, one.window),
                )
                for one in self.memories
            ],
            [
                (one.status, one.length, one.actualLength, one.isIn, bool(one.address))
                for one in self.memories[1:]
            ],
            [self.memories.index(one) for one in self.transfers.inFlight],
            self.transfers.countInFlight,
            [one.fileno() < 0 for one in self.sockets],
            (self.poller.ready, self.poller.events[: self.poller.count], self.poller.count),
        )

    def _socket(self, index: int | None) -> object:
        return index if index is None or index >= SOCKETS else self.sockets[index]
