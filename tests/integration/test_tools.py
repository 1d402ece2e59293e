# -*- test-case-name: tests.integration.test_tools -*-
"""
The tools of libimobiledevice and libusbmuxd with the daemon.
"""

from __future__ import annotations

import calendar
import hashlib
import plistlib
import random
import socket
import subprocess
import time
from typing import Any

from tests.integration.conversation import PATIENCE
from tests.integration.daemon import DaemonTestCase

FIRST = "00008110-000A1B2C3D4E5F60"
SECOND = "00008110-000A1B2C3D4E5F61"
ECHO, DISCARD, DAYTIME, CHARGEN = 7, 9, 13, 19
NOBODY = 4
"""A port of the phones with nobody behind it."""

MIB = 1 << 20
BULK = 256 * MIB
IN_FLIGHT = 64 << 10
"""
C{iproxy} copies both ways in one thread.  If both ways are full, it waits for
itself, and drops what it could not send within a second.
"""
PAIRING_DIALOG = "error code -19"
"""libimobiledevice's LOCKDOWN_E_PAIRING_DIALOG_RESPONSE_PENDING."""


class InformationTests(DaemonTestCase):
    """
    Two phones are attached; libimobiledevice's tools find them and ask them who
    they are.
    """

    def setUp(self) -> None:
        """
        The daemon.
        """
        self.daemon = self.sharedDaemon(phones=2, trust="ask")

    def test_list(self) -> None:
        """
        C{idevice_id -l} lists the phones on USB.
        """
        lines = self.output(self.daemon, "idevice_id", "-l").splitlines()
        self.assertEqual(sorted(lines), [FIRST, SECOND])

    def test_listNetwork(self) -> None:
        """
        C{idevice_id -n} lists the phones on Wi-Fi, and there are none.
        """
        self.assertEqual(self.output(self.daemon, "idevice_id", "-n"), "")

    def test_information(self) -> None:
        """
        C{ideviceinfo -s} shows what a phone tells a host that it does not know.
        """
        lines = self.output(self.daemon, "ideviceinfo", "-u", SECOND, "-s").splitlines()
        for line in (
            f"UniqueDeviceID: {SECOND}",
            "DeviceName: Simulated iPhone 2",
            "ProductType: iPhone14,5",
            "HostAttached: true",
        ):
            self.assertIn(line, lines)

    def test_key(self) -> None:
        """
        C{ideviceinfo -s -k} shows one value, C{-q} those of a domain, C{-x} a
        property list.
        """
        ask = ("ideviceinfo", "-u", FIRST, "-s")
        self.assertEqual(self.output(self.daemon, *ask, "-k", "ProductVersion"), "15.4.1\n")
        battery = self.output(self.daemon, *ask, "-q", "com.apple.mobile.battery")
        self.assertIn("BatteryCurrentCapacity: 80\n", battery)
        values: dict[str, Any] = plistlib.loads(self.output(self.daemon, *ask, "-x").encode())
        self.assertEqual(values["UniqueDeviceID"], FIRST)

    def test_unknownPhone(self) -> None:
        """
        A phone that is not there is not found.
        """
        done = self.runTool(self.daemon, "ideviceinfo", "-u", FIRST[:-1] + "9", "-s")
        self.assertEqual(done.returncode, 255)
        self.assertIn("not found", done.stdout + done.stderr)

    def test_name(self) -> None:
        """
        C{idevicename} insists on a pairing, and so is told that the phone waits
        for its owner to agree to it.
        """
        done = self.runTool(self.daemon, "idevicename", "-u", FIRST)
        self.assertIn(PAIRING_DIALOG, done.stdout + done.stderr)

    def test_pair(self) -> None:
        """
        C{idevicepair pair} is told the same.
        """
        done = self.runTool(self.daemon, "idevicepair", "-u", FIRST, "pair")
        self.assertIn("accept the trust dialog", done.stdout + done.stderr)


class ProxyTests(DaemonTestCase):
    """
    C{iproxy} takes TCP connections to a phone.
    """

    def setUp(self) -> None:
        """
        The daemon.
        """
        self.daemon = self.sharedDaemon()

    def test_echo(self) -> None:
        """
        256 MiB to the echo service come back as they were.
        """
        noise = random.Random(7)
        sent, received = hashlib.sha256(), hashlib.sha256()
        ahead = b""
        begun = count = 0
        with self.connect(ECHO) as stream:
            while count < BULK:
                if not ahead and begun < BULK:
                    ahead = noise.randbytes(MIB)
                    sent.update(ahead)
                    begun += MIB
                way = IN_FLIGHT - (begun - len(ahead) - count)
                if ahead and way:
                    ahead = ahead[stream.send(ahead[:way]) :]
                chunk = stream.recv(MIB)
                if not chunk:
                    break
                received.update(chunk)
                count += len(chunk)
        self.assertEqual((count, received.hexdigest()), (BULK, sent.hexdigest()))

    def test_refused(self) -> None:
        """
        A port of the phone that refuses is a connection that is closed at once,
        and the next one is none the worse for it.
        """
        begun = time.monotonic()
        with self.connect(NOBODY) as stream:
            self.assertEqual(stream.recv(1), b"")
        self.assertLess(time.monotonic() - begun, PATIENCE / 4)
        with self.connect(ECHO) as stream:
            stream.sendall(b"still there")
            self.assertEqual(stream.recv(64), b"still there")

    def test_discard(self) -> None:
        """
        The discard service takes all there is and says nothing.
        """
        with self.connect(DISCARD) as stream:
            stream.sendall(bytes(4 * MIB))
            stream.setblocking(False)
            self.assertRaises(BlockingIOError, stream.recv, 1)

    def test_chargen(self) -> None:
        """
        The chargen service goes on until the client hangs up, and then the
        phone's session ends, too.
        """
        with self.connect(CHARGEN) as stream:
            received = bytearray()
            while len(received) < 4 * MIB:
                received += stream.recv(65536)
        line = bytes(received[: bytes(received).index(received[:1], 1)])
        self.assertGreater(len(line), 10)
        whole = len(received) // len(line) * len(line)
        self.assertTrue(bytes(received[:whole]) == line * (whole // len(line)))

    def connect(self, port: int) -> socket.socket:
        """
        A connection to a port of the phone, through C{iproxy}.
        """
        iproxy = self.tool("iproxy")
        while True:
            with socket.create_server(("127.0.0.1", 0)) as free:
                local = free.getsockname()[1]
            # Somebody may take it before iproxy does; then iproxy ends.
            process = subprocess.Popen(
                [iproxy, f"{local}:{port}"],
                env=self.daemon.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            self.addCleanup(process.wait, PATIENCE)
            self.addCleanup(process.kill)
            while process.poll() is None:
                try:
                    stream = socket.create_connection(("127.0.0.1", local), PATIENCE)
                except ConnectionRefusedError:
                    time.sleep(0.01)
                else:
                    self.addCleanup(stream.close)
                    return stream


class CatTests(DaemonTestCase):
    """
    C{inetcat} joins a phone's port with its standard input and output.
    """

    def test_daytime(self) -> None:
        """
        The daytime service says what time it is and hangs up; all of it
        arrives.
        """
        daemon = self.sharedDaemon()
        # It ends with its standard input, too; so that must stay open.
        with subprocess.Popen(
            [self.tool("inetcat"), "-u", FIRST, str(DAYTIME)],
            env=daemon.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            text = process.stdout.read()
        told = calendar.timegm(time.strptime(text, "%a %b %d %H:%M:%S %Y\n"))
        self.assertLess(abs(time.time() - told), PATIENCE)

    def test_refused(self) -> None:
        """
        A port that refuses is an error, told at once.
        """
        daemon = self.sharedDaemon()
        done = self.runTool(daemon, "inetcat", "-u", FIRST, str(NOBODY))
        self.assertEqual(done.returncode, 1)
        self.assertIn("Error connecting to device", done.stdout + done.stderr)
