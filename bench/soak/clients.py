# -*- test-case-name: tests.bench.test_soakclients -*-
"""
The soak's clients: a constant number at once, each of which does one job and is
replaced by another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.task import deferLater

from bench.soak.connection import Connection, Gone, Wrong
from bench.soak.jobs import JOBS, Job, Refused, Visit
from bench.soak.presence import Presence

EXCUSE = 15.0
"""Seconds within which the phone must be reported gone that ended a stream."""

ENDING = 60.0
"""Seconds that a connection may take to end."""

MORTALITY = 0.2
"""Share of the clients that are killed."""


class Clients:
    """
    A constant number of clients at once.

    @ivar done: Jobs that were finished, by name.
    @ivar killed: Jobs whose client was killed, by name.
    @ivar cut: Jobs whose phone was pulled out, by name.
    @ivar up: Bytes sent on streams.
    @ivar down: Bytes received on streams, all of them compared.
    """

    def __init__(
        self,
        reactor: Any,
        socket: str,
        random: Random,
        presence: Presence,
        complain: Callable[[str], None],
        *,
        pause: float,
        jobs: Sequence[Job] = JOBS,
    ) -> None:
        """
        @param socket: The daemon's.
        @param complain: Told what must not be.
        @param pause: Seconds between two jobs of a client, on average.
        """
        self._reactor = reactor
        self._endpoint = UNIXClientEndpoint(reactor, socket)
        self._random = random
        self._presence = presence
        self._complain = complain
        self._pause = pause
        self._jobs = jobs
        self.done: Counter[str] = Counter()
        self.killed: Counter[str] = Counter()
        self.cut: Counter[str] = Counter()
        self.up = self.down = 0
        self._going = False
        self._clients: list[Deferred[None]] = []
        self._resting: dict[int, Deferred[None]] = {}

    def start(self, count: int) -> None:
        """
        Begin with C{count} clients.
        """
        self._going = True
        self._clients = [Deferred.fromCoroutine(self._client(number)) for number in range(count)]

    async def drain(self) -> None:
        """
        Begin no new job, and wait until the present ones have ended.
        """
        self._going = False
        for resting in list(self._resting.values()):
            resting.cancel()
        for succeeded, result in await DeferredList(self._clients, consumeErrors=True):
            if not succeeded:
                self._complain(f"a client of ours failed: {result}")
        self._clients = []

    async def _client(self, number: int) -> None:
        weights = [job.weight for job in self._jobs]
        while self._going:
            resting: Deferred[None] = deferLater(
                self._reactor, self._random.expovariate(1 / self._pause)
            )
            self._resting[number] = resting
            try:
                await resting
            except CancelledError:
                return
            finally:
                del self._resting[number]
            [job] = self._random.choices(self._jobs, weights)
            present = list(self._presence.present)
            if present or not job.ofPhone:
                await self.perform(job, number, self._random.choice(present or [0]))

    async def perform(
        self, job: Job, number: int, deviceID: int, mortality: float = MORTALITY
    ) -> None:
        """
        Let a client come, do one job, and go.

        @param number: The client's, unique among the present ones.
        @param mortality: How probable it is that it is killed.
        """
        connection = await connectProtocol(self._endpoint, Connection(self._reactor))
        fate = None
        if self._random.random() < mortality:
            # At once, in the handshake, or in the middle of something.
            mean = self._random.choice((0.0001, 0.003, 0.3))
            fate = self._reactor.callLater(self._random.expovariate(1 / mean), connection.kill)
        visit = Visit(connection, self._random, deviceID, number)
        try:
            await job.perform(visit)
            self.done[job.name] += 1
        except (Gone, Refused) as error:
            await self._excuse(job, visit, error)
        except Wrong as error:
            self._complain(f"{job.name}: {error}")
        finally:
            self.up += visit.up
            self.down += visit.down
            if fate is not None and fate.active():
                fate.cancel()
            await self._end(job, connection)

    async def _excuse(self, job: Job, visit: Visit, error: Exception) -> None:
        """
        Excuse a stream that ended early: its client was killed, or its phone pulled out.
        """
        if visit.connection.killed:
            self.killed[job.name] += 1
        elif job.ofPhone and await self._presence.hasGone(visit.deviceID, self._reactor, EXCUSE):
            self.cut[job.name] += 1
        else:
            what = str(error) or f"ended after {visit.up} bytes up and {visit.down} down"
            where = f"device {visit.deviceID} is there, but: " if job.ofPhone else ""
            self._complain(f"{job.name}: {where}{what}")

    async def _end(self, job: Job, connection: Connection) -> None:
        """
        Close the connection and wait until it has ended.
        """
        connection.close()
        if not connection.isLost:
            timer = self._reactor.callLater(ENDING, connection.kill)
            await connection.lost
            if timer.active():
                timer.cancel()
            else:
                self._complain(f"{job.name}: not closed after {ENDING:g} s")
