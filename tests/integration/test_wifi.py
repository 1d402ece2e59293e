# -*- test-case-name: tests.integration.test_wifi -*-
"""
Phones on another host of a network: two network namespaces, real multicast, and programs that
were not written here.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from unittest import SkipTest

from tests.integration.daemon import TWISTD, Daemon, DaemonTestCase
from tests.integration.phoneclients import PLACE, PROGRAMS

OURS = ("10.213.7.1", "10.213.8.1")
THEIRS = ("10.213.7.2", "10.213.8.2")
OTHERS = ("10.213.7.3", "10.213.7.4")
"""Addresses on the first of both links, and the second."""

PATIENCE = 90.0

ASK = """
import plistlib, socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 30) as phone:
    data = plistlib.dumps({"Request": "QueryType", "Label": "test"})
    phone.sendall(len(data).to_bytes(4, "big") + data)
    size = int.from_bytes(phone.recv(4, socket.MSG_WAITALL), "big")
    print(plistlib.loads(phone.recv(size, socket.MSG_WAITALL))["Type"])
"""
"""What a program says to lockdownd."""


IMPATIENT = """\
from muxd.phone.services import heartbeat
from muxd.wifi import phone, session, source
from twisted.scripts.twistd import run
heartbeat.INTERVAL = 1
phone.TRY_AGAIN = 0.5
session.ANSWER = 3.0
source.AGAIN = 2.0
run()
"""
"""A C{twistd} of which phones ask often, and that does not wait long for them."""


class NetworkCase(DaemonTestCase):
    """
    A network of two hosts, which two links join: one for the daemon, and one for the phones.
    """

    def setUp(self) -> None:
        """
        Make the network.
        """
        super().setUp()
        if shutil.which("ip") is None or os.geteuid() != 0:
            raise SkipTest("ip and root are needed to make networks")
        name = f"muxd{os.getpid() % 100000}"
        self.here, self.there = f"{name}a", f"{name}b"
        try:
            for each in (self.here, self.there):
                self.ip("netns", "add", each)
                self.addCleanup(self.ip, "netns", "del", each)
        except subprocess.CalledProcessError as error:
            raise SkipTest(f"networks cannot be made here: {error.stderr}") from error
        for number, addresses in enumerate(zip(OURS, THEIRS, strict=True)):
            near, far = f"{name}v{number}", f"{name}w{number}"
            self.ip(
                *("link", "add", near, "netns", self.here),
                *("type", "veth", "peer", "name", far, "netns", self.there),
            )
            for place, link, address in zip(
                (self.here, self.there), (near, far), addresses, strict=True
            ):
                self.ip("-n", place, "addr", "add", f"{address}/24", "dev", link)
                self.ip("-n", place, "link", "set", link, "up")
        for place in (self.here, self.there):
            self.ip("-n", place, "link", "set", "lo", "up")
        for address in OTHERS:
            self.ip("-n", self.there, "addr", "add", f"{address}/24", "dev", f"{name}w0")

    def ip(self, *words: str) -> None:
        """
        Run C{ip}.
        """
        subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=30)

    runner: Sequence[str] = TWISTD

    def runIn(self, place: str, daemon: Daemon, *words: str) -> None:
        """
        Start a daemon in a network.
        """
        with daemon._log.open("ab") as log:
            daemon.process = subprocess.Popen(
                ["ip", "netns", "exec", place, sys.executable, *self.runner, *words],
                cwd=daemon.directory,
                env=daemon.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def askIn(self, place: str, daemon: Daemon, *words: str) -> str:
        """
        What a program says that is run in a network.
        """
        self.tool(words[0])
        done = subprocess.run(
            ["ip", "netns", "exec", place, *words],
            env=daemon.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        return done.stdout

    def cutLoose(self, *addresses: str, style: str = "tags") -> tuple[list[str], Daemon]:
        """
        Have phones pair by a cable, and then be on the network alone.

        @param addresses: Of each.
        @param style: How they announce themselves.
        @return: their UDIDs, and the daemon.
        """
        self.phones, daemon = self.makeDaemon(), self.makeDaemon()
        self.state = str(self.makeDirectory())
        cable = str(self.phones.directory / "usbip")
        self.phonesAt(addresses, style)
        self.runIn(
            self.here,
            daemon,
            *("usbmuxd", "--source", f"usbip:unix={cable}", "--source", "wifi"),
            *daemon.arguments,
        )
        udids = sorted(daemon.devices(len(addresses)))
        for udid in udids:
            self.waitFor(daemon, f"{udid} trusts this computer")
        self.stop(self.phones)
        for udid in udids:
            self.waitFor(daemon, f"{udid} detached")
        self.move(addresses, style)
        for udid, address in zip(udids, addresses, strict=True):
            self.waitFor(daemon, f"{udid} attached as device [0-9]+: phone at {address}")
        return udids, daemon

    def phonesAt(self, addresses: Sequence[str], style: str = "tags") -> None:
        """
        Start phones at these addresses.
        """
        words = ["--usbip", f"unix:{self.phones.directory / 'usbip'}", "--state", self.state]
        words += ["--count", str(len(addresses)), "--wifi-style", style]
        for address in addresses:
            words += ["--wifi", address]
        self.runIn(self.there, self.phones, "iphone", *words)
        self.waitFor(self.phones, "listening on unix")

    def move(self, addresses: Sequence[str], style: str = "tags") -> None:
        """
        The same phones are at other addresses, on no cable.
        """
        self.phones = self.makeDaemon()
        self.phonesAt(addresses, style)

    def gone(self, daemon: Daemon, udid: str, times: int) -> None:
        """
        Wait until a daemon has lost a phone so many times.
        """
        end = time.monotonic() + PATIENCE
        while daemon.log().count(f"{udid} detached") < times and time.monotonic() < end:
            time.sleep(0.5)
        self.assertEqual(daemon.log().count(f"{udid} detached"), times)
        self.assertEqual(self.askIn(self.here, daemon, "idevice_id", "-n"), "")


class WifiTests(NetworkCase):
    """
    Simulated phones that are paired by a cable and then on the network alone.
    """

    def test_paired(self) -> None:
        """
        A phone that was paired by a cable is found by what it announces, listed as one on the
        network, and reached there by a program that dials its address; when it goes it is
        gone.
        """
        (udid,), daemon = self.cutLoose(THEIRS[0])
        self.assertEqual(self.askIn(self.here, daemon, "idevice_id", "-n").split(), [udid])
        self.assertEqual(self.askIn(self.here, daemon, "idevice_id", "-l"), "")
        told = self.askIn(self.here, daemon, "ideviceinfo", "-n", "-k", "UniqueDeviceID")
        self.assertEqual(told.strip(), udid)
        self.stop(self.phones)
        self.gone(daemon, udid, 2)
        self.stop(daemon)

    def test_private(self) -> None:
        """
        One from before iOS 26.4, under a random address that no record has, is found by the
        name that it told on the cable.
        """
        (udid,), daemon = self.cutLoose(THEIRS[0], style="private")
        self.assertEqual(self.askIn(self.here, daemon, "idevice_id", "-n").split(), [udid])

    def test_several(self) -> None:
        """
        Several phones are told apart, also when each has the address that another had before, and
        when one has gone to another network.
        """
        udids, daemon = self.cutLoose(THEIRS[0], *OTHERS)
        self.assertEqual(sorted(self.askIn(self.here, daemon, "idevice_id", "-n").split()), udids)
        for addresses in (
            (OTHERS[1], THEIRS[0], OTHERS[0]),
            (THEIRS[1], THEIRS[0], OTHERS[0]),
        ):
            before = self.phones
            # Without a word, as one that leaves a network.
            before.kill()
            self.move(addresses)
            for udid, address in zip(udids, addresses, strict=True):
                pattern = f"{udid} attached as device [0-9]+: phone at {address}"
                self.waitFor(daemon, f"(?s){pattern}(?!.*{udid} detached)")
            for udid in udids:
                self.assertEqual(self.toldBy(daemon, udid), udid)

    def toldBy(self, daemon: Daemon, udid: str) -> str:
        """
        Which phone a program reaches that asks for this one.  One that has the address that it
        had before may be lost for a moment yet, while others are there already.
        """
        told = ""
        end = time.monotonic() + PATIENCE
        while not told and time.monotonic() < end:
            told = self.askIn(
                self.here, daemon, "ideviceinfo", "-n", "-u", udid, "-k", "UniqueDeviceID"
            )
        return told.strip()

    def test_asleep(self) -> None:
        """
        A phone that sleeps without a word is gone after three tries, and there again when it
        wakes.  Both sides are less patient than usual, which would take a minute.
        """
        self.runner = ("-c", IMPATIENT, *TWISTD[2:])
        (udid,), daemon = self.cutLoose(THEIRS[0])
        assert self.phones.process is not None
        os.kill(self.phones.process.pid, signal.SIGSTOP)
        try:
            self.gone(daemon, udid, 2)
        finally:
            os.kill(self.phones.process.pid, signal.SIGCONT)
        self.assertIn(udid, daemon.devices(1))

    def test_clients(self) -> None:
        """
        C{iproxy} dials the address of a phone; go-ios and pymobiledevice3 reach it by Connect.
        """
        (udid,), daemon = self.cutLoose(THEIRS[0])
        proxy = self.makeDaemon()
        with proxy._log.open("ab") as log:
            process = proxy.process = subprocess.Popen(
                ["ip", "netns", "exec", self.here, self.tool("iproxy"), "-n", "2222:62078"],
                env=daemon.environment,
                stdout=log,
                stderr=log,
            )
        try:
            said = ""
            end = time.monotonic() + PATIENCE
            while "lockdown" not in said and time.monotonic() < end:
                said = self.askIn(self.here, daemon, sys.executable, "-c", ASK, "2222")
        finally:
            process.kill()
            process.wait()
        self.assertEqual(said.strip(), "com.apple.mobile.lockdown")
        for name, words in (
            ("ios", ("info", f"--udid={udid}")),
            ("pymobiledevice3", ("lockdown", "info", "--udid", udid)),
        ):
            path = PLACE / PROGRAMS[name]
            if not path.exists():
                continue
            done = subprocess.run(
                ["ip", "netns", "exec", self.here, str(path), *words],
                env={**daemon.environment, "USBMUXD_SOCKET_ADDRESS": daemon.socket},
                capture_output=True,
                text=True,
                check=False,
                timeout=PATIENCE,
            )
            self.assertIn(udid, done.stdout, f"{name}: {done.stderr}")
