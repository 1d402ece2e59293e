# -*- test-case-name: tests.bench.test_report -*-
"""
Tests of L{bench.report}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from bench.report import BEGIN, END, inserted, markdown, number, text
from tests.bench.test_results import ONE, download, results


class TextTests(SynchronousTestCase):
    """
    Tests of the table for a terminal.
    """

    def test_row(self) -> None:
        """
        A row shows all figures and costs, their ratios, and each goal and whether it is met.
        """
        table = text(results(download([500], [100], compiled=[250])))
        (row,) = [each for each in table.splitlines() if each.startswith("download, 1 session")]
        for part in (
            *("250.0 MB/s", "500.0 MB/s", "100.0 MB/s", "2.50x", "5.00x"),
            *("4.00 ms/MB", "2.00 ms/MB", "10.0 ms/MB", "0.40x", "0.20x"),
            "40.0 / 40.0 / 40.0",
            "muxd, compiled: >= 2x (floor 1.4x): met; muxd, pure: >= 1x: met",
        ):
            self.assertIn(part, row)
        self.assertIn("goals: 2 met", table)
        self.assertIn("0 violations", table)

    def test_settings(self) -> None:
        """
        Each setting is a table.
        """
        table = text(results(download([500], [100]), download([600], [100], setting=ONE)))
        self.assertLess(table.index("2 CPUs"), table.index("500.0 MB/s"))
        self.assertLess(table.index("500.0 MB/s"), table.index("1 CPU "))
        self.assertLess(table.index("1 CPU "), table.index("600.0 MB/s"))

    def test_failure(self) -> None:
        """
        What failed is said, once, and nothing is said to be right.
        """
        table = text(results(download([None, None], [100, 100])))
        self.assertEqual(table.count("a byte was wrong"), 1)
        self.assertIn("FAILED", table)
        self.assertNotIn("every byte was right", table)

    def test_notes(self) -> None:
        """
        What a reader has to know is said.
        """
        self.assertIn("no compiler", text(results(download([1], [1]), notes=["no compiler"])))

    def test_numbers(self) -> None:
        """
        No more digits are shown than are worth reading.
        """
        self.assertEqual(
            [number(value) for value in (None, 0.5, 12.345, 123.4, 12345.6)],
            ["-", "0.50", "12.3", "123.4", "12,346"],
        )


class MarkdownTests(SynchronousTestCase):
    """
    Tests of the table for a document.
    """

    def test_columns(self) -> None:
        """
        Settings are side by side, and each row is as wide as the head.
        """
        made = markdown(
            results(
                download([500], [100], compiled=[800]),
                download([40], [100], compiled=[90], setting=ONE),
            )
        )
        rows = [line.split(" | ") for line in made.splitlines() if line.startswith("|")]
        self.assertEqual({len(row) for row in rows}, {13})
        self.assertIn("### Unpaced bus", made)
        row = rows[2]
        self.assertEqual(row[0], "| download, 1 session, MB/s")
        self.assertEqual(row[1:6], ["800.0", "500.0", "100.0", "8.00x / 5.00x", "0.12x / 0.20x"])
        self.assertEqual(row[6:10], ["90.0", "40.0", "100.0", "0.90x / 0.40x"])
        self.assertEqual(
            row[11], "compiled >= 2x (floor 1.4x): met, MISSED; pure >= 1x: met, MISSED"
        )

    def test_failure(self) -> None:
        """
        What failed is a line of the document, without the last words of its daemon.
        """
        comparison = download([None], [100])
        comparison.series["pure"].failures[:] = ["a session was lost\n    its log"]
        made = markdown(results(comparison))
        self.assertIn("a session was lost\n", made)
        self.assertNotIn("its log", made)
        self.assertIn("its log", text(results(comparison)))

    def test_machine(self) -> None:
        """
        A table says when and on what it was measured.
        """
        found = results(download([500], [100]))
        made = markdown(found)
        self.assertIn(f"Measured on {found.about['date']}", made)
        self.assertIn("medians of 3 rounds of 1 s", made)

    def test_inserted(self) -> None:
        """
        The table of a document is replaced, and nothing else of it.
        """
        document = f"before\n{BEGIN}\nold\n{END}\nafter\n"
        self.assertEqual(inserted(document, "new"), f"before\n{BEGIN}\n\nnew\n{END}\nafter\n")
        self.assertEqual(inserted("", "new"), "new")
