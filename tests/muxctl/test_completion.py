# -*- test-case-name: tests.muxctl.test_completion -*-
"""
Tests for L{muxd.muxctl.completion}: what bash and zsh make of it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from muxd.muxctl.completion import SCRIPTS, script
from muxd.muxctl.options import COMMANDS, Usage, parse
from tests.client.fakedaemon import (
    OTHER,
    PATIENCE,
    UDID,
    StandingDaemon,
    answering,
    deviceEntry,
    listOf,
)
from tests.muxctl.console import muxctl
from tests.running.processes import startsProcesses

BASH = """
source "$SCRIPT"
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_muxctl muxctl "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""

ZSH = """
compdef() { }
compadd() { shift; print -rl -- ${(M)@:#${words[CURRENT]}*} }
_describe() { compadd -- ${${(P)2}%%:*} }
_files() { compadd -- ${words[CURRENT]}*(N) }
source $SCRIPT
words=("$@") CURRENT=$#
_muxctl
"""


class ScriptTests(SynchronousTestCase):
    """
    The scripts as they are.
    """

    def test_printed(self) -> None:
        """
        C{muxctl completion} prints them.
        """
        for shell in SCRIPTS:
            outcome = muxctl("completion", shell)
            self.assertEqual((outcome.status, outcome.out), (0, script(shell)))

    def test_commands(self) -> None:
        """
        They know every command.
        """
        for command in COMMANDS:
            self.assertRegex(script("bash"), rf"(?m)^    local commands=.*\b{command}\b")
            self.assertRegex(script("zsh"), rf"(?m)^        ['\"]{command}:")

    def test_texts(self) -> None:
        """
        What zsh says of each command is what C{--help} says of it.
        """
        shown = re.findall(r"(?m)^        (['\"])(\w+):(.*)\1$", script("zsh"))
        usage = self.assertRaises(Usage, parse, ["--help"])
        text = " ".join(usage.text.split())
        self.assertEqual({command for _, command, _ in shown}, set(COMMANDS))
        for _, command, summary in shown:
            self.assertIn(f" {command} {summary}", text)


class _ShellCase(SynchronousTestCase):
    """
    A shell, C{muxctl}, and a daemon with two phones.
    """

    shell: str
    program: str

    def setUp(self) -> None:
        """
        Make C{muxctl} a command.
        """
        if shutil.which(self.shell) is None:
            raise SkipTest(f"{self.shell} is not installed")
        directory = Path(self.mktemp())
        directory.mkdir()
        command = directory / "muxctl"
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m muxd.muxctl "$@"\n')
        command.chmod(0o755)
        self.script = directory / "script"
        self.script.write_text(script(self.shell))
        self.marker = directory.absolute() / "marker"
        hostile = [f"$(touch${{IFS}}{self.marker})", f"`touch${{IFS}}{self.marker}`", "-x;y"]
        entries = [deviceEntry(number, name) for number, name in enumerate(hostile, 3)]
        phones = answering(listOf(deviceEntry(), deviceEntry(2, OTHER), *entries))
        self.address = StandingDaemon(self, phones).address
        self.environment = {
            "PATH": f"{directory.absolute()}:{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(sys.path),
            "SCRIPT": str(self.script.absolute()),
            "USBMUXD_SOCKET_ADDRESS": self.address.path,
        }

    def complete(self, *words: str) -> set[str]:
        """
        What the last of these words could become.
        """
        arguments = [self.shell, "-c", self.program, self.shell, "muxctl", *words]
        done = subprocess.run(
            arguments,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        self.assertEqual("", done.stderr)
        return set(done.stdout.split())

    def check(self) -> None:
        """
        What both shells have in common.
        """
        self.assertEqual(set(COMMANDS), self.complete(""))
        self.assertEqual({"list", "listeners"}, self.complete("li"))
        self.assertEqual({"show", "delete"}, self.complete("-u", "x", "record", ""))
        self.assertEqual({"bash", "zsh"}, self.complete("completion", ""))
        phones = {UDID, OTHER}
        self.assertEqual(phones, self.complete("-u", ""))
        self.assertEqual({OTHER}, self.complete("connect", "--udid", OTHER[:12]))
        self.assertEqual(phones, self.complete("record", "show", ""))
        options = self.complete("wait", "--")
        self.assertLessEqual({"--count", "--paired", "--json", "--timeout", "--udid"}, options)
        self.assertFalse(options & {"--long", "--plist"})
        self.assertIn("-l", self.complete("list", "-"))
        self.assertIn("--version", self.complete("--"))
        self.assertEqual(set(), self.complete("--timeout", ""))
        self.environment["USBMUXD_SOCKET_ADDRESS"] = "/nonexistent"
        self.assertEqual(set(), self.complete("-u", ""))
        self.assertEqual(phones, self.complete("-s", self.address.path, "-u", ""))
        # Nor is what a device calls itself a command.
        self.assertFalse(self.marker.exists())


@startsProcesses
class BashTests(_ShellCase):
    """
    The script for bash.
    """

    shell = "bash"
    program = BASH

    def test_completion(self) -> None:
        """
        Commands, options and UDIDs are completed.
        """
        self.check()

    def test_addressWithColons(self) -> None:
        """
        An address with colons, which are words of their own to bash, is understood.
        """
        self.environment["USBMUXD_SOCKET_ADDRESS"] = "/nonexistent"
        words = ("-s", "UNIX", ":", self.address.path, "record", "show", "")
        self.assertEqual({UDID, OTHER}, self.complete(*words))

    def test_files(self) -> None:
        """
        An address may be a file.
        """
        self.assertEqual({str(self.script)}, self.complete("-s", str(self.script)[:-3]))

    def test_syntax(self) -> None:
        """
        Everything in it is bash's, and said to be for muxctl.
        """
        done = subprocess.run(["bash", "-n", self.script], check=False, capture_output=True)
        self.assertEqual((0, b""), (done.returncode, done.stderr))
        self.assertTrue(re.search("^complete -F _muxctl muxctl$", script("bash"), re.MULTILINE))


@startsProcesses
class ZshTests(_ShellCase):
    """
    The script for zsh.
    """

    shell = "zsh"
    program = ZSH

    def test_completion(self) -> None:
        """
        Commands, options and UDIDs are completed.
        """
        self.check()

    def test_loading(self) -> None:
        """
        It can be read by zsh's own completion system, and by C{eval} after it.
        """
        command = (
            "fpath=(${SCRIPT:h} $fpath); mv $SCRIPT ${SCRIPT:h}/_muxctl; autoload -Uz compinit;"
            "compinit -D -u; print ${_comps[muxctl]}; unset '_comps[muxctl]';"
            'eval "$(muxctl completion zsh)"; print ${_comps[muxctl]}'
        )
        done = subprocess.run(
            ["zsh", "-f", "-c", command],
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
        )
        self.assertEqual(("_muxctl\n_muxctl\n", ""), (done.stdout, done.stderr))
