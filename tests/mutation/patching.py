# -*- test-case-name: tests.mutation.test_mutants -*-
"""
A module's code in a process that has imported it, replaced by that of a mutant.

A test process takes seconds to import everything.  Where a defect is inside a function, the
function objects that there are can be given other code; what runs when a module is imported
(a constant, a default, the field of a class) takes an import.
"""

from __future__ import annotations

import ast
import gc
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_loader
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

from tests.mutation.mutants import Mutant

Functions = dict[str, list[FunctionType]]

_Path = tuple[tuple[str, int], ...]


def _codes(code: CodeType, path: _Path = ()) -> Iterator[tuple[_Path, CodeType]]:
    yield path, code
    seen: dict[str, int] = {}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            name = constant.co_name
            seen[name] = seen.get(name, 0) + 1
            yield from _codes(constant, (*path, (name, seen[name])))


def isInFunction(mutant: Mutant) -> bool:
    """
    Whether a mutant's line runs when a function is called, and not when the module is
    imported.
    """
    for node in ast.walk(ast.parse(mutant.module.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            if node.body[0].lineno <= mutant.line <= node.end_lineno:
                return True
    return False


def functionsByFile() -> Functions:
    """
    All functions that there are, by the file that they are from.  What the garbage collector
    has frozen is not among them.
    """
    found: Functions = {}
    for thing in gc.get_objects():
        if isinstance(thing, FunctionType):
            found.setdefault(thing.__code__.co_filename, []).append(thing)
    return found


class Patch:
    """
    The difference between a module and a mutant of it.

    @ivar isPossible: Whether functions that there are can be given the mutant's code.
    """

    def __init__(self, mutant: Mutant) -> None:
        self._filename = str(mutant.module)
        before = dict(_codes(compile(mutant.module.read_text(), self._filename, "exec")))
        after = dict(_codes(compile(mutant.source(), self._filename, "exec")))
        self._codes = {
            (code.co_qualname, code.co_firstlineno, code.co_name): after[path]
            for path, code in before.items()
            if path in after
        }
        # What a function closes over was made with it.
        self.isPossible = isInFunction(mutant) and all(
            path in after and code.co_freevars == after[path].co_freevars
            for path, code in before.items()
        )

    def apply(self, functions: Functions) -> int:
        """
        Give all functions of the module the mutant's code.

        @param functions: All that there are, as L{functionsByFile} says.
        @return: How many functions of the module there were.
        """
        count = 0
        for function in functions.get(self._filename, ()):
            code = function.__code__
            other = self._codes.get((code.co_qualname, code.co_firstlineno, code.co_name))
            if other is not None and len(other.co_freevars) == len(code.co_freevars):
                function.__code__ = other
                count += 1
        return count


class MutantFinder(MetaPathFinder):
    """
    Finds a mutant where its module is imported.
    """

    def __init__(self, mutant: Mutant, project: Path) -> None:
        self._mutant = mutant
        parts = mutant.module.relative_to(project).with_suffix("").parts
        self._name = ".".join(parts)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """
        See C{importlib.abc.MetaPathFinder}.
        """
        if name != self._name:
            return None
        loader = _Loader(name, str(self._mutant.module), self._mutant.source())
        return spec_from_loader(name, loader)

    def install(self) -> None:
        """
        Come before all others.
        """
        assert self._name not in sys.modules, f"{self._name} has been imported"
        sys.meta_path.insert(0, self)


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._source, self.path, "exec")
