"""
Tests for L{bench.soak.probe} and L{bench.soak.phones}.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from bench.soak.phones import SimulatedPhones
from bench.soak.probe import Probe, ProbeProtocol, observed
from muxd.service import MuxService
from muxd.tap.usbmuxd import UsbmuxdService


class Asked:
    """
    A probe that is asked without a socket.
    """

    def __init__(self, probe: Probe) -> None:
        self._protocol = ProbeProtocol(probe._answer)
        self._transport = StringTransport()
        self._protocol.makeConnection(self._transport)

    def ask(self, request: str) -> Any:
        """
        Its answer.
        """
        self._transport.clear()
        self._protocol.dataReceived(request.encode() + b"\n")
        return json.loads(self._transport.value())


class ProbeTests(SynchronousTestCase):
    """
    Tests of L{Probe}, in a daemon with two simulated phones.
    """

    if not os.path.exists("/proc/thread-self/schedstat"):
        skip = "this kernel does not tell what its scheduler does"

    def setUp(self) -> None:
        """
        Look at it; it has not been started.
        """
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory)
        self.reactor = MemoryReactorClock()
        self.reactor.callFromThread = lambda call, *words: call(*words)  # type: ignore[attr-defined]
        self.service = MuxService(
            self.reactor, sources=["simulated:count=2"], configDir=f"{directory}/records"
        )
        self.probe = Probe(self.reactor, self.service, f"{directory}/socket")
        self.addCleanup(os.close, self.probe._schedstat)
        self.addCleanup(self.probe._ticker.stop)
        self.asked = Asked(self.probe)

    def test_sample(self) -> None:
        """
        A sample has everything that a verdict looks at.
        """
        sample = self.asked.ask("sample")
        self.assertEqual(
            [sample[name] for name in ("devices", "clients", "sessions", "ports in use")],
            [0, 0, 0, 0],
        )
        self.assertGreater(sample["blocks"], 1000)
        self.assertIn("muxd.phone.iphone.Phone", sample["objects"])
        self.assertEqual(sample["counters"]["commands"], {})

    def test_stalls(self) -> None:
        """
        Stalls are told, and forgotten when they are to be.
        """
        ticker = self.probe._ticker
        ticker.start()
        self.reactor.advance(1)
        told = self.asked.ask("stalls")
        self.assertEqual(sum(told["late"]), 1)
        self.assertEqual(
            set(told["long"][0]), {"late", "own", "waited", "blocked", "collecting", "stack"}
        )
        self.asked.ask("forget")
        self.assertEqual(self.asked.ask("stalls")["long"], [])

    def test_samplesAreNoStalls(self) -> None:
        """
        Counting takes its time, which is not the daemon's fault.
        """
        ticker = self.probe._ticker
        ticker.start()
        due = ticker._due
        self.reactor.rightNow += 5
        self.asked.ask("sample")
        self.assertGreater(ticker._due, due + 4)

    def test_phones(self) -> None:
        """
        Simulated phones are plugged from here; what they object to is told.
        """
        phones = SimulatedPhones(self.asked)  # type: ignore[arg-type]  # it can be asked
        [source] = self.service.sources
        self.assertEqual(phones.udids, [phone.udid for phone in self.probe._phones])
        phones.plug(1)
        self.assertEqual(len(source.bus.attachments), 1)  # type: ignore[attr-defined]
        phones.unplug(1)
        self.assertEqual(len(source.bus.attachments), 0)  # type: ignore[attr-defined]
        self.assertEqual((phones.violations(), phones.open()), ([], 0))
        self.probe._phones[0].violations.append("too much")
        self.probe._complaints.append("wrong")
        self.assertEqual(phones.violations(), ["Simulated iPhone: too much", "wrong"])


class CompositionTests(SynchronousTestCase):
    """
    What C{daemon.tac} is.
    """

    def test_observed(self) -> None:
        """
        It is the daemon's own service, with an observer beside it.
        """
        if not os.path.exists("/proc/thread-self/schedstat"):
            self.skipTest("this kernel does not tell what its scheduler does")
        words = ["--listen", "unix:/nowhere", "--source", "simulated", "--no-preflight"]
        application = observed(
            MemoryReactorClock(),
            {"MUXD_SOAK": json.dumps(words), "MUXD_SOAK_OBSERVE": "/nowhere/observer"},
        )
        from twisted.application.service import IServiceCollection

        daemon, observer = IServiceCollection(application)
        self.assertIsInstance(daemon, UsbmuxdService)
        self.assertIsInstance(observer, Probe)
        os.close(observer._schedstat)

    def test_tac(self) -> None:
        """
        It is where it is looked for.
        """
        from bench.soak.commandline import TAC, subject

        self.assertTrue(TAC.exists())
        places = {"socket": "/s", "directory": "/d"}
        _, settings = subject("rig", 8, Path("/o")).daemon.filled(places)
        self.assertIn("unix:/s", json.loads(settings["MUXD_SOAK"]))
        self.assertEqual(settings["MUXD_SOAK_OBSERVE"], "/o")
