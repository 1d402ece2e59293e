# -*- test-case-name: tests.tap.test_tcprelay -*-
"""
Tests of L{muxd.tap.tcprelay}.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

from twisted.application.service import IService
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import LogLevel, LogPublisher, globalLogPublisher
from twisted.plugin import getPlugins
from twisted.trial.unittest import SkipTest
from zope.interface.verify import verifyObject

import muxd
from muxd.net.serverstrings import onLoopback
from muxd.relay import BUFFER
from muxd.tap import master
from muxd.tap.process import StartFailure
from muxd.tap.tcprelay import Options, TcprelayService, makeService
from muxd.testing import BudgetTransport, FakeAddress
from tests.tap.options import OptionsTestCase, Runner


class TcprelayTestCase(OptionsTestCase[Options]):
    """
    The options of C{tcprelay}.
    """

    kind = Options

    def setUp(self) -> None:
        """
        Watch the log.
        """
        super().setUp()
        self.log = EventLoggingObserver()
        globalLogPublisher.addObserver(self.log)
        self.addCleanup(globalLogPublisher.removeObserver, self.log)

    def start(self, *words: str) -> TcprelayService:
        """
        The service of these words, started.
        """
        self.options.parseOptions(list(words))
        service = makeService(self.options)
        assert isinstance(service, TcprelayService)
        service.privilegedStartService()
        service.startService()
        return service

    def listening(self) -> list[tuple[int, str]]:
        """
        The ports that are listened on, and their interfaces.
        """
        return [(port, interface) for port, _, _, interface in self.reactor.tcpServers]

    def destinations(self) -> list[str]:
        """
        Where they lead to, as the log says.
        """
        return [event["destination"] for event in self.log if "destination" in event]

    def dial(self, number: int = 0) -> None:
        """
        Connect to one of them.
        """
        factory = self.reactor.tcpServers[number][1]
        protocol = factory.buildProtocol(FakeAddress())
        assert protocol is not None
        protocol.makeConnection(BudgetTransport(self.reactor, None, protocol))


class ForwardTests(TcprelayTestCase):
    """
    Tests of C{REMOTE[:LOCAL]}.
    """

    def test_service(self) -> None:
        """
        The words make a service.
        """
        self.options.parseOptions(["22"])
        verifyObject(IService, makeService(self.options))

    def test_remoteFirst(self) -> None:
        """
        The phone's port comes first; ours is the same if it is left out, any if
        it is 0.  Only this machine can connect.
        """
        self.start("22:2222", "8100", "7:0")
        self.assertEqual(
            self.listening(), [(2222, "127.0.0.1"), (8100, "127.0.0.1"), (0, "127.0.0.1")]
        )
        self.assertEqual(
            self.destinations(), [f"port {port} of the only phone" for port in (22, 8100, 7)]
        )

    def test_daemon(self) -> None:
        """
        The daemon is where C{-s} says, in any spelling.
        """
        self.start("-s", "192.0.2.1:27015", "22:2222")
        self.dial()
        self.assertEqual(self.reactor.tcpClients[0][:2], ("192.0.2.1", 27015))

    def test_unix(self) -> None:
        """
        A path is the usual spelling.
        """
        self.start("--socket", "/tmp/usbmuxd", "22:2222")
        self.dial()
        self.assertEqual(self.reactor.unixClients[0][0], "/tmp/usbmuxd")

    def test_environment(self) -> None:
        """
        Without it the environment says where.
        """
        self.patch(os, "environ", {"USBMUXD_SOCKET_ADDRESS": "UNIX:/tmp/other"})
        self.start("22:2222")
        self.dial()
        self.assertEqual(self.reactor.unixClients[0][0], "/tmp/other")

    def test_wrongEnvironment(self) -> None:
        """
        What makes no sense there is told at the start.
        """
        self.patch(os, "environ", {"USBMUXD_SOCKET_ADDRESS": "nonsense"})
        self.assertIn("USBMUXD_SOCKET_ADDRESS", self.refused("22"))

    def test_udid(self) -> None:
        """
        A phone can be named.
        """
        self.start("-u", "00008030-1", "22")
        self.assertEqual(self.destinations(), ["port 22 of 00008030-1"])

    def test_address(self) -> None:
        """
        It listens elsewhere when it is told to.
        """
        for address, expected in (
            ("0.0.0.0", "0.0.0.0"),
            ("192.0.2.7", "192.0.2.7"),
            ("localhost", "127.0.0.1"),
            ("::1", "::1"),
            ("[::1]", "::1"),
        ):
            self.setUp()
            self.start("-a", address, "22")
            self.assertEqual(self.listening(), [(22, expected)])

    def test_buffer(self) -> None:
        """
        C{-b} bounds what waits in each direction, in kilobytes.
        """
        service = self.start("-b", "256", "22")
        self.assertEqual(service.buffer, 256 * 1024)
        self.setUp()
        self.assertEqual(self.start("22").buffer, BUFFER)

    def test_grace(self) -> None:
        """
        How long clients elsewhere that have finished sending are waited for can be told.
        """
        self.assertEqual(self.start("--grace", "0", "22:2222")._halfClosed.grace, 0.0)
        self.setUp()
        self.assertEqual(self.start("22:2222")._halfClosed.grace, 1.0)
        self.setUp()
        self.assertIn("--grace: expected seconds", self.refused("--grace", "long", "22"))

    def test_threaded(self) -> None:
        """
        C{-t} is accepted, and changes nothing.
        """
        self.start("-t", "22")
        self.start("--threaded", "22")
        self.assertEqual(len(self.listening()), 2)

    def test_wrong(self) -> None:
        """
        Wrong values are usage errors that say what is expected.
        """
        for words, expected in (
            ([], "expected REMOTE[:LOCAL], or --from and --to"),
            (["0"], "got '0'"),
            (["0:22"], "got '0:22'"),
            (["22:65536"], "got '22:65536'"),
            (["22:"], "got '22:'"),
            (["a"], "got 'a'"),
            (["22:1:2"], "got '22:1:2'"),
            (["9" * 5000], "expected REMOTE"),
            (["-b", "0", "22"], "expected kilobytes"),
            (["-b", "x", "22"], "expected kilobytes"),
            (["-b", "9999999", "22"], "expected kilobytes"),
            (["-a", "example.org", "22"], "expected an IP address"),
            (["-s", "usbmuxd", "22"], "--socket: 'usbmuxd' is no address"),
            (["-u", "", "22"], "--udid is empty"),
            (["--network", "maybe", "22"], "no, yes, prefer, got 'maybe'"),
        ):
            self.options = Options()
            self.options.reactor = self.reactor
            self.assertIn(expected, self.refused(*words))


class PairTests(TcprelayTestCase):
    """
    Tests of C{--from} and C{--to}.
    """

    def test_pairs(self) -> None:
        """
        Any two endpoints can be joined, several times, beside ports.
        """
        self.start(
            *("--from", "tcp:1111:interface=192.0.2.1", "--to", "usbmux:port=22"),
            *("--from", "unix:/tmp/relay-test", "--to", "tcp:host=192.0.2.2:port=80"),
            "7",
        )
        self.assertEqual(self.listening(), [(7, "127.0.0.1"), (1111, "192.0.2.1")])
        self.assertEqual(self.reactor.unixServers[0][0], "/tmp/relay-test")
        self.assertEqual(
            self.destinations(),
            ["port 7 of the only phone", "usbmux:port=22", "tcp:host=192.0.2.2:port=80"],
        )

    def test_many(self) -> None:
        """
        There may be any number of them (protocol 9, edge 76).
        """
        ports = range(5000, 5100)
        self.start(*(f"{port}:{port}" for port in ports))
        self.assertEqual(self.listening(), [(port, "127.0.0.1") for port in ports])

    def test_loopback(self) -> None:
        """
        Only this machine can connect unless it is said otherwise.
        """
        for description, expected in (
            ("tcp:1", "tcp:1:interface=127.0.0.1"),
            ("TCP:port=1", "TCP:port=1:interface=127.0.0.1"),
            ("tcp:1:0.0.0.0", "tcp:1:0.0.0.0"),
            ("tcp:1:interface=", "tcp:1:interface="),
            ("tcp6:1", "tcp6:1:interface=\\:\\:1"),
            ("ssl:1:key.pem", "ssl:1:key.pem:interface=127.0.0.1"),
            ("tls:pems:1", "tls:pems:1:interface=\\:\\:1"),
            ("unix:/x", "unix:/x"),
        ):
            self.assertEqual(onLoopback(description), expected)

    def test_wrong(self) -> None:
        """
        Half a pair, or one that makes no sense, is a usage error.
        """
        for words, expected in (
            (["--from", "tcp:1"], "--from tcp:1: a --to is missing"),
            (["--from", "tcp:1", "--from", "tcp:2"], "--from tcp:1: a --to is missing"),
            (["--to", "tcp:1"], "a --from before it is missing"),
            (["--from", "tcp:1", "--to", "cupboard:1"], "cannot connect to 'cupboard:1'"),
            (["--from", "cupboard:1", "--to", "usbmux:1"], "cannot listen on 'cupboard:1"),
            (["--from", "", "--to", "usbmux:1"], "no name before the first colon"),
            (["-u", "X", "--from", "tcp:1", "--to", "usbmux:1"], "write it into --to"),
        ):
            self.options = Options()
            self.options.reactor = self.reactor
            self.assertIn(expected, self.refused(*words))


class CommandTests(TcprelayTestCase):
    """
    Tests of the command itself.
    """

    def test_installed(self) -> None:
        """
        C{twistd} knows it.
        """
        from twisted.application.service import IServiceMaker

        (maker,) = [one for one in getPlugins(IServiceMaker) if one.tapname == "tcprelay"]
        self.assertIs(maker.options, Options)

    def test_globalReactor(self) -> None:
        """
        It is built on the reactor that C{twistd} has chosen.
        """
        from twisted.internet import reactor

        options = Options()
        options.parseOptions(["22"])
        self.assertIs(options.reactor, reactor)

    def test_help(self) -> None:
        """
        Help has examples, and C{-h} is short for it.
        """
        self.assertIn("Examples:", self.options.getUsage())
        stdout = io.StringIO()
        self.patch(sys, "stdout", stdout)
        self.assertRaises(SystemExit, self.options.parseOptions, ["-h"])
        self.assertIn("REMOTE[:LOCAL]", stdout.getvalue())

    def test_manual(self) -> None:
        """
        The man page names every option.
        """
        manual = Path(muxd.__file__).parent.parent / "man" / "tcprelay.1"
        if not manual.exists():
            raise SkipTest("this test needs the source tree")
        text = manual.read_text().replace("\\-", "-")
        for name in self.options.longOpt:
            self.assertIn(f"--{name.rstrip('=')}", text)

    def test_version(self) -> None:
        """
        The version is ours, not Twisted's.
        """
        stdout = io.StringIO()
        self.patch(sys, "stdout", stdout)
        self.assertRaises(SystemExit, self.options.parseOptions, ["--version"])
        self.assertEqual(stdout.getvalue(), f"muxd {muxd.__version__}\n")

    def test_cannotStart(self) -> None:
        """
        A start that cannot succeed is one line and exit status 1.
        """
        self.options.parseOptions(["--from", "unix:/nonexistent/x", "--to", "usbmux:22"])
        failure = self.assertRaises(StartFailure, self.options.service.privilegedStartService)
        self.assertEqual(failure.code, 1)
        (event,) = [event for event in self.log if event["log_level"] is LogLevel.critical]
        self.assertIn("/nonexistent", str(event["problem"]))

    def test_process(self) -> None:
        """
        Under C{twistd} it raises the limit of open files, logs nothing but what
        an operator wants to know, and lets signals be an ordinary end.
        """
        done: list[object] = []
        self.patch(master, "raiseFileLimit", lambda: done.append("files"))

        def limit(publisher: LogPublisher, level: object) -> None:
            done.append(level)

        self.patch(master, "limitLogLevel", limit)
        self.options.parent = Runner()
        self.start("22")
        self.assertEqual(done, [LogLevel.info, "files"])
        self.assertEqual(self.stopping, [self.reactor])

    def test_twist(self) -> None:
        """
        C{twist} has a log level of its own.
        """
        self.options.parent = Runner(logLevel=LogLevel.warn)
        self.options.parseOptions(["22"])
        self.assertIsNone(self.options.service.logLevel)
