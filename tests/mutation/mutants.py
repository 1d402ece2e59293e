# -*- test-case-name: tests.mutation.test_mutants -*-
"""
Mutants: a module with one small defect each.

Operators are those of U{cosmic-ray<https://pypi.org/project/cosmic-ray/>} that change what a
program does and not how it is written, and two of our own: a method's twin in its place, and
a call left out.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmic_ray.ast import Visitor, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.plugins import get_operator

OPERATORS = (
    "AddNot",
    "NumberReplacer",
    "ReplaceAndWithOr",
    "ReplaceOrWithAnd",
    "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue",
    "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak",
    "ZeroIterationForLoop",
    *(
        f"ReplaceComparisonOperator_{pair}"
        for pair in (
            *("Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt", "Eq_NotEq", "NotEq_Eq"),
            *("Is_IsNot", "IsNot_Is"),
        )
    ),
    *(
        f"ReplaceBinaryOperator_{pair}"
        for pair in (
            "Add_Sub",
            "Sub_Add",
            "Mul_FloorDiv",
            "FloorDiv_Mul",
            "Mod_Add",
            "BitAnd_BitOr",
        )
    ),
)

TWINS = {
    "append": "appendleft",
    "appendleft": "append",
    "pop": "popleft",
    "popleft": "pop",
    "min": "max",
    "max": "min",
    "add": "discard",
    "discard": "add",
    "all": "any",
    "any": "all",
    "pauseProducing": "resumeProducing",
    "resumeProducing": "pauseProducing",
}
"""Names that are used in the same way for the opposite."""


class TwinName(Operator):  # type: ignore[misc]
    """
    A name of L{TWINS} for its twin, where it is called.
    """

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        """
        Where.
        """
        if node.type == "name" and node.value in TWINS and not _isDefinition(node):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """
        Change it.
        """
        node.value = TWINS[node.value]
        return node

    @classmethod
    def examples(cls) -> tuple[()]:
        """
        None: they are in the tests.
        """
        return ()


class DroppedCall(Operator):  # type: ignore[misc]
    """
    A statement that is a call and nothing else, left out.
    """

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        """
        Where.
        """
        if node.type == "simple_stmt" and node.children[0].type in ("atom_expr", "power"):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """
        Leave C{pass} in its place.
        """
        first = node.get_first_leaf()
        indent = first.prefix
        (passed,) = get_ast("pass\n").children[:1]
        passed.get_first_leaf().prefix = indent
        passed.parent = node.parent
        return passed

    @classmethod
    def examples(cls) -> tuple[()]:
        """
        None: they are in the tests.
        """
        return ()


OWN = {"TwinName": TwinName, "DroppedCall": DroppedCall}


def _isDefinition(node: Any) -> bool:
    return node.parent.type in ("funcdef", "param", "import_from", "annassign")


@dataclass(frozen=True, slots=True)
class Mutant:
    """
    One defect.

    @ivar module: The module's file.
    @ivar operator: What kind of defect.
    @ivar occurrence: Which one of this kind.
    @ivar line: Where it is.
    """

    module: Path
    operator: str
    occurrence: int
    line: int

    def source(self) -> str:
        """
        The module with it.
        """
        made = mutate_code(self.module.read_text(), _operator(self.operator), self.occurrence)
        assert isinstance(made, str)
        return made

    def isPython(self) -> bool:
        """
        Whether it can be compiled.
        """
        try:
            compile(self.source(), str(self.module), "exec")
        except SyntaxError:
            return False
        return True

    def difference(self) -> str:
        """
        The changed lines.
        """
        before, after = self.module.read_text().splitlines(), self.source().splitlines()
        lines = list(difflib.unified_diff(before, after, lineterm="", n=0))[2:]
        return " / ".join(line.strip() for line in lines if line[0] in "+-")


class _Counter(Visitor):  # type: ignore[misc]
    def __init__(self, operator: Operator) -> None:
        self.lines: list[int] = []
        self._operator = operator

    def visit(self, node: Any) -> Any:
        self.lines += [start[0] for start, _ in self._operator.mutation_positions(node)]
        return node


def mutantsOf(module: Path) -> Iterator[Mutant]:
    """
    All mutants of a module.
    """
    tree = get_ast(module.read_text())
    for name in (*OPERATORS, *OWN):
        counter = _Counter(_operator(name))
        counter.walk(tree)
        for occurrence, line in enumerate(counter.lines):
            mutant = Mutant(module, name, occurrence, line)
            # The star of a parameter is taken for one that multiplies.
            if "_Mul_" not in name or mutant.isPython():
                yield mutant


def _operator(name: str) -> Operator:
    return OWN[name]() if name in OWN else get_operator(f"core/{name}")()
