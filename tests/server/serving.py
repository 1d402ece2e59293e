"""
What the tests of the server have in common: a factory, devices and clients.
"""

from __future__ import annotations

import plistlib
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from muxd.limits import Limits
from muxd.server.factory import ControlFactory
from muxd.server.protocol import ControlProtocol
from muxd.server.registry import DeviceRegistry
from muxd.testing import (
    BudgetTransport,
    FakeDevice,
    ImmediateRecords,
    MemoryRecordStore,
    fakeIdentity,
)
from muxd.wire.messages import (
    Message,
    MessageReader,
    MessageType,
    plistMessage,
    swapPort,
)

TINY = Limits(clientQueue=4096, pendingInput=100, messageTimeout=30, flushTimeout=15)


class Client:
    """
    A client program, seen from its own side.

    @ivar transport: The server's end of its connection.
    @ivar protocol: What the server has made for it.
    """

    def __init__(self, transport: BudgetTransport) -> None:
        self.transport = transport
        assert isinstance(transport.protocol, ControlProtocol)
        self.protocol: ControlProtocol = transport.protocol
        self._reader: MessageReader = MessageReader(1 << 24)

    def send(self, *messages: Message) -> None:
        """
        Send messages in one write.
        """
        self.transport.deliver(b"".join(message.encode() for message in messages))

    def ask(self, tag: int = 1, /, **values: Any) -> Message:
        """
        Send a plist request and take the one message that answers it.
        """
        self.send(plistMessage(values, tag))
        (answer,) = self.messages()
        return answer

    def result(self, tag: int = 1, /, **values: Any) -> int:
        """
        Send a plist request and take the number of the Result.
        """
        answer = self.ask(tag, **values)
        reply = plist(answer)
        assert reply["MessageType"] == "Result", reply
        assert answer.tag == tag
        return int(reply["Number"])

    def messages(self) -> list[Message]:
        """
        All messages received since the last call.
        """
        self._reader.feed(self.transport.value())
        return list(self._reader)

    def plists(self) -> list[dict[str, Any]]:
        """
        All messages received since the last call, which are property lists.
        """
        return [plist(message) for message in self.messages()]

    def stream(self) -> bytes:
        """
        Everything received since the last call, as bytes.
        """
        return self.transport.value()


def plist(message: Message) -> dict[str, Any]:
    """
    The dictionary in an XML message.
    """
    assert (message.version, message.type) == (1, MessageType.PLIST), message
    assert message.body.startswith(b"<?xml"), message.body
    values = plistlib.loads(message.body)
    assert isinstance(values, dict)
    return values


def observeLog(test: SynchronousTestCase) -> list[LogEvent]:
    """
    Everything that is logged from now on to the end of a test.
    """
    events: list[LogEvent] = []
    observer = cast("ILogObserver", events.append)
    globalLogPublisher.addObserver(observer)
    test.addCleanup(globalLogPublisher.removeObserver, observer)
    return events


def connectRequest(deviceID: Any, port: int, tag: int = 1) -> Message:
    """
    A plist Connect to a port, which is swapped as clients do.
    """
    values = {"MessageType": "Connect", "DeviceID": deviceID, "PortNumber": swapPort(port)}
    return plistMessage(values, tag)


class ServingTestCase(SynchronousTestCase):
    """
    A server with tiny limits and one phone, which has the number 1.
    """

    makeClock: Callable[[], Clock] = Clock

    def setUp(self) -> None:
        """
        Make the server.
        """
        self.clock = self.makeClock()
        self.registry = DeviceRegistry()
        self.store = MemoryRecordStore()
        self.factory = ControlFactory(self.clock, self.registry, ImmediateRecords(self.store), TINY)
        self.counters = self.factory.counters
        self.phone = FakeDevice(self.clock)
        self.registry.deviceAttached(self.phone)

    def tearDown(self) -> None:
        """
        Nothing may be left behind.
        """
        self.factory.doStart()
        self.factory.doStop()

    def client(self, budget: int | None = None, host: str | None = None) -> Client:
        """
        Connect a client.

        @param host: The machine that it is on; None for the same as all others.
        """
        peer = None if host is None else IPv4Address("TCP", host, 1024)
        return Client(BudgetTransport.connect(self.clock, self.factory, budget, peer))

    def listener(self, budget: int | None = None, library: int = 3) -> Client:
        """
        Connect a client in Listen mode that has seen all that is there.

        @param library: The version of its library.
        """
        client = self.client(budget)
        request = {"MessageType": "Listen", "kLibUSBMuxVersion": library}
        client.send(plistMessage(request, 1))
        client.messages()
        return client

    def attach(self, number: int) -> FakeDevice:
        """
        Attach another phone.
        """
        device = FakeDevice(self.clock, fakeIdentity(number))
        self.registry.deviceAttached(device)
        return device

    def settle(self) -> None:
        """
        Let everything happen that waits for the next turn of the reactor only.
        """
        for _ in range(10):
            self.clock.advance(0)
