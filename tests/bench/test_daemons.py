"""
Tests for L{bench.daemons}, L{bench.isolation} and L{bench.commandline}.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bench.commandline import chosen
from bench.daemons import Subject, muxd, usbmuxd
from bench.isolation import withPrivateMounts
from bench.workloads import workloads


class SubjectTests(SynchronousTestCase):
    """
    Tests for what is started.
    """

    def test_placeholders(self) -> None:
        """
        A command is taken apart as a shell would, then told its places.
        """
        subject = Subject("x", "daemon -l 'unix:{socket}' 'two words' {directory}/records")
        self.assertEqual(
            subject.arguments(Path("/a b/socket"), Path("/d")),
            ["daemon", "-l", "unix:/a b/socket", "two words", "/d/records"],
        )

    def test_default(self) -> None:
        """
        What is measured, unless told otherwise, is muxd on the USB alone, with
        pair records of its own.
        """
        words = muxd(None).arguments(Path("/s"), Path("/d"))
        for expected in (
            ["--listen", "unix:/s"],
            ["--source", "usb"],
            ["--config-dir", "/d/lockdown"],
        ):
            at = words.index(expected[0])
            self.assertEqual(words[at : at + 2], expected)

    def test_otherCommands(self) -> None:
        """
        Both daemons can be any command.
        """
        self.assertEqual(muxd("mine").command, "mine")
        self.assertEqual(usbmuxd("theirs").command, "theirs")

    def test_privateMounts(self) -> None:
        """
        The daemon's own words follow the mounts unchanged.
        """
        command = withPrivateMounts(Path("/d"), ["daemon", "a b"])
        self.assertEqual(command[-3:], ["/d", "daemon", "a b"])
        self.assertIn('exec "$@"', command[-4])


class ChosenTests(SynchronousTestCase):
    """
    Tests for L{chosen}.
    """

    def test_all(self) -> None:
        """
        Without a choice everything is measured.
        """
        self.assertEqual(chosen(None, quick=False), list(workloads()))

    def test_pattern(self) -> None:
        """
        A workload is measured if one of its rows is asked for, even one that a
        quick run would leave out.
        """
        (found,) = chosen(["*.idle-4000-echo"], quick=True)
        self.assertIn("4000", found.arguments)

    def test_unknown(self) -> None:
        """
        No row is no workload.
        """
        self.assertEqual(chosen(["nonsense"], quick=False), [])
