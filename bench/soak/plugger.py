# -*- test-case-name: tests.bench.test_soakclients -*-
"""
The plugger pulls phones out and plugs them in again, as hands, hubs and bad contacts do.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from bench.soak.phones import PluggablePhones

AWAY = 1.0
"""Seconds that a phone is out, on average."""


class Plugger:
    """
    A plugger pulls phones out, one, several or with a bad contact, and plugs them in.

    @ivar pulled: How often each phone has been pulled out, by UDID; counted before
        it is done.
    @ivar did: What was done, by kind.
    """

    def __init__(self, reactor: Any, rack: PluggablePhones, random: Random, pause: float) -> None:
        """
        @param pause: Seconds from one deed to the next, on average.
        """
        self._reactor = reactor
        self._phones = rack
        self._random = random
        self._pause = pause
        self._out: set[int] = set()
        self._resting: Deferred[None] | None = None
        self._ended: Deferred[None] | None = None
        self.pulled: Counter[str] = Counter()
        self.did: Counter[str] = Counter()

    def start(self) -> None:
        """
        Begin to pull and plug.
        """
        self._ended = Deferred.fromCoroutine(self._go())

    async def stop(self) -> None:
        """
        Stop, with all phones plugged in.
        """
        if self._resting is not None:
            self._resting.cancel()
        if self._ended is not None:
            await self._ended
        for index in sorted(self._out):
            self._phones.plug(index)
        self._out.clear()

    def _pull(self, index: int) -> None:
        self._out.add(index)
        self.pulled[self._phones.udids[index]] += 1
        self._phones.unplug(index)

    def _plug(self, index: int) -> None:
        self._out.discard(index)
        self._phones.plug(index)

    async def _go(self) -> None:
        try:
            while True:
                await self._rest(self._pause)
                deed = self._random.choices(
                    (self._pullOne, self._pullSome, self._flap), (80, 5, 15)
                )[0]
                await deed()
        except CancelledError:
            return

    async def _rest(self, mean: float) -> None:
        self._resting = deferLater(self._reactor, self._random.expovariate(1 / mean))
        try:
            await self._resting
        finally:
            self._resting = None

    async def _pullOne(self) -> None:
        """
        One phone goes, and comes back.
        """
        index = self._random.randrange(len(self._phones.udids))
        self.did["one phone pulled out for a while"] += 1
        self._pull(index)
        await self._rest(AWAY)
        self._plug(index)

    async def _pullSome(self) -> None:
        """
        A hub loses its power: several phones go at once.
        """
        count = self._random.randint(2, len(self._phones.udids))
        indices = self._random.sample(range(len(self._phones.udids)), count)
        self.did["several phones pulled out at once"] += 1
        for index in indices:
            self._pull(index)
        await self._rest(AWAY)
        for index in indices:
            self._plug(index)

    async def _flap(self) -> None:
        """
        A phone with a bad contact goes and comes quickly.
        """
        index = self._random.randrange(len(self._phones.udids))
        self.did["bad contact: in and out quickly"] += 1
        for _ in range(self._random.randint(2, 6)):
            self._pull(index)
            await self._rest(0.05)
            self._plug(index)
            await self._rest(0.05)
