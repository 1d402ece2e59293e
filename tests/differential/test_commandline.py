"""
Tests of L{tests.differential.commandline}, the last of them with both daemons.
"""

from __future__ import annotations

import os
import sys
from io import StringIO
from itertools import islice
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.differential.commandline import Options, chosen, have, main
from tests.differential.grammar import case
from tests.differential.kept import kept
from tests.differential.pair import CannotCompare, Pair
from tests.running.processes import startsProcesses


def options(*words: str) -> Options:
    """
    Parsed.
    """
    parsed = Options()
    parsed.parseOptions(words)
    return parsed


class ChoiceTests(SynchronousTestCase):
    """
    Which conversations are had.
    """

    def test_all(self) -> None:
        """
        Those that are kept, then as many others as were asked for.
        """
        names = [one.name for one in chosen(options("--seconds=0", "--count=2", "--seed=9"))]
        self.assertEqual(names, [*(one.name for one in kept()), "9:0", "9:1"])

    def test_slice(self) -> None:
        """
        A later slice begins where it is told to.
        """
        names = [one.name for one in chosen(options("--seconds=0", "--count=2", "--start=70"))]
        self.assertEqual(names, ["1:70", "1:71"])

    def test_endless(self) -> None:
        """
        Without a number it goes on for as long as there is time.
        """
        self.assertEqual(len(list(islice(chosen(options("--start=1")), 100))), 100)

    def test_one(self) -> None:
        """
        One of either kind.
        """
        self.assertEqual(list(chosen(options("--case=3:4"))), [case(3, 4)])
        (one,) = chosen(options("--case=list-newline"))
        self.assertEqual(one.name, "list-newline")

    def test_wrong(self) -> None:
        """
        A wrong option is a usage error.
        """
        self.patch(sys, "stderr", StringIO())
        self.assertEqual(main(["--count=many"]), 2)


@startsProcesses
@startsProcesses
class BothTests(SynchronousTestCase):
    """
    Both daemons.
    """

    def test_kept(self) -> None:
        """
        Whatever the C daemon was known to serve is served by ours.
        """
        try:
            pair = Pair()
        except CannotCompare as error:
            if os.environ.get("MUXD_REQUIRE_INTEGRATION"):
                raise
            raise SkipTest(str(error)) from error
        with pair:
            for conversation in kept():
                with self.subTest(conversation.name):
                    self.assertEqual(have(pair, conversation).finding, "")
