# -*- test-case-name: tests.muxctl.test_quantities -*-
"""
Tests of L{muxd.muxctl.quantities}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from muxd.muxctl.quantities import byteCount, counted, duration, nameOf, programOf


class QuantityTests(SynchronousTestCase):
    """
    Numbers as people read them.
    """

    def test_bytes(self) -> None:
        """
        Bytes have three digits at the most, and a unit.
        """
        for count, text in (
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (9949, "9.9 kB"),
            (9951, "10 kB"),
            (999_499, "999 kB"),
            (999_501, "1.0 MB"),
            (5e9, "5.0 GB"),
            (1e18, "1000 PB"),
        ):
            self.assertEqual(byteCount(count), text)

    def test_counted(self) -> None:
        """
        One thing is one, others are several.
        """
        counts = [counted(number, "phone") for number in (0, 1, 2)]
        self.assertEqual(counts, ["0 phones", "1 phone", "2 phones"])

    def test_duration(self) -> None:
        """
        A time has its two largest units.
        """
        for seconds, text in (
            (0.9, "0 s"),
            (61, "1 min 1 s"),
            (3700, "1 h 1 min"),
            (90061, "1 d 1 h"),
        ):
            self.assertEqual(duration(seconds), text)

    def test_name(self) -> None:
        """
        A phone is called by its labels and its name.
        """
        for phone, text in (
            ({"labels": ["bench", "ci"], "name": "Ann's"}, "bench, ci: Ann's"),
            ({"labels": [], "name": "Ann's"}, "Ann's"),
            ({"labels": ["bench"], "name": ""}, "bench"),
            ({}, ""),
        ):
            self.assertEqual(nameOf(phone), text)

    def test_program(self) -> None:
        """
        A program is its name and number, or where it is.
        """
        for peer, text in (
            ({"pid": 7, "program": "x"}, "x (7)"),
            ({"pid": 7, "program": ""}, "? (7)"),
            ({"address": "10.0.0.1:5"}, "10.0.0.1:5"),
            ({"program": "this daemon"}, "this daemon"),
            ({}, "?"),
            (None, "?"),
        ):
            self.assertEqual(programOf(peer), text)
