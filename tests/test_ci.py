"""
Tests of the workflow in F{docs/examples/github-actions.yml}: it is one, and its commands are
understood; and of how F{.ci/run} does its steps.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.running.processes import startsProcesses
from tests.test_commands import PROJECT, commands, understand

WORKFLOW = PROJECT / "docs" / "examples" / "github-actions.yml"
STEPS = PROJECT / ".ci" / "steps"
PATIENCE = 60.0


def workflow() -> dict[str, Any]:
    """
    The workflow.

    @raise SkipTest: It cannot be read here.
    """
    if not WORKFLOW.exists():
        raise SkipTest("these tests need the source tree")
    if find_spec("yaml") is None:
        raise SkipTest("the package PyYAML is not installed")
    import yaml

    parsed: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())
    return parsed


def scripts(job: dict[str, Any]) -> list[str]:
    """
    What the steps of a job run, less those that run only when one has failed.
    """
    return [step["run"] for step in job["steps"] if "run" in step and "if" not in step]


class WorkflowTests(SynchronousTestCase):
    """
    Tests of the workflow.
    """

    def setUp(self) -> None:
        """
        Read it.
        """
        self.jobs = workflow()["jobs"]

    def test_steps(self) -> None:
        """
        Every job names a machine, and every step either uses an action or runs something.
        """
        self.assertEqual(list(self.jobs), ["pytest", "program", "kernel"])
        for job in self.jobs.values():
            self.assertTrue(job["runs-on"])
            for step in job["steps"]:
                self.assertEqual(len({"uses", "run"} & set(step)), 1, step)
                self.assertLessEqual(set(step), {"name", "uses", "run", "with", "if"})

    def test_files(self) -> None:
        """
        The tests that it runs are there.
        """
        for word in " ".join(scripts(self.jobs["pytest"])).split():
            if word.startswith("docs/"):
                self.assertTrue((PROJECT / word).exists(), word)

    # zeroconf, which the source wifi imports, asks ldconfig where the C library is.
    @startsProcesses
    def test_understood(self) -> None:
        """
        Each command of ours is understood by its program.
        """
        found: list[str] = []
        temporary = self.mktemp()
        os.mkdir(temporary)
        for job in self.jobs.values():
            for script in scripts(job):
                for line in script.replace("\\\n", " ").splitlines():
                    for words in commands(line.strip().replace("$RUNNER_TEMP", temporary)):
                        if words[1:]:
                            understand(list(words))
                        found.append(words[0])
        self.assertGreater(len(found), 8, found)


@startsProcesses
class StepsTests(SynchronousTestCase):
    """
    Tests of F{.ci/steps}, which F{.ci/run} does its steps with.
    """

    def setUp(self) -> None:
        """
        A directory for the logs.
        """
        if not STEPS.exists() or shutil.which("bash") is None:
            raise SkipTest("these tests need the source tree, and bash")
        self.directory = Path(self.mktemp()).resolve()
        self.directory.mkdir()

    def start(self, *lines: str) -> subprocess.Popen[str]:
        """
        Start a script of steps.
        """
        beginning = ("set -euo pipefail", f". {shlex.quote(str(STEPS))}")
        return subprocess.Popen(
            ["bash", "-c", "\n".join([*beginning, *lines])],
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def steps(self, *lines: str) -> tuple[int, list[str]]:
        """
        Run one.

        @return: Its exit status, and what it has printed.
        """
        process = self.start(*lines, "conclude")
        printed, _ = process.communicate(timeout=PATIENCE)
        lines = tuple(re.sub(r"^\d+ s", "N s", line) for line in printed.splitlines())
        return process.returncode, list(lines)

    def test_oneAfterTheOther(self) -> None:
        """
        Each is told by its command before it runs, has a log, and is in the list at the end.
        """
        self.assertEqual(
            self.steps("step 60 echo one", "step 60 echo two"),
            (
                0,
                [
                    *(".ci/run: echo one", "one", ".ci/run: echo two", "two"),
                    *("N s, status 0: echo one", "N s, status 0: echo two", "N s in all"),
                ],
            ),
        )
        logs = sorted((self.directory / "build" / "ci").iterdir())
        self.assertEqual([log.name for log in logs], ["0.log", "1.log"])
        self.assertEqual([log.read_text() for log in logs], ["one\n", "two\n"])

    def test_failing(self) -> None:
        """
        Where one fails, the others have their turn; what it said of that is repeated at the end.
        """
        failing = (
            "step 60 bash -c 'echo failed: tests.x; for n in 1 2 3 4 5 6; do echo $n; done; exit 3'"
        )
        status, lines = self.steps(failing, "step 60 echo two")
        self.assertEqual(status, 1)
        end = lines[lines.index("N s in all") - 2 :]
        self.assertTrue(end[0].startswith("N s, status 3: bash -c "), end)
        self.assertEqual(end[1], "N s, status 0: echo two")
        self.assertIn("failed: tests.x", end[3:])

    def test_limit(self) -> None:
        """
        One that takes too long is ended, wherever it runs, and that is told.
        """
        status, lines = self.steps("beside 0.2 sleep 61", "step 0.1 sleep 62", "settle")
        self.assertEqual(status, 1)
        self.assertIn(".ci/run: stopped after 0.2 s: sleep 61", lines)
        self.assertIn(".ci/run: stopped after 0.1 s: sleep 62", lines)
        self.assertIn("N s, status 124: sleep 61", lines)

    def test_beside(self) -> None:
        """
        What runs beside the next runs at the same time, and its lines follow when both have ended.
        """
        os.mkfifo(self.directory / "there")
        os.mkfifo(self.directory / "back")
        status, lines = self.steps(
            "beside 60 bash -c 'echo a; read -r x <there; echo $x; echo b >back'",
            "step 60 bash -c 'echo x >there; cat back'",
            "settle",
            "step 60 echo last",
        )
        self.assertEqual(status, 0)
        self.assertEqual(lines[2:3] + lines[4:8], ["b", "a", "x", *lines[6:8]])
        self.assertEqual(lines[6:8], [".ci/run: echo last", "last"])
        self.assertEqual([line[:3] for line in lines].count("N s"), 4)
        log = self.directory / "build" / "ci" / "0.log"
        self.assertEqual(log.read_text(), "a\nx\n")

    def test_besideFails(self) -> None:
        """
        If it fails, all have; its end is waited for, whoever forgets that.
        """
        status, lines = self.steps("beside 60 bash -c 'echo why; exit 4'", "step 60 echo two")
        self.assertEqual(status, 1)
        self.assertIn("N s, status 4: bash -c echo why; exit 4", lines)
        self.assertEqual(lines[-2:], [".ci/run: failed: bash -c echo why; exit 4", "why"])

    def test_signals(self) -> None:
        """
        What runs beside others can be interrupted, as tests do with what they start.
        """
        status, lines = self.steps("beside 60 bash -c 'kill -INT $$; echo ignored'", "settle")
        self.assertEqual(status, 1)
        self.assertNotIn("ignored", lines)

    def test_abandoned(self) -> None:
        """
        What runs ends with the script, in front and beside.
        """
        os.mkfifo(self.directory / "alive")
        steps = ("beside", "step")
        process = self.start(
            *(f"{step} 60 bash -c 'exec >alive; echo up; exec sleep 50'" for step in steps)
        )
        with open(self.directory / "alive") as alive:
            self.assertEqual([alive.readline() for _ in steps], ["up\n", "up\n"])
            process.terminate()
            # The end of file comes when nobody has it any more.
            self.assertEqual(alive.read(), "")
        process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 143)
