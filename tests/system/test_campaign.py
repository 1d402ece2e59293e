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
from tests.system.plan import Share, Trial
from tests.system.report import Report
from tests.system.scenario import Catalogue
from tests.system.test_scenario import nothing

PARTS = Parts(Path("/qemu"), Path("/vmlinux"), Path("/initrd"), Path("/udev"))
ONE, TWO, THREE = (Trial(Contender.ASYNC, name) for name in ("one", "two", "three"))


def passed(trial: Trial) -> Outcome:
    """
    A scenario that went well.
    """
    return Outcome(trial=trial, verdict=Verdict.PASSED, seconds=1.25)


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
        trials = list(command[command.index("/vmout") + 1 :])
        self.runs.append(trials)
        with (self.directory / RESULTS).open("w") as results:
            for trial in map(Trial.fromString, trials):
                results.write(f"{Outcome(trial=trial, verdict=Verdict.BEGAN).toLine()}\n")
                results.flush()
                lineReceived(f"began {trial}")
                if trial == TWO:
                    lineReceived("Kernel panic")
                    return None
                results.write(f"{passed(trial).toLine()}\n")
                results.flush()
                lineReceived(f"passed {trial}")
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
        campaign.run([Share(Model.STANDALONE, (ONE, TWO, THREE))], 1)
        self.assertEqual(runs, [list(map(str, (ONE, TWO, THREE))), [str(THREE)]])
        found = {cell.outcome.trial: cell.outcome for cell in campaign.cells}
        self.assertEqual(found[ONE], passed(ONE))
        self.assertEqual(found[THREE], passed(THREE))
        self.assertIs(found[TWO].verdict, Verdict.FAILED)
        self.assertEqual(found[TWO].reason, "the machine ended with status None: Kernel panic")
        console = (directory / "machine-1/console").read_text()
        self.assertIn("began async:one\n", console)


class OutcomeTests(SynchronousTestCase):
    """
    Tests for L{Outcome}.
    """

    def test_line(self) -> None:
        """
        A line becomes the outcome that it was made of.
        """
        outcome = Outcome(
            trial=ONE,
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
        for line in ("", "{}", "[]", '{"trial": "async:one"}'):
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

    def report(self, *outcomes: Outcome) -> Report:
        """
        A report of these outcomes.
        """
        cells = [Cell(each, Path("/logs")) for each in outcomes]
        return Report(self.scenarios, list(Contender), Model.STANDALONE, cells)

    def test_table(self) -> None:
        """
        Each field says what came of it, or why nothing did.
        """
        report = self.report(
            passed(ONE),
            Outcome(trial=TWO, verdict=Verdict.FAILED, seconds=3, reason="broken"),
            Outcome(trial=Trial(Contender.C, "one"), verdict=Verdict.FAILED, reason="no phone"),
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
            passed(ONE),
            passed(TWO),
            passed(Trial(Contender.THREADS, "one")),
            Outcome(trial=Trial(Contender.C, "one"), verdict=Verdict.FAILED),
        )
        self.assertEqual(report.summary(), "3 passed, 1 failed, 0 skipped")
        self.assertEqual(report.failed, 1)

    def test_secondTry(self) -> None:
        """
        Of a scenario that was run twice counts what came of it last; why it had failed at
        first is told.
        """
        report = self.report(
            passed(ONE),
            Outcome(trial=TWO, verdict=Verdict.FAILED, reason="too late"),
            passed(Trial(Contender.THREADS, "one")),
            passed(Trial(Contender.THREADS, "two")),
            passed(TWO),
        )
        self.assertEqual(report.summary(), "4 passed, 0 failed, 0 skipped")
        self.assertIn("async:two: at the first try: too late\n  see /logs", report.details())
