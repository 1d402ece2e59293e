# -*- test-case-name: tests.testing.test_pytestplugin -*-
"""
Tests of the fixtures, in a pytest of their own; and of what F{docs/testing.md} shows.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

import muxd
from tests.running.processes import startsProcesses

PROJECT = Path(muxd.__file__).parent.parent
EXAMPLES = PROJECT / "docs" / "examples"
PATIENCE = 300
PLUGIN = "pytestplugin"

FAILING = """
import os
import pytest

@pytest.mark.muxd(count=1, udid="c" * 40)
def test_failing(simulated_phone):
    print("address", os.environ["USBMUXD_SOCKET_ADDRESS"])
    assert simulated_phone.udid == "another one's"

@pytest.mark.muxd(trust="perhaps")
def test_wrong(simulated_phone):
    pass
"""


@startsProcesses
class PytestCase(SynchronousTestCase):
    """
    What tests with pytest need.
    """

    def setUp(self) -> None:
        """
        Have a directory where pytest finds nothing of this project's.
        """
        if not EXAMPLES.exists():
            raise SkipTest("these tests need the source tree")
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()

    def run_(self, *words: str | Path) -> tuple[int, str]:
        """
        Run Python.

        @return: its exit status and what it printed.
        """
        environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, *map(str, words)],
            cwd=self.directory,
            env=environment,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
        )
        return done.returncode, done.stdout

    def pytest(self, *words: str | Path) -> tuple[int, str]:
        """
        Run pytest.
        """
        for package in ("pytest", "xdist"):
            if find_spec(package) is None:
                raise SkipTest(f"the package {package} is not installed")
        return self.run_("-m", "pytest", "-p", "no:cacheprovider", *words)


@startsProcesses
class PluginTests(PytestCase):
    """
    Tests of the plugin.
    """

    @startsProcesses
    def test_examples(self) -> None:
        """
        The examples pass, several at once, with no mark that is not known.
        """
        status, text = self.pytest("-n", "2", "--strict-markers", EXAMPLES / "test_phone.py")
        self.assertEqual(status, 0, text)
        self.assertIn("5 passed", text)

    @startsProcesses
    def test_failure(self) -> None:
        """
        The log of the daemon is shown with a test that fails, and a mark that makes no
        sense with what would.
        """
        (self.directory / "test_it.py").write_text(FAILING)
        status, text = self.pytest(self.directory)
        self.assertEqual(status, 1, text)
        self.assertIn("1 failed, 1 error", text)
        self.assertIn("address UNIX:/", text)
        self.assertIn("c" * 40 + " attached as device 1", text)
        self.assertIn("trust: expected ask, accept, deny, locked, got 'perhaps'", text)

    def test_light(self) -> None:
        """
        Pytest's runs of other projects import next to nothing of ours.
        """
        code = (
            "import sys, muxd.testing.pytestplugin\n"
            "print(sorted(n for n in sys.modules if n.startswith(('muxd', 'twisted', 'zope'))))"
        )
        expected = [
            "muxd",
            "muxd.build",
            "muxd.importing",
            "muxd.importing.faces",
            "muxd.testing",
            f"muxd.testing.{PLUGIN}",
        ]
        self.assertEqual(self.run_("-c", code), (0, f"{expected}\n"))


class DocumentTests(PytestCase):
    """
    Tests of F{docs/testing.md} and its examples.
    """

    def test_trial(self) -> None:
        """
        The examples for trial pass.
        """
        status, text = self.run_("-m", "twisted.trial", EXAMPLES / "test_application.py")
        self.assertEqual(status, 0, text)
        self.assertIn("PASSED (successes=2)", text)

    def test_excerpts(self) -> None:
        """
        What the page shows is in the examples, or runs as it is.
        """
        page = (PROJECT / "docs" / "testing.md").read_text()
        examples = "".join(path.read_text() for path in EXAMPLES.glob("test_*.py"))
        excerpts = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
        self.assertEqual(len(excerpts), 6)
        others = [excerpt for excerpt in excerpts if excerpt not in examples]
        self.assertEqual([other.partition("(")[0] for other in others], ["with Simulation"])
        status, text = self.run_("-c", f"from muxd.testing import Simulation\n{others[0]}")
        self.assertEqual(status, 0, text)
        self.assertIn("attached as device", text)
