# -*- test-case-name: tests.fuzz.test_corpus -*-
"""
What operators write: descriptions of listening addresses with their views, and configuration
files.  Some of it is made by programs of theirs from what others have typed.
"""

from __future__ import annotations

from collections.abc import Callable
from unittest import mock

from muxd.identity import NO_PHONES, Selection
from muxd.server import viewgrammar
from muxd.server.view import EVERYTHING, View
from muxd.server.viewgrammar import describeView, splitView, viewFromWords
from muxd.tap.configuration import Configuration, ConfigurationError
from tests.fuzz.metering import metering
from tests.fuzz.script import Script
from tests.fuzz.watching import LONGEST_LINE, demand, watching

LABELS = {"rack": Selection.fromWords(["1-1.*", "3-1.4"]), "none": NO_PHONES}
VIEWS = {"ci": viewFromWords({"only": ["rack"]}, LABELS)}
KNOWN = ("source", "grace", "no-preflight", "config-dir")


def number(name: str) -> int:
    """
    That of a user or a group, of whom this machine has none here.
    """
    if name.isascii() and name.isdecimal() and len(name) < 10:
        return int(name)
    raise ValueError(f"there is no user {name!r}")


def checkError(error: Exception) -> None:
    """
    A mistake is told in one line.
    """
    text = str(error)
    demand(text.isprintable(), f"control characters in {text!r}")
    demand(len(text) <= LONGEST_LINE, f"a line of {len(text)} characters: {text[:100]!r}...")


def checkView(view: View) -> None:
    """
    What is shown to people of a view means the same view.
    """
    text = describeView(view)
    if view.peers.certificates or view.peers.programs:
        return
    if text == "everything":
        demand(view == EVERYTHING, f"{view} is not everything")
        return
    options = dict(part.split(" ", 1) for part in text.split("; "))
    again = viewFromWords({key: words.split(", ") for key, words in options.items()}, {})
    demand(again == view, f"{text!r} is not {view}")


def description(script: Script) -> None:
    """
    A listening address and its view.
    """
    text = script.rest().decode("utf-8", "replace")
    try:
        plain, named = splitView(text, LABELS, VIEWS)
    except ValueError as error:
        checkError(error)
        return
    if named is None:
        demand(plain == text, "a description without a view was changed")
        return
    demand(splitView(plain, LABELS, VIEWS) == (plain, None), "a view was left behind")
    checkView(named.view)


def file(script: Script) -> None:
    """
    A configuration file.
    """
    try:
        found = Configuration.parse("/etc/muxd.toml", script.rest(), KNOWN)
    except ConfigurationError as error:
        checkError(error)
        return
    for view in found.views.values():
        checkView(view)
    for address in found.listen or ():
        if address.view is not None:
            checkView(address.view.view)


KINDS: tuple[Callable[[Script], None], ...] = (description, file)


def run(data: bytes) -> None:
    """
    One input.
    """
    script = Script(data)
    with (
        watching(),
        metering(data) as meter,
        meter.turn(),
        mock.patch.object(viewgrammar, "uidOf", number),
        mock.patch.object(viewgrammar, "gidOf", number),
    ):
        script.choose(KINDS)(script)
