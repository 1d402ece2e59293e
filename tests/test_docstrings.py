# -*- test-case-name: tests.test_docstrings -*-
"""
Docstrings are epytext that C{make apidocs} can make pages of, as far as can be told
without making them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

import muxd
import tests
from tests.parsing import parse

PACKAGE = Path(muxd.__file__).parent


def docstringsIn(source: str) -> Iterator[tuple[int, str]]:
    """
    The docstrings of a module, also those below assignments: lines and texts.
    """
    for node in ast.walk(parse(source)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield node.lineno, text


@cache
def docstrings() -> list[tuple[str, str]]:
    """
    All of the program: places and texts.
    """
    return [
        (f"{path.relative_to(PACKAGE.parent)}:{line}", text)
        for path in sorted(PACKAGE.rglob("*.py"))
        for line, text in docstringsIn(path.read_text())
    ]


class DocstringTests(SynchronousTestCase):
    """
    Tests of all docstrings of the program.
    """

    def test_epytext(self) -> None:
        """
        Each is free of mistakes.
        """
        if find_spec("pydoctor") is None:
            raise SkipTest("the package pydoctor is not installed")
        epytext = import_module("pydoctor.epydoc.markup.epytext")
        self.assertGreater(len(docstrings()), 1000)
        for place, text in docstrings():
            errors: list[Exception] = []
            epytext.parse_docstring(text, errors)
            self.assertEqual([str(error) for error in errors], [], place)

    def test_links(self) -> None:
        """
        None links to what is another project's, of which nothing is known without the
        network: that is named, as code.
        """
        for place, text in docstrings():
            self.assertNotRegex(text, r"L\{([^}]*<)?(twisted|zope|asyncio|struct|usb)\.", place)


class HeaderTests(SynchronousTestCase):
    """
    Tests of the first lines of files.
    """

    def test_tests(self) -> None:
        """
        The tests that a file names as its own exist.
        """
        named = re.compile(r"# -\*- test-case-name: (\S+) -\*-")
        top = PACKAGE.parent
        count = 0
        for path in sorted([*PACKAGE.rglob("*.py"), *Path(tests.__file__).parent.rglob("*.py")]):
            with path.open() as file:
                header = named.fullmatch(file.readline().rstrip())
            for test in header[1].split(",") if header else ():
                count += 1
                self.assertIsNotNone(find_spec(test), f"{path.relative_to(top)}: {test}")
        self.assertGreater(count, 500)


class SearchTests(SynchronousTestCase):
    """
    Tests of L{docstringsIn}.
    """

    def test_docstrings(self) -> None:
        """
        Modules, classes, methods and names have them.
        """
        source = '"""a"""\nclass A:\n  "b"\n  x = 1\n  "c"\n  async def f(self):\n    "d"\n    1\n'
        found = sorted(text for _, text in docstringsIn(source))
        self.assertEqual(found, ["a", "b", "c", "d"])
