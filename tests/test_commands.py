"""
Tests of the commands that documents show: each is one that is understood.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from twisted.internet.testing import MemoryReactorClock
from twisted.python import usage
from twisted.trial.unittest import SkipTest, SynchronousTestCase

import muxd
from muxd.muxctl.options import Usage, parse
from muxd.phone.examine import commandline as examine
from muxd.tap import iphone, muxhub, tcprelay, usbmuxd
from muxd.tap.script import ScriptOptions
from tests.running.processes import startsProcesses

PROJECT = Path(muxd.__file__).parents[1]

COMMANDS = {"usbmuxd": usbmuxd, "tcprelay": tcprelay, "iphone": iphone, "muxhub": muxhub}
EXAMINE = "muxd.phone.examine"
PROGRAMS = {"twistd", "twist", "muxctl", "usbmuxd"}

_SEPARATORS = {"&", "&&", "|", "||", ";"}
_TWISTD_VALUES = {"--pidfile", "--logfile", "--uid", "--gid", "--reactor", "-l", "-y", "-u", "-g"}


def shellLines(text: str) -> Iterator[str]:
    """
    The lines of a document's blocks of shell commands, those that go on put together.
    """
    for language, block in re.findall(r"^ *```(\w*)\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE):
        if language in ("", "sh", "shell", "bash", "console"):
            for line in block.replace("\\\n", " ").splitlines():
                yield line.strip().removeprefix("$ ").removeprefix("# ")


def commands(line: str) -> Iterator[list[str]]:
    """
    The commands of a line that are ours, without what is set before them.
    """
    try:
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|")
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:
        return
    command: list[str] = []
    for word in (*words, ";"):
        if word in _SEPARATORS:
            while command and (re.match(r"[A-Z_]+=", command[0]) or command[0] in ("sudo", "exec")):
                command.pop(0)
            if command[1:3] == ["-m", EXAMINE]:
                yield command[2:]
            elif command and os.path.basename(command[0]) in PROGRAMS:
                yield command
            command = []
        elif not word.startswith(">"):
            command.append(word)


def understand(words: list[str]) -> None:
    """
    Parse a command line as its program does.

    @raise usage.UsageError: It is refused.
    """
    program, *arguments = words
    name = os.path.basename(program)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        if name == "muxctl":
            parse(arguments)
        elif name == EXAMINE:
            examine.Options().parseOptions(arguments)
        elif name == "usbmuxd":
            ScriptOptions().parseOptions(arguments)
        else:
            understandRunner(arguments)


def understandRunner(arguments: list[str]) -> None:
    """
    Parse the part of a command of C{twistd} that is ours.
    """
    while arguments and arguments[0] not in COMMANDS:
        word = arguments.pop(0)
        if word.startswith("-") and not word.startswith("--") and word.endswith("y"):
            word = "-y"
        if word in _TWISTD_VALUES:
            value = arguments.pop(0)
            if value.startswith("-"):
                raise usage.UsageError(f"{word} takes {value} for its value")
            if word == "-y" and not (PROJECT / value).exists():
                raise usage.UsageError(f"there is no {value}")
        elif not word.startswith("-"):
            raise usage.UsageError(f"unknown command {word}")
    if not arguments:
        return
    options = COMMANDS[arguments.pop(0)].Options()
    options.reactor = MemoryReactorClock()
    options.parseOptions(arguments)


class ShownCommandTests(SynchronousTestCase):
    """
    The commands in the README and the pages of F{docs/}.
    """

    # zeroconf, which the source wifi imports, asks ldconfig where the C library is.
    @startsProcesses
    def test_understood(self) -> None:
        """
        Each command of ours that a document shows is understood by its program.
        """
        if not (PROJECT / "docs").exists():
            raise SkipTest("these tests need the source tree")
        found = 0
        wrong: list[str] = []
        for document in (PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))):
            for line in shellLines(document.read_text()):
                for words in commands(line):
                    found += 1
                    try:
                        understand(list(words))
                    except (usage.UsageError, Usage, SystemExit, ValueError, IndexError) as error:
                        if str(error) != "0":
                            wrong.append(f"{document.name}: {shlex.join(words)}: {error}")
        self.assertGreater(found, 10)
        self.assertEqual(wrong, [])

    def test_refused(self) -> None:
        """
        What a program would refuse is noticed here: an option where another one's value is
        expected, a file that is not there, and options that do not exist.
        """
        for line in (
            "twistd -ny --pidfile=x tac/usbmuxd.tac",
            "twistd -ny tac/nothing.tac",
            "twistd -n cupboard",
            "twistd -n usbmuxd --colour",
            "A=1 muxctl dance",
            "usbmuxd --nothing && true",
            "python -m muxd.phone.examine --edges 100 daemon",
        ):
            [words] = commands(line)
            self.assertRaises((usage.UsageError, Usage, SystemExit), understand, words)
