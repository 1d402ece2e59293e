# -*- test-case-name: tests.test_relaymachine -*-
"""
Any order of events on a relay's connections: bytes arrive whole or not at all, and
nothing is left behind.
"""

from __future__ import annotations

from dataclasses import dataclass

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    multiple,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from muxd.limits import Limits
from muxd.relay import RelayService, Route
from muxd.testing import BudgetTransport, FakeConnection, FakeDevice
from tests.relays import CLIENT, PORT, ListeningPoint
from tests.running.properties import examples

LIMITS = Limits(relayConnections=4)


@dataclass(eq=False, slots=True)
class Side:
    """
    One side of a connection, and what should come out at the other.

    @ivar other: The other side, once there is one.
    @ivar wrote: What its peer has sent into the relay.
    @ivar got: What its peer has got out of it.
    """

    transport: BudgetTransport
    other: Side | None = None
    wrote: bytes = b""
    got: bytes = b""
    finished: bool = False


class RelayMachine(RuleBasedStateMachine):
    """
    A relay, its clients, and a phone that answers when it is told to.
    """

    attempts: Bundle[tuple[Side, FakeConnection]] = Bundle("attempts")
    sides: Bundle[Side] = Bundle("sides")

    def __init__(self) -> None:
        super().__init__()
        self.reactor = MemoryReactorClock()
        self.phone = FakeDevice(self.reactor)
        self.listening = ListeningPoint()
        self.service = RelayService(
            self.reactor, [Route(self.listening, self.phone.endpoint(PORT), "phone")], limits=LIMITS
        )
        self.service.startService()
        self.pairs: list[Side] = []
        self.stopped: Deferred[None] | None = None

    @rule(target=attempts, budget=st.sampled_from([0, 10, None]))
    def come(
        self, budget: int | None
    ) -> tuple[Side, FakeConnection] | MultipleResults[tuple[Side, FakeConnection]]:
        """
        A client comes.
        """
        if self.stopped is not None:
            return multiple()
        factory: IProtocolFactory = self.listening.factory
        end = factory.buildProtocol(IPv4Address("TCP", CLIENT.host, 1))
        if end is None:
            assert len(self.service.connections) == LIMITS.relayConnections
            return multiple()
        side = Side(BudgetTransport(self.reactor, budget, end))
        self.pairs.append(side)
        end.makeConnection(side.transport)
        return side, self.phone.connections[-1]

    @rule(target=sides, attempt=consumes(attempts), budget=st.sampled_from([0, 10, None]))
    def accept(self, attempt: tuple[Side, FakeConnection], budget: int | None) -> Side:
        """
        The phone accepts, if anybody still waits for it.
        """
        client, connection = attempt
        if not connection.result.called:
            phone = Side(connection.accept(budget), client)
            client.other = phone
            self.pairs.append(phone)
        return client

    @rule(attempt=consumes(attempts))
    def refuse(self, attempt: tuple[Side, FakeConnection]) -> None:
        """
        The phone refuses.
        """
        if not attempt[1].result.called:
            attempt[1].refuse(ConnectionRefusedError())

    @rule(side=sides, reverse=st.booleans(), size=st.sampled_from([1, 1000, 100_000]))
    def send(self, side: Side, reverse: bool, size: int) -> None:
        """
        A peer sends.
        """
        source = side.other if reverse else side
        if source is not None and not source.finished and not source.transport.disconnected:
            data = bytes([size % 251]) * size
            source.wrote += data
            source.transport.deliver(data)

    @rule(side=sides, reverse=st.booleans(), count=st.sampled_from([1, 70_000, None]))
    def read(self, side: Side, reverse: bool, count: int | None) -> None:
        """
        A peer reads.
        """
        reader = side.other if reverse else side
        if reader is not None:
            reader.got += reader.transport.take(count)

    @rule(side=sides, reverse=st.booleans())
    def finish(self, side: Side, reverse: bool) -> None:
        """
        A peer has finished sending, and all of it has been read.
        """
        source = side.other if reverse else side
        if source is None or source.finished or source.transport.disconnected:
            return
        self.turn()
        if not source.transport.paused and not source.transport.disconnecting:
            source.finished = True
            source.transport.finish()

    @rule(side=sides, reverse=st.booleans())
    def lose(self, side: Side, reverse: bool) -> None:
        """
        A peer is gone.
        """
        lost = side.other if reverse else side
        if lost is not None:
            lost.transport.lose(ConnectionLost())

    @rule()
    def turn(self) -> None:
        """
        The reactor turns.
        """
        self.reactor.advance(0)

    @rule()
    def stop(self) -> None:
        """
        The service is stopped.
        """
        if self.stopped is None:
            self.stopped = self.service.stopService()

    def teardown(self) -> None:
        """
        What came out is the beginning of what went in; once the service has
        stopped and the deadlines have passed, nothing is left.
        """
        self.stop()
        for _ in range(10):
            self.reactor.advance(0)
        for seconds in (LIMITS.stopTimeout, LIMITS.flushTimeout, 60):
            self.reactor.advance(seconds)
            self.reactor.advance(0)
        assert self.stopped is not None and self.stopped.called
        assert self.service.connections == set()
        assert self.reactor.getDelayedCalls() == []
        for side in self.pairs:
            assert side.transport.disconnected
            side.got += side.transport.value()
            wrote = b"" if side.other is None else side.other.wrote
            if side.other is not None and side.other.other is side:
                assert wrote.startswith(side.got)


class RelayMachineTests(SynchronousTestCase):
    """
    Runs the machine.
    """

    def test_machine(self) -> None:
        """
        It keeps its promises in any order of events.
        """
        run_state_machine_as_test(
            RelayMachine,
            settings=settings(deadline=None, max_examples=examples(60), stateful_step_count=30),
        )
