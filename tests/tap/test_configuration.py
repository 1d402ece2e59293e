"""
Tests of L{muxd.tap.configuration}: the file's keys, and what is said of mistakes.
"""

from __future__ import annotations

import io
import os
from contextlib import redirect_stdout
from dataclasses import fields
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.python import usage
from twisted.trial.unittest import SkipTest, SynchronousTestCase

import muxd
from muxd.limits import LIMITS, Limits
from muxd.server.places import ListeningAddress
from muxd.server.view import EVERYTHING
from muxd.server.viewgrammar import NamedView, describeView
from muxd.tap import usbmuxd
from muxd.tap.configuration import Configuration, ConfigurationError
from muxd.tap.usbmuxd import Options, UsbmuxdService
from tests.server.viewing import only, udid, view
from tests.tap.options import UsbmuxdTestCase

EXAMPLE = Path(muxd.__file__).parent.parent / "docs" / "examples" / "muxd.toml"
KNOWN = ("source", "socket", "config-dir", "no-preflight", "grace", "status")


def parsed(text: str) -> Configuration:
    """
    What a file with this text says.
    """
    return Configuration.parse("/etc/muxd.toml", text.encode(), KNOWN)


class ParsingTests(SynchronousTestCase):
    """
    Tests of L{Configuration.parse}.
    """

    def test_empty(self) -> None:
        """
        A file that says nothing changes nothing.
        """
        found = parsed("")
        self.assertEqual((found.options, found.listen, found.views), ({}, None, {}))
        self.assertEqual(found.limited(LIMITS), LIMITS)

    def test_listen(self) -> None:
        """
        Listening addresses are texts, or tables with an endpoint and a view.
        """
        found = parsed(
            f"""
            listen = [
                "tcp:1",
                "unix:/a:only={udid(1)}",
                {{endpoint = "unix:/b:mode=600"}},
                {{endpoint = "unix:/c", view = "ci"}},
                {{endpoint = "unix:/d", only = ["rack", "{udid(2)}"], ports = [22, "80-81"]}},
                {{endpoint = "unix:/e:view=ci"}},
            ]
            [labels]
            rack = "1-1"
            [view.ci]
            only = "label:rack"
            """
        )
        ci = NamedView(view(only="1-1"), "ci")
        own = view(only=f"1-1,{udid(2)}", ports="22,80-81")
        self.assertEqual(
            found.listen,
            (
                ListeningAddress("tcp:1"),
                ListeningAddress("unix:/a", NamedView(only(1), "of unix:/a", True)),
                ListeningAddress("unix:/b:mode=600"),
                ListeningAddress("unix:/c", ci),
                ListeningAddress("unix:/d", NamedView(own, "of unix:/d", True)),
                ListeningAddress("unix:/e", ci),
            ),
        )

    def test_labels(self) -> None:
        """
        A label may be made of those before it, and is known to what is typed.
        """
        found = parsed('[labels]\na = "1-1"\nb = ["a", "1-2"]')
        self.assertEqual(found.labels["b"].ports, {"1-1", "1-2"})
        address = found.address("unix:/x:only=b")
        assert address.view is not None
        self.assertEqual(address.view.view, view(only="1-1,1-2"))

    def test_limits(self) -> None:
        """
        Every limit can be set to what it is.
        """
        for each in fields(Limits):
            value = getattr(LIMITS, each.name)
            found = parsed(f"[limits]\n{each.name} = {value}")
            self.assertEqual(found.limited(LIMITS), LIMITS)
        self.assertEqual(parsed("[limits]\nhalfCloseGrace = 0").limited(LIMITS).halfCloseGrace, 0)

    def test_mistakes(self) -> None:
        """
        Each is one line, with the file, the key, and what is known that resembles it.
        """
        for text, expected in (
            ("listen", "it is no TOML: "),
            ("sources = []", "there is no 'sources'; did you mean 'source'?"),
            ("[limit]", "there is no 'limit'; did you mean 'limits'?"),
            ("config = 'x'", "there is no 'config'; did you mean 'config-dir'?"),
            ("verson = 1", "there is no 'verson'"),
            ("limits = 3", "expected a table [limits], got the number 3"),
            ("view = true", "expected a table [view], got true"),
            ("labels = 1979-05-27", "expected a table [labels], got the time 1979-05-27"),
            ("listen = 'tcp:1'", "listen: expected a list, or tables [[listen]], got the text"),
            ("listen = [1]", "listen: expected a table, got the number 1"),
            ("[[listen]]\nview='x'", "listen: each needs one endpoint, such as 'unix:"),
            ("[[listen]]\nendpoint=['a','b']", "listen: each needs one endpoint"),
            ("[[listen]]\nendpoint='unix:/a'\nview='x'", "listen: unix:/a: there is no view 'x'"),
            (
                "[[listen]]\nendpoint='unix:/a:ports=1'\nuid=0",
                "listen: 'unix:/a:ports=1' has a view already: uid belongs there",
            ),
            ("[[listen]]\nendpoint='tcp:1'\nuid=0", "known on UNIX sockets only; use unix:"),
            ("[[listen]]\nendpoint='unix:/a'\nonyl='1-1'", "a view has no 'onyl'; did you mean"),
            ("[[listen]]\nendpoint='unix:/a'\nonly=1.5", "listen: only: expected texts or whole"),
            ("[view]\nci = 3", "view.ci: expected a table, got the number 3"),
            ("[view.ci]\nonly = 'rack'", "view.ci: only: expected UDIDs"),
            ("[view.ci]\nports = [true]", "view.ci: ports: expected texts or whole numbers"),
            ("[view.ci]\nview = 'x'", "view.ci: a view has no 'view'"),
            ("[labels]\nusb = '1-1'", "labels.usb: a label is no UDID, no port"),
            ("[labels]\n1-1 = '1-2'", "labels.1-1: a label is no UDID"),
            ("[labels]\n'a,b' = '1-2'", "labels.a,b: a label is no UDID"),
            ("[labels]\nport = '1-2'", "labels.port: a label is no UDID"),
            ("[labels]\na = 'b'\nb = '1-1'", "labels.a: expected UDIDs"),
            ("[labels]\na = []", "labels.a: expected UDIDs or port:BUS-PORT.PORT"),
            ("[limits]\nrecieveWindow = 1", "limits.recieveWindow: there is no such limit; did"),
            ("[limits]\nclientQueue = 1.5", "limits.clientQueue: expected a whole number, got"),
            ("[limits]\nclientQueue = true", "limits.clientQueue: expected a whole number, got t"),
            ("[limits]\nclientQueue = 0", "limits.clientQueue: expected 1 to 1.09951e+12, got 0"),
            ("[limits]\nreceiveWindow = 257", "expected a multiple of 256, got 257"),
            ("[limits]\nmessageTimeout = '3'", "limits.messageTimeout: expected seconds, got the"),
            ('config-dir = "/a\\u0000"', "config-dir: expected a text without NUL characters, got"),
            ('source = ["usb", "usb:libusb=\\u0000"]', "source: expected a text without NUL"),
            ("[limits]\nmessageTimeout = 0", "expected more than 0 to 86400, got 0"),
            ("[limits]\nmessageTimeout = nan", "expected more than 0 to 86400, got nan"),
        ):
            error = self.assertRaises(ConfigurationError, parsed, text)
            self.assertIn(expected, str(error))
            self.assertTrue(str(error).startswith("/etc/muxd.toml: "))
            self.assertNotIn("\n", str(error))

    @given(st.binary(max_size=80))
    def test_anyBytes(self, content: bytes) -> None:
        """
        Any file is understood, or refused with one line.
        """
        try:
            Configuration.parse("f", content, KNOWN)
        except ConfigurationError as error:
            self.assertEqual(str(error).splitlines()[1:], [])

    def test_files(self) -> None:
        """
        A file that cannot be read is named, and so is one that is no configuration.
        """
        path = self.mktemp()
        error = self.assertRaises(ConfigurationError, Configuration.load, path, KNOWN)
        self.assertEqual(str(error), f"{path}: No such file or directory")
        Path(path).write_bytes(b"#" * ((1 << 20) + 1))
        error = self.assertRaises(ConfigurationError, Configuration.load, path, KNOWN)
        self.assertEqual(str(error), f"{path}: expected at most 1048576 bytes")


class Recorded(UsbmuxdService):
    """
    A service that remembers what it was made of.
    """

    def __init__(self, reactor: Any, **arguments: Any) -> None:
        self.arguments = arguments
        super().__init__(reactor, listen=arguments["listen"])


class OptionsTests(UsbmuxdTestCase):
    """
    The file together with the command line.
    """

    def setUp(self) -> None:
        """
        Remember what the service is made of.
        """
        super().setUp()
        self.patch(usbmuxd, "UsbmuxdService", Recorded)
        self.path = self.mktemp()

    def made(self, text: str, *words: str) -> dict[str, Any]:
        """
        What the service is made of.
        """
        Path(self.path).write_text(text)
        self.options.parseOptions(["--config", self.path, *words])
        service = self.options.service
        assert isinstance(service, Recorded)
        return service.arguments

    def test_everyOption(self) -> None:
        """
        Every option of the command line but those about the file itself has its key.
        """
        values = {
            "listen": '["tcp:5"]',
            "socket": '["localhost:3"]',
            "source": '["simulated:2", "usb:poll=2"]',
            "libusb": f'"{self.path}"',
            "config-dir": '"/records"',
            "grace": "2.5",
            "capture": f'"{os.path.abspath(self.path)}.pcapng"',
            "status": '"none"',
            "hub": '"unix:/hub"',
            "door": '"tcp:5000:interface=127.0.0.1"',
            "door-address": '"host:5000"',
            "fleet-name": '"host"',
            "log-format": '"text"',
            "no-preflight": "true",
            "verbose": "true",
        }
        missing = {name.rstrip("=") for name in Options().longOpt} - set(values)
        self.assertEqual(missing, {"config", "check-config", "help", "version"})
        made = self.made("\n".join(f"{key} = {value}" for key, value in values.items()))
        self.assertEqual(made["listen"], ["tcp:3:interface=localhost", "tcp:5"])
        self.assertEqual(len(made["sources"]), 2)
        self.assertEqual((made["configDir"], made["preflight"]), ("/records", False))
        self.assertEqual(made["limits"].halfCloseGrace, 2.5)
        self.assertIsNone(made["status"])
        self.assertEqual((made["fleet"].name, made["fleet"].hub), ("host", "unix:/hub"))
        self.assertEqual(self.options["verbose"], 1)

    def test_commandLine(self) -> None:
        """
        The command line counts more, for each option; also where it says what is usual.
        """
        text = """
            listen = ["tcp:5"]
            socket = "h:3"
            source = ["simulated"]
            grace = 3
            no-preflight = false
        """
        made = self.made(text, "-l", "tcp:7", "--grace", "1", "-p")
        self.assertEqual(made["listen"], ["tcp:7"])
        self.assertEqual(made["sources"], ["simulated"])
        self.assertEqual(made["limits"], LIMITS)
        self.assertFalse(made["preflight"])

    def test_views(self) -> None:
        """
        What is typed may name a view of the file.
        """
        made = self.made(f'[view.ci]\nonly = "{udid(1)}"', "-l", "unix:/a:view=ci")
        self.assertEqual(made["listen"], [ListeningAddress("unix:/a", NamedView(only(1), "ci"))])

    def test_limits(self) -> None:
        """
        Limits are those of the file; C{grace} counts more than the limit that it is.
        """
        text = "[limits]\nclientQueue = 4096\nhalfCloseGrace = 7"
        self.assertEqual(
            (self.made(text)["limits"].clientQueue, self.options.service.limits), (4096, LIMITS)
        )
        self.assertEqual(self.made(text)["limits"].halfCloseGrace, 7)
        self.assertEqual(self.made(text, "--grace", "2")["limits"].halfCloseGrace, 2)

    def test_group(self) -> None:
        """
        With twistd's C{--gid} the sockets of the file are that group's, too.
        """
        options = Options()
        options.configuration = parsed('[[listen]]\nendpoint = "unix:/a"\nports = 22')
        parent = usage.Options()
        parent["gid"] = 1234
        options.parent = parent
        (address,) = options._places()
        assert isinstance(address, ListeningAddress)
        self.assertEqual(address.place, "unix:/a:group=1234")

    def test_mistakes(self) -> None:
        """
        A value that an option refuses is refused with the file and the key.
        """
        for text, expected in (
            ("grace = 'long'", ": grace: --grace: expected seconds from 0 to 86400, got 'long'"),
            ("grace = [1, 2]", ": grace: expected one value, got a list"),
            ("grace = true", ": grace: expected a text, got true"),
            ("no-preflight = 'yes'", ": no-preflight: expected true or false, got the text 'yes'"),
            ("libusb = '/none'", ": libusb: --libusb /none: there is no such file"),
            ("socket = 'a:b'", ": socket: -S 'a:b': expected ADDR:PORT"),
        ):
            Path(self.path).write_text(text)
            self.options = Options()
            self.options.reactor = self.reactor
            error = self.refused("--config", self.path)
            self.assertIn(expected, error)

    def test_reread(self) -> None:
        """
        The same command line with the file as it is now, wherever this process is.
        """
        made = self.made('listen = ["tcp:5"]\ngrace = 3', "-s", "simulated")
        Path(self.path).write_text('listen = ["tcp:6"]\nsource = ["usb"]')
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir("/")
        again, _ = self.options.reread()
        self.assertEqual(again, {**made, "listen": ["tcp:6"], "limits": LIMITS})
        Path(os.path.join(before, self.path)).write_text("grace = -1")
        self.assertRaises(ConfigurationError, self.options.reread)

    def test_rereadPaths(self) -> None:
        """
        Relative paths in the file are where the command was given, also when it is read again.
        """
        before = os.getcwd()
        there, self.path = os.path.abspath(self.mktemp()), os.path.abspath(self.path)
        os.makedirs(os.path.join(there, "captures"))
        Path(there, "libusb.so").touch()
        self.addCleanup(os.chdir, before)
        os.chdir(there)
        self.options = Options()
        self.options.reactor = self.reactor
        made = self.made(
            'capture = "captures/x.pcapng"\nconfig-dir = "records"\nlibusb = "libusb.so"\n'
            'socket = "usbmuxd"\n'
        )
        process = self.options.processOptions()
        self.assertEqual(made["configDir"], os.path.join(there, "records"))
        self.assertEqual(made["listen"], [f"unix:{there}/usbmuxd:mode=666"])
        os.chdir("/")
        self.assertEqual(self.options.reread(), (made, process))


class CheckTests(UsbmuxdTestCase):
    """
    Tests of C{--check-config}.
    """

    def checked(self, *words: str) -> str:
        """
        What it prints.
        """
        with redirect_stdout(io.StringIO()) as printed:
            error = self.assertRaises(
                SystemExit, self.options.parseOptions, [*words, "--check-config"]
            )
        self.assertEqual(error.code, 0)
        return printed.getvalue()

    def test_example(self) -> None:
        """
        The example is right, and its comments are about what is there.
        """
        if not EXAMPLE.exists():
            raise SkipTest("this test needs the source tree")
        text = self.checked("--config", str(EXAMPLE))
        for line in (
            "listen     unix:/run/mux/ci/usbmuxd:mode=666",
            "  view ci: only 00008110-000A1B2C3D4E5F60, port:3-1.4, port:3-1.5;"
            " commands buid, connect, list, listen, read-record; ports 8100-8199, 62078",
            "  view: only port:3-1.*; deny port:3-1.7",
            "source     usb",
            "records    /var/lib/lockdown",
            "preflight  yes",
        ):
            self.assertIn(line, text.splitlines())

    def test_statusSocket(self) -> None:
        """
        The status socket is beside the first socket that has no view, whose directory is no
        container's.
        """
        words = ("-l", "unix:/a/x:only=1-1", "-l", "unix:/b/x")
        self.assertIn("status     unix:/b/x.status", self.checked(*words))
        self.options = Options()
        self.options.reactor = self.reactor
        self.assertIn("status     none", self.checked(*words[:2]))

    def test_limits(self) -> None:
        """
        Limits that are not as usual are told.
        """
        self.assertIn("limit      halfCloseGrace = 7.0", self.checked("--grace", "7"))
        self.assertEqual(describeView(EVERYTHING), "everything")
