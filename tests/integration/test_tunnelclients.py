# -*- test-case-name: tests.integration.test_tunnelclients -*-
"""
Clients in the tunnel of a simulated phone: those that were written elsewhere, and ours.
"""

from __future__ import annotations

import plistlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from bench.daemons import freePort
from tests.integration.conversation import PATIENCE
from tests.integration.phoneclients import ONE, PICTURE, UDID, ClientCase


class TunnelCase(ClientCase):
    """
    A phone that has tunnels.
    """

    system = "17.6"

    @contextmanager
    def meanwhile(self, expected: str, name: str, *words: str) -> Iterator[None]:
        """
        A client that goes on meanwhile, and has begun when it prints something with this in it.
        """
        process = self._begin(name, *words)
        try:
            self.hears(process, expected)
            yield
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)


class PymobiledeviceTunnelTests(TunnelCase):
    """
    pymobiledevice3, whose TCP is PyTCP.
    """

    def test_rsd(self) -> None:
        """
        It shows what the phone tells of itself and its services.
        """
        text = self.run_("pymobiledevice3", "remote", "rsd-info", "--userspace")
        self.assertIn('"OSVersion": "17.6"', text)
        self.assertIn("com.apple.afc.shim.remote", text)

    def test_afc(self) -> None:
        """
        It fetches a file.
        """
        self.run_("pymobiledevice3", "afc", "pull", "--userspace", "DCIM/picture", ".")
        self.assertFetched("picture")

    def test_diagnostics_relay(self) -> None:
        """
        It shows the battery.
        """
        self.says("Voltage", "pymobiledevice3", "diagnostics", "battery", "single", "--userspace")

    def test_deviceinfo(self) -> None:
        """
        It asks CoreDevice what the phone is.
        """
        by = ("developer", "core-device", "get-device-info", "--userspace")
        self.says('"osVersionNumber": "17.6"', "pymobiledevice3", *by)

    def test_appservice(self) -> None:
        """
        It launches an app by CoreDevice, and lists apps and processes.
        """
        by = ("pymobiledevice3", "developer", "core-device")
        self.says('"processIdentifier": 35', *by, "launch-application", "--userspace", ONE)
        self.says("/App.app/App", *by, "list-processes", "--userspace")
        self.says('"name": "One"', *by, "list-apps", "--userspace")

    def test_fileservice(self) -> None:
        """
        It makes a directory and a file of an app's by CoreDevice, lists and reads them.
        """
        by = ("pymobiledevice3", "developer", "core-device")
        where = ("--userspace", "--identifier", ONE, "appDataContainer")
        self.run_(*by, "create-directory", *where, "Documents/notes")
        self.run_(*by, "propose-empty-file", *where, "Documents/notes/today")
        self.says("today", *by, "list-directory", *where, "Documents/notes")
        (self.phone / "apps" / ONE / "Documents" / "notes" / "today").write_bytes(PICTURE)
        self.run_(*by, "read-file", *where, "--output", "picture", "Documents/notes/today")
        self.assertFetched("picture")

    def test_ours(self) -> None:
        """
        It fetches a file by way of the tunnel that C{muxctl tunnel --serve} keeps.
        """
        number = str(freePort())
        with self.meanwhile("the door at port", "muxctl", "tunnel", "--serve", number):
            by = ("--tunnel", f"{UDID}@127.0.0.1:{number}")
            self.run_("pymobiledevice3", "afc", "pull", *by, "DCIM/picture", ".")
        self.assertFetched("picture")


class GoTunnelTests(TunnelCase):
    """
    go-ios, whose TCP is gVisor's, and which reaches the services in our tunnel as well as in its
    own.
    """

    def test_own(self) -> None:
        """
        It opens a tunnel and lists the services.
        """
        port = f"--tunnel-info-port={freePort()}"
        start = ("tunnel", "start", "--userspace", port)
        with self.meanwhile("userspace tunnel negotiated", "ios", *start):
            self.says("com.apple.afc.shim.remote", "ios", "rsd", "ls", port)

    def test_ours(self) -> None:
        """
        It lists those in the tunnel that C{muxctl tunnel --serve} keeps.
        """
        number = str(freePort())
        with self.meanwhile("the door at port", "muxctl", "tunnel", "--serve", number):
            port = f"--tunnel-info-port={number}"
            self.says("com.apple.afc.shim.remote", "ios", "rsd", "ls", port)

    def test_deviceinfo(self) -> None:
        """
        It asks CoreDevice for the size of the screen.
        """
        number = str(freePort())
        with self.meanwhile("the door at port", "muxctl", "tunnel", "--serve", number):
            self.says("2532", "ios", "info", "display", f"--tunnel-info-port={number}")

    def test_fileservice(self) -> None:
        """
        It sends files of an app's, one of which is long, lists and fetches them.
        """
        (self.here / "long").write_bytes(PICTURE)
        (self.here / "short").write_bytes(b"it is short")
        number = str(freePort())
        with self.meanwhile("the door at port", "muxctl", "tunnel", "--serve", number):
            port = f"--tunnel-info-port={number}"
            for name in ("long", "short"):
                words = (f"--app={ONE}", f"--local={name}", f"--remote=Documents/{name}")
                self.run_("ios", "file", "push", *words, port)
            self.says("long", "ios", "file", "ls", f"--app={ONE}", "--path=Documents", port)
            words = (f"--app={ONE}", "--remote=Documents/long", "--local=fetched")
            self.run_("ios", "file", "pull", *words, port)
        self.assertFetched("fetched")
        sent = self.phone / "apps" / ONE / "Documents" / "short"
        self.assertEqual(sent.read_bytes(), b"it is short")


class OwnTunnelTests(TunnelCase):
    """
    C{muxctl}, whose TCP is ours, as the phone's is.
    """

    def test_services(self) -> None:
        """
        It lists the services.
        """
        self.says("50000  com.apple.afc.shim.remote", "muxctl", "tunnel")

    def test_relay(self) -> None:
        """
        A service is a port of this machine.
        """
        number = freePort()
        word = f"rsd:com.apple.mobile.diagnostics_relay:{number}"
        with (
            self.meanwhile(f"listening on 127.0.0.1:{number}", "muxctl", "relay", word),
            socket.create_connection(("127.0.0.1", number), PATIENCE) as service,
        ):
            request = plistlib.dumps({"Request": "GasGauge"})
            service.sendall(len(request).to_bytes(4) + request)
            heard = b""
            while b"</plist>" not in heard:
                heard += service.recv(4096) or self.fail("it has closed")
            self.assertIn(b"CycleCount", heard)
