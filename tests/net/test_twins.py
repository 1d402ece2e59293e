"""
The compiled modules are what their twins in Python are: whatever they are asked for, in
whatever order and with whatever arguments, both say the same, and the same errors.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack
from select import EPOLLET, EPOLLIN, EPOLLOUT, EPOLLRDHUP
from typing import Any

from hypothesis import given, settings
from hypothesis.strategies import (
    SearchStrategy,
    binary,
    booleans,
    floats,
    integers,
    just,
    lists,
    none,
    one_of,
    sampled_from,
    tuples,
)
from twisted.trial.unittest import SynchronousTestCase

from tests import twins
from tests.usb.fakelibusb import CONTEXT, HANDLE, FakeLibusb

SIZE = 48
SOCKETS = 3

Operation = tuple[Any, ...]

small = integers(-2, SIZE + 2)
bits = sampled_from((8, 16, 24, 31, 32, 62, 63, 64, 70))
edges = bits.flatmap(lambda count: sampled_from(((1 << count) - 1, 1 << count, -(1 << count))))
nonsense = one_of(none(), floats(), just("1"), just(b"1"), booleans())
number = one_of(small, small, small, edges, nonsense)
size = one_of(small, small, edges, nonsense)
version = one_of(integers(1, 2), integers(1, 2), integers(0, 3), edges, none(), just("2"))
field = one_of(integers(0, 255), integers(0, 255), edges, none(), floats(), just("1"))
data = one_of(
    binary(max_size=SIZE + 2),
    binary(max_size=9).map(bytearray),
    binary(min_size=4, max_size=4).map(lambda four: memoryview(four)[::2]),
    binary(min_size=4, max_size=4).map(lambda four: memoryview(four).cast("H")),
    sampled_from(("text", None, 5)),
)
which = integers(0, SOCKETS - 1)
mask = one_of(
    sampled_from((EPOLLIN, EPOLLOUT, EPOLLIN | EPOLLOUT, EPOLLIN | EPOLLET, EPOLLRDHUP)),
    number,
)
seconds = one_of(just(0), just(0.0), just(0.001), just(None), just("1"), just(float("nan")))


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


def operation(name: str, *arguments: SearchStrategy[Any]) -> SearchStrategy[Operation]:
    """
    A call of a L{Twin}'s method.
    """
    return tuples(just(name), which, *arguments)


good = one_of(
    operation("receive", which, integers(0, 20), integers(1, 20)),
    operation("send", which, integers(0, 20), integers(0, 20)),
    operation("call", just("write"), integers(0, 20), binary(max_size=20)),
    operation("call", just("read"), integers(0, 20), integers(0, 20)),
    operation("call", just("readHeader"), integers(0, 20)),
    operation("call", just("readSegment"), integers(1, 2), integers(0, 12)),
    operation("call", just("submit"), integers(0, SIZE)),
    operation("call", just("cancel")),
    operation("writeSegment", integers(1, 2), integers(0, 12), *[integers(0, 255)] * 8),
    operation("ends", integers(0, 6), integers(0, SIZE)),
    operation("events"),
    operation("peerSends", binary(max_size=30)),
    operation("peerReads"),
    operation("add", mask, integers(1, 9)),
    operation("modify", mask),
    operation("remove"),
    operation("wait", just(0)),
)
bad = one_of(
    operation("receive", one_of(which, none(), just(7)), number, number),
    operation("send", one_of(which, none(), just(7)), number, number),
    operation("call", just("write"), number, data),
    operation("call", just("read"), number, number),
    operation("call", just("readHeader"), number),
    operation("call", just("readSegment"), version, number),
    operation("call", just("writeCounters"), field, field),
    operation("call", just("submit"), number),
    operation("call", just("free")),
    operation("writeSegment", version, size, *[field] * 8),
    operation("ends", integers(0, 6), integers(-3, SIZE + 2)),
    operation("refuse", sampled_from((-11, -4, -1))),
    operation("make", number, number),
    operation("peerCloses"),
    operation("onSocket", just("send"), data, number),
    operation("onSocket", sampled_from(("waiting", "shutdown", "close"))),
    operation("add", mask, one_of(none(), integers(1, 9))),
    operation("modify", mask),
    operation("oddly", just("add"), one_of(edges, nonsense, just(-1)), mask, just("x")),
    operation("oddly", sampled_from(("remove", "modify")), one_of(edges, nonsense), mask),
    operation("wait", seconds),
)


class TwinTests(SynchronousTestCase):
    """
    Tests of both at once.
    """

    def compare(self, operations: list[Operation]) -> None:
        """
        Both do the same.
        """
        with ExitStack() as stack:
            pure = Twin(twins.pure(), stack)
            compiled = Twin(twins.compiled(), stack)
            for number, (name, *arguments) in enumerate(operations):
                said = [one.perform(name, *arguments) for one in (pure, compiled)]
                self.assertEqual(said[0], said[1], (number, name, arguments))
                self.assertEqual(pure.look(), compiled.look(), (number, name, arguments))

    def test_same(self) -> None:
        """
        Whatever is done, both say the same.
        """
        twins.compiled()

        @settings(max_examples=300)
        @given(lists(one_of(good, good, good, bad), max_size=40))
        def check(operations: list[Operation]) -> None:
            self.compare(operations)

        check()

    def test_refused(self) -> None:
        """
        Whatever is wrong, both refuse it in the same way.
        """
        twins.compiled()

        @settings(max_examples=300)
        @given(lists(bad, max_size=30))
        def check(operations: list[Operation]) -> None:
            self.compare(operations)

        check()

    def test_names(self) -> None:
        """
        Both have the same names, on modules and on classes.
        """
        pure, compiled = twins.pure(), twins.compiled()
        for name in twins.EVERYTHING:
            for public in vars(compiled[name]):
                one = getattr(compiled[name], public)
                if public.startswith("_") or getattr(one, "__module__", name) != name:
                    continue
                other = getattr(pure[name], public, None)
                if isinstance(one, type):
                    assert other is not None, public
                    self.assertEqual(publicNames(one), publicNames(other), public)
                elif isinstance(one, int) and not isinstance(one, bool):
                    self.assertEqual(one, other, public)


def publicNames(one: type) -> set[str]:
    """
    What is to be used of a class.
    """
    return {name for name in dir(one) if not name.startswith("_")}
