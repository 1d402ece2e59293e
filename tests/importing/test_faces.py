# -*- test-case-name: tests.importing.test_faces -*-
"""
Tests of what the packages show: public names, loaded when they are first used.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from configparser import ConfigParser
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from unittest.mock import patch

from incremental import Version
from twisted.python.deprecate import deprecatedModuleAttribute
from twisted.trial.unittest import SkipTest, SynchronousTestCase

import muxd
from muxd.client import errors, problems, socketerrors
from muxd.importing.faces import lazyFace
from tests.running.processes import startsProcesses

FACES = ("muxd", "muxd.client", "muxd.phone", "muxd.testing", "muxd.tunnel")
"""Packages that show names of the modules below them."""

PLUGIN = "muxd.testing.pytestplugin"
"""pytest finds it, no program imports it."""

API = Path(muxd.__file__).parent.parent / "docs" / "api.md"


def documentedNames(text: str) -> dict[str, set[str]]:
    """
    The names in the first columns of F{docs/api.md}, by the module in the heading.
    """
    found: dict[str, set[str]] = {}
    for section in re.split(r"(?m)^## ", text)[1:]:
        heading = section.partition("\n")[0]
        modules = re.findall(r"`(muxd[\w.]*)`", heading)
        cells = re.findall(r"(?m)^\| (`.*?) \|", section)
        names = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
        for module in modules:
            found[module] = names
    return found


class FaceTests(SynchronousTestCase):
    """
    Tests of the packages that have a face.
    """

    def test_names(self) -> None:
        """
        Each public name of a face can be had, and is shown by C{dir}.
        """
        for face in FACES:
            module = import_module(face)
            for name in module.__all__:
                self.assertIsNotNone(getattr(module, name), f"{face}.{name}")
                self.assertIn(name, dir(module))
            self.assertEqual(len(set(module.__all__)), len(module.__all__))

    def test_otherNames(self) -> None:
        """
        A name that a face does not have is an error that says so.
        """
        for face in FACES:
            error = self.assertRaises(AttributeError, getattr, import_module(face), "NoSuchName")
            self.assertEqual(str(error), f"module '{face}' has no attribute 'NoSuchName'")

    def test_typeCheckers(self) -> None:
        """
        What type checkers are told to import is what is public, from the module that
        it is loaded from.
        """
        for face in FACES:
            module = import_module(face)
            assert module.__file__ is not None
            tree = ast.parse(Path(module.__file__).read_text())
            (block,) = (node for node in tree.body if isinstance(node, ast.If))
            imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
            told = {alias.name: node.module for node in imports for alias in node.names}
            (call,) = (
                node
                for node in ast.walk(tree)
                if isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "lazyFace"
            )
            homes: dict[str, tuple[str, ...]] = ast.literal_eval(call.args[1])
            loaded = {name: home for home, names in homes.items() for name in names}
            self.assertEqual(told, loaded, face)
            self.assertEqual(set(loaded), set(module.__all__) - {"__version__"}, face)

    def test_modulesOfTheSameName(self) -> None:
        """
        No public name is that of a module in the same package, which would replace
        it as soon as that module is imported.
        """
        for face in FACES:
            module = import_module(face)
            modules = {info.name for info in iter_modules(module.__path__)}
            self.assertEqual(modules & set(module.__all__), set(), face)

    @startsProcesses
    def test_light(self) -> None:
        """
        The packages, and the plugins, import nothing heavy and none of the modules
        that they show; the blocking client's names come without Twisted.
        """
        code = (
            "import sys, muxd, muxd.client, muxd.phone, muxd.testing, muxd.tunnel\n"
            "print(sorted(n for n in sys.modules if n.startswith(('muxd', 'twisted', 'zope'))))\n"
            "from muxd.client import Device, NoPhone, connect, devices, watch\n"
            "print([n for n in sys.modules if n.split('.')[0] in ('twisted', 'zope', 'usb')])\n"
            "import twisted.plugins.muxd_plugin\n"
            "heavy = {'usb', 'twisted.internet.reactor', 'cryptography', 'muxd.service'}\n"
            "print(heavy & set(sys.modules))\n"
        )
        process = subprocess.run(
            [sys.executable, "-c", code],
            check=False,
            capture_output=True,
            text=True,
            cwd=API.parent.parent,
        )
        packages = sorted([*FACES, "muxd.build", "muxd.importing", "muxd.importing.faces"])
        self.assertEqual((process.stdout, process.stderr), (f"{packages}\n[]\nset()\n", ""))


class LazyFaceTests(SynchronousTestCase):
    """
    Tests of L{lazyFace}.
    """

    def setUp(self) -> None:
        """
        Make a package that shows a name of the standard library.
        """
        self.module = ModuleType("muxd_face_example")
        get, names = lazyFace(self.module.__name__, {"decimal": ("Decimal",)})
        vars(self.module).update(__getattr__=get, __dir__=names)
        self.enterContext(patch.dict(sys.modules, {self.module.__name__: self.module}))

    def test_loadedOnce(self) -> None:
        """
        A name is looked up when it is first used, and is then the package's own.
        """
        self.assertNotIn("Decimal", vars(self.module))
        self.assertIn("Decimal", dir(self.module))
        found = self.module.Decimal
        self.assertIs(found, import_module("decimal").Decimal)
        self.assertIs(vars(self.module)["Decimal"], found)

    def test_deprecated(self) -> None:
        """
        A name that a face shows can be deprecated with Twisted's means.
        """
        name = self.module.__name__
        deprecatedModuleAttribute(Version("muxd", 0, 3, 0), "Use it not.", name, "Decimal")
        self.assertIs(sys.modules[name].Decimal, import_module("decimal").Decimal)
        (warning,) = self.flushWarnings([self.test_deprecated])
        self.assertEqual(warning["category"], DeprecationWarning)
        self.assertEqual(
            warning["message"], f"{name}.Decimal was deprecated in muxd 0.3.0: Use it not."
        )


class DocumentTests(SynchronousTestCase):
    """
    Tests of F{docs/api.md}.
    """

    def setUp(self) -> None:
        """
        Read it.
        """
        if not API.exists():
            raise SkipTest("these tests need the source tree")
        self.documented = documentedNames(API.read_text())

    def test_public(self) -> None:
        """
        The tables have the names of C{__all__}, no fewer and no more.
        """
        for face in FACES:
            module = import_module(face)
            self.assertEqual(self.documented[face], set(module.__all__), face)

    def test_withoutTwisted(self) -> None:
        """
        What is said of the modules for programs without Twisted is true: their own names
        are in their tables, and all others are those of L{muxd.client}.
        """
        client = import_module("muxd.client")
        for name in ("muxd.client.blocking", "muxd.client.aio"):
            public = set(import_module(name).__all__)
            own = self.documented[name]
            self.assertEqual(own - public, set(), name)
            self.assertEqual(public - own - set(client.__all__), set(), name)

    def test_fleet(self) -> None:
        """
        What is said of the modules for jobs of a fleet is what they have.
        """
        for name in ("muxd.fleet.blocking", "muxd.fleet.client"):
            self.assertEqual(self.documented[name], set(import_module(name).__all__), name)

    def test_apidocs(self) -> None:
        """
        The pages that C{make apidocs} makes show the same modules as public.
        """
        settings = ConfigParser()
        settings.read(API.parent.parent / "setup.cfg")
        shown = set(re.findall(r"PUBLIC:(.*)", settings["tool:pydoctor"]["privacy"]))
        modules = {name for name in shown if find_spec(name) is not None}
        self.assertEqual(modules, {*self.documented, PLUGIN} - {"muxd"})

    def test_errors(self) -> None:
        """
        The errors with and without Twisted have the names of those in
        L{muxd.client}, and are subclasses of them.
        """
        client = import_module("muxd.client")
        common = {
            name: value
            for name in client.__all__
            if isinstance(value := getattr(client, name), type) and issubclass(value, Exception)
        }
        self.assertEqual(len(common), 14)
        for name, error in common.items():
            self.assertIs(error, getattr(problems, name))
            self.assertTrue(issubclass(getattr(errors, name), error), name)
            self.assertTrue(issubclass(getattr(socketerrors, name), error), name)
