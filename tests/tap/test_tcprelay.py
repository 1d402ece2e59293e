# -*- test-case-name: tests.tap.test_tcprelay -*-
"""
Tests of L{muxd.tap.tcprelay}.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from unittest.mock import patch

from twisted.application.service import IService
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import LogLevel, LogPublisher, globalLogPublisher
from twisted.plugin import getPlugins
from twisted.trial.unittest import SkipTest
from zope.interface.verify import verifyObject

import muxd
from muxd.client.answers import Device
from muxd.importing.extras import installing
from muxd.net.localport import LOOPBACKS
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
        it is 0.  Only this machine can connect, by either of its own addresses.
        """
        self.start("22:2222", "8100", "7:0")
        self.assertEqual(
            self.listening(),
            [(port, address) for port in (2222, 8100, 0) for address in LOOPBACKS],
        )
        self.assertEqual(
            self.destinations(),
            [f"port {port} of the only phone" for port in (22, 8100, 7) for _ in LOOPBACKS],
        )

    def test_ranges(self) -> None:
        """
        Ranges are as many ports.
        """
        self.start("-a", "127.0.0.1", "7:9000-9002", "60-61")
        self.assertEqual([port for port, _ in self.listening()], [9000, 9001, 9002, 60, 61])
        self.assertEqual(
            self.destinations(), [f"port {port} of the only phone" for port in (7, 7, 7, 60, 61)]
        )

    def test_anyPlace(self) -> None:
        """
        Options may stand in any place, and what is behind two dashes is none.
        """
        for words in (
            ["22:2222", "-t", "-u", "00008030-1", "23"],
            ["-u", "00008030-1", "22:2222", "--threaded", "23"],
            ["22:2222", "23", "--udid=00008030-1", "-t"],
            ["-tu00008030-1", "22:2222", "--", "23"],
        ):
            self.setUp()
            self.start("-a", "127.0.0.1", *words)
            self.assertEqual([port for port, _ in self.listening()], [2222, 23])
            self.assertEqual(
                self.destinations(), [f"port {port} of 00008030-1" for port in (22, 23)]
            )
        for words, expected in (
            (["22", "--dance"], "option --dance not recognized"),
            (["22", "-u"], "option -u requires argument"),
            (["22", "--", "-t"], "got '-t'"),
            (["22", "--threaded=1"], "option --threaded must not have an argument"),
        ):
            self.setUp()
            self.assertIn(expected, self.refused(*words))

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
        self.assertEqual(self.destinations(), ["port 22 of 00008030-1"] * 2)

    def test_address(self) -> None:
        """
        It listens elsewhere when it is told to.
        """
        for address, expected in (
            ("0.0.0.0", "0.0.0.0"),
            ("192.0.2.7", "192.0.2.7"),
            ("::1", "::1"),
            ("[::1]", "::1"),
        ):
            self.setUp()
            self.start("-a", address, "22")
            self.assertEqual(self.listening(), [(22, expected)])

    def test_addresses(self) -> None:
        """
        At several addresses, when it is told of several.
        """
        self.start("-a", "192.0.2.7", "22", "--address", "localhost")
        self.assertEqual(self.listening(), [(22, address) for address in ("192.0.2.7", *LOOPBACKS)])

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
        self.assertEqual(len(self.listening()), 4)

    def test_wrong(self) -> None:
        """
        Wrong values are usage errors that say what is expected.
        """
        for words, expected in (
            ([], "expected REMOTE[:LOCAL], --each, or --from and --to"),
            (["0"], "got '0'"),
            (["0:22"], "got '0:22'"),
            (["22:65536"], "got '22:65536'"),
            (["22:"], "got '22:'"),
            (["a"], "got 'a'"),
            (["22:1:2"], "got '22:1:2'"),
            (["22:9-8"], "got '22:9-8'"),
            (["20-22:1-2"], "as many ports of this machine as of the phone, 3, got 2"),
            (["--each", "8100"], "--each: expected REMOTE:FIRST+"),
            (["--each", "8100:9000+", "-u", "X"], "--each is for every phone"),
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


class TunnelledTests(TcprelayTestCase):
    """
    Tests of C{rsd:NAME[:LOCAL]}.
    """

    def test_listens(self) -> None:
        """
        A service is a port of this machine; its tunnel is opened for the first client, which is
        let go if that cannot be.
        """
        if find_spec("hyperframe") is None:
            raise SkipTest("this needs the extra tunnel")
        self.start("--socket", "/nonexistent/usbmuxd", "rsd:com.apple.afc:9000", "22:2222")
        self.assertEqual({port for port, _ in self.listening()}, {9000, 2222})
        self.assertIn("com.apple.afc of the only phone", self.destinations())

    def test_wrong(self) -> None:
        """
        What is no service is a usage error.
        """
        for word in ("rsd:", "rsd:a b", "rsd:a:x"):
            self.assertIn("rsd:NAME", self.refused(word))


class PairTests(TcprelayTestCase):
    """
    Tests of C{--from} and C{--to}.
    """

    def test_pairs(self) -> None:
        """
        Any two endpoints can be joined, several times, beside ports.
        """
        path = os.path.abspath(self.mktemp())
        self.start(
            *("--from", "tcp:1111:interface=192.0.2.1", "--to", "usbmux:port=22"),
            *("--from", f"unix:{path}", "--to", "tcp:host=192.0.2.2:port=80"),
            "7",
        )
        self.assertEqual(
            self.listening(), [*((7, address) for address in LOOPBACKS), (1111, "192.0.2.1")]
        )
        self.assertEqual(self.reactor.unixServers[0][0], path)
        self.assertEqual(
            self.destinations(),
            [*["port 7 of the only phone"] * 2, "usbmux:port=22", "tcp:host=192.0.2.2:port=80"],
        )

    def test_many(self) -> None:
        """
        There may be any number of them (protocol 9, edge 76).
        """
        ports = range(5000, 5100)
        self.start(*(f"{port}:{port}" for port in ports))
        self.assertEqual(
            self.listening(), [(port, address) for port in ports for address in LOOPBACKS]
        )

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

    def test_withoutTLS(self) -> None:
        """
        Where pyOpenSSL is not installed, a way out or in with TLS says what to install.
        """
        self.enterContext(patch.dict(sys.modules, {"OpenSSL": None}))
        for words, place in (
            (["--from", "tcp:1", "--to", "tls:h:1"], "cannot connect to 'tls:h:1': tls: "),
            (["--from", "ssl:1", "--to", "usbmux:1"], "ssl: "),
        ):
            self.options = Options()
            self.options.reactor = self.reactor
            said = " ".join(self.refused(*words).split())
            self.assertIn(place, said)
            self.assertIn(installing("pairing"), said)


class TellingTests(TcprelayTestCase):
    """
    Tests of C{--json}.
    """

    def setUp(self) -> None:
        """
        Read what is printed.
        """
        super().setUp()
        self.stdout = io.StringIO()
        self.patch(sys, "stdout", self.stdout)

    def test_lines(self) -> None:
        """
        Each route that is open is a line, in the order of the words.
        """
        self.start(
            *("--json", "-u", "00008030-1", "22:2222"),
            *("--from", f"unix:{self.mktemp()}", "--to", "tcp:h:80"),
        )
        told = [json.loads(line) for line in self.stdout.getvalue().splitlines()]
        self.assertEqual(
            [(one["udid"], one["remote"], one["destination"]) for one in told],
            [("00008030-1", 22, "port 22 of 00008030-1"), (None, None, "tcp:h:80")],
        )
        self.assertEqual([len(one["listening"]) for one in told], [2, 1])
        self.assertEqual(told[0]["local"], 2222)

    def test_quiet(self) -> None:
        """
        Nothing is printed unless it is asked for.
        """
        self.start("22:2222")
        self.assertEqual(self.stdout.getvalue(), "")

    def test_nobodyReads(self) -> None:
        """
        That nobody reads it does not keep the relay from starting.
        """
        reading, writing = os.pipe()
        os.close(reading)
        with open(writing, "w", closefd=False) as stdout:
            self.patch(sys, "stdout", stdout)
            self.assertTrue(self.start("--json", "22:2222").running)
            self.patch(sys, "stdout", self.stdout)
            with contextlib.suppress(OSError):
                stdout.close()
        os.close(writing)


class EachTests(TcprelayTestCase):
    """
    Tests of C{--each}.
    """

    def test_each(self) -> None:
        """
        It looks for phones while the relay runs, beside forwards of one phone.
        """
        service = self.start("--each", "8100:9000+", "--each", "22:7000-7001", "-s", "/tmp/mux")
        first, second = service.phonePorts
        self.assertTrue(first.running and second.running)
        self.assertEqual(self.reactor.unixClients[0][0], "/tmp/mux")
        self.assertEqual(self.listening(), [])
        phone = Device(deviceID=1, udid="00008030-1")
        for ports in service.phonePorts:
            ports.deviceAttached(phone)
        self.assertEqual(
            self.listening(), [(port, address) for port in (9000, 7000) for address in LOOPBACKS]
        )
        self.assertEqual(
            self.destinations(), [f"port {port} of 00008030-1" for port in (8100, 8100, 22, 22)]
        )
        service.stopService()
        self.assertFalse(first.running or second.running)


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
