"""
Tests for L{muxd.extras}.
"""

from __future__ import annotations

import re
import sys
from configparser import ConfigParser
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

import muxd
from muxd.extras import installing

REQUIRES = [
    "twisted>=24.7",
    'muxd[pairing,speed]; extra == "wifi"',
    'zeroconf>=0.132; extra == "wifi"',
    'cryptography>=47; extra == "pairing"',
    "fast<2,>=1; extra == 'speed'",
    'muxd[wifi]; extra == "pairing"',
]
SOURCES = Path(muxd.__file__).parent


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
            for name in re.findall(r"installing\(['\"](\w+)['\"]", path.read_text())
        }
        self.assertLessEqual(named, set(setup["options.extras_require"]))
        self.assertIn("wifi", named)
