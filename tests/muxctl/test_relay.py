"""
Tests for L{muxd.muxctl.relay}.
"""

from __future__ import annotations

import io
import sys
from types import ModuleType

from twisted.application.service import Service
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import globalLogBeginner
from twisted.python.usage import Options, UsageError
from twisted.trial.unittest import SynchronousTestCase

from muxd.muxctl import relay
from muxd.muxctl.options import Usage, parse
from muxd.muxctl.terminal import Terminal
from tests.muxctl.console import NOWHERE, muxctl

MODULE = "tests.muxctl.faketcprelay"


class FakeOptions(Options):
    """
    Options of the relay's kind.
    """

    optParameters = [["socket", "s", None, "daemon"], ["udid", "u", None, "phone"]]

    def parseArgs(self, *ports: str) -> None:
        """
        Ports, and nothing that is called bad.
        """
        if "bad" in ports:
            raise UsageError("bad port")
        self["ports"] = ports


class FakeService(Service):
    """
    A service that remembers its options.
    """

    def __init__(self, options: FakeOptions) -> None:
        self.options = options
        self.privileged = False

    def privilegedStartService(self) -> None:
        """
        As a listener binds.
        """
        self.privileged = True


class RelayTests(SynchronousTestCase):
    """
    C{muxctl relay}.
    """

    def setUp(self) -> None:
        """
        Put a relay where the real one is looked for.
        """
        module = ModuleType(MODULE)
        module.Options = FakeOptions  # type: ignore[attr-defined]  # made up here
        module.makeService = FakeService  # type: ignore[attr-defined]  # likewise
        sys.modules[MODULE] = module
        self.addCleanup(sys.modules.pop, MODULE)
        self.patch(relay, "MODULE", MODULE)

    def test_words(self) -> None:
        """
        Its own words, and what stood before its name, are its options.
        """
        options = parse(["-s", "UNIX:/x", "-u", "U", "relay", "22:2222"])
        service = relay.makeRelay(relay.words(options), MODULE)
        assert isinstance(service, FakeService)
        self.assertEqual(
            dict(service.options), {"socket": "/x", "udid": "U", "ports": ("22:2222",)}
        )

    def test_wrongUsage(self) -> None:
        """
        What the relay does not understand is one line and status 2.
        """
        for word in ("bad", "--dance"):
            usage = self.assertRaises(Usage, relay.makeRelay, [word], MODULE)
            self.assertEqual(usage.status, 2)
            self.assertTrue(usage.text.startswith("muxctl relay: "), usage.text)

    def test_help(self) -> None:
        """
        The relay's own help is printed under this name.
        """
        stdout = io.StringIO()
        self.patch(sys, "stdout", stdout)
        usage = self.assertRaises(Usage, relay.makeRelay, ["--help"], MODULE)
        self.assertEqual(usage.status, 0)
        self.assertIn("Usage: muxctl relay", stdout.getvalue())

    def test_missing(self) -> None:
        """
        An installation without the relay says so.
        """
        self.patch(relay, "MODULE", "muxd.tap.nothing")
        outcome = muxctl("relay", "22:2222")
        self.assertEqual((outcome.status, outcome.out), (2, ""))
        self.assertIn("muxctl relay: not part of this installation", outcome.err)

    def test_command(self) -> None:
        """
        The command runs the service that its words describe, with the reactor.
        """
        runs: list[tuple[object, object]] = []

        def run(service: FakeService, reactor: object, terminal: Terminal) -> int:
            runs.append((service.options["ports"], reactor))
            return 0

        self.patch(relay, "run", run)
        self.assertEqual(muxctl("relay", "22", "80").status, 0)
        from twisted.internet import reactor

        self.assertEqual(runs, [(("22", "80"), reactor)])

    def test_life(self) -> None:
        """
        The service starts with the reactor and stops before it, and its log goes
        to stderr.
        """
        observers: list[object] = []
        self.patch(
            globalLogBeginner,
            "beginLoggingTo",
            lambda them, redirectStandardIO: observers.extend(them),
        )
        reactor = MemoryReactorClock()
        stderr = io.StringIO()
        terminal = Terminal(stdin=None, stdout=io.StringIO(), stderr=stderr, address=NOWHERE)
        service = FakeService(FakeOptions())
        self.assertEqual(relay.run(service, reactor, terminal), 0)
        self.assertTrue(service.privileged)
        self.assertTrue(service.running)
        self.assertTrue(reactor.hasRun)
        self.assertEqual(len(observers), 1)
        ((stop, _, _),) = reactor.triggers["before"]["shutdown"]
        stop()
        self.assertFalse(service.running)
