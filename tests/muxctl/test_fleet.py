# -*- test-case-name: tests.muxctl.test_fleet -*-
"""
Tests of L{muxd.muxctl.fleet} and L{muxd.muxctl.reserve}: their words and their tables.
"""

from __future__ import annotations

import io
import json

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionRefusedError,
)
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from muxd.fleet.client import FleetView, HubLost
from muxd.fleet.frames import LAST_PATIENCE
from muxd.fleet.messages import HostLine, PhoneLine, WaitLine
from muxd.fleet.values import FleetError, Why
from muxd.muxctl import reserve
from muxd.muxctl.errors import FleetProblem
from muxd.muxctl.fleet import (
    _showHosts,
    _showPhones,
    clientFor,
    outcomeOf,
    problemOf,
    reached,
)
from muxd.muxctl.options import Usage, parse
from muxd.muxctl.terminal import Terminal
from tests.fleet.fleets import phone, udid
from tests.fleet.world import HUB, WorldCase
from tests.muxctl.console import muxctl

VIEW = FleetView(
    hosts=(HostLine(name="a", door="a:1", phones=2, isDraining=True),),
    phones=(
        PhoneLine(phone=phone(1, labels=("x",), version="17.1"), user="ann", reason="tests"),
        PhoneLine(phone=phone(2)),
    ),
    waiting=(WaitLine(user="bob", phone="label=x", left=90),),
)


class WordsTests(SynchronousTestCase):
    """
    Tests of what may be typed.
    """

    def refused(self, *words: str) -> str:
        """
        Why something is not understood.
        """
        return str(self.assertRaises(Usage, parse, list(words)).text)

    def test_reserve(self) -> None:
        """
        The command is what is behind the two dashes, whatever it looks like.
        """
        options = parse(
            [
                "--json",
                "reserve",
                "-p",
                "label=x",
                "--wait",
                "10m",
                "--",
                "x",
                "--",
                "-p",
                "reserve",
            ]
        )
        self.assertEqual(options.arguments, ["x", "--", "-p", "reserve"])
        self.assertEqual((options.phone, options.wait, options.term), ("label=x", 600.0, 30.0))

    def test_times(self) -> None:
        """
        A time has a unit, or is seconds.
        """
        for text, seconds in {"90": 90, "1.5s": 1.5, "2m": 120, "1h": 3600, "1d": 86400}.items():
            self.assertEqual(parse(["reserve", "--wait", text, "--", "x"]).wait, seconds)
        for text in ("", "m", "-1", "1w", "1e3"):
            self.assertIn("expected a time", self.refused("reserve", f"--wait={text}", "--", "x"))

    def test_conditions(self) -> None:
        """
        A condition that makes no sense is wrong usage, whatever phones there are.
        """
        for text, complaint in (
            ("foo=1", "a phone has no 'foo'"),
            ("version>=x", "expected a version such as 17 or 17.4.1, got 'x'"),
        ):
            refusal = self.refused("reserve", "-p", text, "--", "x")
            self.assertIn(f"argument -p/--phone: {complaint}", refusal)

    def test_noCommand(self) -> None:
        """
        Without a command there is nothing to reserve for.
        """
        for words in (("reserve",), ("reserve", "--")):
            outcome = muxctl(*words)
            self.assertEqual(outcome.status, 2)
            self.assertIn("expected -- and a command", outcome.err)

    def test_host(self) -> None:
        """
        A host is named where one is meant, and nowhere else.
        """
        self.assertEqual(parse(["fleet", "drain", "a"]).host, "a")
        self.assertIn("expected a HOST", self.refused("fleet", "drain"))
        self.assertIn("expected no HOST", self.refused("fleet", "list", "a"))


class HubTests(SynchronousTestCase):
    """
    Tests of how the hub is found.
    """

    def test_noEndpoint(self) -> None:
        """
        An address that is no endpoint is answered with what one looks like.
        """
        for words, environ in (
            (["fleet", "list", "--hub", "127.0.0.1:7300"], {}),
            (["fleet", "list"], {"MUXD_HUB": "127.0.0.1:7300"}),
        ):
            error = self.assertRaises(
                FleetProblem, clientFor, parse(words), MemoryReactorClock(), environ
            )
            self.assertIn("'127.0.0.1:7300' is no client endpoint", str(error))
            self.assertIn("write the hub as tcp:HOST:PORT", str(error))
            self.assertEqual(error.status, 2)

    def test_noHub(self) -> None:
        """
        A hub that is not there is named, with what to do.
        """
        reactor = MemoryReactorClock()
        options = parse(["fleet", "list", "--hub", "tcp:127.0.0.1:7399"])
        client = clientFor(options, reactor, {})
        connecting = Deferred.fromCoroutine(reached(client.connect(), options, {}))
        (host, port, factory, *_) = reactor.tcpClients[0]
        self.assertEqual((host, port), ("127.0.0.1", 7399))
        factory.clientConnectionFailed(reactor.connectors[0], Failure(ConnectionRefusedError()))
        problem = self.failureResultOf(connecting, FleetProblem).value
        self.assertTrue(str(problem).startswith("no hub at tcp:127.0.0.1:7399 ("), problem)
        self.assertIn(
            "start twistd muxhub, or say with --hub or MUXD_HUB where it is", str(problem)
        )
        self.assertEqual(problem.status, 3)

    def test_interrupted(self) -> None:
        """
        An interrupt while it connects is one, and no error of ours.
        """
        for error in (CancelledError(), ConnectingCancelledError(None)):
            self.assertEqual(outcomeOf(Failure(error)), 130)
        self.assertEqual(outcomeOf(7), 7)
        self.assertRaises(FleetProblem, outcomeOf, Failure(HubLost("x")))


class InterruptedTests(WorldCase):
    """
    Tests of C{muxctl reserve} that is interrupted while it waits.
    """

    def setUp(self) -> None:
        """
        It waits: there is no phone.
        """
        super().setUp()
        words = ["reserve", "--hub", f"unix:{HUB}", "--name", "x", "--wait", "100", "--", "true"]
        terminal = Terminal(stdin=None, stdout=io.StringIO(), stderr=io.StringIO())
        work = reserve._work(self.world.reactor, parse(words), terminal, self.mktemp())
        self.ended: list[object] = []
        self.working = Deferred.fromCoroutine(work)
        self.working.addErrback(lambda failure: self.ended.append(failure.trap(CancelledError)))
        self.world.settle()
        self.assertEqual(self.waiting(), ["x"])

    def waiting(self) -> list[str]:
        """
        Who waits.
        """
        return [one.user for one in self.world.result(self.world.registry.waiting())]

    def test_told(self) -> None:
        """
        It ends when the hub knows, which has it in its queue no longer.
        """
        self.working.cancel()
        self.assertEqual(self.ended, [])
        self.world.settle()
        self.assertEqual((self.ended, self.waiting()), ([CancelledError], []))

    def test_notTaken(self) -> None:
        """
        It ends soon if the hub takes nothing.
        """
        self.world.split.add(HUB)
        self.working.cancel()
        self.world.advance(LAST_PATIENCE - 1)
        self.assertEqual(self.ended, [])
        self.world.advance(1)
        self.world.split.clear()
        self.world.settle()
        self.assertEqual(self.ended, [CancelledError])


class ShownTests(SynchronousTestCase):
    """
    Tests of what is printed.
    """

    def shown(self, show: object, json: bool = False) -> list[str]:
        """
        The lines.
        """
        out = io.StringIO()
        terminal = Terminal(stdin=None, stdout=out, stderr=io.StringIO(), json=json)
        show(VIEW, terminal)  # type: ignore[operator]
        return out.getvalue().splitlines()

    def test_phones(self) -> None:
        """
        A phone, its host, and which job has it.
        """
        _, first, second = self.shown(_showPhones)
        self.assertEqual(first.split(), [udid(1), "a", "-", "-", "17.1", "x", "ann:", "tests"])
        self.assertEqual(second.split()[-2:], ["-", "-"])
        line = json.loads(self.shown(_showPhones, json=True)[0])
        self.assertEqual((line["udid"], line["labels"], line["user"]), (udid(1), ["x"], "ann"))

    def test_hosts(self) -> None:
        """
        Hosts, and jobs that wait.
        """
        lines = self.shown(_showHosts)
        self.assertEqual(lines[1].split(), ["a", "a:1", "2", "drained"])
        self.assertEqual(lines[3].split(), ["bob", "label=x", "-", "1", "min", "30", "s"])
        self.assertEqual(lines[-1], "1 host, 2 phones, 1 reserved, 1 job waiting")
        (line,) = self.shown(_showHosts, json=True)
        said = json.loads(line)
        self.assertEqual((said["phones"], said["reserved"]), (2, 1))
        self.assertEqual(said["waiting"][0]["left"], 90)

    def test_problems(self) -> None:
        """
        Each has the exit status that other commands have for its kind.
        """
        for error, status in (
            (FleetError(Why.NO_SUCH_PHONE), 1),
            (FleetError(Why.TAKEN), 1),
            (FleetError(Why.NOT_ALLOWED), 1),
            (HubLost("x"), 3),
            (ConnectError(), 3),
            (FleetError(Why.WAITED), 4),
            (FleetError(Why.HOST_SILENT), 5),
            (ValueError("x"), 5),
        ):
            problem = problemOf(error)
            assert isinstance(problem, FleetProblem)
            self.assertEqual(problem.status, status, error)
        other = KeyError()
        self.assertIs(problemOf(other), other)
