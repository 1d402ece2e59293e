# -*- test-case-name: tests.muxctl.test_relay -*-
"""
Tests for L{muxd.muxctl.relay}.
"""

from __future__ import annotations

import io
import json
import sys

from twisted.application.service import Service
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver, LogLevel, globalLogBeginner
from twisted.trial.unittest import SynchronousTestCase

from muxd.muxctl import relay
from muxd.muxctl.options import Usage, parse
from muxd.muxctl.terminal import Terminal
from muxd.tap import tcprelay
from muxd.tap.forwards import Forward
from muxd.tap.master import CANNOT_START
from muxd.tap.process import StartFailure
from muxd.tap.tcprelay import TcprelayService
from tests.muxctl.console import NOWHERE, muxctl


class PlainService(Service):
    """
    A service that notes its privileged start.
    """

    privileged = False

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
        Give the relay a reactor in memory.
        """
        self.reactor = MemoryReactorClock()
        self.patch(tcprelay.Options, "reactor", self.reactor)

    def test_words(self) -> None:
        """
        Its own words, and what stood before its name, are the options of
        C{twistd tcprelay}.
        """
        given: list[tcprelay.Options] = []

        def makeService(options: tcprelay.Options) -> PlainService:
            given.append(options)
            return PlainService()

        self.patch(tcprelay, "makeService", makeService)
        options = parse(["-s", "UNIX:/x", "-u", "U", "--json", "relay", "-b", "64", "22:2222"])
        relay.makeRelay(relay.words(options))
        (found,) = given
        self.assertEqual((found["socket"], found["udid"], found["bufsize"]), ("/x", "U", "64"))
        self.assertEqual(found["forwards"], [Forward(22, 2222)])
        self.assertTrue(found["json"])

    def test_service(self) -> None:
        """
        It is the same service.
        """
        service = relay.makeRelay(["22:2222"])
        assert isinstance(service, TcprelayService)
        self.assertFalse(service.running)

    def test_wrongUsage(self) -> None:
        """
        What the relay does not understand is one line and status 2.
        """
        for words in (["bad"], ["--dance"], [], ["--to", "usbmux:22"]):
            usage = self.assertRaises(Usage, relay.makeRelay, words)
            self.assertEqual(usage.status, 2)
            self.assertTrue(usage.text.startswith("muxctl relay: "), usage.text)
            self.assertEqual(usage.text.count("\n"), 1)

    def test_timeout(self) -> None:
        """
        A relay has no end, and so no time-out: that is said.
        """
        outcome = muxctl("--timeout", "3", "relay", "22")
        self.assertEqual((outcome.status, outcome.out), (2, ""))
        self.assertIn("muxctl relay: it has no --timeout", outcome.err)

    def test_help(self) -> None:
        """
        The relay's own help is printed under this name.
        """
        stdout = io.StringIO()
        self.patch(sys, "stdout", stdout)
        usage = self.assertRaises(Usage, relay.makeRelay, ["--help"])
        self.assertEqual(usage.status, 0)
        self.assertIn("Usage: muxctl relay", stdout.getvalue())
        self.assertIn("\n  muxctl relay 22:2222\n", stdout.getvalue())
        self.assertNotIn("twistd", stdout.getvalue())

    def test_command(self) -> None:
        """
        The command runs the service that its words describe, with the reactor.
        """
        runs: list[tuple[object, object]] = []

        def run(service: Service, reactor: object, terminal: Terminal) -> int:
            runs.append((type(service), reactor))
            return 0

        self.patch(relay, "run", run)
        self.assertEqual(muxctl("relay", "22", "80").status, 0)
        from twisted.internet import reactor

        self.assertEqual(runs, [(TcprelayService, reactor)])

    def observed(self) -> list[ILogObserver]:
        """
        Have the log begin here.

        @return: the observers that are told of it.
        """
        observers: list[ILogObserver] = []
        self.patch(
            globalLogBeginner,
            "beginLoggingTo",
            lambda them, redirectStandardIO: observers.extend(them),
        )
        return observers

    def test_cannotStart(self) -> None:
        """
        A relay that cannot start is an error like that of any command, and has its status: it
        is told once.
        """
        observers = self.observed()

        class Taken(PlainService):
            def privilegedStartService(self) -> None:
                event = {"program": "tcprelay", "problem": "taken", "log_format": CANNOT_START}
                observers[0]({**event, "log_level": LogLevel.critical, "log_time": 0.0})
                raise StartFailure("127.0.0.1:80: taken")

        def makeRelay(words: object) -> PlainService:
            return Taken()

        self.patch(relay, "makeRelay", makeRelay)
        outcome = muxctl("relay", "22:80")
        self.assertEqual((outcome.status, outcome.out), (5, ""))
        self.assertEqual(outcome.err, "muxctl: 127.0.0.1:80: taken\n")
        observers.clear()
        outcome = muxctl("relay", "--json", "22:80")
        self.assertEqual(outcome.status, 5)
        self.assertEqual(
            json.loads(outcome.err),
            {"error": "CannotRelay", "text": "127.0.0.1:80: taken", "status": 5},
        )

    def test_remarks(self) -> None:
        """
        For programs the lines of its log are remarks.
        """
        observers = self.observed()
        stderr = io.StringIO()
        for isJSON, said in ((True, '{"remark": "on 80"}\n'), (False, "#info] on 80\n")):
            observers.clear()
            terminal = Terminal(stdin=None, stdout=io.StringIO(), stderr=stderr, json=isJSON)
            relay.run(PlainService(), MemoryReactorClock(), terminal)
            event = {"log_format": "on {port}", "port": 80, "log_level": LogLevel.info}
            observers[0]({**event, "log_time": 0.0, "log_namespace": "x"})
            self.assertTrue(stderr.getvalue().endswith(said), stderr.getvalue())

    def test_life(self) -> None:
        """
        The service starts with the reactor and stops before it, and its log goes
        to stderr.
        """
        observers = self.observed()
        stderr = io.StringIO()
        terminal = Terminal(stdin=None, stdout=io.StringIO(), stderr=stderr, address=NOWHERE)
        service = PlainService()
        self.assertEqual(relay.run(service, self.reactor, terminal), 0)
        self.assertTrue(service.privileged)
        self.assertTrue(service.running)
        self.assertTrue(self.reactor.hasRun)
        self.assertEqual(len(observers), 1)
        ((stop, _, _),) = self.reactor.triggers["before"]["shutdown"]
        stop()
        self.assertFalse(service.running)
