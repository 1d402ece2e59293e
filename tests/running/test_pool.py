# -*- test-case-name: tests.running.test_pool -*-
"""
Tests for running tests in several processes.
"""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.running.found import Found
from tests.running.outcome import Outcome, Verdict
from tests.running.pool import Pool
from tests.running.processes import startsProcesses
from tests.running.report import Report
from tests.running.unit import memoryDirectory

SAMPLES = "tests.running.samples"
WORKER = (sys.executable, "-m", "tests.running.worker")


def names(*tests: str) -> list[str]:
    """
    The ids of samples.
    """
    return [f"{SAMPLES}.{test}" for test in tests]


@startsProcesses
class PoolTests(SynchronousTestCase):
    """
    Tests for L{Pool}: its workers are real ones.
    """

    def outcomes(
        self,
        *batches: Sequence[str],
        jobs: int = 1,
        deadline: float = 100,
        command: Sequence[str] = WORKER,
    ) -> dict[str, Outcome]:
        """
        What comes of some samples, each of which has one outcome.
        """
        found: list[Outcome] = []
        Pool(command, deadline, found.append).run(batches, jobs)
        names = [outcome.test.removeprefix(f"{SAMPLES}.") for outcome in found]
        self.assertEqual(len(set(names)), len(names))
        return dict(zip(names, found, strict=True))

    def test_sound(self) -> None:
        """
        Tests that pass, are skipped and fail as expected; the reason and the
        output come with the outcome.
        """
        found = self.outcomes(
            names("Sound.test_nothing", "Sound.test_skipped"),
            names("Sound.test_expected", "Sound.test_zleep"),
            jobs=2,
        )
        self.assertEqual(
            {name: outcome.verdict for name, outcome in found.items()},
            {
                "Sound.test_nothing": Verdict.PASSED,
                "Sound.test_skipped": Verdict.SKIPPED,
                "Sound.test_expected": Verdict.PASSED,
                "Sound.test_zleep": Verdict.PASSED,
            },
        )
        self.assertEqual(found["Sound.test_nothing"].reason, "")
        self.assertEqual(found["Sound.test_nothing"].output, "")
        self.assertEqual(found["Sound.test_skipped"].reason, "not today\n")
        self.assertEqual(found["Sound.test_zleep"].output, "a line of output\n")
        self.assertIn("a warning", found["Sound.test_zleep"].reason)

    def test_warnings(self) -> None:
        """
        Each test tells of its warnings, also of those that others have told of.
        """
        found = self.outcomes(names("Warned.test_a", "Warned.test_b"))
        for test in ("Warned.test_a", "Warned.test_b"):
            self.assertIn("a warning of both", found[test].reason)

    def test_failing(self) -> None:
        """
        However a test fails, and however often: it has failed once, and a
        traceback says where.
        """
        tests = {
            "test_assertion": "1 != 2",
            "test_twice": "the test",
            "test_skippedThenFailed": "the tidying up",
            "test_logged": "RuntimeError: logged",
            "test_unclean": "DirtyReactorAggregateError",
            "test_unexpected": "some day",
        }
        found = self.outcomes(names(*(f"Failing.{test}" for test in tests)))
        self.assertEqual(len(found), len(tests))
        for test, reason in tests.items():
            outcome = found[f"Failing.{test}"]
            self.assertIs(outcome.verdict, Verdict.FAILED)
            self.assertIn(reason, outcome.reason)
        self.assertEqual(
            found["Failing.test_assertion"].output, "printed before\nprinted by a child\n"
        )
        self.assertIn("the tidying up", found["Failing.test_twice"].reason)

    def test_startsProcesses(self) -> None:
        """
        A test that starts a process has failed unless it is marked, or its class
        or a base of that is, and even if it has caught what was raised.
        """
        allowed = names("Starting.test_marked", "Inheriting.test_inherited")
        others = names(
            "Starting.test_unmarked", "Starting.test_unmarkedFork", "Starting.test_unmarkedQuiet"
        )
        found = self.outcomes(others, allowed, jobs=2)
        for outcome in found.values():
            if outcome.test in allowed:
                self.assertIs(outcome.verdict, Verdict.PASSED)
            else:
                self.assertIs(outcome.verdict, Verdict.FAILED)
                self.assertIn("has to be decorated with @startsProcesses", outcome.reason)
        self.assertEqual(len(found), 5)

    def test_shared(self) -> None:
        """
        What the tests of a class share is made once, and an error of its end is a
        failure of its own.
        """
        batch = names("Sharing.test_a", "Sharing.test_b")
        found = self.outcomes(batch)
        self.assertIs(found["Sharing.test_a"].verdict, Verdict.PASSED)
        self.assertIs(found["Sharing.test_b"].verdict, Verdict.PASSED)
        self.assertIs(found["the list"].verdict, Verdict.FAILED)
        self.assertIn("the end of ['a']", found["the list"].reason)

    def test_workerEnds(self) -> None:
        """
        A test that ends the process has failed, with the status and what was
        printed; the others are run.
        """
        found = self.outcomes(names(*(f"Ending.test_{letter}" for letter in "abcd")))
        verdicts = [found[f"Ending.test_{letter}"].verdict for letter in "abcd"]
        self.assertEqual(verdicts, [Verdict.PASSED, Verdict.FAILED, Verdict.FAILED, Verdict.PASSED])
        killed = found["Ending.test_b"]
        self.assertEqual(killed.reason, "the worker has ended with status -11\n")
        self.assertTrue(killed.output.startswith("the last words\nFatal Python error"))
        self.assertIn("in test_b", killed.output)
        self.assertEqual(found["Ending.test_c"].reason, "the worker has ended with status 0\n")

    def test_hangs(self) -> None:
        """
        A test that does not end has failed, says where it is, and leaves no
        process behind.
        """
        found = self.outcomes(names("Hanging.test_a", "Hanging.test_b"), deadline=3)
        hanging = found["Hanging.test_a"]
        self.assertIs(hanging.verdict, Verdict.FAILED)
        self.assertIn("Timeout (0:00:03)!", hanging.output)
        self.assertIn("in test_a", hanging.output)
        self.assertIs(found["Hanging.test_b"].verdict, Verdict.PASSED)
        child = re.search(r"child (\d+)", hanging.output)
        assert child is not None
        self.assertGone(int(child[1]))

    def test_endsBetweenTests(self) -> None:
        """
        A worker that ends, or does not, when the tests of a class have been run is told as a
        failure of its own; others are run.
        """
        for test, reason, output in (
            ("Leaving.test_a", "the worker has ended with status 3\n", "before"),
            ("Lingering.test_a", "the worker has ended with status 1\n", "in end"),
        ):
            found = self.outcomes(names(test), names("Sound.test_nothing"), deadline=10)
            self.assertEqual(
                {name: outcome.verdict for name, outcome in found.items()},
                {
                    test: Verdict.PASSED,
                    "<worker>": Verdict.FAILED,
                    "Sound.test_nothing": Verdict.PASSED,
                },
            )
            self.assertEqual(found["<worker>"].reason, reason)
            self.assertIn(output, found["<worker>"].output)

    def test_halfALine(self) -> None:
        """
        A worker that is killed while it says something has said nothing.
        """
        for said, also in (("tests [[", []), ("tests []\nend {", ["Sound.test_nothing"])):
            code = f"import os, sys; os.write(int(sys.argv[1]), {said.encode()!r}); os._exit(4)"
            found: list[Outcome] = []
            pool = Pool((sys.executable, "-c", code), 100, found.append)
            self.assertEqual(pool.find(names("Sound"), 1), [])
            pool.run([names(*also)] if also else [], 1)
            self.assertEqual({outcome.verdict for outcome in found}, {Verdict.FAILED})
            self.assertIn("status 4", found[-1].reason)

    def assertGone(self, pid: int) -> None:
        """
        A process is not there, or has been killed and waits for its parent.
        """
        try:
            with open(f"/proc/{pid}/stat") as stat:
                self.assertIn(") Z ", stat.read())
        except FileNotFoundError:
            pass

    def test_workerCannotStart(self) -> None:
        """
        Where no worker can be started, every test has failed.
        """
        found = self.outcomes(
            names("Sound.test_nothing", "Sound.test_expected"),
            command=(sys.executable, "-c", "raise SystemExit('no worker')"),
        )
        for outcome in found.values():
            self.assertIs(outcome.verdict, Verdict.FAILED)
            self.assertEqual(outcome.output, "no worker\n")
        self.assertEqual(len(found), 2)

    def test_find(self) -> None:
        """
        A worker says which tests there are, and which of them C{make unit} runs.  What cannot
        be loaded is one of them, and fails when it is run.
        """
        found: list[Outcome] = []
        pool = Pool(WORKER, 100, found.append)
        tests = pool.find(names("Loading", "Ending.test_a", "Nonesuch"), 1)
        self.assertEqual(
            [
                Found(f"{SAMPLES}.Loading.test_marked", False),
                Found(f"{SAMPLES}.Ending.test_a", True),
                Found(f"{SAMPLES}.Nonesuch", True),
            ],
            tests,
        )
        pool.run([[test.test] for test in tests], 2)
        self.assertEqual(
            {
                f"{SAMPLES}.Loading.test_marked": Verdict.PASSED,
                f"{SAMPLES}.Ending.test_a": Verdict.PASSED,
                f"{SAMPLES}.Nonesuch": Verdict.FAILED,
            },
            {outcome.test: outcome.verdict for outcome in found},
        )

    def test_findNothing(self) -> None:
        """
        Workers that end before they have said which tests there are have failed, whatever
        their status.
        """
        for command in ("import os; os._exit(0)", "raise SystemExit('no worker')"):
            found: list[Outcome] = []
            pool = Pool((sys.executable, "-c", command), 100, found.append)
            self.assertEqual([], pool.find(names("Sound"), 2))
            pool.run([], 2)
            self.assertEqual({Verdict.FAILED}, {outcome.verdict for outcome in found})


@startsProcesses
class CommandTests(SynchronousTestCase):
    """
    Tests for C{python -m tests}.
    """

    def command(self, *words: str, **variables: str) -> tuple[int, list[str]]:
        """
        Run it.

        @param variables: More of its environment.
        @return: Its status, and what it has printed.
        """
        done = subprocess.run(
            [sys.executable, "-m", "tests", *words],
            env={**os.environ, **variables},
            check=False,
            capture_output=True,
            text=True,
            timeout=500,
        )
        return done.returncode, (done.stdout + done.stderr).splitlines()

    def test_everything(self) -> None:
        """
        All that was named is run, and counted.
        """
        for how in ([], ["--jobs", "2"]):
            status, printed = self.command(*how, f"{SAMPLES}.Sound", f"{SAMPLES}.Marked")
            self.assertEqual((status, printed[-1]), (0, "3 passed, 0 failed, 1 skipped"))

    def test_again(self) -> None:
        """
        With C{--again}, a test that passes at a second try has passed, and is named; without, it
        has failed.
        """
        test = f"{SAMPLES}.Unsteady.test_firstTime"
        for options, status, lines in (
            ((), 1, [f"failed: {test}", "0 passed, 1 failed, 0 skipped"]),
            (
                ("--again",),
                0,
                [f"passed at a second try: {test}", "1 passed, 0 failed, 0 skipped"],
            ),
        ):
            file = os.path.abspath(self.mktemp())
            ended, printed = self.command("--jobs", "1", *options, test, MUXD_TEST_UNSTEADY=file)
            self.assertEqual((ended, printed[-2:]), (status, lines))

    def test_failures(self) -> None:
        """
        The status is 1 where a test has failed; its name stands before the counts.
        """
        for how in ([], ["--jobs", "2"]):
            status, printed = self.command(*how, f"{SAMPLES}.Failing")
            self.assertEqual((status, printed[-1]), (1, "0 passed, 6 failed, 0 skipped"))
            self.assertEqual(printed[-2], f"failed: {SAMPLES}.Failing.test_unexpected")

    def test_notThere(self) -> None:
        """
        A name of no test is a failure, in whichever process.
        """
        for how in ([], ["--jobs", "2"], ["--unit"]):
            status, printed = self.command(*how, f"{SAMPLES}.Sound", f"{SAMPLES}.Nonesuch")
            self.assertEqual((status, printed[-1]), (1, "3 passed, 1 failed, 1 skipped"))

    def test_unit(self) -> None:
        """
        Tests that start processes, or are marked as a load, are left out on request.
        """
        cases = ("Sound", "Inheriting", "Loading", "Starting.test_marked")
        names = [f"{SAMPLES}.{name}" for name in cases]
        for how in ([], ["--jobs", "2"]):
            status, printed = self.command("--unit", *how, *names)
            self.assertEqual((status, printed[-1]), (0, "3 passed, 0 failed, 1 skipped"))

    def test_unitTidiesUp(self) -> None:
        """
        With C{--unit}, a test that runs into its deadline leaves nothing behind.
        """
        if (memory := memoryDirectory({})) is None:
            raise SkipTest("there is no room in memory")
        self.patch(os, "environ", {key: os.environ[key] for key in os.environ if key != "TMPDIR"})
        status, printed = self.command(
            "--unit", "--jobs", "1", "--deadline", "5", f"{SAMPLES}.Littering"
        )
        self.assertEqual((status, printed[-1]), (1, "0 passed, 1 failed, 0 skipped"))
        directory = next(line.split()[1] for line in printed if line.startswith("directory "))
        self.assertEqual(os.path.dirname(os.path.dirname(directory)), memory)
        self.assertFalse(os.path.exists(os.path.dirname(directory)))

    def test_terminated(self) -> None:
        """
        When it is told to end, its workers end.
        """
        pipe = os.path.abspath(self.mktemp())
        os.mkfifo(pipe)
        running = subprocess.Popen(
            [sys.executable, "-m", "tests", "--jobs", "1", f"{SAMPLES}.Telling"],
            env={**os.environ, "MUXD_TEST_ALIVE": pipe},
            stdout=subprocess.DEVNULL,
        )
        with open(pipe) as alive:
            running.terminate()
            self.assertEqual(running.wait(), 128 + signal.SIGTERM)
            self.assertEqual(alive.read(), "")

    def test_badOption(self) -> None:
        """
        How many jobs there are is a number.
        """
        status, printed = self.command("--jobs", "many")
        self.assertEqual((status, printed[-1]), (2, "--jobs: expected a number, got 'many'"))


class ReportTests(SynchronousTestCase):
    """
    Tests for L{Report}.
    """

    def setUp(self) -> None:
        """
        Three tests are expected.
        """
        self.printed = io.StringIO()
        self.report = Report(["a", "b", "c"], self.printed)

    def test_counts(self) -> None:
        """
        Each outcome is counted, and nothing has failed.
        """
        self.report.add(Outcome("a", Verdict.PASSED))
        self.report.add(Outcome("b", Verdict.SKIPPED))
        self.report.add(Outcome("c", Verdict.PASSED))
        self.assertTrue(self.report.finish())
        self.assertEqual(self.report.summary, "2 passed, 0 failed, 1 skipped")

    def test_notRun(self) -> None:
        """
        What was loaded and was not run has failed.
        """
        self.report.add(Outcome("a", Verdict.PASSED))
        self.report.add(Outcome("c", Verdict.PASSED))
        self.assertFalse(self.report.finish())
        self.assertEqual(self.report.summary, "2 passed, 1 failed, 0 skipped")
        self.assertIn("failed: b\n", self.printed.getvalue())

    def test_secondTry(self) -> None:
        """
        Of a test that was tried again counts what came of it then.  If it has passed, it is
        named all the same, and why it had failed is printed at the end.
        """
        self.report.add(Outcome("a", Verdict.FAILED, reason="too late\n"))
        self.report.add(Outcome("b", Verdict.FAILED, reason="wrong\n"))
        self.report.add(Outcome("c", Verdict.PASSED))
        self.report.addAgain(Outcome("a", Verdict.PASSED))
        self.report.addAgain(Outcome("b", Verdict.FAILED, reason="wrong again\n"))
        self.assertFalse(self.report.finish())
        self.assertEqual(self.report.summary, "2 passed, 1 failed, 0 skipped")
        _, _, end = self.printed.getvalue().partition("=" * 79)
        self.assertEqual(end.splitlines()[:3], ["", "a", "too late"])
        self.assertEqual(end.splitlines()[-2:], ["passed at a second try: a", "failed: b"])

    def test_outsideOfTests(self) -> None:
        """
        What fails outside of all tests is counted as well.
        """
        for test in "abc":
            self.report.add(Outcome(test, Verdict.PASSED))
        self.report.add(Outcome("<not in test>", Verdict.FAILED))
        self.assertFalse(self.report.finish())
        self.assertEqual(self.report.summary, "3 passed, 1 failed, 0 skipped")

    def test_slowest(self) -> None:
        """
        The slowest are named, the slowest first, and no more than twenty.
        """
        for seconds in range(30):
            self.report.add(Outcome(f"t{seconds}", Verdict.PASSED, seconds=seconds))
        self.report.finish()
        _, _, end = self.printed.getvalue().partition("The slowest:\n")
        lines = [line.split() for line in end.splitlines() if " s  " in line]
        self.assertEqual([line[-1] for line in lines], [f"t{n}" for n in range(29, 9, -1)])


class OutcomeTests(SynchronousTestCase):
    """
    Tests for L{Outcome}.
    """

    def test_oneLine(self) -> None:
        """
        An outcome is one line of text, and comes out of it as it was.
        """
        outcome = Outcome("x", Verdict.SKIPPED, 1.5, "a\nb\u2028\n", "\x00 é \udc80\n")
        line = outcome.toJSON()
        self.assertEqual(len(line.splitlines()), 1)
        self.assertTrue(line.isascii())
        self.assertEqual(Outcome.fromJSON(line), outcome)
