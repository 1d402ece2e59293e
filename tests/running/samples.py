"""
Tests that do what a runner has to cope with.  They are loaded by name alone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable

from twisted.internet import reactor
from twisted.python import log
from twisted.trial.unittest import TestCase

from tests.running.batches import SHARED
from tests.running.processes import startsProcesses
from tests.running.unit import takesSeconds


class Sound(TestCase):
    """
    Nothing is wrong with these.
    """

    def test_nothing(self) -> None:
        """
        Nothing happens.
        """

    def test_skipped(self) -> None:
        """
        There is a reason not to run it.
        """

    test_skipped.skip = "not today"  # type: ignore[attr-defined]

    def test_expected(self) -> None:
        """
        What is expected to fail does.
        """
        self.fail("as expected")

    test_expected.todo = "some day"  # type: ignore[attr-defined]

    def test_zleep(self) -> None:
        """
        The last of them prints.
        """
        print("a line of output")
        warnings.warn("a warning", stacklevel=1)


class Warned(TestCase):
    """
    The same line warns in both.
    """

    def warn(self) -> None:
        """
        Warn.
        """
        warnings.warn("a warning of both", stacklevel=1)

    def test_a(self) -> None:
        """
        The first.
        """
        self.warn()

    def test_b(self) -> None:
        """
        The second, in which it warns as often as it likes.
        """
        self.warn()
        self.warn()


class Unsteady(TestCase):
    """
    What fails now and then.
    """

    def test_firstTime(self) -> None:
        """
        It fails the first time, which a file remembers.
        """
        with open(os.environ["MUXD_TEST_UNSTEADY"], "ab") as file:
            file.write(b".")
            self.assertGreater(file.tell(), 1)


@takesSeconds
class Loading(TestCase):
    """
    This is a load.
    """

    def test_marked(self) -> None:
        """
        It would take long.
        """


class Failing(TestCase):
    """
    Each of these fails in its way.
    """

    @startsProcesses
    def test_assertion(self) -> None:
        """
        An assertion does not hold.
        """
        print("printed before")
        subprocess.run([sys.executable, "-c", "print('printed by a child')"], check=True)
        self.assertEqual(1, 2)

    def test_twice(self) -> None:
        """
        It fails, and is not tidied up either.
        """
        self.addCleanup(self.fail, "the tidying up")
        self.fail("the test")

    def test_skippedThenFailed(self) -> None:
        """
        A skipped test that is not tidied up.
        """
        self.addCleanup(self.fail, "the tidying up")
        self.skipTest("no reason")

    def test_logged(self) -> None:
        """
        An error is logged.
        """
        log.err(RuntimeError("logged"))

    def test_unclean(self) -> None:
        """
        A call is left behind.
        """
        reactor.callLater(1000, print)

    def test_unexpected(self) -> None:
        """
        What is expected to fail does not.
        """

    test_unexpected.todo = "some day"  # type: ignore[attr-defined]


class Starting(TestCase):
    """
    These start processes, and only one of them says so.
    """

    def start(self) -> None:
        """
        Start one.
        """
        subprocess.run([sys.executable, "-c", ""], check=True)

    @startsProcesses
    def test_marked(self) -> None:
        """
        It says so.
        """
        self.start()

    def test_unmarked(self) -> None:
        """
        It does not.
        """
        self.start()

    def test_unmarkedFork(self) -> None:
        """
        It does so in another way.
        """
        if os.fork() == 0:
            os._exit(0)

    def test_unmarkedQuiet(self) -> None:
        """
        It hears of it, and does not care.
        """
        try:
            self.start()
        except AssertionError:
            pass


@startsProcesses
class Marked(TestCase):
    """
    A class that says so.
    """

    def start(self) -> None:
        """
        Start one.
        """
        subprocess.run([sys.executable, "-c", ""], check=True)


class Inheriting(Marked):
    """
    Its subclass says so, too.
    """

    def test_inherited(self) -> None:
        """
        It may.
        """
        self.start()


class Sharing(TestCase):
    """
    These share a list, whose end is that it is found wrong.
    """

    def setUp(self) -> None:
        """
        Get the list.
        """

        def make() -> tuple[list[str], Callable[[], None]]:
            things: list[str] = []
            return things, lambda: self.fail(f"the end of {things}")

        self.things: list[str] = SHARED.get("the list", make)

    def test_a(self) -> None:
        """
        The first finds it empty.
        """
        self.assertEqual(self.things, [])
        self.things.append("a")

    def test_b(self) -> None:
        """
        The second finds what the first has left.
        """
        self.assertEqual(self.things, ["a"])


class Leaving(TestCase):
    """
    What these share ends the process, when they have been run.
    """

    def setUp(self) -> None:
        """
        Have it.
        """
        print("before", flush=True)
        SHARED.get("the thing", lambda: (None, self.end))

    def end(self) -> None:
        """
        End the process.
        """
        os._exit(3)

    def test_a(self) -> None:
        """
        The test is well.
        """


class Lingering(Leaving):
    """
    What these share does not end.
    """

    def end(self) -> None:
        """
        Wait.
        """
        time.sleep(1000)


class Ending(TestCase):
    """
    Some of these end the process.
    """

    def test_a(self) -> None:
        """
        The first is well.
        """

    def test_b(self) -> None:
        """
        The second is killed by the kernel.
        """
        print("the last words", flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)

    def test_c(self) -> None:
        """
        The third ends without a word.
        """
        os._exit(0)

    def test_d(self) -> None:
        """
        The last is well.
        """


class Littering(TestCase):
    """
    This leaves a file behind, and does not end.
    """

    def test_file(self) -> None:
        """
        Nothing tidies up.
        """
        directory = tempfile.mkdtemp()
        print(f"directory {directory}", flush=True)
        time.sleep(1000)


class Telling(TestCase):
    """
    This says where it is, and does not end.
    """

    def test_alive(self) -> None:
        """
        As long as this process is there, a pipe is open.
        """
        with open(os.environ["MUXD_TEST_ALIVE"], "w"):
            time.sleep(1000)


@startsProcesses
class Hanging(TestCase):
    """
    One of these does not end.
    """

    def test_a(self) -> None:
        """
        The first waits for something that does not come.
        """
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
        print(f"child {child.pid}", flush=True)
        while True:
            time.sleep(1)

    def test_b(self) -> None:
        """
        The other does not wait.
        """
