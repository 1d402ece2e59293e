"""
Tests for L{muxd.muxctl.options}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muxd import __version__
from muxd.client.address import TCPAddress, UnixAddress
from muxd.client.selection import Network
from muxd.muxctl.options import COMMANDS, Usage, parse


class ParseTests(SynchronousTestCase):
    """
    L{parse}.
    """

    def refused(self, *words: str) -> str:
        """
        The complaint about these words.
        """
        usage = self.assertRaises(Usage, parse, words)
        self.assertEqual(usage.status, 2)
        return str(usage.text)

    def test_commonOptions(self) -> None:
        """
        Common options may stand before the command or behind it.
        """
        for words in (
            ["-s", "/x", "-u", "U", "--timeout", "2.5", "list"],
            ["list", "--socket", "/x", "--udid", "U", "--timeout", "2.5"],
            ["--socket=/x", "list", "-uU", "--timeout=2.5"],
        ):
            options = parse(words)
            self.assertEqual(
                (options.socket, options.udid, options.timeout), (UnixAddress("/x"), "U", 2.5)
            )

    def test_hub(self) -> None:
        """
        The hub may stand before the command or behind it.
        """
        for words in (
            ["--hub", "tcp:h:1", "fleet", "list"],
            ["fleet", "--hub=tcp:h:1", "list"],
            ["-s", "/x", "--json", "--hub=tcp:h:1", "fleet", "list"],
        ):
            self.assertEqual(parse(words).hub, "tcp:h:1")
        self.assertIsNone(parse(["fleet", "list"]).hub)

    def test_before(self) -> None:
        """
        An option of one command does not belong before it, and that is what is said, not
        that its value is no command.
        """
        for words in (
            ["--name", "ci", "fleet", "list"],
            ["-s", "/x", "--name=ci", "fleet", "list"],
        ):
            self.assertIn("--name before the command", self.refused(*words))
        self.assertIn("-l before the command", self.refused("-l", "list"))

    def test_meaningless(self) -> None:
        """
        Before the command an option counts as far as the command uses it; behind a command
        that does not use it it is refused, and its help does not have it.
        """
        for command, option in (
            ("cert list", "--socket"),
            ("completion bash", "--udid"),
            ("fleet list", "--status"),
            ("list", "--hub"),
            ("buid", "--udid"),
        ):
            name, *rest = command.split()
            self.assertEqual(parse([option, "/x", name, *rest]).command, name)
            complaint = self.refused(name, *rest, option, "/x")
            self.assertIn(f"muxctl {name}: not understood: {option} /x", complaint)
            usage = self.assertRaises(Usage, parse, [name, "--help"])
            self.assertNotIn(option, usage.text)

    def test_reserve(self) -> None:
        """
        The command of C{reserve} stands behind two dashes.
        """
        self.assertEqual(parse(["reserve", "--", "make", "-j"]).arguments, ["make", "-j"])
        for words in (["make"], ["make", "-j"], ["-w", "3", "make", "--all"]):
            self.assertIn("expected -- before the command", self.refused("reserve", *words))
        self.assertIn("not understood: --if", self.refused("reserve", "--if", "--", "make"))

    def test_defaults(self) -> None:
        """
        They need not be there.
        """
        options = parse(["list"])
        self.assertEqual((options.socket, options.udid, options.timeout), (None, None, None))
        self.assertFalse(options.json)

    def test_address(self) -> None:
        """
        The daemon's address may have any spelling, and has to have one.
        """
        self.assertEqual(parse(["-s", "[::1]:7", "buid"]).socket, TCPAddress("::1", 7))
        self.assertIn("is no address of a usbmuxd", self.refused("-s", "nonsense", "buid"))

    def test_seconds(self) -> None:
        """
        Times are numbers above 0.
        """
        for text in ("0", "-1", "x", "nan", ""):
            self.assertIn("expected seconds", self.refused(f"--timeout={text}", "list"))
        self.assertEqual(parse(["connect", "-w", "inf", "7"]).wait, float("inf"))

    def test_port(self) -> None:
        """
        Ports are numbers from 1 to 65535.
        """
        self.assertEqual(parse(["connect", "65535"]).port, 65535)
        for text in ("0", "65536", "x", "²", "1" * 5000, ""):
            self.assertIn("expected a port", self.refused("connect", text))

    def test_udid(self) -> None:
        """
        UDIDs are printable, whatever they are.
        """
        for text in ("", "\x01", "\udc80"):
            self.assertIn("expected a UDID", self.refused("record", "show", text))
            self.assertIn("expected a UDID", self.refused("-u", text, "list"))

    def test_network(self) -> None:
        """
        Either way to a phone can be demanded, not both.
        """
        for words, network in (
            ([], Network.NO),
            (["-l"], Network.NO),
            (["-n"], Network.PREFER),
            (["-l", "--network"], Network.YES),
        ):
            self.assertIs(parse(["connect", *words, "7"]).network, network)

    def test_wait(self) -> None:
        """
        Phones are counted from one.
        """
        options = parse(["wait", "--count", "3", "--paired"])
        self.assertEqual((options.count, options.paired, options.network), (3, True, False))
        self.assertEqual(parse(["wait"]).count, 1)
        for text in ("0", "-1", "x", "", "1" * 5000):
            expected = "expected a number of phones from 1 to 99999"
            self.assertIn(expected, self.refused("wait", f"--count={text}"))

    def test_log(self) -> None:
        """
        Lines are counted from one, and called so.
        """
        self.assertEqual(parse(["log", "-n", "7"]).lines, 7)
        for text in ("0", "-1", "x", "", "1" * 5000):
            expected = "expected a number of lines from 1 to 99999"
            self.assertIn(expected, self.refused("log", f"--lines={text}"))

    def test_days(self) -> None:
        """
        A certificate is good for some days, and at most for ten years.
        """
        self.assertEqual(parse(["cert", "host", "a", "--days", "0.5"]).days, 0.5)
        for text in ("0", "-1", "x", "nan", "inf", "3651"):
            expected = f"expected days, 3650 at most, got {text!r}"
            self.assertIn(expected, self.refused("cert", "host", "a", f"--days={text}"))

    def test_empty(self) -> None:
        """
        A directory or a file that has an empty name, as a script's variable may be, is no
        default.
        """
        for words, expected in (
            (("cert", "init", "--ca="), "expected a directory, got ''"),
            (("cert", "host", "a", "--ca="), "expected a directory, got ''"),
            (("cert", "host", "a", "-o", ""), "expected a directory, got ''"),
            (("capture", "-w", ""), "expected a file, got ''"),
            (("cert", "init", "--name="), "expected 1 to 64 printable characters, got ''"),
            (("cert", "init", "--name=" + "a" * 65), "expected 1 to 64 printable characters"),
            (("cert", "revoke", ""), "expected a name or a number, got ''"),
            (("fleet", "list", "--hub="), "expected an endpoint, got ''"),
            (("--hub=", "fleet", "list"), "expected an endpoint, got ''"),
            (("fleet", "list", "--name="), "expected a name, got ''"),
            (("fleet", "drain", ""), "expected a host, got ''"),
            (("reserve", "--name", "", "--", "true"), "expected a name, got ''"),
        ):
            self.assertIn(expected, self.refused(*words))

    def test_certified(self) -> None:
        """
        What cannot be the name of a certificate is wrong usage, whether there is an authority
        or not.
        """
        for name in ("", "a b", "../x", "a" * 65):
            for purpose in ("host", "client"):
                self.assertIn("expected a name of up to 64", self.refused("cert", purpose, name))
        self.assertEqual(parse(["cert", "host", "a", "::0001"]).names, ["a", "::1"])

    def test_json(self) -> None:
        """
        Every command may be asked to speak to programs.
        """
        needed = {
            "record": ("show", "U"),
            "wifi": ("on", "U"),
            "cert": ("host", "NAME"),
            "release": ("U",),
            "take": ("U",),
            "phone": ("stats",),
            "connect": ("7",),
            "completion": ("bash",),
            "fleet": ("list",),
        }
        for command in COMMANDS - {"relay"}:
            words = needed.get(command, ())
            self.assertTrue(parse([command, "--json", *words]).json)
            self.assertTrue(parse(["--json", command, *words]).json)
            self.assertFalse(parse([command, *words]).json)

    def test_record(self) -> None:
        """
        A record is named, and options may stand anywhere.
        """
        self.assertEqual(parse(["record", "show", "U"]).record, "U")
        self.assertTrue(parse(["record", "show", "--plist", "U"]).plist)
        self.assertIn("required: UDID", self.refused("record", "show"))
        self.assertIn("invalid choice", self.refused("record", "burn", "U"))

    def test_relay(self) -> None:
        """
        What is behind C{relay} is not looked at, even C{--help}.
        """
        options = parse(["-u", "U", "relay", "-t", "22:2222", "--help", "relay", "list"])
        self.assertEqual(options.arguments, ["-t", "22:2222", "--help", "relay", "list"])
        self.assertEqual((options.command, options.udid), ("relay", "U"))

    def test_relayElsewhere(self) -> None:
        """
        The word may be something else behind another command.
        """
        self.assertEqual(parse(["record", "show", "relay"]).record, "relay")

    def test_nothing(self) -> None:
        """
        Without a command the help is printed, as an error.
        """
        self.assertIn("examples:", self.refused())

    def test_unknown(self) -> None:
        """
        Words that mean nothing are refused, abbreviations too.
        """
        for words in (["dance"], ["list", "x"], ["--sock", "/x", "list"], ["list", "--js"]):
            self.assertIn("--help", self.refused(*words))

    def test_help(self) -> None:
        """
        Help and version are printed without error, for all commands.
        """
        usage = self.assertRaises(Usage, parse, ["--help"])
        self.assertEqual(usage.status, 0)
        for command in COMMANDS:
            self.assertIn(command, usage.text)
        for command in COMMANDS - {"relay"}:
            usage = self.assertRaises(Usage, parse, [command, "--help"])
            self.assertEqual(usage.status, 0)
            self.assertIn(f"usage: muxctl {command}", usage.text)
        usage = self.assertRaises(Usage, parse, ["--version"])
        self.assertEqual((usage.status, usage.text), (0, f"muxctl {__version__}\n"))
