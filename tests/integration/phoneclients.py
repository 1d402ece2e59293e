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
from pathlib import Path
from unittest import SkipTest

from tests.integration.conversation import PATIENCE
from tests.integration.daemon import Daemon, DaemonTestCase
from tests.phone.services.packages import makePackage

PLACE = Path(os.environ.get("MUXD_CLIENTS", os.path.expanduser("~/.cache/muxd-clients")))

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
    """

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
        daemon.run("usbmuxd", *daemon.arguments, "--source", f"simulated{places}")
        daemon.devices()
        self.waitFor(daemon, "trusts this computer")

    def program(self, name: str) -> str:
        """
        The path of a client.
        """
        if name not in PROGRAMS:
            return self.tool(name)
        path = PLACE / PROGRAMS[name]
        if not path.exists():
            raise SkipTest(f"there is no {path}: .ci/clients")
        return str(path)

    def run_(self, name: str, *words: str, seconds: float = PATIENCE) -> str:
        """
        What a client prints, on both of its outputs.

        @param seconds: After which it is ended, if it does not end by itself.
        """
        path = self.program(name)
        address = self.daemon.socket if name in PROGRAMS else f"UNIX:{self.daemon.socket}"
        environment = {
            **self.daemon.environment,
            "USBMUXD_SOCKET_ADDRESS": address,
            "HOME": str(self.here),
            "COLUMNS": "500",
            "TERM": "dumb",
        }
        options = ["--socket", self.daemon.socket] if name == "tidevice" else []
        if options:
            del environment["USBMUXD_SOCKET_ADDRESS"]
        try:
            done = subprocess.run(
                [path, *options, *words],
                cwd=self.here,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as ended:
            return (ended.stdout or b"").decode("utf-8", "replace")
        text = done.stdout.decode("utf-8", "replace")
        self.assertEqual(done.returncode, 0, text)
        return text

    def says(self, expected: str, name: str, *words: str, seconds: float = PATIENCE) -> None:
        """
        A client prints something with this in it.
        """
        text = self.run_(name, *words, seconds=seconds)
        self.assertIn(expected, text, f"{name} {' '.join(words)}")

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
