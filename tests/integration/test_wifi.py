# -*- test-case-name: tests.integration.test_wifi -*-
"""
A phone on another host of a network: two network namespaces, real multicast, and programs
that were not written here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from unittest import SkipTest

from tests.integration.daemon import TWISTD, Daemon, DaemonTestCase

OURS, THEIRS = "10.213.7.1", "10.213.7.2"
PATIENCE = 60.0


class WifiTests(DaemonTestCase):
    """
    A simulated phone that is paired by a cable and then on the network alone.
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
        near, far = f"{name}v", f"{name}w"
        try:
            for each in (self.here, self.there):
                self.ip("netns", "add", each)
                self.addCleanup(self.ip, "netns", "del", each)
        except subprocess.CalledProcessError as error:
            raise SkipTest(f"networks cannot be made here: {error.stderr}") from error
        self.ip(
            *("link", "add", near, "netns", self.here),
            *("type", "veth", "peer", "name", far, "netns", self.there),
        )
        for place, link, address in ((self.here, near, OURS), (self.there, far, THEIRS)):
            self.ip("-n", place, "addr", "add", f"{address}/24", "dev", link)
            for each in ("lo", link):
                self.ip("-n", place, "link", "set", each, "up")
            self.ip("-n", place, "route", "add", "224.0.0.0/4", "dev", link)

    def ip(self, *words: str) -> None:
        """
        Run C{ip}.
        """
        subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=30)

    def runIn(self, place: str, daemon: Daemon, *words: str) -> None:
        """
        Start a daemon in a network.
        """
        with daemon._log.open("ab") as log:
            daemon.process = subprocess.Popen(
                ["ip", "netns", "exec", place, sys.executable, *TWISTD, *words],
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

    def test_paired(self) -> None:
        """
        A phone that was paired by a cable is found by what it announces, listed as one on the
        network, and reached there by a program that dials its address; when it goes it is
        gone.
        """
        udid, phone, daemon = self.cutLoose("tags")
        self.assertEqual(self.askIn(self.here, daemon, "idevice_id", "-n").split(), [udid])
        self.assertEqual(self.askIn(self.here, daemon, "idevice_id", "-l"), "")
        told = self.askIn(self.here, daemon, "ideviceinfo", "-n", "-k", "UniqueDeviceID")
        self.assertEqual(told.strip(), udid)
        self.stop(phone)
        end = time.monotonic() + PATIENCE
        while daemon.devices(0) and time.monotonic() < end:
            time.sleep(0.5)
        self.assertEqual(daemon.devices(0), {})
        self.stop(daemon)

    def test_private(self) -> None:
        """
        One from before iOS 26.4, under a random address that no record has, is found by the
        name that it told on the cable.
        """
        udid, _, daemon = self.cutLoose("private")
        self.assertEqual(self.askIn(self.here, daemon, "idevice_id", "-n").split(), [udid])

    def cutLoose(self, style: str) -> tuple[str, Daemon, Daemon]:
        """
        Have a phone pair by a cable, and then be on the network alone.

        @param style: How it announces itself.
        @return: its UDID, it, and the daemon.
        """
        phone, daemon = self.makeDaemon(), self.makeDaemon()
        cable = str(phone.directory / "usbip")
        announcing = ["--wifi", THEIRS, "--wifi-style", style]
        announcing += ["--state", str(self.makeDirectory())]
        self.runIn(self.there, phone, "iphone", "--usbip", f"unix:{cable}", *announcing)
        self.waitFor(phone, "listening on unix")
        self.runIn(
            self.here,
            daemon,
            *("usbmuxd", "--source", f"usbip:unix={cable}", "--source", "wifi"),
            *daemon.arguments,
        )
        self.waitFor(daemon, "trusts this computer")
        (udid,) = daemon.devices()
        self.stop(phone)
        self.waitFor(daemon, "is lost")
        # The same phone, and a cable that leads nowhere.
        phone = self.makeDaemon()
        loose = str(phone.directory / "usbip")
        self.runIn(self.there, phone, "iphone", "--usbip", f"unix:{loose}", *announcing)
        self.waitFor(daemon, f"attached as device [0-9]+: phone at {THEIRS}")
        return udid, phone, daemon
