# -*- test-case-name: tests.integration.test_load -*-
"""
Many sessions at once, on several phones.
"""

from __future__ import annotations

import hashlib
import os
import random

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IConsumer, IPullProducer
from twisted.internet.task import LoopingCall
from zope.interface import implementer

from bench.processes import residentMemory
from tests.integration.inprocess import PhoneStream, ServiceTestCase
from tests.integration.test_tools import ECHO
from tests.running.unit import takesSeconds

MIB = 1 << 20
SESSIONS = 64
SIZE = 8 * MIB
"""Of each session, each way: 512 MiB in all, eight times what memory may grow."""

LONGEST_CHUNK = 100_000
MEMORY = 64 * MIB
"""
What the process may grow: for each session the windows of both ends, the
buffers of both sides of the pipe and the client's, and as much again that the
allocator keeps.
"""


@implementer(IPullProducer)
class EchoClient(PhoneStream):
    """
    Sends so many bytes, in chunks of random sizes, and compares what comes back.

    @ivar finished: Fires with the hashes of what was sent and what has come
        back.
    """

    def __init__(self, deviceID: int, noise: bytes, seed: int) -> None:
        super().__init__(deviceID, ECHO)
        self.finished: Deferred[tuple[str, str]] = Deferred()
        self.opened.addCallback(self._begin)
        self._noise = noise
        self._random = random.Random(seed)
        self._sent, self._received = hashlib.sha256(), hashlib.sha256()
        self._toSend = self._toReceive = SIZE

    def _begin(self, client: PhoneStream) -> PhoneStream:
        assert self.transport is not None
        IConsumer(self.transport).registerProducer(self, False)
        return client

    def resumeProducing(self) -> None:
        """
        The next chunk.
        """
        assert self.transport is not None
        start = self._random.randrange(len(self._noise) // 2)
        size = min(self._toSend, self._random.randint(1, LONGEST_CHUNK))
        chunk = self._noise[start : start + size]
        self._sent.update(chunk)
        self._toSend -= size
        self.transport.write(chunk)
        if not self._toSend:
            IConsumer(self.transport).unregisterProducer()

    def stopProducing(self) -> None:
        """
        The connection is lost; L{connectionLost} tells.
        """

    def streamReceived(self, data: bytes) -> None:
        """
        What has come back.
        """
        self._received.update(data)
        self._toReceive -= len(data)
        if self._toReceive <= 0:
            assert self.transport is not None
            self.transport.loseConnection()
            self.finished.callback((self._sent.hexdigest(), self._received.hexdigest()))


@takesSeconds
class LoadTests(ServiceTestCase):
    """
    64 sessions on four phones.
    """

    # It is for a pure build that is measured, on a machine with other things to do.
    timeout = 580
    phoneCount = 4
    if not os.path.exists("/proc/self/status"):
        skip = "there is no /proc to read the size of the process from"

    async def test_echo(self) -> None:
        """
        All of them at once echo what they are sent, unchanged; no phone has
        anything to object to, and memory does not grow with what has passed.
        """
        noise = random.Random(1).randbytes(2 * MIB)
        identifiers = sorted(self.attendance.present.values())
        clients = [
            EchoClient(identifiers[number % len(identifiers)], noise, number)
            for number in range(SESSIONS)
        ]
        before = residentMemory(os.getpid())
        peak = 0

        def look() -> None:
            nonlocal peak
            peak = max(peak, residentMemory(os.getpid()))

        watching = LoopingCall(look)
        watching.start(0.2)
        try:
            await gatherResults([self.stream(client) for client in clients], consumeErrors=True)
            hashes = await gatherResults([client.finished for client in clients])
        finally:
            watching.stop()
        await gatherResults([client.lost for client in clients])
        self.assertEqual([sent for sent, _ in hashes], [received for _, received in hashes])
        self.assertEqual(len({sent for sent, _ in hashes}), SESSIONS)
        self.assertEqual([phone.violations for phone in self.phones], [[], [], [], []])
        self.assertLess(peak - before, MEMORY)
