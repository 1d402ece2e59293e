"""
Clients of phones that were written elsewhere, with a simulated phone that has something to show.

Those that are no packages of Debian are in a directory of their own, which F{.ci/clients} makes; a
test whose client is not there is skipped.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from unittest import SkipTest

from tests.integration.conversation import PATIENCE
from tests.integration.daemon import Daemon, DaemonTestCase
from tests.phone.services.packages import makePackage

PLACE = Path(os.environ.get("MUXD_CLIENTS", os.path.expanduser("~/.cache/muxd-clients")))

OWN = Path(sys.executable).parent / "muxctl"

PROGRAMS = {
    "pymobiledevice3": "pymobiledevice3/bin/pymobiledevice3",
    "tidevice": "tidevice/bin/tidevice",
    "ios": "go-ios/node_modules/go-ios/dist/go-ios-linux-amd64_linux_amd64/ios",
}

UDID = "00008110-000A1B2C3D4E5F60"
ONE, TWO = "com.example.one", "com.example.two"

LOG = """\
Nov 30 00:00:00 iPhone sun(lib)[42] <Error>: it is dark
{"text": "it is light", "process": "moon", "pid": 7, "subsystem": "com.example", "category": "sky"}
"""

PICTURE = random.Random(7).randbytes(3_000_000)
"""A file that is longer than one read of AFC was once answered with."""


class ClientCase(DaemonTestCase):
    """
    A daemon with a simulated phone for all tests of a class.

    @ivar daemon: The daemon.
    @ivar phone: The directory with what the phone has.
    @ivar here: A directory of the test's.
    @cvar system: What it runs; C{""} for what the usual model does.
    """

    system = ""

    def setUp(self) -> None:
        """
        Start it.
        """
        self.daemon = self.share(self._start)
        self.phone = self.daemon.records / "phone"
        self.here = self.makeDirectory()
        self.package = self.here / "two.ipa"
        makePackage(str(self.package), TWO, UIFileSharingEnabled=True, CFBundleDisplayName="Two")

    def _start(self, daemon: Daemon) -> None:
        phone = daemon.records / "phone"
        (phone / "files" / "DCIM").mkdir(parents=True)
        (phone / "files" / "DCIM" / "picture").write_bytes(PICTURE)
        (phone / "apps").mkdir()
        makePackage(
            str(phone / "apps" / "one.ipa"),
            ONE,
            UIFileSharingEnabled=True,
            CFBundleDisplayName="One",
        )
        (phone / "log").write_text(LOG)
        places = "".join(f":{what}={phone / what}" for what in ("files", "apps", "log"))
        version = f":version={self.system}" if self.system else ""
        daemon.run("usbmuxd", *daemon.arguments, "--source", f"simulated{version}{places}")
        daemon.devices()
        self.waitFor(daemon, "trusts this computer")

    def program(self, name: str) -> str:
        """
        The path of a client.
        """
        if name == OWN.name:
            return str(OWN)
        if name not in PROGRAMS:
            return self.tool(name)
        path = PLACE / PROGRAMS[name]
        if not path.exists():
            raise SkipTest(f"there is no {path}: .ci/clients")
        return str(path)

    def run_(self, name: str, *words: str) -> str:
        """
        What a client prints, on both of its outputs, until it ends.
        """
        process = self._begin(name, *words)
        try:
            output, _ = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
        text = output.decode("utf-8", "replace")
        self.assertEqual(process.returncode, 0, text)
        return text

    def says(self, expected: str, name: str, *words: str) -> None:
        """
        A client prints something with this in it, and ends.
        """
        text = self.run_(name, *words)
        self.assertIn(expected, text, f"{name} {' '.join(words)}")

    def goesOn(self, expected: str, name: str, *words: str) -> None:
        """
        A client that does not end by itself prints something with this in it.
        """
        process = self._begin(name, *words)
        assert process.stdout is not None
        try:
            self.hears(process, expected)
        finally:
            process.terminate()
            process.stdout.close()
            process.wait(PATIENCE)

    def hears(self, process: subprocess.Popen[bytes], expected: str) -> None:
        """
        Wait until a client prints something with this in it.
        """
        assert process.stdout is not None
        text = b""
        timer = threading.Timer(PATIENCE, process.kill)
        timer.start()
        try:
            while expected.encode() not in text:
                piece = process.stdout.read1(1 << 16)  # type: ignore[attr-defined]
                if not piece:
                    self.fail(f"{process.args!r}: {text.decode('utf-8', 'replace')}")
                text += piece
        finally:
            timer.cancel()

    def _begin(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        path = self.program(name)
        environment = {
            **self.daemon.environment,
            "USBMUXD_SOCKET_ADDRESS": f"UNIX:{self.daemon.socket}",
            "HOME": str(self.here),
            "COLUMNS": "500",
            "TERM": "dumb",
            "PYTHONUNBUFFERED": "1",
        }
        command = [path]
        if name == "tidevice":
            del environment["USBMUXD_SOCKET_ADDRESS"]
            command += ["--socket", self.daemon.socket]
        elif name in PROGRAMS:
            environment["USBMUXD_SOCKET_ADDRESS"] = self.daemon.socket
        elif name != OWN.name:
            # As to a terminal: a line at once.
            command = [self.program("stdbuf"), "-oL", path]
        return subprocess.Popen(
            [*command, *words],
            cwd=self.here,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def assertPicture(self, name: str) -> None:
        """
        The client has made a picture.
        """
        self.assertEqual((self.here / name).read_bytes()[:8], b"\x89PNG\r\n\x1a\n")

    def assertFetched(self, name: str) -> None:
        """
        The client has fetched the file from the phone, all of it.
        """
        fetched = (self.here / name).read_bytes()
        self.assertTrue(fetched == PICTURE, f"{len(fetched)} bytes")

    def loseFiles(self) -> Path:
        """
        Lose what is on the phone.

        @return: What is to be there again.
        """
        shutil.rmtree(self.phone / "files" / "DCIM")
        return self.phone / "files" / "DCIM" / "picture"
