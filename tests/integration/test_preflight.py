"""
Preflight in a service of this process, with simulated phones on their bus.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.utils import getProcessOutputAndValue
from twisted.logger import Logger
from twisted.trial.unittest import SkipTest, TestCase

from muxd.interfaces import AttachedDevice
from muxd.lockdown.pairrecord import PairRecord
from muxd.phone.source import SimulatedSource
from muxd.service import MuxService
from muxd.tap.process import takeTurns
from tests.running.processes import startsProcesses
from tests.running.unit import takesSeconds

TICK = 0.001


class Watching:
    """
    A listener that counts.
    """

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.attached: list[float] = []
        self.paired: list[float] = []

    def deviceAttached(self, attached: AttachedDevice) -> None:
        """
        Count it.
        """
        self.attached.append(self.clock.seconds())

    def deviceDetached(self, attached: AttachedDevice) -> None:
        """
        Nobody cares.
        """

    def devicePaired(self, attached: AttachedDevice) -> None:
        """
        Count it.
        """
        self.paired.append(self.clock.seconds())


class PreflightTests(TestCase):
    """
    L{MuxService} with preflight.
    """

    _log = Logger()
    timeout = 120

    async def start(self, source: str) -> None:
        """
        Start a service with this source.
        """
        self.directory = Path(tempfile.mkdtemp(prefix="muxd-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.socket = self.directory / "s"
        self.service = MuxService(
            reactor,
            listen=[f"unix:{self.socket}"],
            sources=[source],
            configDir=str(self.directory / "lockdown"),
            preflight=True,
        )
        self.listener = Watching(reactor)
        self.service.registry.subscribe(self.listener)  # type: ignore[arg-type]
        self.service.startService()
        self.addCleanup(self.service.stopService)

    async def until(self, condition: Any) -> None:
        """
        Wait for it; the test's timeout ends that.
        """
        while not condition():
            await deferLater(reactor, 0.01)

    async def tool(self, name: str, *words: str) -> str:
        """
        What one of libimobiledevice's tools prints.
        """
        found = shutil.which(name)
        if found is None:
            raise SkipTest(f"there is no {name}: apt install libimobiledevice-utils")
        running: Deferred[Any] = getProcessOutputAndValue(
            found, words, env={"USBMUXD_SOCKET_ADDRESS": f"UNIX:{self.socket}"}
        )
        output, errors, _ = await running
        return bytes(output + errors).decode()

    @startsProcesses
    async def test_recordOfATool(self) -> None:
        """
        A record that C{idevicepair} has written is good for preflight, which asks
        nobody for anything then.
        """
        await self.start("simulated")
        await self.until(lambda: self.listener.paired)
        self.assertIn("SUCCESS", await self.tool("idevicepair", "pair"))
        record = self.record()
        (source,) = self.service.sources
        assert isinstance(source, SimulatedSource)
        (phone,) = source.phones
        dialogs = phone.trust.dialogs
        phone.unplug()
        await self.until(lambda: not self.service.registry.attached())
        phone.plug(source.bus)
        await self.until(lambda: len(self.listener.attached) == 2)
        self.assertEqual(self.record(), record)
        self.assertEqual(phone.trust.dialogs, dialogs)

    def record(self) -> PairRecord:
        """
        What is stored of the phone.
        """
        (path,) = (self.directory / "lockdown").glob("0*.plist")
        return PairRecord.fromBytes(path.read_bytes())

    @takesSeconds
    async def test_thirty(self) -> None:
        """
        Thirty phones that are plugged in at once are all visible and paired, and
        what that takes of the reactor's time is in the log of the test.

        On a machine that is busy with other things a turn of the reactor lasts as
        long as the system likes, so what it has worked in one is told, too.
        """
        # As in a daemon, which this would be if it could be asked for its stalls.
        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())
        takeTurns()
        gaps: list[float] = []
        works: list[float] = []
        last, worked = time.perf_counter(), time.thread_time()

        def tick() -> None:
            nonlocal last, worked
            now, work = time.perf_counter(), time.thread_time()
            gaps.append(now - last - TICK)
            works.append(work - worked)
            last, worked = now, work

        ticker = LoopingCall(tick)
        ticker.start(TICK)
        begun = reactor.seconds()
        await self.start("simulated:30")
        await self.until(lambda: len(self.listener.paired) == 30)
        ticker.stop()
        self.assertEqual(len(self.listener.attached), 30)
        self._log.info(
            "thirty phones: the last visible after {visible:.2f} s, the last paired after"
            " {paired:.2f} s, the reactor late by {late:.0f} ms at most, of which it worked for"
            " {work:.0f} ms at most",
            visible=self.listener.attached[-1] - begun,
            paired=self.listener.paired[-1] - begun,
            late=1000 * max(gaps),
            work=1000 * max(works),
        )
