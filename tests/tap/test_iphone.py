# -*- test-case-name: tests.tap.test_iphone -*-
"""
Tests of L{muxd.tap.iphone}.
"""

from __future__ import annotations

import io
import os
import sys

from twisted.application.service import IService
from twisted.internet.error import ReactorNotRunning
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.plugin import getPlugins
from twisted.trial.unittest import SkipTest
from zope.interface.verify import verifyObject

from muxd.phone.bus.descriptors import OLD_SERIAL, Speed
from muxd.phone.console import ConsoleFactory
from muxd.phone.iphone import Phone
from muxd.phone.lockdown.trust import Owner
from muxd.phone.mux.behaviour import Expectations
from muxd.phone.usbip.vhci import CONTROLLER
from muxd.phone.wireless import Style
from muxd.tap.iphone import IphoneService, Options, makeService
from muxd.tap.process import StartFailure
from muxd.tap.servicemanager import ServiceManager
from tests.tap.options import OptionsTestCase, Runner


class IphoneTestCase(OptionsTestCase[Options]):
    """
    The options of C{iphone}.
    """

    kind = Options

    def service(self, *words: str) -> IphoneService:
        """
        The service of these words.
        """
        self.options.parseOptions(list(words))
        service = makeService(self.options)
        assert isinstance(service, IphoneService)
        return service

    def phones(self, *words: str) -> list[Phone]:
        """
        Its phones.
        """
        return [station.phone for station in self.service(*words).stations]

    def listening(self, *words: str) -> list[tuple[int, str]]:
        """
        Where it listens, once it runs.
        """
        self.setUp()
        service = self.service(*words)
        service.privilegedStartService()
        return [(port, interface) for port, _, _, interface in self.reactor.tcpServers]

    def refused(self, *words: str) -> str:
        """
        Why these words are refused: one line.
        """
        self.setUp()
        return super().refused(*words)


class PhoneTests(IphoneTestCase):
    """
    The phones that there are.
    """

    def test_default(self) -> None:
        """
        It is one, like all others.
        """
        (phone,) = self.phones()
        self.assertEqual(phone.udid, "00008110-000A1B2C3D4E5F60")
        self.assertEqual((phone.mode, phone.name), (1, "Simulated iPhone"))
        self.assertIdentical(phone.trust.owner, Owner.ACCEPT)
        self.assertIdentical(phone.descriptor.deviceSpeed, Speed.HIGH)

    def test_count(self) -> None:
        """
        There may be more, each somebody else.
        """
        phones = self.phones("--count", "3")
        self.assertEqual(len({phone.udid for phone in phones}), 3)
        self.assertEqual(phones[2].name, "Simulated iPhone 3")

    def test_udid(self) -> None:
        """
        The only one may be called anything.
        """
        (phone,) = self.phones("-u", "00008030-1122334455667788")
        self.assertEqual(phone.serial, "000080301122334455667788")

    def test_serials(self) -> None:
        """
        Serial numbers are taken as they are, old, empty or absurd.
        """
        odd = ["", OLD_SERIAL, "../../etc/passwd", "x" * 300]
        words = [word for serial in odd for word in ("-s", serial)]
        phones = self.phones(*words)
        self.assertEqual([phone.serial for phone in phones], odd)
        data = phones[3].descriptor.stringDescriptor(3)
        assert data is not None
        self.assertEqual(len(data), 254)
        self.setUp()
        self.assertEqual(len(self.phones(*words, "--count", "4")), 4)

    def test_kind(self) -> None:
        """
        Mode, speed, protocol and owner can be chosen.
        """
        directory = self.mktemp()
        os.makedirs(directory)
        words = ["--mode", "4", "--speed", "super", "--mux", "1", "--trust", "ask"]
        (phone,) = self.phones(*words, "--files", directory)
        self.assertEqual((phone.mode, phone.descriptor.bNumConfigurations), (4, 6))
        self.assertIdentical(phone.descriptor.deviceSpeed, Speed.SUPER)
        self.assertIdentical(phone.trust.owner, Owner.ASK)

    def test_tolerance(self) -> None:
        """
        They insist on everything, but for what is named.
        """
        for words, received, constantWindow in (
            ([], True, True),
            (["--tolerate", "rx-seq"], False, True),
            (["--tolerate", "window"], True, False),
        ):
            self.setUp()
            (phone,) = self.phones(*words)
            expected = Expectations(received=received, constantWindow=constantWindow)
            self.assertEqual(phone.muxer.expectations, expected)

    def test_wrong(self) -> None:
        """
        What cannot be is a usage error of one line.
        """
        for words, expected in (
            ("--count 0", "--count: expected a number from 1 to 100, got '0'"),
            ("--count 2 --udid x", "--udid is for one phone, without --count and --serial"),
            ("--serial x --udid x", "--udid is for one phone, without --count and --serial"),
            ("--serial x --count 2", "--serial is given 1 times, and --count is 2"),
            ("--mux 3", "--mux: expected a number from 1 to 2, got '3'"),
            ("--mode 6", "--mode: expected a number from 1 to 5, got '6'"),
            ("--tolerate me", "--tolerate: expected rx-seq or window, got 'me'"),
            ("--speed full", "--speed: expected high or super, got 'full'"),
            ("--trust me", "--trust: expected ask, accept, deny, locked, got 'me'"),
            ("--files /nowhere", "--files: there is no directory '/nowhere'"),
            ("--files=", "--files: expected a path, got ''"),
            ("--state=", "--state: expected a path, got ''"),
            ("--apps=", "--apps: expected a path, got ''"),
            ("--log=", "--log: expected a path, got ''"),
            ("--log /nowhere/x", "--log: /nowhere/x: there is no directory /nowhere"),
            ("--state /dev/null", "--state: /dev/null: /dev/null is no directory"),
            ("--vhci --usbip tcp:1", "--vhci and --usbip: a phone is on one bus, choose"),
            ("--usbip nonsense", "cannot listen on 'nonsense'"),
            ("--control nonsense", "cannot listen on 'nonsense'"),
            ("stats", "unexpected argument 'stats'"),
            ("--udid a/b", "udid: expected letters, digits and dashes"),
        ):
            self.assertIn(expected, self.refused(*words.split()))

    def test_wifi(self) -> None:
        """
        How a phone announces itself is one of three ways.
        """
        self.options.parseOptions(["--wifi", "127.0.0.9", "--wifi-style", "private"])
        self.assertIs(self.options["wifiStyle"], Style.PRIVATE)
        self.assertIn("expected tags or private or mac", self.refused("--wifi-style", "x"))


class PlaceTests(IphoneTestCase):
    """
    Where they are.
    """

    def test_default(self) -> None:
        """
        Programs of this machine can import them.
        """
        self.assertEqual(self.listening(), [(3240, "127.0.0.1")])

    def test_usbip(self) -> None:
        """
        So can others where that is said; places can be several.
        """
        words = ["--usbip", "tcp:1", "--usbip", "tcp:2:interface=0.0.0.0", "-c", "tcp:3"]
        self.assertEqual(
            self.listening(*words), [(1, "127.0.0.1"), (2, "0.0.0.0"), (3, "127.0.0.1")]
        )

    def test_vhci(self) -> None:
        """
        On this machine's bus they are not exported; without its module the start
        fails, in one line.
        """
        if os.path.exists(CONTROLLER):
            raise SkipTest("there is a vhci_hcd here")
        service = self.service("--vhci")
        error = self.assertRaises(StartFailure, service.privilegedStartService)
        self.assertIn("modprobe vhci-hcd", str(error))
        self.assertEqual(self.reactor.tcpServers, [])

    def test_ready(self) -> None:
        """
        That they can be used is a line in the log, and told to systemd; and so is the end.
        """
        told: list[bytes] = []
        service = self.service()
        service.manager = ServiceManager(
            self.reactor,
            lambda: service.summary,
            {"NOTIFY_SOCKET": "@x"},
            lambda address, data: told.append(data),
        )
        with capturedLogs() as events:
            service.startService()
        self.assertIn(
            "ready: 1 simulated phones, 0 of them attached", [formatEvent(e) for e in events]
        )
        self.assertEqual(told[0], b"READY=1")
        service.stopService()
        self.assertTrue(told[-1].startswith(b"STOPPING=1"))

    def test_unplugged(self) -> None:
        """
        They can wait for somebody to plug them in.
        """
        service = self.service("--unplugged")
        service.privilegedStartService()
        self.assertFalse(service.stations[0].stats()["plugged"])


class CommandTests(IphoneTestCase):
    """
    The command itself.
    """

    def test_plugin(self) -> None:
        """
        C{twistd} has it.
        """
        from twisted.application.service import IServiceMaker

        (maker,) = [each for each in getPlugins(IServiceMaker) if each.tapname == "iphone"]
        self.assertIsInstance(maker.options(), Options)

    def test_service(self) -> None:
        """
        The words make a service.
        """
        verifyObject(IService, self.service())

    def test_version(self) -> None:
        """
        C{--version} is about us.
        """
        output = io.StringIO()
        self.patch(sys, "stdout", output)
        self.assertRaises(SystemExit, self.options.parseOptions, ["--version"])
        self.assertRegex(output.getvalue(), r"^muxd \S+\n$")

    def test_help(self) -> None:
        """
        The help ends with examples, all of which can be parsed.
        """
        text = self.options.getUsage()
        examples = [line.split() for line in text.splitlines() if line.startswith("  twistd")]
        self.assertEqual(len(examples), 3)
        for words in examples:
            self.setUp()
            self.options.parseOptions(words[3:])

    def test_runner(self) -> None:
        """
        The log level is left to C{twist}, which has one.
        """
        self.options.parent = Runner(logLevel=LogLevel.info)
        self.assertIdentical(self.service().logLevel, None)
        self.setUp()
        self.options.parent = Runner()
        self.assertIdentical(self.service().logLevel, LogLevel.info)

    def test_quit(self) -> None:
        """
        The command of that name stops the reactor, and saying it twice is no error.
        """
        service = self.service("--control", "tcp:7000")
        service.privilegedStartService()
        service.startService()
        factory = self.reactor.tcpServers[1][1]
        assert isinstance(factory, ConsoleFactory)
        self.assertEqual(factory.console.execute("quit"), "ok")
        self.assertTrue(self.reactor.hasStopped)

        def stop() -> None:
            raise ReactorNotRunning

        self.patch(self.reactor, "stop", stop)
        self.assertEqual(factory.console.execute("quit"), "ok")
