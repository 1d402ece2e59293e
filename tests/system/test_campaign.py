# -*- test-case-name: tests.system.test_campaign -*-
"""
Tests for L{tests.system.campaign}, L{tests.system.outcome} and L{tests.system.report}.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.system.campaign import Campaign, Cell
from tests.system.contenders import Contender, Model
from tests.system.guest.runner import RESULTS
from tests.system.laboratory import Parts
from tests.system.machine import STATUS, Machine
from tests.system.outcome import Outcome, Verdict
from tests.system.plan import Share
from tests.system.report import Report
from tests.system.scenario import Catalogue
from tests.system.test_scenario import nothing

PARTS = Parts(Path("/qemu"), Path("/vmlinux"), Path("/initrd"), Path("/udev"))
SHARE = Share(Contender.ASYNC, Model.STANDALONE, ("one", "two", "three"))


def passed(name: str) -> Outcome:
    """
    A scenario that went well.
    """
    return Outcome(scenario=name, verdict=Verdict.PASSED, seconds=1.25)


class FakeMachine(Machine):
    """
    Runs what it is told until a scenario that brings it down.
    """

    runs: list[list[str]]

    def run(
        self,
        command: Sequence[str],
        workingDirectory: Path,
        patience: float,
        lineReceived: Callable[[str], object],
    ) -> int | None:
        """
        Write what the guest writes.
        """
        self.directory.mkdir(parents=True)
        names = list(command[command.index("/vmout") + 1 :])
        self.runs.append(names)
        with (self.directory / RESULTS).open("w") as results:
            for name in names:
                results.write(f"{Outcome(scenario=name, verdict=Verdict.BEGAN).toLine()}\n")
                results.flush()
                lineReceived(f"began {name}")
                if name == "two":
                    lineReceived("Kernel panic")
                    return None
                results.write(f"{passed(name).toLine()}\n")
                results.flush()
                lineReceived(f"passed {name}")
        (self.directory / STATUS).write_text("0\n")
        return 0


class CampaignTests(SynchronousTestCase):
    """
    Tests for L{Campaign}.
    """

    def test_machineEnds(self) -> None:
        """
        A scenario that a machine ends in has failed, with the last words of the
        machine, and another machine runs the rest.
        """
        runs: list[list[str]] = []

        def makeMachine(parts: Parts, directory: Path) -> Machine:
            machine = FakeMachine(parts, directory)
            machine.runs = runs
            return machine

        said: list[str] = []
        directory = Path(self.mktemp())
        campaign = Campaign(PARTS, directory, said.append, makeMachine=makeMachine)
        campaign.run([SHARE], 1)
        self.assertEqual(runs, [["one", "two", "three"], ["three"]])
        found = {cell.outcome.scenario: cell.outcome for cell in campaign.cells}
        self.assertEqual(found["one"], passed("one"))
        self.assertEqual(found["three"], passed("three"))
        self.assertIs(found["two"].verdict, Verdict.FAILED)
        self.assertEqual(found["two"].reason, "the machine ended with status None: Kernel panic")
        console = (directory / "01-async/console").read_text()
        self.assertIn("began one\n", console)


class OutcomeTests(SynchronousTestCase):
    """
    Tests for L{Outcome}.
    """

    def test_line(self) -> None:
        """
        A line becomes the outcome that it was made of.
        """
        outcome = Outcome(
            scenario="one",
            verdict=Verdict.FAILED,
            seconds=2.5,
            reason="expected 1, got 2",
            remarks=("a", "b"),
        )
        self.assertNotIn("\n", outcome.toLine())
        self.assertEqual(Outcome.fromLine(outcome.toLine()), outcome)

    def test_nonsense(self) -> None:
        """
        Any other line is a C{ValueError}.
        """
        for line in ("", "{}", "[]", '{"scenario": "one"}'):
            self.assertRaises(ValueError, Outcome.fromLine, line)


class ReportTests(SynchronousTestCase):
    """
    Tests for L{Report}.
    """

    def setUp(self) -> None:
        """
        Two scenarios, one of which means nothing to the C daemon.
        """
        catalogue = Catalogue()
        catalogue.scenario("one")(nothing)
        catalogue.scenario("two", exempt={Contender.C: "because"})(nothing)
        self.scenarios = catalogue.matching()

    def report(self, *cells: tuple[Contender, Outcome]) -> Report:
        """
        A report of these cells.
        """
        directory = Path("/logs")
        return Report(
            self.scenarios,
            list(Contender),
            Model.STANDALONE,
            [Cell(contender, outcome, directory) for contender, outcome in cells],
        )

    def test_table(self) -> None:
        """
        Each field says what came of it, or why nothing did.
        """
        failed = Outcome(scenario="two", verdict=Verdict.FAILED, seconds=3, reason="broken")
        report = self.report(
            (Contender.ASYNC, passed("one")),
            (Contender.ASYNC, failed),
            (Contender.C, Outcome(scenario="one", verdict=Verdict.FAILED, reason="no phone")),
        )
        self.assertEqual(
            report.table().splitlines(),
            [
                "| scenario (standalone phone) | muxd [async] | muxd [threads] | C usbmuxd  |",
                "|-----------------------------|--------------|----------------|------------|",
                "| one                         | pass 1.2 s   | not run        | FAIL 0.0 s |",
                "| two                         | FAIL 3.0 s   | not run        | n/a        |",
            ],
        )
        self.assertIn("two, muxd [async]: FAILED: broken\n  see /logs", report.details())
        self.assertIn("two, C usbmuxd: not applicable: because", report.details())

    def test_summary(self) -> None:
        """
        The closing line counts muxd's fields; what was not run has failed.
        """
        report = self.report(
            (Contender.ASYNC, passed("one")),
            (Contender.ASYNC, passed("two")),
            (Contender.THREADS, passed("one")),
            (Contender.C, Outcome(scenario="one", verdict=Verdict.FAILED)),
        )
        self.assertEqual(report.summary(), "3 passed, 1 failed, 0 skipped")
        self.assertEqual(report.failed, 1)
