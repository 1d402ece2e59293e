# -*- test-case-name: tests.server.test_life -*-
"""
The life of a client's connection, against a model: whatever happens in whatever
order, answers come in the order of the requests and streams are whole.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.error import ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.limits import Limits
from muxd.server.factory import ControlFactory
from muxd.server.registry import DeviceRegistry
from muxd.server.states import State
from muxd.testing import (
    BudgetTransport,
    FakeConnection,
    FakeDevice,
    MemoryRecordStore,
)
from muxd.wire.messages import MessageReader, Result, plistMessage
from tests.running.properties import examples
from tests.server.laterecords import LateRecords
from tests.server.serving import Client, connectRequest, plist

LIMITS = Limits(pendingInput=50, clientQueue=1 << 20)


class ClientLife(RuleBasedStateMachine):
    """
    One client, one phone, and everything that they may do.

    The client reads all that it is allowed to; the phone does as well.
    """

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.phone = FakeDevice(self.clock)
        registry = DeviceRegistry()
        registry.deviceAttached(self.phone)
        self.records = LateRecords(MemoryRecordStore())
        self.factory = ControlFactory(self.clock, registry, self.records, LIMITS)
        self.client = Client(BudgetTransport.connect(self.clock, self.factory, budget=0))
        self.tag = 0
        self.expected: list[tuple[int, int]] = []
        self.received = b""
        self.upstream = b""
        self.downstream = b""
        self.arrived = b""
        self.connecting: FakeConnection | None = None
        self.connectTag = 0
        self.stream: BudgetTransport | None = None

    def collect(self) -> None:
        """
        Take what has arrived on either side.
        """
        for _ in range(5):
            self.clock.advance(0)
        self.received += self.client.transport.value()
        if self.stream is not None:
            self.arrived += self.stream.value()

    @property
    def state(self) -> State:
        """
        Of the connection.
        """
        return self.client.protocol.state

    @precondition(lambda self: self.state in (State.COMMAND, State.WAITING))
    @rule(known=st.booleans())
    def command(self, known: bool) -> None:
        """
        The client asks for something, perhaps before it has its answer to the last.
        """
        self.tag += 1
        if known:
            request = {"MessageType": "DeletePairRecord", "PairRecordID": "x"}
            number = 2
        else:
            request = {"MessageType": "Nonsense"}
            number = Result.BAD_COMMAND
        self.client.send(plistMessage(request, self.tag))
        self.expected.append((self.tag, number))

    @precondition(lambda self: self.records.waiting)
    @rule()
    def disk(self) -> None:
        """
        The disk has done something that it was asked for.
        """
        self.records.finish()

    @precondition(lambda self: self.state is State.COMMAND)
    @rule()
    def connect(self) -> None:
        """
        The client wants a stream.
        """
        self.tag += 1
        self.client.send(connectRequest(1, 22, self.tag))
        self.connecting, self.connectTag = self.phone.connections[-1], self.tag

    @precondition(lambda self: self.connecting is not None)
    @rule()
    def refuse(self) -> None:
        """
        The phone refuses; nothing but whole commands was held.
        """
        connection, self.connecting = self.connecting, None
        assert connection is not None
        if self.upstream:
            connection.accept()
            self.stream = connection.transport
            self.expected.append((self.connectTag, 0))
        else:
            connection.refuse(ConnectionRefusedError())
            self.expected.append((self.connectTag, 3))

    @precondition(lambda self: self.connecting is not None)
    @rule()
    def accept(self) -> None:
        """
        The phone accepts.
        """
        connection, self.connecting = self.connecting, None
        assert connection is not None
        self.stream = connection.accept()
        self.expected.append((self.connectTag, 0))

    @precondition(lambda self: self.state in (State.CONNECTING, State.CONNECTED))
    @rule(data=st.binary(min_size=1, max_size=60))
    def up(self, data: bytes) -> None:
        """
        The client sends bytes for the phone.
        """
        self.upstream += data
        self.client.transport.deliver(data)

    @precondition(lambda self: self.stream is not None and not self.stream.disconnecting)
    @rule(data=st.binary(min_size=1, max_size=60))
    def down(self, data: bytes) -> None:
        """
        The phone sends bytes for the client.
        """
        assert self.stream is not None
        if not self.stream.disconnected and not self.client.transport.disconnected:
            self.downstream += data
            self.stream.deliver(data)

    @rule(count=st.integers(0, 3000))
    def read(self, count: int) -> None:
        """
        The client reads.
        """
        self.client.transport.allow(count)

    @precondition(lambda self: self.stream is not None)
    @rule(clean=st.booleans())
    def phoneGoes(self, clean: bool) -> None:
        """
        The phone closes, or is unplugged.
        """
        self.collect()
        assert self.stream is not None
        self.stream.lose(ConnectionDone() if clean else ConnectionLost())

    @invariant()
    def upstreamIsWhole(self) -> None:
        """
        What reaches the phone is what the client has sent, as far as it goes.
        """
        self.collect()
        assert self.upstream.startswith(self.arrived)
        if self.stream is not None and not self.stream.disconnected:
            assert self.arrived == self.upstream

    @invariant()
    def answersAreInOrder(self) -> None:
        """
        What reaches the client is its answers, in order, and then the stream.
        """
        self.collect()
        reader = MessageReader(1 << 20)
        reader.feed(self.received)
        for tag, number in self.expected:
            message = reader.next()
            if message is None:
                return
            assert (message.tag, plist(message)["Number"]) == (tag, number)
        assert self.downstream.startswith(reader.takeRest())

    def teardown(self) -> None:
        """
        In the end everything has been delivered, and nothing is left.
        """
        while self.records.waiting:
            self.records.finish()
            self.collect()
        self.client.transport.allow()
        self.collect()
        if not self.client.transport.aborted:
            stream = self.received[len(self.received) - len(self.downstream) :]
            assert stream == self.downstream
        self.client.transport.lose()
        self.collect()
        self.factory.stopFactory()
        assert self.factory.clients == set()
        assert self.clock.getDelayedCalls() == [], self.clock.getDelayedCalls()


class ClientLifeTests(SynchronousTestCase):
    """
    L{ClientLife}, many times.
    """

    def test_life(self) -> None:
        """
        No order of events loses, repeats or reorders anything.
        """
        run_state_machine_as_test(
            ClientLife,
            settings=settings(deadline=None, max_examples=examples(60), stateful_step_count=25),
        )
