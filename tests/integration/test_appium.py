# -*- test-case-name: tests.integration.test_appium -*-
"""
Appium's library for iPhones, C{appium-ios-remotexpc}, in the tunnel of a simulated phone.

Its own tunnel is an interface of the kernel, for root.  C{muxctl relay} brings the services' ports
to this machine instead, and the library's registry of tunnels tells of them.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import SkipTest

from bench.daemons import freePort
from tests.integration.conversation import PATIENCE
from tests.integration.daemon import PROJECT
from tests.integration.phoneclients import ONE, PLACE, TWO, UDID
from tests.integration.test_tunnelclients import TunnelCase

PACKAGE = PLACE / "appium" / "node_modules" / "appium-ios-remotexpc"
SCRIPT = PROJECT / "tests" / "integration" / "appium.mjs"


class AppiumTests(TunnelCase):
    """
    Services that it uses.
    """

    def does(self, *wanted: str) -> dict[str, Any]:
        """
        What it gets, by the names of F{appium.mjs}.
        """
        if not PACKAGE.exists():
            raise SkipTest(f"there is no {PACKAGE}: .ci/clients")
        with self.relayed() as ports:
            done = subprocess.run(
                [self.tool("node"), str(SCRIPT), str(PACKAGE), UDID, json.dumps(ports), *wanted],
                cwd=self.here,
                env={
                    **os.environ,
                    "HOME": str(self.here),
                    "XDG_DATA_HOME": str(self.here),
                    "REGISTRY_PORT": str(freePort()),
                    "APPIUM_IOS_REMOTEXPC_LOG_LEVEL": "error",
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=PATIENCE,
                check=False,
            )
        text = done.stdout.decode("utf-8", "replace")
        self.assertEqual(done.returncode, 0, text)
        answers: dict[str, Any] = json.loads(text.splitlines()[-1])
        return answers

    @contextmanager
    def relayed(self) -> Iterator[dict[str, int]]:
        """
        The ports of this machine that lead to the services, by name.
        """
        listed = self.run_("muxctl", "tunnel").splitlines()
        lines = (line.split() for line in listed if "  com.apple." in line)
        services = {name: number for number, name in lines}
        words = [f"rsd:{number}:0" for number in services.values()]
        process = self._begin("muxctl", "relay", "--json", "--address", "127.0.0.1", *words)
        assert process.stdout is not None
        try:
            ports: list[int] = []
            while len(ports) < len(words):
                line = process.stdout.readline()
                if not line:
                    self.fail("muxctl relay has ended")
                # Its log's lines are among them.
                told = json.loads(line)
                if "local" in told:
                    ports.append(told["local"])
            yield dict(zip(services, ports, strict=True))
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)

    def test_coredevice(self) -> None:
        """
        It reads what the phone is; lists apps, launches one, finds it among the processes, ends it,
        and is told that it has ended; and has the phone stay awake.
        """
        got = self.does("assertion", "info", "apps", f"launch:{ONE}", "uninstall:com.example.none")
        self.assertIn("One", got.pop("apps"))
        self.assertIn(ONE, got.pop("uninstall"))
        self.assertIn("com.apple.dt.CoreDeviceError", got["launch"].pop("again"))
        self.assertEqual(
            got,
            {
                "assertion": "created",
                "info": {
                    "osVersionNumber": "17.6",
                    "size": [1170, 2532],
                    "passcodeRequired": False,
                    "ProductType": "iPhone14,5",
                },
                "launch": {
                    "isRunning": True,
                    "ended": {"status": {"exitCode": 0, "wasCoreDumpCreated": False}},
                },
            },
        )

    def test_lockdown(self) -> None:
        """
        It copies a file of the phone's, writes one of an app's, and uses what else there is.
        """
        wanted = ("companion", "crashes", "diagnostics", "misagent", "mounter", "notifications")
        apps = (f"house:{ONE}", f"streamed:{self.package}", f"installation:{TWO}")
        got = self.does(*wanted, *apps, "afc", "pages", "springboard")
        self.assertIn("Voltage", got.pop("diagnostics"))
        self.assertIn("DCIM", got["afc"].pop("names"))
        self.assertEqual(
            got,
            {
                "afc": {"isWhole": True, "size": 3_000_000},
                "companion": [],
                "crashes": [],
                "house": "it is here",
                "installation": "Two",
                "misagent": [],
                "mounter": {"isMounted": False, "ChipID": 0x8110},
                "notifications": "com.example.noon",
                "pages": ["Safari"],
                "streamed": "installed",
                "springboard": {"orientation": 1, "icon": "PNG"},
            },
        )
