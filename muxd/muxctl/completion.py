# -*- test-case-name: tests.muxctl.test_completion -*-
"""
C{muxctl completion}: what makes a shell complete C{muxctl}'s words.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping

from muxd.muxctl.terminal import Terminal

SCRIPTS: Mapping[str, str] = {"bash": "muxctl.bash", "zsh": "_muxctl"}
"""Files of C{muxd/muxctl/shell/}, by the shell that reads them."""


def showCompletion(options: Namespace, terminal: Terminal) -> int:
    """
    Print the script for a shell, which reads it with C{eval}.
    """
    terminal.show(script(options.shell).splitlines())
    return 0


def script(shell: str) -> str:
    """
    The text of a shell's script.
    """
    # Takes its time to import, and nothing else needs it.
    from importlib.resources import files

    return files("muxd.muxctl").joinpath("shell", SCRIPTS[shell]).read_text("utf-8")
