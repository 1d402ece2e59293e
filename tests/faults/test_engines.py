"""
Fault plans on the simulated bus with a real reactor, pyusb, and each of the engines for such a
bus: one for each kind of fault, as C{simulated:faults=...} has them.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.protocol import connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.python.runtime import platform
from twisted.trial.unittest import TestCase

from muxd.phone.bus.faultplan import FaultKind
from muxd.phone.parser import serials
from muxd.phone.services.inet import ECHO
from muxd.phone.source import SimulatedSource
from muxd.service import MuxService
from tests.faults.programs import PATTERN
from tests.integration.inprocess import Attendance, PhoneStream
from tests.running.unit import takesSeconds

SIZE = 200000
PATIENCE = 2.0
"""Real seconds that a client waits for something after the last thing that came."""

CLIENTS = 2


class Echo(PhoneStream):
    """
    Has bytes sent back, and goes when it has them all; or when nothing has come for long, if it
    talks to a phone that may have lost them.

    @ivar isComplete: Whether it has them.
    @ivar wrong: Where they were others.
    """

    def __init__(self, deviceID: int, data: bytes, isPatient: bool) -> None:
        super().__init__(deviceID, ECHO)
        self._isPatient = isPatient
        self.isComplete = False
        self.wrong: int | None = None
        self._data = data
        self._received = 0
        self._silence: Any = None

    def begin(self, reactor: Any) -> None:
        """
        Send them.
        """
        assert self.transport is not None
        if not self._isPatient:
            self._silence = reactor.callLater(PATIENCE, self._giveUp)
        self.transport.write(self._data)

    def streamReceived(self, data: bytes) -> None:
        """
        Compare.
        """
        if not self._data.startswith(data, self._received) and self.wrong is None:
            self.wrong = self._received
        self._received += len(data)
        if self._silence is not None:
            self._silence.reset(PATIENCE)
        if self._received == len(self._data):
            self.isComplete = True
            assert self.transport is not None
            self.transport.loseConnection()

    def refused(self, reason: Failure) -> None:
        """
        There is no stream.
        """
        assert self.transport is not None
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The end.
        """
        if self._silence is not None and self._silence.active():
            self._silence.cancel()
        super().connectionLost(reason)

    def _giveUp(self) -> None:
        transport: Any = self.transport
        transport.abortConnection()


class EngineTestCase(TestCase):
    """
    A daemon with three phones: one that something goes wrong with on the way in, one on the
    way out, and one that must not notice.

    @cvar engine: What moves their packets.
    """

    engine: str
    if platform.isWindows():
        skip = "Windows has no UNIX sockets here"

    async def play(self, kind: FaultKind) -> None:
        """
        Let every phone echo for some clients, and see what has come of it.
        """
        from twisted.internet import reactor

        directory = Path(tempfile.mkdtemp(prefix="muxd-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, directory)
        path = str(directory / "s")
        healthy, *faulty = serials(3)
        service = MuxService(
            reactor,
            listen=[f"unix:{path}"],
            sources=[
                f"{source}:engine={self.engine}"
                for source in (
                    f"simulated:udid={healthy}",
                    f"simulated:udid={faulty[0]}:faults={kind.value}@in6,seed=1",
                    f"simulated:udid={faulty[1]}:faults={kind.value}@out6,seed=1",
                )
            ],
            configDir=str(directory / "lockdown"),
        )
        attendance = Attendance()
        service.registry.subscribe(attendance)
        present = attendance.count(3)
        service.startService()
        await present
        devices = sorted(attendance.present.items(), key=lambda item: item[0])
        clients: dict[str, list[Echo]] = {}
        for place, (udid, deviceID) in enumerate(devices):
            for number in range(CLIENTS):
                start = 1000 * place + 100 * number
                client = Echo(deviceID, PATTERN[start : start + SIZE], place == 0)
                clients.setdefault(udid, []).append(client)
        everybody = [client for some in clients.values() for client in some]
        await DeferredList([self.stream(reactor, path, client) for client in everybody])
        await DeferredList([client.lost for client in everybody])
        for client in everybody:
            self.assertIsNone(client.wrong)
        self.assertTrue(all(client.isComplete for client in clients[devices[0][0]]), kind)
        phones = [
            phone
            for source in service.sources
            if isinstance(source, SimulatedSource)
            for phone in source.phones
        ]
        strikes = [[strike.kind for strike in phone.faultMachine.strikes] for phone in phones]
        self.assertEqual(strikes, [[], [kind], [kind]])
        self.assertEqual(phones[0].violations, [])
        # A phone that has left comes back.
        await attendance.count(3)
        await service.stopService()
        await deferLater(reactor, 0)
        self.assertEqual(
            [each.name for each in threading.enumerate() if each.name.startswith("usb-")], []
        )
        self.assertEqual(attendance.present, {})

    def stream(self, reactor: Any, path: str, client: Echo) -> Deferred[None]:
        """
        Connect a client and let it begin; fires also if it has no stream.
        """
        connecting = connectProtocol(UNIXClientEndpoint(reactor, path), client)
        connecting.addErrback(client.opened.errback)
        begun: Deferred[None] = client.opened.addCallback(lambda _: client.begin(reactor))
        # There may be no stream: the phone has been lost by then.
        begun.addErrback(client.refused)
        return begun


def _test(kind: FaultKind) -> Any:
    async def test(self: EngineTestCase) -> None:
        await self.play(kind)

    test.__doc__ = f"""
        {kind.value}, the sixth time that anything is sent.
        """
    return test


@takesSeconds
class ThreadedTests(EngineTestCase):
    """
    Faults that the engine C{threads} meets.
    """

    engine = "threads"


@takesSeconds
class ReactorTests(EngineTestCase):
    """
    Faults that the links of L{muxd.phone.bus.link} meet.
    """

    engine = "reactor"


for _kind in FaultKind:
    _name = f"test_{_kind.value.replace('-', '')}"
    setattr(ThreadedTests, _name, _test(_kind))
    setattr(ReactorTests, _name, _test(_kind))
