# -*- test-case-name: tests.integration.test_iphone -*-
"""
C{twistd iphone} in a process of its own, with USB/IP hosts of two pages.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
from typing import Any

from tests.integration.conversation import PATIENCE
from tests.integration.daemon import TWIST, TWISTD, Daemon, DaemonTestCase
from tests.integration.usbiphost import IN, MUX_IN, UsbipHost, UsbipMux

MIB = 1 << 20
PHONE = "05ac:12a8"


class IphoneTests(DaemonTestCase):
    """
    Tests of the process.
    """

    def start(self, *words: str, runner: tuple[str, ...] = TWISTD) -> int:
        """
        Start it.

        @return: The port of this machine where hosts connect.
        """
        self.process: Daemon = self.makeDaemon()
        control = f"unix:{self.process.socket}:mode=600"
        self.process.run("iphone", "--usbip", "tcp:0", "--control", control, *words, runner=runner)
        # Twisted's own words, which are the same in the logs of all runners.
        self.waitFor(self.process, "ConsoleFactory starting on")
        return int(self.waitFor(self.process, r"UsbipFactory starting on (\d+)")[1])

    def connect(self, port: int) -> UsbipHost:
        """
        A host.
        """
        host = UsbipHost(port)
        self.addCleanup(host.socket.close)
        return host

    def configured(self, port: int) -> UsbipHost:
        """
        A host that has the first phone, and has configured it.
        """
        host = self.connect(port)
        self.assertEqual(host.take("1-1"), 0)
        host.control(0, 9, 4)
        return host

    def command(self, line: str) -> Any:
        """
        Give a command to the control socket.
        """
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(PATIENCE)
            control.connect(self.process.socket)
            control.sendall(line.encode() + b"\n")
            return json.loads(control.makefile().readline())

    def test_echo(self) -> None:
        """
        A host finds two phones, reads who one of them is, and gets a mebibyte back
        from it; the phone has nothing to object.
        """
        port = self.start("--count", "2")
        found = self.connect(port).list()
        self.assertEqual(found, [("1-1", 0x05AC, 0x12A8), ("1-2", 0x05AC, 0x12A8)])
        host = self.configured(port)
        serial = host.control(0x80, 6, 0x303, 255)
        self.assertEqual(serial[2:].decode("utf-16-le"), "00008110000A1B2C3D4E5F60")
        data = os.urandom(MIB)
        received = UsbipMux(host).echo(data)
        self.assertEqual(hashlib.sha256(received).hexdigest(), hashlib.sha256(data).hexdigest())
        first, second = self.command("stats")
        self.assertEqual((first["violations"], second["violations"]), ([], []))
        self.assertEqual((first["config"], first["attached"]), (4, True))
        self.assertEqual((second["attached"], second["mux"]["in"]), (False, 0))

    def test_usbip(self) -> None:
        """
        Linux' own C{usbip} lists the phones, and is told of one that is not there.
        """
        port = str(self.start("--count", "2"))
        listed = self.runTool(self.process, "usbip", "--tcp-port", port, "list", "-r", "127.0.0.1")
        self.assertEqual(
            re.findall(r"(\d-\d): .*\((.*)\)", listed.stdout), [("1-1", PHONE), ("1-2", PHONE)]
        )
        attach = ("--tcp-port", port, "attach", "-r", "127.0.0.1", "-b", "9-9")
        self.assertIn("Device not found", self.runTool(self.process, "usbip", *attach).stderr)

    def test_control(self) -> None:
        """
        The phone can be pulled out under a host's hands and plugged in again, by
        the control socket; C{quit} is a clean end.
        """
        port = self.start("--unplugged")
        self.assertEqual(self.connect(port).list(), [])
        self.assertEqual(self.command("plug"), "1-1")
        host = self.configured(port)
        read = host.submit(MUX_IN, IN, 16384)
        # The answer to another transfer: the read is there by now.
        host.control(0x80, 8, 0, 1)
        self.assertEqual(self.command("unplug -71"), "ok")
        self.assertEqual(host.wait(read), (-71, b""))
        self.assertEqual(host.socket.recv(1), b"")
        self.assertEqual(self.connect(port).list(), [])
        self.assertEqual(self.command("replug"), "1-1")
        self.configured(port)
        self.assertEqual(self.command("quit"), "ok")
        self.assertEqual(self.process.wait(), 0)
        self.assertLeftNothing(self.process)

    def test_twist(self) -> None:
        """
        C{twist} runs it as well; a host that has a phone when it is stopped loses
        its connection.
        """
        port = self.start("--mode", "3", runner=TWIST)
        host = self.configured(port)
        self.assertEqual(self.command("stats")["mode"], 3)
        self.stop(self.process, signal.SIGINT)
        self.assertEqual(host.socket.recv(1), b"")

    def test_strangers(self) -> None:
        """
        Whoever speaks something else is disconnected, costs one line each, and
        keeps nobody from the phone.
        """
        port = self.start()
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", bytes(48), b"\xff" * 4096):
            stranger = self.connect(port)
            stranger.socket.sendall(garbage)
            try:
                self.assertEqual(stranger.socket.recv(1), b"")
            except ConnectionResetError:
                # There was more than it has read.
                pass
        host = self.configured(port)
        host.socket.sendall(b"\xff" * 48)
        with self.assertRaises((EOFError, ConnectionResetError)):
            host._take(1)
        self.waitFor(self.process, "command 0xffffffff, expected SUBMIT or UNLINK")
        self.assertEqual(self.process.log().count("USB/IP with 127.0.0.1"), 4)
        self.configured(port)

    def test_notPossible(self) -> None:
        """
        A start that cannot succeed is one line and status 1.
        """
        if os.path.exists("/sys/devices/platform/vhci_hcd.0"):
            self.missing("there is a vhci_hcd here")
        process = self.makeDaemon()
        process.run("iphone", "--vhci")
        self.assertEqual(process.wait(), 1)
        log = process.log()
        self.assertIn("modprobe vhci-hcd", log)
        self.assertNotIn("Traceback", log)
