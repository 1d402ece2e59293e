"""
Tests for L{tests.fuzz.watching}.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.watching import LONGEST_LINE, Violation, demand, expire, watching

_log = Logger()


class WatchingTests(SynchronousTestCase):
    """
    What is noticed, and what is not.
    """

    def noticed(self) -> str:
        """
        What is said of what L{happen} does.
        """
        return str(self.assertRaises(Violation, self._watch))

    def _watch(self) -> None:
        with watching(frozenset({"documented"})):
            self.happen()

    def happen(self) -> None:
        """
        Nothing.
        """

    def test_quiet(self) -> None:
        """
        Ordinary lines are none of our business.
        """

        def happen() -> None:
            _log.info("a client asked for {name!r}", name="x")
            _log.error("documented")

        self.happen = happen  # type: ignore[method-assign]
        self._watch()

    def test_traceback(self) -> None:
        """
        A traceback is.
        """

        def happen() -> None:
            try:
                raise KeyError("inside")
            except KeyError:
                _log.failure("command failed")

        self.happen = happen  # type: ignore[method-assign]
        self.assertIn("inside", self.noticed())
        self.flushLoggedErrors(KeyError)

    def test_unhandled(self) -> None:
        """
        And a failure that nobody has taken.
        """

        def happen() -> None:
            failed: Deferred[None] = fail(ZeroDivisionError("lost"))
            del failed

        self.happen = happen  # type: ignore[method-assign]
        self.assertIn("lost", self.noticed())
        self.flushLoggedErrors(ZeroDivisionError)

    def test_error(self) -> None:
        """
        And an error that is not documented.
        """
        self.happen = lambda: _log.error("surprise")  # type: ignore[method-assign]
        self.assertIn("surprise", self.noticed())

    def test_unreadable(self) -> None:
        """
        And what nobody should be shown.
        """
        for text in ("\x1b[2J", "two\nlines", "x" * (LONGEST_LINE + 1)):
            self.happen = lambda text=text: _log.info(  # type: ignore[method-assign,misc]
                "{text}", text=text
            )
            self.noticed()
        self.happen = lambda: _log.info("{missing.thing}", missing=1)  # type: ignore[method-assign]
        self.assertIn("cannot be formatted", self.noticed())

    def test_raised(self) -> None:
        """
        What is raised comes through.
        """

        def happen() -> None:
            demand("", "arithmetic")

        self.happen = happen  # type: ignore[method-assign]
        self.assertEqual(self.noticed(), "arithmetic")

    def test_timers(self) -> None:
        """
        A timer that is always there again is one too many.
        """
        clock = Clock()
        clock.callLater(100, lambda: None)
        expire(clock)

        def again() -> None:
            clock.callLater(1, again)

        again()
        self.assertIn("timers", str(self.assertRaises(Violation, expire, clock)))
