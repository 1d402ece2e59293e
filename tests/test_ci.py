"""
Tests of the workflow in F{docs/examples/github-actions.yml}: it is one, and its commands are
understood.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.running.processes import startsProcesses
from tests.test_commands import PROJECT, commands, understand

WORKFLOW = PROJECT / "docs" / "examples" / "github-actions.yml"


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
