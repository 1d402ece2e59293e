# -*- test-case-name: tests.mutation.test_mutants -*-
"""
Tests of L{tests.mutation.mutants} and L{tests.mutation.trial}.
"""

from __future__ import annotations

import ast
from importlib.util import find_spec
from pathlib import Path

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


@startsProcesses
class TrialTests(MutantCase):
    """
    Whether tests notice a mutant.
    """

    def test_verdicts(self) -> None:
        """
        A defect that a test is for is noticed; one that nothing can see survives; and the
        module itself is left as it is.
        """
        from tests.mutation.mutants import mutantsOf
        from tests.mutation.trial import ATTACKS, PROJECT, Laboratory, Verdict, testsOf

        module = PROJECT / "muxd" / "wire" / "sequence.py"
        before = module.read_text()
        laboratory = Laboratory()
        self.addCleanup(laboratory.close)
        self.assertEqual(testsOf(module)[-2:], [["tests.wire"], [ATTACKS]])
        self.assertIs(laboratory.run(["tests.wire.test_sequence"], 120), True)
        mutant = next(each for each in mutantsOf(module) if "Add_Sub" in each.operator)
        self.assertIs(laboratory.attempt(mutant, 120).verdict, Verdict.NOTICED)
        self.assertEqual(module.read_text(), before)
        self.assertIs(laboratory.run(["tests.wire.test_sequence"], 120), True)
