# -*- test-case-name: tests.muxctl.test_wireless -*-
"""
Tests of L{muxd.muxctl.wireless}: a daemon in a process of its own, with a simulated phone.
"""

from __future__ import annotations

import os
import subprocess
import sys
from unittest import SkipTest

from tests.integration.conversation import PATIENCE
from tests.integration.daemon import Daemon, DaemonTestCase

KEY = ("-q", "com.apple.mobile.wireless_lockdown", "-k", "EnableWifiConnections")


class WirelessTests(DaemonTestCase):
    """
    A phone that trusts this computer.
    """

    def setUp(self) -> None:
        """
        Start a daemon.
        """
        super().setUp()
        try:
            import OpenSSL  # noqa: F401
        except ImportError:
            raise SkipTest("pyOpenSSL is not installed") from None

    def muxctl(self, daemon: Daemon, *words: str) -> subprocess.CompletedProcess[str]:
        """
        Run C{muxctl}.
        """
        return subprocess.run(
            [sys.executable, "-m", "muxd.muxctl", *words],
            env={**os.environ, **daemon.environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def test_switched(self) -> None:
        """
        It is switched on and off, which other programs see; what is refused is said.
        """
        daemon = self.startDaemon()
        self.waitFor(daemon, "trusts this computer")
        (udid,) = daemon.devices()
        for action, text, value in (
            ("on", "is reached by the network from now on", "true"),
            ("off", "is not reached by the network any more", "false"),
        ):
            done = self.muxctl(daemon, "wifi", action, udid)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn(text, done.stdout)
            self.assertEqual(self.output(daemon, "ideviceinfo", *KEY).strip(), value)
        done = self.muxctl(daemon, "--json", "wifi", "on", udid)
        self.assertEqual(done.stdout, f'{{"udid": "{udid}", "wifi": true}}\n')
        done = self.muxctl(daemon, "wifi", "on", "00008110-0000000000000000")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        done = self.muxctl(daemon, "-s", "/none", "wifi", "on", udid)
        self.assertEqual((done.returncode, done.stdout), (3, ""))
