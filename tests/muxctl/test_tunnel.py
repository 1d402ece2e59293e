# -*- test-case-name: tests.muxctl.test_tunnel -*-
"""
Tests of L{muxd.muxctl.tunnel}.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from errno import EADDRINUSE
from importlib.util import find_spec
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock
from twisted.trial.unittest import SkipTest, SynchronousTestCase

if find_spec("hyperframe") is None:
    raise SkipTest("these tests need the extra tunnel")

from muxd.client import errors
from muxd.client.problems import Stage
from muxd.lockdown.errors import LockdownError
from muxd.muxctl import tunnel
from muxd.muxctl.options import Usage, parse
from muxd.muxctl.terminal import Terminal
from muxd.tunnel.opening import SharedTunnel
from muxd.tunnel.rsd import RemoteService


class FakeReactor:
    """
    A reactor that runs what it is told to, and stops when it is told to.

    @ivar stops: How often it was.
    """

    running = False

    def __init__(self) -> None:
        self.stops = 0
        self._starts: list[Callable[[], object]] = []
        self._ends: list[Callable[[], object]] = []

    def callWhenRunning(self, function: Callable[[], object]) -> None:
        """
        At the start.
        """
        self._starts.append(function)

    def addSystemEventTrigger(self, *words: Any) -> None:
        """
        At the end.
        """
        self._ends.append(words[-1])

    def run(self) -> None:
        """
        Run; a program that would go on is interrupted.
        """
        self.running = True
        for start in self._starts:
            start()
        if not self.stops:
            self.stop()

    def stop(self) -> None:
        """
        Stop, which may be said once, and is so only at the end.
        """
        self.stops += 1
        if self.stops == 1:
            for end in self._ends:
                end()
        self.running = False


class FakeTunnel:
    """
    A tunnel with two services.
    """

    services = {
        "b": RemoteService("b", 2, isRemoteXPC=True),
        "a": RemoteService("a", 50000),
    }

    def __init__(self) -> None:
        self.whenLost: Deferred[None] = Deferred()

    def close(self) -> Deferred[None]:
        """
        It is no more.
        """
        self.whenLost.callback(None)
        return self.whenLost


class TunnelTests(SynchronousTestCase):
    """
    C{muxctl tunnel}.
    """

    def run_(
        self, opened: Deferred[Any], doors: Any = None, json: bool = False
    ) -> tuple[int, str, str]:
        """
        The status, and what is printed.
        """
        out, err = io.StringIO(), io.StringIO()
        terminal = Terminal(stdin=None, stdout=out, stderr=err, json=json)
        shared = SharedTunnel(lambda: opened)
        reactor = FakeReactor()
        status = tunnel._run(reactor, lambda: tunnel._show(shared, doors, terminal), terminal)
        self.assertEqual(reactor.stops, 1)
        return status, out.getvalue(), err.getvalue()

    def test_services(self) -> None:
        """
        It shows the services by name, and closes the tunnel.
        """
        near = FakeTunnel()
        self.assertEqual(self.run_(succeed(near)), (0, "50000  a\n    2  b\n", ""))
        self.assertTrue(near.whenLost.called)

    def test_json(self) -> None:
        """
        The same for programs.
        """
        _, text, _ = self.run_(succeed(FakeTunnel()), json=True)
        self.assertEqual(text.splitlines()[0], '{"name": "a", "port": 50000, "remotexpc": false}')

    def test_failed(self) -> None:
        """
        What keeps it from opening is the exit status.
        """
        for error, expected in (
            (errors.NoDaemon("here", OSError("none")), 3),
            (errors.NoPhone("here", "phone", []), 1),
            (errors.NoPairRecord("here", "ReadPairRecord", "U", 2), 1),
            (errors.TimedOut(Stage.ANSWER, 5, "ListDevices"), 4),
            (errors.DaemonLost("here", "events"), 5),
            (errors.DaemonNonsense("here", "events", "why"), 5),
            (errors.NotSupported("here", "ReadPairRecord"), 5),
            (ValueError("odd"), 5),
        ):
            status, text, complaint = self.run_(fail(error))
            self.assertEqual((status, text), (expected, ""), error)
            self.assertEqual(complaint, f"muxctl: {error}\n")
            _, _, complaint = self.run_(fail(error), json=True)
            told = json.loads(complaint)
            self.assertEqual((told["error"], told["status"]), (type(error).__name__, expected))

    def test_interrupted(self) -> None:
        """
        When it is interrupted before there is a tunnel, that is the exit status, also if what
        was cancelled has another error for it.
        """

        def lost(cancelled: Deferred[Any]) -> None:
            cancelled.errback(errors.DaemonLost("here", "events"))

        for opening in (Deferred[Any](), Deferred[Any](lost)):
            self.assertEqual(self.run_(opening), (130, "", ""))

    def test_timeout(self) -> None:
        """
        A tunnel that does not open in time is told of as that, with the time.
        """
        clock = Clock()
        opening: Deferred[Any] = Deferred()
        opening.addTimeout(2.5, clock)
        clock.advance(3)
        self.assertEqual(
            self.run_(opening),
            (4, "", "muxctl: time-out after 2.5 s while opening the tunnel\n"),
        )

    def test_taken(self) -> None:
        """
        Where something listens in the place of the list, one line says what to do.
        """

        class Doors:
            def startService(self) -> None:
                taken = OSError(EADDRINUSE, "Address already in use")
                raise CannotListenError("127.0.0.1", 49151, taken)

        status, _, complaint = self.run_(succeed(FakeTunnel()), Doors())
        self.assertEqual(status, 5)
        self.assertEqual(
            complaint,
            "muxctl: 127.0.0.1:49151: Address already in use; stop what listens there, or choose"
            " another port\n",
        )

    def test_none(self) -> None:
        """
        A phone without tunnels is told of as one, not by what it has answered.
        """
        error = LockdownError("StartService", "InvalidService")
        status, _, complaint = self.run_(fail(error))
        self.assertEqual(status, 1)
        self.assertEqual(
            complaint,
            "muxctl: the phone has no tunnel (InvalidService): phones have one from iOS 17.4 on\n",
        )
        status, _, complaint = self.run_(fail(LockdownError("StartService", "Odd")))
        self.assertEqual(status, 5)
        self.assertIn("answered Odd to StartService", complaint)

    def test_served(self) -> None:
        """
        With doors it goes on until it is interrupted, and closes them.
        """
        happened: list[str] = []

        class Doors:
            listPort, doorPort = 49151, 7

            def startService(self) -> None:
                happened.append("start")

            def stopService(self) -> Deferred[None]:
                happened.append("stop")
                return succeed(None)

        status, _, remark = self.run_(succeed(FakeTunnel()), Doors())
        self.assertEqual((status, happened), (0, ["start", "stop"]))
        self.assertIn("http://127.0.0.1:49151/", remark)

    def test_port(self) -> None:
        """
        The list has a port that others know, unless another one is named.
        """
        self.assertIsNone(parse(["tunnel"]).serve)
        self.assertEqual(parse(["tunnel", "--serve"]).serve, 49151)
        self.assertEqual(parse(["tunnel", "--serve", "8000"]).serve, 8000)
        self.assertRaises(Usage, parse, ["tunnel", "--serve", "x"])
