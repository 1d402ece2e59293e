"""
The C types of a compiled module are in step with its source: a class that is compiled has
the attributes that its NAME.pxd declares and no others.

Python finds out when an attribute is first assigned, and only in the compiled build; here
it is read, in any build.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import muxd
from tests import twins

PACKAGE = Path(muxd.__file__).parent

CLASS = re.compile(r"cdef class (\w+)(?:\((\w+)\))?")
METHOD = re.compile(r"    cpdef (?:[\w ]+ )?(\w+)\((.*)\)")
ATTRIBUTES = re.compile(r"    cdef (?:public |readonly )?(.+)")

IMPLIED = {"__dict__", "__weakref__"}
"""What a class of Python's has unless it is told not to."""


class Declared:
    """
    What one compiled class is said to have.

    @ivar base: What it is derived from; None if that is nothing in particular.
    @ivar attributes: Their names.
    @ivar methods: The names of their parameters, by the name of the method.
    """

    def __init__(self, base: str | None = None) -> None:
        self.base = base
        self.attributes: set[str] = set()
        self.methods: dict[str, list[str]] = {}


def declared(text: str) -> dict[str, Declared]:
    """
    What a .pxd says of its classes, by name.
    """
    found: dict[str, Declared] = {}
    current = Declared()
    for line in text.splitlines():
        if match := CLASS.match(line):
            current = found[match[1]] = Declared(match[2])
        elif match := METHOD.match(line):
            current.methods[match[1]] = [
                part.split()[-1].removesuffix("=*") for part in match[2].split(",")
            ]
        elif match := ATTRIBUTES.match(line):
            first, *others = match[1].split(",")
            current.attributes |= {first.split()[-1], *map(str.strip, others)} - IMPLIED
    return found


def assigned(node: ast.ClassDef) -> dict[str, int]:
    """
    The attributes that the methods of a class assign to their C{self}, and the lines in
    which they do so first.
    """
    found: dict[str, int] = {}
    for one in ast.walk(node):
        if (
            isinstance(one, ast.Attribute)
            and isinstance(one.ctx, ast.Store)
            and isinstance(one.value, ast.Name)
            and one.value.id == "self"
        ):
            found[one.attr] = min(one.lineno, found.get(one.attr, one.lineno))
    for one in node.body:
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            found.setdefault(one.target.id, one.lineno)
    return found


def inherited(owner: Declared, everything: Mapping[str, Declared]) -> set[str]:
    """
    The attributes that a class has from those that it is derived from.
    """
    found: set[str] = set()
    while owner.base is not None and owner.base in everything:
        owner = everything[owner.base]
        found |= owner.attributes
    return found


def disagreements(
    name: str, source: str, declarations: str, others: Mapping[str, Declared]
) -> list[str]:
    """
    What one of a module's two files says and the other does not, and what to do.

    @param name: The path of both without its suffix, for the texts.
    @param others: The classes of all modules, of which these may be subclasses.
    """
    found = []
    classes = {one.name: one for one in ast.parse(source).body if isinstance(one, ast.ClassDef)}
    for owner, said in declared(declarations).items():
        if owner not in classes:
            found.append(f"{name}.pxd: there is no class {owner} in {name}.py: remove it")
            continue
        node = classes[owner]
        used = assigned(node)
        for one in sorted(set(used) - said.attributes - inherited(said, others)):
            found.append(
                f"{name}.py:{used[one]}: {owner}.{one} is assigned, and is not declared in"
                f" {name}.pxd: add 'cdef public object {one}' to {owner} there"
            )
        for one in sorted(said.attributes - set(used)):
            found.append(
                f"{name}.pxd: {owner}.{one} is declared, and never assigned in {name}.py: remove it"
            )
        methods = {one.name: one for one in node.body if isinstance(one, ast.FunctionDef)}
        for method, parameters in said.methods.items():
            has = [one.arg for one in methods[method].args.args] if method in methods else None
            if has != parameters:
                found.append(
                    f"{name}.pxd: {owner}.{method} has the parameters {parameters}, and in"
                    f" {name}.py {has}: say the same in both"
                )
    return found


class DeclarationTests(SynchronousTestCase):
    """
    Tests of the .pxd of modules that are compiled from their own .py.
    """

    def test_inStep(self) -> None:
        """
        Attributes and methods are the same in both files of every module.
        """
        found = []
        others: dict[str, Declared] = {}
        for path in PACKAGE.rglob("*.pxd"):
            others |= declared(path.read_text())
        for name in twins.CORE:
            path = PACKAGE.parent.joinpath(*name.split("."))
            source, declarations = (path.with_suffix(kind) for kind in (".py", ".pxd"))
            found += disagreements(
                "/".join(name.split(".")), source.read_text(), declarations.read_text(), others
            )
        self.assertEqual(found, [], "\n".join(["", *found]))

    def test_allCompiled(self) -> None:
        """
        Every module that has a .pxd is compiled.
        """
        names = {
            ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
            for path in PACKAGE.rglob("*.pxd")
        }
        self.assertLessEqual(names, {*twins.EVERYTHING, *twins.CORE})


class DisagreementTests(SynchronousTestCase):
    """
    Tests of L{disagreements}.
    """

    SOURCE = (
        "class One:\n"
        "    outer: int\n"
        "    def __init__(self, size: int) -> None:\n"
        "        self.size = size\n"
        "        self.other, self._last = 1, 2\n"
        "    def room(self, most: int) -> int:\n"
        "        return self.size\n"
        "class Free:\n"
        "    def __init__(self) -> None:\n"
        "        self.anything = 1\n"
    )
    DECLARATIONS = (
        "cdef class One:\n"
        "    cdef public long long size, other\n"
        "    cdef object _last\n"
        "    cdef public object outer\n"
        "    cdef object __weakref__\n"
        "    cpdef long long room(self, long long most) except -1\n"
    )

    def test_same(self) -> None:
        """
        Two files that agree.
        """
        self.assertEqual(disagreements("one", self.SOURCE, self.DECLARATIONS, {}), [])

    def test_inherited(self) -> None:
        """
        An attribute may be declared where a class has it from, in another module too.
        """
        declarations = self.DECLARATIONS.replace("One:", "One(Base):").replace(
            "size, other", "size"
        )
        (text,) = disagreements("one", self.SOURCE, declarations, {})
        self.assertIn("One.other is assigned, and is not declared", text)
        others = declared(
            "cdef class Base(First):\n    cdef int any\ncdef class First:\n    cdef int other, any"
        )
        self.assertEqual(disagreements("one", self.SOURCE, declarations, others), [])

    def test_undeclared(self) -> None:
        """
        An attribute that only the source has, and where it has it.
        """
        source = self.SOURCE.replace("return self.size", "self.size = self.late = 1")
        (text,) = disagreements("one", source, self.DECLARATIONS, {})
        self.assertIn("one.py:7: One.late is assigned, and is not declared in one.pxd", text)

    def test_unassigned(self) -> None:
        """
        An attribute that only the declarations have.
        """
        declarations = self.DECLARATIONS.replace("size, other", "size, other, gone")
        (text,) = disagreements("one", self.SOURCE, declarations, {})
        self.assertIn("one.pxd: One.gone is declared, and never assigned in one.py", text)

    def test_method(self) -> None:
        """
        A method that is not there, or has other parameters.
        """
        for declarations in (
            self.DECLARATIONS.replace("room(self, long long most)", "room(self)"),
            self.DECLARATIONS.replace("room", "space"),
        ):
            (text,) = disagreements("one", self.SOURCE, declarations, {})
            self.assertIn("say the same in both", text)

    def test_class(self) -> None:
        """
        A class that is not there.
        """
        declarations = self.DECLARATIONS.replace("One", "Two")
        (text,) = disagreements("one", self.SOURCE, declarations, {})
        self.assertIn("there is no class Two in one.py", text)
