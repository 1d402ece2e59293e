# -*- test-case-name: tests.test_floors -*-
"""
The floors of F{docs/architecture.md} hold: no import runs upward, and none in a circle.

All imports count, also those within functions and those for type checkers.  Only what a
package shows of the modules below it (L{muxd.importing.faces}) does not.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Self

from twisted.trial.unittest import SkipTest, SynchronousTestCase

import muxd
from tests.parsing import parse

PROJECT = Path(muxd.__file__).parent.parent
PAGE = PROJECT / "docs" / "architecture.md"

MOST_LOOSE_MODULES = 10
"""Modules of C{muxd} itself; what more there is belongs into a package."""

CIRCLES = [
    # A factory and its protocol, as everywhere with Twisted.
    {"muxd.server.factory", "muxd.server.protocol"},
]
"""Those that may be: modules that import each other."""


@dataclass(frozen=True)
class Row:
    """
    A row of the table of floors.

    @ivar floor: The number of the floor.
    @ivar places: Where it is: packages with a slash at the end, and modules.
    @ivar knows: The names of the rows above floor 1 that it may import from.
    """

    floor: int
    places: tuple[str, ...]
    knows: frozenset[str]

    @property
    def names(self) -> set[str]:
        """
        What other rows call it: the last parts of its places.
        """
        return {Path(place).stem for place in self.places}

    def mayImport(self, other: Row) -> bool:
        """
        Whether a module of this row may import one of another.
        """
        if other is self or (other.floor < 2 and other.floor <= self.floor):
            return True
        return bool(other.names & self.knows)


def rowsOf(page: str) -> list[Row]:
    """
    The table of floors in a page.
    """
    rows = []
    for floor, where, knows in re.findall(r"(?m)^\| (\d) \| (.*?) \|(.*?)\|", page):
        places = tuple(re.findall(r"`(.*?)`", where))
        rows.append(Row(int(floor), places, frozenset(re.findall(r"`(.*?)`", knows))))
    return rows


def pathsOf(root: Path) -> dict[str, Path]:
    """
    The modules of the program.
    """
    found = {}
    for path in sorted([*root.glob("muxd/**/*.py"), *root.glob("twisted/plugins/*.py")]):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def importedBy(source: str, known: Iterable[str]) -> Iterator[str]:
    """
    Which of the known modules a module imports.
    """
    modules = set(known)
    for node in ast.walk(parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                found = submodule if submodule in modules else node.module
                if found in modules:
                    yield found


@cache
def program() -> tuple[dict[str, Path], dict[str, set[str]], dict[str, set[str]]]:
    """
    The modules of the program, which of them each imports, and which packages; without the
    faces, which show what is anywhere below them.  All is read once.
    """
    paths = pathsOf(PROJECT)
    modules = {name: path for name, path in paths.items() if path.name != "__init__.py"}
    found = {name: set(importedBy(path.read_text(), paths)) for name, path in modules.items()}
    imports = {name: names & modules.keys() - {name} for name, names in found.items()}
    packages = {name: names - modules.keys() for name, names in found.items()}
    return modules, imports, packages


@dataclass
class Circles:
    """
    Finds modules that import each other, directly or not (Tarjan's components).
    """

    graph: Mapping[str, set[str]]
    found: list[set[str]] = field(default_factory=list)
    _lowest: dict[str, int] = field(default_factory=dict)
    _path: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, graph: Mapping[str, set[str]]) -> list[set[str]]:
        """
        All of them, in the order of their first names.
        """
        circles = cls(graph)
        for node in graph:
            circles._visit(node)
        return sorted(circles.found, key=min)

    def _visit(self, node: str) -> Self:
        if node in self._lowest:
            return self
        number = self._lowest[node] = len(self._lowest)
        position = len(self._path)
        self._path.append(node)
        for other in sorted(self.graph[node]):
            self._visit(other)
            if other in self._path:
                self._lowest[node] = min(self._lowest[node], self._lowest[other])
        if self._lowest[node] == number:
            circle = set(self._path[position:])
            del self._path[position:]
            if len(circle) > 1:
                self.found.append(circle)
        return self


class FloorTests(SynchronousTestCase):
    """
    Tests of the program's imports.
    """

    def setUp(self) -> None:
        """
        Read the table, and what each module imports.
        """
        if not PAGE.exists():
            raise SkipTest("these tests need the source tree")
        self.rows = rowsOf(PAGE.read_text())
        self.paths = pathsOf(PROJECT)
        self.modules, self.imports, self.packages = program()

    def rowOf(self, module: str) -> Row:
        """
        The row that a module is in.
        """
        path = self.paths[module].relative_to(PROJECT).as_posix()
        found = [
            row
            for row in self.rows
            for place in row.places
            if path == place or (place.endswith("/") and path.startswith(place))
        ]
        self.assertEqual(len(found), 1, f"rows of {path} in the table of floors")
        return found[0]

    def test_upward(self) -> None:
        """
        Each module imports only from the rows that its own may import from.
        """
        self.assertGreater(len(self.modules), 100)
        wrong = [
            f"{module} imports {other}"
            for module, others in self.imports.items()
            for other in sorted(others)
            if not self.rowOf(module).mayImport(self.rowOf(other))
        ]
        self.assertEqual(wrong, [])

    def test_known(self) -> None:
        """
        Each row imports from all that it says it knows, none of which is above it; and
        each is there.
        """
        named = {name: row for row in self.rows for name in row.names}
        used: dict[str, set[str]] = {}
        for module, others in self.imports.items():
            row = self.rowOf(module)
            for other in others:
                used.setdefault(row.places[0], set()).update(self.rowOf(other).names)
        for row in self.rows:
            for place in row.places:
                self.assertTrue((PROJECT / place).exists(), place)
            self.assertEqual(row.knows - used.get(row.places[0], set()), set(), row.places)
            for name in row.knows:
                self.assertLessEqual(named[name].floor, row.floor, f"{row.places}: {name}")

    def test_circles(self) -> None:
        """
        No modules import each other but those that may.
        """
        self.assertEqual(Circles.of(self.imports), CIRCLES)

    def test_looseModules(self) -> None:
        """
        C{muxd} itself is no heap of modules.
        """
        loose = [name for name in self.modules if re.fullmatch(r"muxd\.\w+", name)]
        self.assertLessEqual(len(loose), MOST_LOOSE_MODULES, loose)

    def test_faces(self) -> None:
        """
        A package itself imports next to nothing when it is imported: what it shows it
        tells type checkers, and loads when it is asked for.
        """
        allowed = {"muxd.importing.faces", "muxd.build"}
        for name, path in self.paths.items():
            if path.name == "__init__.py":
                body = ast.parse(path.read_text()).body
                top = ast.Module([node for node in body if not isinstance(node, ast.If)], [])
                found = set(importedBy(ast.unparse(top), self.paths))
                self.assertEqual(found - allowed, set(), name)

    def test_insideOfFaces(self) -> None:
        """
        The program itself imports from modules, and from no face but the version.
        """
        for name, path in self.modules.items():
            self.assertEqual(self.packages[name] - {"muxd"}, set(), name)
            for names in re.findall(r"(?m)^from muxd import (.*)$", path.read_text()):
                self.assertEqual(names, "__version__", name)

    def test_wire(self) -> None:
        """
        The protocols' bytes and values do no I/O.
        """
        wire = [path for name, path in self.modules.items() if name.startswith("muxd.wire.")]
        self.assertGreater(len(wire), 3)
        for path in wire:
            self.assertNotRegex(
                path.read_text(), r"(?m)^\s*(from|import) (twisted|socket|asyncio|select)\b", path
            )


class CheckerTests(SynchronousTestCase):
    """
    Tests of what checks the floors.
    """

    def test_rows(self) -> None:
        """
        A row knows what is in its table, and floors 0 and 1 unless they are above it.
        """
        page = (
            "| Floor | Where | Knows | What |\n|---|---|---|---|\n"
            "| 3 | `a/server/` | `device` | x |\n"
            "| 2 | `a/usb/`, `a/more.py` | | y |\n"
            "| 2 | `a/device/` | | y |\n"
            "| 1 | `a/net/` | | z |\n"
            "| 0 | `a/wire/` | | z |\n"
        )
        server, usb, device, net, wire = rowsOf(page)
        self.assertEqual((usb.places, usb.names), (("a/usb/", "a/more.py"), {"usb", "more"}))
        self.assertEqual(
            [server.mayImport(row) for row in (server, usb, device, net, wire)],
            [True, False, True, True, True],
        )
        self.assertEqual(
            [net.mayImport(row) for row in (server, usb, device, net, wire)],
            [False, False, False, True, True],
        )
        self.assertFalse(wire.mayImport(net))

    def test_imports(self) -> None:
        """
        Imports are found wherever they are written.
        """
        source = (
            "import a.b\nfrom a import c, name\nif TYPE_CHECKING:\n    from a.d import x\n"
            "def f():\n    from a.e import y\nfrom other import z\n"
        )
        known = ("a", "a.b", "a.c", "a.d", "a.e")
        self.assertEqual(set(importedBy(source, known)), set(known))

    def test_circles(self) -> None:
        """
        Circles are found, however long, and what only leads there is in none.
        """
        arrows = ["ab", "bc", "cb", "cd", "ef", "fg", "ge"]
        graph = {node: {pair[1] for pair in arrows if pair[0] == node} for node in "abcdefg"}
        self.assertEqual(Circles.of(graph), [{"b", "c"}, {"e", "f", "g"}])
