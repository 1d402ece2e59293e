# -*- test-case-name: tests.integration.test_examples -*-
"""
The programs of F{docs/examples/} run.
"""

from __future__ import annotations

import subprocess
import sys

from tests.integration.conversation import PATIENCE
from tests.integration.daemon import PROJECT, DaemonTestCase

EXAMPLES = PROJECT / "docs" / "examples"
FIRST = "00008110-000A1B2C3D4E5F60"
SECOND = "00008110-000A1B2C3D4E5F61"
TIME = r"\w+ \w+ +\d+ \d+:\d+:\d+ \d+"


class ExampleTests(DaemonTestCase):
    """
    Tests of F{docs/examples/}.
    """

    def run_(self, name: str, *words: str, environment: dict[str, str]) -> tuple[int, str, str]:
        """
        Run an example to its end.

        @return: its exit status, and what it printed, good and bad.
        """
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / name), *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def test_embed(self) -> None:
        """
        C{embed.py} meets two phones of its own.
        """
        environment = self.makeDaemon().environment
        status, text, trouble = self.run_("embed.py", environment=environment)
        self.assertEqual((status, trouble), (0, ""))
        # In the order in which they have answered.
        lines = "\n".join(sorted(text.splitlines()))
        self.assertRegex(lines, rf"\A{FIRST}: {TIME}\n{SECOND}: {TIME}\Z")

    def test_script(self) -> None:
        """
        C{script.py} lists the phones, and asks one for the time, if it is clear
        which.
        """
        environment = self.startDaemon(phones=2).environment
        status, text, trouble = self.run_("script.py", FIRST, environment=environment)
        self.assertEqual((status, trouble), (0, ""))
        self.assertRegex(text, rf"\A{FIRST} \(USB\)\n{SECOND} \(USB\)\n{TIME}\n\Z")
        status, _, trouble = self.run_("script.py", environment=environment)
        self.assertEqual(status, 1)
        self.assertIn("choose one by its UDID", trouble)

    def test_observe(self) -> None:
        """
        C{observe.py} visits a phone that is there.
        """
        environment = self.startDaemon().environment
        with subprocess.Popen(
            [sys.executable, str(EXAMPLES / "observe.py")],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            self.addCleanup(process.kill)
            assert process.stdout is not None
            self.assertRegex(process.stdout.readline(), rf"\A{TIME}\n\Z")
            process.terminate()
