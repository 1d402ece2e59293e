"""
Tests for L{muxd.importing.extras}.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from configparser import ConfigParser
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

import muxd
from muxd.importing.extras import installing, needing
from tests.running.processes import startsProcesses

REQUIRES = [
    "twisted>=24.7",
    'muxd[pairing,speed]; extra == "wifi"',
    'zeroconf>=0.132; extra == "wifi"',
    'cryptography>=47; extra == "pairing"',
    "fast<2,>=1; extra == 'speed'",
    'muxd[wifi]; extra == "pairing"',
]
SOURCES = Path(muxd.__file__).parent


EXTRAS = ("cryptography", "OpenSSL", "service_identity", "zeroconf", "hyperframe", "wsproto")
PROGRAMS = (
    "muxd.tap.usbmuxd",
    "muxd.tap.iphone",
    "muxd.tap.tcprelay",
    "muxd.tap.muxhub",
    "muxd.tap.script",
    "muxd.phone.service",
    "muxd.muxctl.commandline",
    "muxd.muxctl.wireless",
    "muxd.muxctl.tunnel",
    "muxd.muxctl.certificates",
    "muxd.testing",
)


@startsProcesses
class MissingTests(SynchronousTestCase):
    """
    A Python that has no extra at all.
    """

    def test_programs(self) -> None:
        """
        All programs can be imported, so that they can say what is missing.
        """
        program = (
            f"import sys; sys.modules.update(dict.fromkeys({EXTRAS!r}))\n"
            f"import {', '.join(PROGRAMS)}"
        )
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class InstallingTests(SynchronousTestCase):
    """
    L{installing}.
    """

    def test_libraries(self) -> None:
        """
        A command installs the libraries of the extra, and of those within it, for the Python
        that runs.
        """
        self.assertEqual(
            installing("wifi", {"muxd": REQUIRES}.__getitem__),
            f"install the extra wifi: {sys.executable} -m pip install 'zeroconf>=0.132'"
            " 'cryptography>=47' 'fast<2,>=1'",
        )

    def test_notInstalled(self) -> None:
        """
        Where muxd runs from a directory, and nothing tells what it requires, the extra is named.
        """

        def requires(package: str) -> None:
            raise PackageNotFoundError(package)

        for ask in (requires, lambda package: None, lambda package: ["twisted"]):
            self.assertEqual(installing("wifi", ask), "install muxd with its extra wifi")

    def test_needing(self) -> None:
        """
        What needs a library that is not there says which, and what to install; any other
        mistake within it stays what it is.
        """

        def use(mistake: Exception) -> None:
            with needing("wifi", "wifi"):
                raise mistake

        error = self.assertRaises(ValueError, use, ImportError("No module named 'zeroconf'"))
        self.assertEqual(str(error), f"wifi: No module named 'zeroconf'; {installing('wifi')}")
        self.assertRaises(KeyError, use, KeyError("zeroconf"))

    def test_known(self) -> None:
        """
        Each extra that a module names is there.
        """
        described = SOURCES.parent / "setup.cfg"
        if not described.exists():
            raise SkipTest("this test needs the source tree")
        setup = ConfigParser()
        setup.read(described)
        named = {
            name
            for path in SOURCES.rglob("*.py")
            for name in re.findall(r"(?:installing|needing)\(['\"](\w+)['\"]", path.read_text())
        }
        self.assertLessEqual(named, set(setup["options.extras_require"]))
        self.assertIn("wifi", named)
