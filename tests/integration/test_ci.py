# -*- test-case-name: tests.integration.test_ci -*-
"""
The job of F{docs/examples/github-actions.yml} that needs neither root nor a kernel module, run as
GitHub's runner would.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from tests.integration.daemon import PROJECT, DaemonTestCase
from tests.test_ci import scripts, workflow

PATIENCE = 120.0
INSTALLING = ("pip install", "apt-get")


class WorkflowTests(DaemonTestCase):
    """
    A run of the job.
    """

    def test_program(self) -> None:
        """
        Each step of it ends well, one after the other, with what the ones before have put into
        the environment.
        """
        if find_spec("yaml") is None or shutil.which("ideviceinfo") is None:
            self.missing("PyYAML and libimobiledevice-utils are needed")
        directory = self.makeDirectory()
        exported = directory / "exported"
        exported.touch()
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "RUNNER_TEMP": str(directory),
            "GITHUB_ENV": str(exported),
        }
        steps = [
            script
            for script in scripts(workflow()["jobs"]["program"])
            if not any(words in script for words in INSTALLING)
        ]
        self.assertEqual(len(steps), 4)
        self.addCleanup(self._stop, directory)
        for script in steps:
            lines = exported.read_text().splitlines()
            environment |= dict(line.split("=", 1) for line in lines)
            with (directory / "output").open("w+b") as output:
                # As the runner does it; and what goes on in the background keeps no pipe open.
                done = subprocess.run(
                    ["bash", "-e", "-o", "pipefail", "-c", script],
                    cwd=PROJECT,
                    env=environment,
                    stdout=output,
                    stderr=output,
                    check=False,
                    timeout=PATIENCE,
                )
            said = (directory / "output").read_text()
            self.assertEqual(done.returncode, 0, f"{script}\n{said}")

    def _stop(self, directory: Path) -> None:
        """
        End the daemon that a step has left running, as the end of a job does.
        """
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if f"unix:{directory}/mux".encode() in (entry / "cmdline").read_bytes():
                    ending = os.pidfd_open(int(entry.name))
                    os.kill(int(entry.name), signal.SIGTERM)
                    select.select([ending], [], [], PATIENCE)
                    os.close(ending)
