"""
Tests of F{docs/firststeps.py}, which C{make run} runs.
"""

from __future__ import annotations

import re
import shlex
import socket
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

import muxd

SCRIPT = Path(muxd.__file__).parents[1] / "docs" / "firststeps.py"


def load() -> Any:
    """
    The script as a module.

    @raise SkipTest: There is no source tree.
    """
    spec = spec_from_file_location("firststeps", SCRIPT)
    if not SCRIPT.exists() or spec is None or spec.loader is None:
        raise SkipTest("these tests need the source tree")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class FirstStepsTests(SynchronousTestCase):
    """
    What is printed before the daemon starts.
    """

    def setUp(self) -> None:
        """
        Load it.
        """
        self.script = load()

    def test_quoted(self) -> None:
        """
        A shell takes what is printed in any directory, with spaces, quotes and umlauts.
        """
        for directory in (Path("/tmp/x"), Path("/tmp/my phone's Größe $1")):
            text = self.script.steps(directory, "run/s", 27015)
            self.assertNotIn("@", text)
            (export,) = re.findall(r"^ +export (.*)$", text, re.MULTILINE)
            self.assertEqual(shlex.split(export), ["USBMUXD_SOCKET_ADDRESS=127.0.0.1:27015"])
            (program,) = re.findall(r"python3 -c '.*?' .*?$", text, re.MULTILINE | re.DOTALL)
            words = shlex.split(program)
            self.assertEqual(words[-1], str(directory / "run/s"))
            compile(words[2], "first-steps", "exec")

    def test_port(self) -> None:
        """
        The port that is wanted is taken if it is free, and another one if it is not.
        """
        free = self.script.freePort(0)
        self.assertEqual(self.script.freePort(free), free)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            self.assertNotIn(self.script.freePort(port), (0, port))

    def test_commands(self) -> None:
        """
        The commands of ours that are printed exist, and nothing of what a bare system has
        not.
        """
        text = self.script.TEXT.read_text()
        self.assertNotRegex(text, r"\bnc\b")
        for command in re.findall(r"muxctl (\w+)", text):
            if command != "relay":
                self.assertIn(command, {"list", "watch", "connect"}, sys.path)
