# -*- test-case-name: tests.tap.test_usbmuxd -*-
"""
Tests of L{muxd.tap.usbmuxd}: its options.
"""

from __future__ import annotations

import io
import os
import sys
from dataclasses import replace
from typing import Any

from twisted.logger import LogLevel
from twisted.python import usage
from twisted.python.runtime import platform
from twisted.scripts._twistd_unix import ServerOptions
from twisted.trial.unittest import SynchronousTestCase

import muxd
from muxd.limits import LIMITS
from muxd.tap import usbmuxd
from muxd.tap.observed import StatusPlace
from muxd.tap.usbmuxd import (
    TCP_ENDPOINT,
    UNIX_ENDPOINT,
    Options,
    UsbmuxdService,
    endpointFromAddress,
)
from tests.tap.options import Runner, UsbmuxdTestCase


class Recorded(UsbmuxdService):
    """
    A service that remembers how it was made, and does not look at sources.
    """

    def __init__(self, reactor: Any, **arguments: Any) -> None:
        self.arguments = arguments
        super().__init__(reactor, listen=arguments["listen"])


class OptionsTests(UsbmuxdTestCase):
    """
    Tests of what L{Options} make of words.
    """

    def setUp(self) -> None:
        """
        Remember what the service is made of.
        """
        super().setUp()
        self.patch(usbmuxd, "UsbmuxdService", Recorded)

    def parsed(self, *words: str) -> dict[str, Any]:
        """
        What the service is made of.
        """
        self.options.parseOptions(list(words))
        service = self.options.service
        assert isinstance(service, Recorded)
        return service.arguments

    def test_defaults(self) -> None:
        """
        Without a word, it is the system's daemon.
        """
        place = TCP_ENDPOINT if platform.isWindows() else UNIX_ENDPOINT
        self.assertEqual(
            self.parsed(),
            {
                "listen": [place],
                "sources": ["usb"],
                "configDir": None,
                "preflight": True,
                "limits": LIMITS,
                "labels": {},
                "status": StatusPlace.chosen(None, [place]),
                "fleet": None,
            },
        )

    def test_windows(self) -> None:
        """
        On Windows, which has no UNIX sockets here, it is where Apple's own
        daemon listens.
        """
        self.patch(type(platform), "isWindows", lambda self: True)
        self.assertEqual(self.parsed()["listen"], ["tcp:27015:interface=127.0.0.1"])

    def test_listen(self) -> None:
        """
        Places to connect add up, in either spelling.
        """
        arguments = self.parsed(
            "-l", "tcp:1", "--listen=tcp:2", "-S", "127.0.0.3:3", "--socket", "localhost:4"
        )
        self.assertEqual(
            arguments["listen"],
            ["tcp:1", "tcp:2", "tcp:3:interface=127.0.0.3", "tcp:4:interface=localhost"],
        )

    def test_sources(self) -> None:
        """
        Sources add up, and replace the default.
        """
        arguments = self.parsed("-s", "simulated:2", "--source", "usb:poll=2")
        self.assertEqual(arguments["sources"], ["simulated:2", "usb:poll=2"])

    def test_group(self) -> None:
        """
        With twistd's --gid sockets are that group's, unless they are given to another one.
        """
        options = Options()
        options["listen"] = ["unix:/a:mode=660", "unix:/b:group=3", "tcp:5"]
        self.assertEqual(options._places(), options["listen"])
        options.parent = usage.Options()
        options.parent["gid"] = 1234
        self.assertEqual(
            options._places(), ["unix:/a:mode=660:group=1234", "unix:/b:group=3", "tcp:5"]
        )

    def test_libusb(self) -> None:
        """
        The libusb that was chosen is that of each usb source.
        """
        library = self.mktemp() + ":1"
        with open(library, "w"):
            pass
        arguments = self.parsed("-s", "simulated", "-s", "USB:poll=2", "--libusb", library)
        path = os.path.abspath(library).replace(":", "\\:")
        self.assertEqual(arguments["sources"], ["simulated", f"USB:poll=2:libusb={path}"])

    def test_configDir(self) -> None:
        """
        The directory of pair records does not depend on where a daemon goes.
        """
        arguments = self.parsed("-C", "records")
        self.assertEqual(arguments["configDir"], os.path.abspath("records"))

    def test_level(self) -> None:
        """
        C{twistd} has no log level, so the service has one: what an operator
        wants to see, or all there is.
        """
        self.options.parent = Runner(nodaemon=True)
        self.parsed()
        self.assertIs(self.options.service.logLevel, LogLevel.info)
        self.parsed("-v", "-v")
        self.assertIs(self.options.service.logLevel, LogLevel.debug)

    def test_twistLevel(self) -> None:
        """
        C{twist} has a log level of its own, which C{-v} lowers.
        """
        self.options.parent = Runner(logLevel=LogLevel.warn)
        self.parsed()
        self.assertIsNone(self.options.service.logLevel)
        self.assertIs(self.options.parent["logLevel"], LogLevel.warn)
        self.parsed("--verbose")
        self.assertIsNone(self.options.service.logLevel)
        self.assertIs(self.options.parent["logLevel"], LogLevel.debug)


class RefusalTests(UsbmuxdTestCase):
    """
    Tests of what L{Options} refuse.
    """

    def test_endpoint(self) -> None:
        """
        What is no endpoint is refused.
        """
        self.assertIn("cannot listen on 'cupboard:1'", self.refused("-l", "cupboard:1"))

    def test_source(self) -> None:
        """
        An unknown source is refused with those that there are.
        """
        refusal = self.refused("-l", "tcp:1", "-s", "cupboard")
        self.assertIn("known: remote, simulated, usb", refusal)

    def test_malformedSource(self) -> None:
        """
        A source that is no description at all is refused, also together with a
        libusb.
        """
        self.assertIn("no name", self.refused("-s", ":1", "--libusb", __file__))

    def test_libusb(self) -> None:
        """
        A libusb that is not there is refused.
        """
        self.assertIn("/nowhere: there is no such file", self.refused("--libusb", "/nowhere"))

    def test_configDir(self) -> None:
        """
        No directory is not a directory.
        """
        self.assertIn("must name a directory", self.refused("-C", ""))
        self.assertIn(f"{__file__}: is no directory", self.refused("-C", __file__))
        self.assertIn("--config must name a file", self.refused("--config", ""))

    def test_arguments(self) -> None:
        """
        A word that belongs to no option is refused.
        """
        self.assertIn("unexpected argument 'simulated'", self.refused("simulated"))

    def test_unknown(self) -> None:
        """
        An unknown option is refused without advice.
        """
        self.assertEqual(self.refused("--cupboard"), "option --cupboard not recognized")

    def test_filesOfTheRunner(self) -> None:
        """
        A file of C{twistd} that it cannot write is told of before it tries.
        """
        parent = ServerOptions()
        parent.subCommand = "usbmuxd"
        parent["logfile"] = "/nonexistent/log"
        self.options.parent = parent
        said = io.StringIO()
        self.patch(sys, "stderr", said)
        ended = self.assertRaises(SystemExit, self.options.parseOptions, ["-s", "simulated"])
        self.assertEqual(ended.code, 1)
        self.assertTrue(
            said.getvalue().startswith("usbmuxd: --logfile /nonexistent/log: there is no"),
            said.getvalue(),
        )

    def test_ofTheRunner(self) -> None:
        """
        An option of C{twistd} behind our word is refused with where it belongs.
        """
        parent = ServerOptions()
        parent.subCommand = "usbmuxd"
        self.options.parent = parent
        for option, remedy in (
            ("--nodaemon", "; it belongs before the word usbmuxd"),
            ("--no-save", "; it belongs before the word usbmuxd"),
            ("-n", "; twistd's, which stays in the foreground, is written before the word"),
            ("--cupboard", ""),
        ):
            error = usage.UsageError(f"option {option} not recognized")
            said = self.options.getRemedy(error)
            self.assertTrue(said.startswith(remedy) if remedy else said == "", said)
        lacking = usage.UsageError("option -d requires argument")
        self.assertEqual(self.options.getRemedy(lacking), "")

    def test_missingValue(self) -> None:
        """
        So is an option that lacks its value.
        """
        self.assertIn("requires argument", self.refused("-l"))

    def test_fromTheCDaemon(self) -> None:
        """
        Each option of the C daemon that is not ours is refused with what to type
        instead.
        """
        for words, remedy in (
            ("-f", "twistd -n"),
            ("--foreground", "twistd -n"),
            ("-U usbmux", "--uid"),
            ("-P /run/pid", "--pidfile"),
            ("--logfile /log", "--logfile"),
            ("-n", "always noticed"),
            ("-z", "SIGTERM"),
            ("-u", "permanently"),
            ("--systemd", "twistd -n"),
            ("-x", "SIGTERM"),
            ("--force-exit", "SIGTERM"),
            ("-V", "--version"),
        ):
            self.assertIn(remedy, self.refused(*words.split()), words)


class PreflightTests(UsbmuxdTestCase):
    """
    Whether phones are asked for their trust.
    """

    def test_off(self) -> None:
        """
        C{-p} is what the C daemon has it switched off with.
        """
        for word in ("-p", "--no-preflight"):
            self.setUp()
            self.options.parseOptions([word])
            self.assertFalse(self.options["preflight"])


class GraceTests(UsbmuxdTestCase):
    """
    How long clients of which nobody knows are waited for.
    """

    def test_grace(self) -> None:
        """
        It is a second, or what is said; nothing else of the limits changes.
        """
        for words, grace in ((), 1.0), (("--grace", "2.5"), 2.5), (("--grace", "0"), 0.0):
            self.setUp()
            self.options.parseOptions([*words, "-s", "simulated"])
            service = self.options.service
            self.assertEqual(service._limits, replace(LIMITS, halfCloseGrace=grace))
            self.assertEqual(service._factory.halfClosed.grace, grace)

    def test_wrong(self) -> None:
        """
        What is no time is refused.
        """
        for word in ("", "-1", "soon", "nan", "inf", "86401"):
            self.setUp()
            error = self.refused("--grace", word)
            self.assertEqual(error, f"--grace: expected seconds from 0 to 86400, got {word!r}")


class AddressTests(SynchronousTestCase):
    """
    Tests of L{endpointFromAddress}.
    """

    def test_path(self) -> None:
        """
        What has no colon is a path.
        """
        self.assertEqual(endpointFromAddress("/tmp/s"), "unix:/tmp/s:mode=666")

    def test_relativePath(self) -> None:
        """
        A path does not depend on where a daemon goes, and is quoted.
        """
        os.makedirs(directory := self.mktemp() + ":x")
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(directory)
        quoted = os.path.abspath("s").replace(":", "\\:")
        self.assertEqual(endpointFromAddress("s"), f"unix:{quoted}:mode=666")

    def test_tcp(self) -> None:
        """
        What has a colon is an address and a port.
        """
        self.assertEqual(endpointFromAddress("127.0.0.1:27015"), "tcp:27015:interface=127.0.0.1")

    def test_tcp6(self) -> None:
        """
        An IPv6 address is written in brackets.
        """
        self.assertEqual(endpointFromAddress("[::1]:27015"), "tcp6:27015:interface=\\:\\:1")

    def test_refused(self) -> None:
        """
        Anything else is refused in one line.
        """
        for text in ("", "-S", "::1:27015", ":1", "h:", "h:x", "h:65536", "h:\u0661", "/a:b"):
            error = self.assertRaises(usage.UsageError, endpointFromAddress, text)
            self.assertIn(f"-S {text!r}", str(error))
            self.assertNotIn("\n", str(error))


class HelpTests(UsbmuxdTestCase):
    """
    Tests of what L{Options} print.
    """

    def test_help(self) -> None:
        """
        The help names every option with its default, the sources that are
        installed, and examples; nothing of it is wider than a terminal.
        """
        text = self.options.getUsage(80)
        for word in (
            "-l, --listen=",
            UNIX_ENDPOINT,
            TCP_ENDPOINT,
            "-S, --socket=",
            "-s, --source=",
            "[default: usb]",
            "--libusb=",
            "MUXD_LIBUSB",
            "-C, --config-dir=",
            "/var/lib/lockdown",
            "-v, --verbose",
            "--version",
            "\n  simulated",
            "\n  usb",
            "twistd -n usbmuxd\n",
        ):
            self.assertIn(word, text)
        self.assertNotIn("  may be repeated", text)

    def test_examples(self) -> None:
        """
        The examples in the help are right.
        """
        lines = self.options.getUsage(80).partition("Examples:\n")[2].splitlines()
        commands = [line.split()[3:] for line in lines if line.startswith("  twistd -n usbmuxd")]
        self.assertGreater(len(commands), 2)
        for words in commands:
            if any(word.startswith("systemd:") for word in words):
                # Twisted looks for the inherited socket at once.
                continue
            options = Options()
            options.reactor = self.reactor
            options.parseOptions(words)

    def test_version(self) -> None:
        """
        The version is muxd's.
        """
        self.patch(sys, "stdout", output := io.StringIO())
        exit = self.assertRaises(SystemExit, self.options.parseOptions, ["--version"])
        self.assertEqual((exit.code, output.getvalue()), (0, f"muxd {muxd.__version__}\n"))
