# -*- test-case-name: tests.integration.test_etcd -*-
"""
The registry of a fleet in a real etcd: what every registry does, and what becomes of it when the
engine is away.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from muxd.fleet.etcd import jobs
from muxd.fleet.etcd.place import EtcdPlace
from muxd.fleet.etcd.registry import EtcdRegistry
from tests.fleet.contract import RegistryContract
from tests.fleet.ticketcontract import TicketContract
from tests.integration.etcdserver import EtcdServer
from tests.running.processes import startsProcesses


class EtcdCase(TestCase):
    """
    A node of etcd, and a registry in it.
    """

    timeout = 120
    # Long enough that a machine that is busy for a while does not let a lease end.
    term = 10.0

    def setUp(self) -> None:
        """
        Start both.
        """
        self.directory = Path(tempfile.mkdtemp(prefix="muxd-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.server = self.makeServer()
        self.addCleanup(self.server.kill)
        self.server.start()
        self.registry: Any = self.open()
        self.addCleanup(self.close)

    def makeServer(self) -> EtcdServer:
        """
        The node.
        """
        return EtcdServer(self.directory)

    def open(self) -> EtcdRegistry:
        """
        A hub's registry.
        """
        place = EtcdPlace.fromString(f"etcd:127.0.0.1:{self.server.port}:prefix=/test")
        registry = place.registry(reactor)
        registry.start()
        return registry

    async def close(self) -> None:
        """
        Stop the one that there is by then.
        """
        await self.registry.stop()

    async def reopen(self) -> None:
        """
        The hub is gone, and another one there.
        """
        await self.registry.stop()
        self.registry = self.open()

    async def passTime(self, seconds: float) -> None:
        """
        Let it pass; then hear of all that etcd has done.
        """
        await self.sleep(seconds)
        await self.ended()
        await self.registry._following.catchUp()

    async def ended(self) -> None:
        """
        Wait until etcd has ended what is over: it looks twice a second, and later when it is
        busy.
        """
        gateway = self.registry._gateway
        for each in (await gateway.ask("/v3/lease/leases", {})).get("leases", ()):
            while True:
                said = await gateway.ask("/v3/lease/timetolive", {"ID": each["ID"]})
                if int(said.get("TTL", 0)) != 0:
                    # -1 is of one that has ended.
                    break
                await self.sleep(0.05)

    async def sleep(self, seconds: float) -> None:
        """
        Let time pass.
        """
        wait: Deferred[None] = deferLater(reactor, seconds)
        await wait


@startsProcesses
class EtcdContractTests(EtcdCase, RegistryContract):
    """
    The registry in etcd, as every other one.
    """


@startsProcesses
class EtcdTicketTests(EtcdCase, TicketContract):
    """
    The same for jobs with tickets, but for what takes longer than a place is kept.
    """

    def mostWaiting(self, number: int) -> None:
        """
        See L{TicketContract}.
        """
        self.patch(jobs, "MOST_WAITING_PER_USER", number)
