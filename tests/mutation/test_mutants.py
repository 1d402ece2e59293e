# -*- test-case-name: tests.mutation.test_mutants -*-
"""
Tests of planting small defects.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import skipUnless

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.running.processes import startsProcesses

SOURCE = '''\
# -*- test-case-name: tests.x.test_y,tests.x.test_z -*-
from collections import deque


def add(queue: deque[int], most: int) -> bool:
    """
    Text with 1 < 2 in it.
    """
    queue.append(most)
    return most <= 7 and min(queue) == 0
'''

PATCHED = """\
LIMIT = 7
keep = lambda function: function


def free(most=0):
    return 9 if most < LIMIT else most


class Thing:
    def method(self, most):
        return free(most)

    def closure(self, most):
        def inner(a):
            return a + most
        return inner

    @keep
    def dropped(self):
        super().__init__()
"""

PROJECT = Path(__file__).parents[2]


class MutantCase(SynchronousTestCase):
    """
    Skipped where cosmic-ray is not installed, which C{make mutation} does.
    """

    def setUp(self) -> None:
        """
        Look for it.
        """
        if find_spec("cosmic_ray") is None:
            raise SkipTest("cosmic-ray is not installed: make mutation")


class MutantTests(MutantCase):
    """
    What is changed, and what is not.
    """

    def test_all(self) -> None:
        """
        Each defect is one change to something that the program does, and Python still.
        """
        from tests.mutation.mutants import mutantsOf

        path = Path(self.mktemp())
        path.write_text(SOURCE)
        mutants = list(mutantsOf(path))
        for mutant in mutants:
            made = mutant.source()
            ast.parse(made)
            self.assertNotEqual(ast.dump(ast.parse(made)), ast.dump(ast.parse(SOURCE)), mutant)
            self.assertIn("Text with 1 < 2 in it.", made)
        changes = {mutant.operator: mutant.difference() for mutant in mutants}
        self.assertEqual(
            changes["TwinName"],
            "-    return most <= 7 and min(queue) == 0 / +    return most <= 7 and max(queue) == 0",
        )
        self.assertEqual(changes["DroppedCall"], "-    queue.append(most) / +    pass")
        self.assertIn("most < 7", changes["ReplaceComparisonOperator_LtE_Lt"])
        self.assertIn(" or ", changes["ReplaceAndWithOr"])
        self.assertIn("!= 0", changes["ReplaceComparisonOperator_Eq_NotEq"])
        lines = {mutant.line for mutant in mutants}
        self.assertEqual(lines, {9, 10})


class PatchTests(MutantCase):
    """
    A mutant's code in the place of a module's.
    """

    def setUp(self) -> None:
        """
        Import a module.
        """
        super().setUp()
        self.path = Path(self.mktemp()).absolute()
        self.path.write_text(PATCHED)
        self.names: dict[str, Any] = {}
        exec(compile(PATCHED, str(self.path), "exec"), self.names)

    def patchFor(self, text: str) -> Any:
        """
        The patch for the first mutant that has some text.
        """
        from tests.mutation.mutants import mutantsOf
        from tests.mutation.patching import Patch

        for mutant in mutantsOf(self.path):
            if text in mutant.source():
                return Patch(mutant)
        raise AssertionError(text)

    def test_apply(self) -> None:
        """
        A function that was there before does what the mutant's does, and so does one that
        it makes; others do what they did.
        """
        from tests.mutation.patching import functionsByFile

        thing, closure = self.names["Thing"](), self.names["Thing"]().closure
        patch = self.patchFor("a - most")
        self.assertTrue(patch.isPossible)
        made = closure(2)
        self.assertGreater(patch.apply(functionsByFile()), 0)
        self.assertEqual((thing.method(2), made(3), closure(2)(3)), (9, 1, 1))

    def test_impossible(self) -> None:
        """
        What runs when a module is imported, and what changes what a function closes over,
        takes an import.
        """
        self.assertFalse(self.patchFor("LIMIT = 8").isPossible)
        self.assertFalse(self.patchFor("most= -1").isPossible)
        self.assertFalse(self.patchFor("@keep\n    def dropped(self):\n        pass").isPossible)


class SightTests(SynchronousTestCase):
    """
    Which tests are shown a line.
    """

    def test_order(self) -> None:
        """
        Those that execute it and pass: the module's own first, the quickest first of these.
        """
        from tests.mutation.seeing import Sight

        there = Path("muxd/a.py")
        lines = {"muxd/a.py": {"7": ["t.b.slow", "t.a.slow", "t.a.quick", "t.b.quick", "t.bad"]}}
        seconds = {"t.b.slow": 0.2, "t.a.slow": 0.3, "t.a.quick": 0.1, "t.b.quick": 0.05}
        sight = Sight(lines, seconds)
        self.assertEqual(
            sight.testsOf(there, 7, ["t.a"]), ["t.a.quick", "t.a.slow", "t.b.quick", "t.b.slow"]
        )
        self.assertEqual(sight.testsOf(there, 8), [])
        self.assertEqual(sight.unknown(["t.bad", "t.b.slow", "t.new"]), ["t.bad", "t.new"])
        self.assertEqual(sight.seconds(["t.b.slow", "t.new"]), 0.2)
        kept = Path(self.mktemp())
        sight.write(kept)
        self.assertEqual(Sight.read(kept).testsOf(there, 7, ["t.a"])[0], "t.a.quick")


@skipUnless(hasattr(os, "fork"), "there is no fork")
@startsProcesses
class ForkTests(SynchronousTestCase):
    """
    Answers from another process.
    """

    def test_answers(self) -> None:
        """
        What a function returns arrives; what it raises, or that it does not end, is told.
        """
        from tests.mutation.forking import Ended, inFork

        here = os.getpid()
        self.assertEqual(
            inFork(lambda: ["x" * 100000, os.getpid() == here], 60), ["x" * 100000, False]
        )
        self.assertRaises(Ended, inFork, lambda: os._exit(0), 60)
        self.assertRaises(Ended, inFork, threading.Event().wait, 0.1)
        error = self.assertRaises(AssertionError, inFork, lambda: int("seven"), 60)
        self.assertIn("'seven'", str(error))


@startsProcesses
class TrialTests(MutantCase):
    """
    Whether tests notice a mutant.
    """

    def test_endless(self) -> None:
        """
        A test that does not end is the end of the process that it runs in, soon, however
        long all others may take.
        """
        from tests.mutation.forking import Ended, inFork
        from tests.mutation.trial import firstFailure

        class Endless(SynchronousTestCase):
            def test_it(self) -> None:
                while True:
                    pass

        tests = [Endless("test_it")]
        self.assertRaises(Ended, inFork, lambda: firstFailure(tests, lambda test: 0.1), 3600)

    def test_verdicts(self) -> None:
        """
        Of the defects of a small module the tests notice all, those that an import needs,
        too; the module is left as it is.
        """
        module = PROJECT / "muxd" / "wire" / "sequence.py"
        before = module.read_text()
        done = subprocess.run(
            [
                *(sys.executable, "-m", "tests.mutation", str(module), "--count", "0"),
                *("--lines", "9-16", "--tests", "tests.wire.test_sequence"),
            ],
            cwd=PROJECT,
            env={**os.environ, "MUXD_PURE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("| in all | 16 | 5 | 5 | 0 | 0 |", done.stdout)
        self.assertEqual(module.read_text(), before)
