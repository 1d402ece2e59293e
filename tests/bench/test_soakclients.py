"""
Tests for L{bench.soak.clients}, L{bench.soak.jobs} and L{bench.soak.plugger}: clients of
a real service, and of one that is wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from bench.soak import jobs
from bench.soak.clients import Clients
from bench.soak.connection import request
from bench.soak.exchange import EXCHANGE, Exchange
from bench.soak.jobs import JOBS, Job
from bench.soak.pattern import piece
from bench.soak.plugger import Plugger
from bench.soak.presence import Presence
from muxd.limits import LIMITS
from muxd.phone.services.inet import ServiceFactory
from tests.integration.inprocess import ServiceTestCase
from tests.running.unit import takesSeconds

ENDED = {"listener"}
"""Jobs whose end is that the client is killed."""


class Hasty(Random):
    """
    Randomness of clients that rest for a fiftieth of the time.
    """

    def expovariate(self, lambd: float = 1.0) -> float:
        """
        A pause.
        """
        return super().expovariate(lambd) / 50


def job(name: str) -> Job:
    """
    The job of that name.
    """
    [found] = [one for one in JOBS if one.name == name]
    return found


class ClientsTestCase(ServiceTestCase):
    """
    Clients, and what they complain of.
    """

    timeout = 120
    limits = replace(LIMITS, halfCloseGrace=0.1)

    def setUp(self) -> Any:
        """
        Give the phone the service that the jobs use, and let no answer be very late.
        """
        self.patch(jobs, "LATE", 0.3)
        self.complaints: list[str] = []
        started = super().setUp()
        for phone in self.phones:
            phone.services[EXCHANGE] = ServiceFactory(lambda: Exchange(self.complaints.append))
        return started

    def clients(self, path: str, present: dict[int, str], **options: Any) -> Clients:
        """
        Make clients that know of these phones.
        """
        self.heard = Presence(Counter())
        self.heard.present.update(present)
        return Clients(
            self.reactor,
            path,
            Hasty(7),
            self.heard,
            self.complaints.append,
            **{"pause": 0.01, **options},
        )

    @property
    def deviceID(self) -> int:
        """
        The phone's number.
        """
        return next(iter(self.attendance.present.values()))


class JobTests(ClientsTestCase):
    """
    Each job on a real service.
    """

    @takesSeconds
    async def test_everyJob(self) -> None:
        """
        All of them can be done, and there is nothing to complain of; no client
        is left in the daemon.
        """
        clients = self.clients(self.path, {self.deviceID: "A"})
        # All at once, as most of their time is spent waiting.
        await gatherResults(
            Deferred.fromCoroutine(clients.perform(one, number, self.deviceID, mortality=0))
            for number, one in enumerate(JOBS)
        )
        self.assertEqual(self.complaints, [])
        self.assertEqual(set(clients.done), {one.name for one in JOBS} - ENDED)
        self.assertEqual(set(clients.killed), ENDED)
        self.assertEqual(self.phones[0].violations, [])
        self.assertTrue(await self.until(lambda: not self.service._factory.clients))

    async def test_killed(self) -> None:
        """
        A client that is killed, at whatever moment, is nothing to complain of.
        """
        clients = self.clients(self.path, {self.deviceID: "A"})
        for name in ("echo", "upload, with receipt", "pair record"):
            for _ in range(10):
                await clients.perform(job(name), 1, self.deviceID, mortality=1)
        self.assertEqual(self.complaints, [])
        self.assertGreater(clients.killed.total(), 0)

    async def test_manyAtOnce(self) -> None:
        """
        So many clients at once do one job after the other, until they are told to
        come to an end.
        """
        clients = self.clients(self.path, {self.deviceID: "A"}, jobs=[job("echo")])
        clients.start(5)
        await self.until(lambda: clients.done.total() >= 20, attempts=3000)
        await clients.drain()
        self.assertGreaterEqual(clients.done.total(), 20)
        self.assertEqual(self.complaints, [])

    async def test_unplugged(self) -> None:
        """
        A stream that ends early is excused by its phone's end.
        """
        clients = self.clients(self.path, {self.deviceID: "A"})
        deviceID = self.deviceID
        performing = Deferred.fromCoroutine(
            clients.perform(job("reader that never reads"), 1, deviceID, mortality=0)
        )
        self.phones[0].unplug()
        self.heard.pulled = Counter({"A": 1})
        self.heard.told({"MessageType": "Detached", "DeviceID": deviceID})
        await performing
        await clients.perform(job("connect, a few bytes, close"), 1, deviceID, mortality=0)
        self.assertEqual(self.complaints, [])
        self.assertGreaterEqual(clients.cut.total(), 1)


class Liar(Protocol):
    """
    A daemon that accepts everything, and then does as the test says.
    """

    def __init__(self, then: Callable[[Liar, bytes], None]) -> None:
        self._then = then
        self._connected = False

    def dataReceived(self, data: bytes) -> None:
        """
        Say yes to the first, and see.
        """
        assert self.transport is not None
        if self._connected:
            self._then(self, data)
            return
        self._connected = True
        self.transport.write(request("Result", Number=0))


class LiarTests(ClientsTestCase):
    """
    What clients notice.
    """

    async def complaint(self, name: str, then: Callable[[Liar, bytes], None]) -> str:
        """
        What is said of a daemon that does something wrong.
        """
        path = str(self.directory / "liar")
        factory = Factory.forProtocol(lambda: Liar(then))
        factory.noisy = False
        port = self.reactor.listenUNIX(path, factory)
        self.addCleanup(port.stopListening)
        # So many seconds are as good as fifteen.
        from bench.soak import clients as module

        self.patch(module, "EXCUSE", 0.05)
        await self.clients(path, {1: "A"}).perform(job(name), 1, 1, mortality=0)
        [complaint] = self.complaints
        return complaint

    async def test_wrongByte(self) -> None:
        """
        One byte of an echo that is another.
        """

        def corrupt(liar: Liar, data: bytes) -> None:
            assert liar.transport is not None
            liar.transport.write(data[:-1] + bytes([data[-1] ^ 1]))

        self.assertIn(
            "is not the right one", await self.complaint("connect, a few bytes, close", corrupt)
        )

    async def test_tooMuch(self) -> None:
        """
        A byte too many.
        """

        def more(liar: Liar, data: bytes) -> None:
            assert liar.transport is not None
            phase = next(n for n in range(1 << 16) if piece(n, len(data)) == data)
            liar.transport.write(piece(phase, len(data) + 1))

        self.assertIn(
            "are all there are", await self.complaint("connect, a few bytes, close", more)
        )

    async def test_cut(self) -> None:
        """
        A stream that ends though its phone is there.
        """

        def end(liar: Liar, data: bytes) -> None:
            assert liar.transport is not None
            liar.transport.loseConnection()

        self.assertIn("is there, but: ended", await self.complaint("echo", end))


class PhonesInMemory:
    """
    Phones that note which of them are plugged in.
    """

    def __init__(self) -> None:
        self.udids = ["A", "B", "C"]
        self.present = {0, 1, 2}
        self.unplugged = 0

    def plug(self, index: int) -> None:
        """
        Plug it in.
        """
        self.present.add(index)

    def unplug(self, index: int) -> None:
        """
        Pull it out.
        """
        self.present.remove(index)
        self.unplugged += 1

    def violations(self) -> list[str]:
        """
        None.
        """
        return []

    def open(self) -> int:
        """
        None.
        """
        return 0


class PluggerTests(SynchronousTestCase):
    """
    Tests of L{Plugger}.
    """

    def test_pulls(self) -> None:
        """
        Phones go and come, each of them, in every way; what is counted is what was
        done; in the end all are in.
        """
        for moment in range(20):
            clock, phones = Clock(), PhonesInMemory()
            plugger = Plugger(clock, phones, Random(moment), 1.0)
            plugger.start()
            for _ in range(500 + moment):
                clock.advance(0.1)
            self.successResultOf(Deferred.fromCoroutine(plugger.stop()))
            self.assertEqual(phones.present, {0, 1, 2})
            self.assertEqual(plugger.pulled.total(), phones.unplugged)
            self.assertEqual(set(plugger.pulled), set(phones.udids))
            self.assertEqual(clock.getDelayedCalls(), [])

    def test_sameSeed(self) -> None:
        """
        The same seed does the same.
        """
        done = []
        for _ in range(2):
            clock, plugger = Clock(), None
            plugger = Plugger(clock, PhonesInMemory(), Random(5), 1.0)
            plugger.start()
            for _ in range(1000):
                clock.advance(0.1)
            done.append((plugger.pulled, plugger.did))
        self.assertEqual(done[0], done[1])
        self.assertEqual(len(done[0][1]), 3)
