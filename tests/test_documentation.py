# -*- test-case-name: tests.test_documentation -*-
"""
What the documents say of the program is true.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SkipTest, SynchronousTestCase

import muxd
from muxd.muxctl.options import COMMANDS, Usage, parse
from muxd.phone.console import HELP
from muxd.phone.iphone import Phone
from muxd.phone.pluggedphone import PluggedPhone
from muxd.phone.usbip.exports import Exports
from muxd.sources import sourceParsers
from muxd.tap.iphone import Options as IphoneOptions
from muxd.tap.usbmuxd import Options
from tests.running.processes import startsProcesses

PROJECT = Path(muxd.__file__).parent.parent
MANUAL = PROJECT / "man" / "usbmuxd.8"


class DocumentTests(SynchronousTestCase):
    """
    Tests of the README, the man page and F{docs/}.
    """

    def setUp(self) -> None:
        """
        Know the options there are.
        """
        if not MANUAL.exists():
            raise SkipTest("these tests need the source tree")
        self.options = {name.rstrip("=") for name in Options().longOpt}

    def test_options(self) -> None:
        """
        The README and the man page name every option.
        """
        manual = MANUAL.read_text()
        readme = (PROJECT / "README.md").read_text()
        for name in self.options:
            self.assertIn(f"Fl Fl {name}", manual)
            self.assertIn(f"`--{name}", readme)

    def test_iphone(self) -> None:
        """
        The man page of the simulated phone names every option and every command,
        and the page about it every command and all of C{stats}.
        """
        manual = (PROJECT / "man" / "iphone.1").read_text().replace("\\-", "-")
        page = (PROJECT / "docs" / "simulated-phone.md").read_text()
        for name in IphoneOptions().longOpt:
            self.assertIn(f"--{name.rstrip('=')}", manual)
        for usage in HELP:
            verb = usage.split()[0]
            self.assertRegex(manual, rf"(?m)^\.BR .*\b{verb}\b")
            self.assertIn("`" + usage.replace("|", "\\|") + "`", page)
        stats = PluggedPhone(Phone(Clock()), Exports()).stats()
        for key in (*stats, *stats["usb"], *stats["mux"]):
            self.assertIn(f"`{key}`", page)

    def test_muxctl(self) -> None:
        """
        The man page of C{muxctl} names every command and every option, and so does
        its own help.
        """
        manual = (PROJECT / "man" / "muxctl.1").read_text().replace("\\-", "-")
        overview = self.assertRaises(Usage, parse, ["--help"]).text
        for command in COMMANDS:
            self.assertRegex(manual, rf"(?m)^\.B[RI]* \"?{command}\b")
            self.assertIn(f"\n    {command}", overview)
            if command == "relay":
                continue
            text = self.assertRaises(Usage, parse, [command, "--help"]).text
            for option in re.findall(r"--[a-z]+", text):
                self.assertIn(option, manual, command)

    def test_sources(self) -> None:
        """
        The man page names every argument of the sources that are ours.
        """
        manual = MANUAL.read_text()
        for parser in sourceParsers():
            if type(parser).__module__.startswith("muxd."):
                for argument in re.findall(r"\[:(\w+)=", parser.usage):
                    self.assertIn(f"[:{argument}=", manual, parser.prefix)

    @startsProcesses
    def test_manual(self) -> None:
        """
        The man pages are free of mistakes that C{groff} knows.
        """
        if shutil.which("groff") is None:
            raise SkipTest("groff is not installed")
        for manual in (PROJECT / "man").iterdir():
            process = subprocess.run(
                ["groff", "-mandoc", "-Tutf8", "-ww", manual],
                check=False,
                capture_output=True,
                text=True,
            )
            self.assertEqual((process.returncode, process.stderr), (0, ""), manual)
            # Letters may be struck twice, to make them bold.
            self.assertIn("SYNOPSIS", re.sub(".\b", "", process.stdout))

    def test_pages(self) -> None:
        """
        The README leads to every page and names every manual page, and the synopsis of
        C{muxctl} has each of its commands.
        """
        readme = (PROJECT / "README.md").read_text()
        for page in (PROJECT / "docs").glob("*.md"):
            self.assertIn(f" - [docs/{page.name}](docs/{page.name}): ", readme)
        for page in (PROJECT / "man").iterdir():
            self.assertIn(f"`man {page.stem}`", readme)
        manual = (PROJECT / "man" / "muxctl.1").read_text()
        _, _, rest = manual.partition(".SH SYNOPSIS\n")
        synopsis = rest.partition(".SH")[0]
        for command in COMMANDS:
            self.assertRegex(synopsis, rf"(?m)^\.B {command}$")

    def test_links(self) -> None:
        """
        The files that documents point to are there.
        """
        checked = 0
        for document in (*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("*.md")):
            for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
                self.assertTrue((document.parent / target).exists(), f"{document}: {target}")
                checked += 1
        self.assertGreater(checked, 5)

    def test_changelog(self) -> None:
        """
        The changes that are not released yet have names that towncrier understands:
        without a plus sign the name would be printed as the number of an issue.
        """
        for path in (PROJECT / "changelog.d").iterdir():
            if path.name != "README.md":
                self.assertRegex(path.name, r"\A(\+[\w-]+|\d+)\.(feature|bugfix|doc|removal)\.md\Z")

    def test_architecture(self) -> None:
        """
        The files that the page on the architecture names are there.
        """
        text = (PROJECT / "docs" / "architecture.md").read_text()
        names = set(re.findall(r"`((?:muxd/)?[\w/]+\.py)`", text))
        self.assertGreater(len(names), 20)
        for name in names - {"counters.py"}:
            isOutside = name.startswith("tests/") or name == "setup.py"
            within = PROJECT if isOutside else PROJECT / "muxd"
            path = within / name.removeprefix("muxd/")
            self.assertTrue(path.exists(), name)

    def test_embedding(self) -> None:
        """
        The example of embedding in the README can be compiled, and what it
        imports is there.
        """
        readme = (PROJECT / "README.md").read_text()
        (example,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
        compile(example, "README.md", "exec")
        for module, name in re.findall(r"^from (muxd[\w.]*) import (\w+)", example, re.MULTILINE):
            self.assertTrue(hasattr(__import__(module, fromlist=[name]), name))
