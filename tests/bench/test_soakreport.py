"""
Tests for L{bench.soak.report}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from bench.daemons import PROJECT
from bench.soak.report import BEGIN, BUSES, END, inserted, markdown
from bench.soak.samples import LONGEST_STALL
from tests.bench.test_soaksamples import NONE, result, sample


class ReportTests(SynchronousTestCase):
    """
    Tests of the report.
    """

    def test_verdict(self) -> None:
        """
        The first word is whether it has passed; the reasons follow.
        """
        self.assertTrue(markdown(result()).startswith("**PASS** on the stand-in libusb"))
        text = markdown(result(troubles=["a byte was wrong"]))
        self.assertTrue(text.startswith("**FAIL**"))
        self.assertIn("\n- a byte was wrong\n", text)

    def test_tables(self) -> None:
        """
        What was done, and what is there at rest, with a column for each sample.
        """
        text = markdown(result(sample(), sample(2, blocks=200_500), sample(3)))
        self.assertIn("| echo | 5 | 1 | 0 |", text)
        self.assertIn("| all | 5 | 1 | 3 |", text)
        self.assertIn("| at rest | after the warm-up | round 1 | round 2 |", text)
        self.assertIn("| blocks of memory that Python has | 200,000 | 200,500 | 200,000 |  |", text)
        self.assertIn("| of these, of muxd's own types | 10 | 10 | 10 |  |", text)

    def test_histogram(self) -> None:
        """
        Each class of stalls, and the longest ones.
        """
        stall = {
            "late": 0.3,
            "own": LONGEST_STALL,
            "waited": 0.05,
            "blocked": 0.05,
            "stack": ["records.py:1 save", "commands.py:2 save"],
        }
        late = [97, *NONE[1:-3], 2, 0, 1]
        text = markdown(result(stalls={"late": late, "own": NONE, "long": [stall]}))
        self.assertIn("| to 1 ms | 97 | 97.000 % | 0 |", text)
        self.assertIn("| over 500 ms | 1 | 1.000 % | 0 |", text)
        self.assertIn("| 300 | 50 | 200 | 50 | `records.py:1 save` < `commands.py:2 save` |", text)
        self.assertIn("None of them was longer", markdown(result()))

    def test_inserted(self) -> None:
        """
        Only what is between this bus's marks is renewed.
        """
        begin, end = BEGIN.format(bus="rig"), END.format(bus="rig")
        document = f"before\n{begin}\nold\n{end}\nafter\n"
        self.assertEqual(
            inserted(document, "new\n", "rig"), f"before\n{begin}\n\nnew\n\n{end}\nafter\n"
        )
        self.assertEqual(inserted(document, "new\n", "simulated"), "new\n")

    def test_document(self) -> None:
        """
        docs/soak.md has a place for each bus.
        """
        document = (PROJECT / "docs" / "soak.md").read_text()
        for bus in BUSES:
            self.assertNotEqual(inserted(document, "new\n", bus), "new\n")
