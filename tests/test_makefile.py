"""
Tests of the F{Makefile}: what becomes of a Python that cannot make environments.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

import muxd
from tests.running.processes import startsProcesses

PROJECT = Path(muxd.__file__).parents[1]

WITHOUT_VENV = f"""\
#!/bin/sh
case "$*" in
    *venv*) mkdir -p .venv/bin; ln -sf {sys.executable} .venv/bin/python
        echo "ensurepip is not available" >&2; exit 1;;
esac
exec {sys.executable} "$@"
"""


@startsProcesses
class EnvironmentTests(SynchronousTestCase):
    """
    C{make .venv/bin/pip}, on which C{make run} and C{make test} depend.
    """

    def setUp(self) -> None:
        """
        A directory with the Makefile, and a Debian without python3-venv.
        """
        if not (PROJECT / "Makefile").exists() or shutil.which("make") is None:
            raise SkipTest("these tests need the source tree, and make")
        self.directory = Path(self.mktemp()).resolve() / "my project"
        self.directory.mkdir(parents=True)
        for name in ("Makefile", "setup.cfg", "pyproject.toml"):
            shutil.copy(PROJECT / name, self.directory)
        self.python = self.directory / "python"
        self.python.write_text(WITHOUT_VENV)
        self.python.chmod(0o755)

    def make(self, python: str) -> subprocess.CompletedProcess[str]:
        """
        Make the environment.
        """
        environment = {key: value for key, value in os.environ.items() if key != "MAKEFLAGS"}
        return subprocess.run(
            ["make", ".venv/bin/pip", f"PYTHON={python}"],
            check=False,
            cwd=self.directory,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def test_package(self) -> None:
        """
        A Python without venv is told of by the package's name, and leaves no wreck; when
        the package has been installed, make goes on.
        """
        for _ in range(2):
            done = self.make("./python")
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("apt install python3-venv", done.stdout)
            self.assertFalse((self.directory / ".venv").exists())
        done = self.make(sys.executable)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue((self.directory / ".venv" / "bin" / "pip").exists())

    def test_wreck(self) -> None:
        """
        What an earlier attempt has left behind is removed.
        """
        bin_ = self.directory / ".venv" / "bin"
        bin_.mkdir(parents=True)
        os.symlink(sys.executable, bin_ / "python")
        done = self.make(sys.executable)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue((bin_ / "pip").exists())
