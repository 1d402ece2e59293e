"""
What tests of fleets in processes have in common: commands of C{muxctl}, and jobs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from tests.integration.conversation import PATIENCE
from tests.integration.daemon import PROJECT, DaemonTestCase


class FleetCase(DaemonTestCase):
    """
    Tests of a fleet.
    """

    def words(self, hub: str, *words: str) -> list[str]:
        """
        A command of C{muxctl}.
        """
        return [sys.executable, "-m", "muxd.muxctl", *words[:1], "--hub", hub, *words[1:]]

    def muxctl(self, hub: str, *words: str) -> subprocess.CompletedProcess[str]:
        """
        Run one to its end.
        """
        return subprocess.run(
            self.words(hub, *words),
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def listed(self, hub: str) -> list[dict[str, Any]]:
        """
        What C{muxctl fleet list} says.
        """
        lines = self.muxctl(hub, "fleet", "list", "--json").stdout.splitlines()
        return [json.loads(line) for line in lines]

    def until(self, condition: Callable[[], bool]) -> None:
        """
        Wait until something is so.
        """
        end = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end, "it does not become so")
            time.sleep(0.05)

    def job(self, hub: str, *words: str) -> subprocess.Popen[str]:
        """
        A job that has a phone, and goes on until its standard input ends.
        """
        script = 'echo "$USBMUXD_SOCKET_ADDRESS"; read line; exit 7'
        job = subprocess.Popen(
            self.words(hub, "reserve", *words, "--", "sh", "-c", script),
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(self.endJob, job)
        assert job.stdout is not None
        self.assertIn("UNIX:", job.stdout.readline())
        return job

    def endJob(self, job: subprocess.Popen[str]) -> int:
        """
        Let a job end.

        @return: its exit status.
        """
        assert job.stdin is not None and job.stdout is not None
        job.stdin.close()
        job.stdout.close()
        return job.wait(PATIENCE)
