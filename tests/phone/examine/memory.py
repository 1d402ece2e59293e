"""
An examination of our daemon, in memory: nothing waits, and no time passes but the clock's.
"""

from __future__ import annotations

from collections.abc import Coroutine
from functools import partial
from random import Random
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from muxd.limits import LIMITS
from muxd.phone.examine.ends import Client
from muxd.phone.examine.stage import ExaminedPhone, Stage
from muxd.server.factory import ControlFactory
from muxd.testing import BudgetTransport
from tests.faults.world import CONFIGURATIONS, World

T = TypeVar("T")

BUDGET = 65536
MOST_STEPS = 200000


class Wire(StringTransport):
    """
    A client's connection to the daemon: the client's transport, and a step of the world for
    each piece that comes or goes.
    """

    def __init__(self, world: World, factory: ControlFactory, client: Client) -> None:
        super().__init__()
        self._client = client
        self._isClosing = False
        self._server = BudgetTransport.connect(world, factory, BUDGET)
        client.makeConnection(self)

    def isReady(self) -> bool:
        """
        Whether there is something to move.
        """
        if self._client.isLost:
            return False
        isReading = self.producerState != "paused"
        hasCome = bool(self._server._taken) or self._server.disconnected
        # What a server has not read yet is read before the end.
        isEnding = self._isClosing and not self._server._undelivered
        return bool(self.value()) or isEnding or (isReading and hasCome)

    def step(self) -> None:
        """
        Move it.
        """
        if self.value():
            data = self.value()
            self.clear()
            self._server.deliver(data)
        elif self._isClosing and not self._server._undelivered:
            self._lose()
            self._server.lose(ConnectionDone())
        elif data := self._server.value():
            self._client.dataReceived(data)
            self._server.allow(len(data))
        else:
            self._lose()

    def loseConnection(self) -> None:
        """
        The client hangs up.
        """
        self._isClosing = True

    def _lose(self) -> None:
        self._client.connectionLost(Failure(ConnectionDone()))


class MemoryStage(Stage):
    """
    Our daemon and a phone.
    """

    def __init__(self) -> None:
        self.world = World(Random(0), LIMITS, 0.0)
        self.wires: list[Wire] = []
        make = partial(ExaminedPhone, self.world, named={}, configurations=CONFIGURATIONS)
        super().__init__(self.world, self.world.bus, make)

    def connect(self, client: Client) -> Deferred[Any]:
        """
        Connect a client.
        """
        self.wires = [wire for wire in self.wires if not wire._client.isLost]
        self.wires.append(Wire(self.world, self.world.factory, client))
        return succeed(client)

    async def restart(self) -> None:
        """
        There is one life in memory: only the phone begins anew.
        """
        await self.unplug()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """
        Have everything happen until this is done.
        """
        done: Deferred[T] = Deferred.fromCoroutine(work)
        for _ in range(MOST_STEPS):
            if done.called:
                return self._resultOf(done)
            self._step()
        raise AssertionError(f"not done after {MOST_STEPS} steps")

    def _step(self) -> None:
        for source in (*self.world.sources(), *self.wires):
            if source.isReady():
                source.step()
                return
        if not self.world.look():
            time = self.world.nextTime()
            assert time is not None, "nothing will ever happen"
            self.world.rightNow = max(time, self.world.seconds())

    def _resultOf(self, done: Deferred[T]) -> T:
        results: list[Any] = []
        done.addBoth(results.append)
        (result,) = results
        if isinstance(result, Failure):
            result.raiseException()
        return result  # type: ignore[no-any-return]
