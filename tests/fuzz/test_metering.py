# -*- test-case-name: tests.fuzz.test_metering -*-
"""
Tests for L{tests.fuzz.metering}: that it sees defects of the kinds that it is for.
"""

from __future__ import annotations

import os
import sys
import tracemalloc
import zlib
from typing import Any
from unittest.mock import patch

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from muxd.server import protocol
from muxd.server.output import OutputQueue
from tests.fuzz import clients
from tests.fuzz.metering import (
    BOUNDS,
    FUZZING,
    SAMPLE,
    TIMED,
    TRIES,
    Bounds,
    Expense,
    Meter,
    confirmed,
    metering,
)
from tests.fuzz.requests import REQUESTS
from tests.fuzz.target import targetNamed
from tests.fuzz.watching import Violation
from tests.running.unit import takesSeconds

CONNECT = bytes([0, clients.STEPS.index(clients.World.connect), 0])
ASK = bytes([clients.STEPS.index(clients.World.request), 0, REQUESTS.index("ListDevices"), 0])
ASKING = CONNECT + 400 * ASK
"""A client that asks what is there, again and again, and reads the answers."""

RUN = targetNamed("clients").load()


@takesSeconds
class PlantedTests(SynchronousTestCase):
    """
    Defects in the server, seen by the target of clients.
    """

    def objection(self) -> str:
        """
        What is said of it.
        """
        return str(self.assertRaises(Expense, RUN, ASKING))

    def test_none(self) -> None:
        """
        There is nothing to object to without one.
        """
        RUN(ASKING)

    def test_copies(self) -> None:
        """
        Answers of which copies stay somewhere that no bound knows of: some kilobytes for
        a request of which the script says four bytes.
        """
        kept: list[bytearray] = []
        write = OutputQueue.write

        def keep(queue: OutputQueue, *parts: bytes) -> None:
            kept.append(bytearray(4 * b"".join(parts)))
            write(queue, *parts)

        self.patch(OutputQueue, "write", keep)
        self.assertRegex(self.objection(), "^[0-9]{7} bytes are held for 1603 bytes")

    def test_largeForAMoment(self) -> None:
        """
        Memory that is given back, but is needed at a time.
        """
        parse = vars(protocol)["parseRequest"]

        def blowUp(body: bytes) -> Any:
            len(bytes(20 << 20))
            return parse(body)

        self.patch(protocol, "parseRequest", blowUp)
        self.assertRegex(self.objection(), "^a turn needs 2[0-9]{7} bytes for 1603 bytes")

    def test_slow(self) -> None:
        """
        Work that is out of proportion to what was sent.
        """
        if sys.gettrace() is not None:
            raise SkipTest("another tool follows the lines")
        parse = vars(protocol)["parseRequest"]

        def slowly(body: bytes) -> Any:
            for one in body:
                for other in range(1000):
                    _ = one == other
            return parse(body)

        self.patch(protocol, "parseRequest", slowly)
        self.assertRegex(self.objection(), "^a turn has [0-9]{6} lines of Python")


class ConfirmedTests(SynchronousTestCase):
    """
    Tests for L{confirmed}.
    """

    def tried(self, *outcomes: BaseException | None) -> list[bytes]:
        """
        Run something that raises these, one after the other.

        @return: The inputs that it was given.
        """
        tried: list[bytes] = []
        coming = iter(outcomes)

        def run(data: bytes) -> None:
            tried.append(data)
            error = next(coming)
            if error is not None:
                raise error

        try:
            confirmed(run)(b"input")
        finally:
            self.assertIsNone(next(coming, None))
        return tried

    def test_good(self) -> None:
        """
        An input that costs little is tried once.
        """
        self.assertEqual(self.tried(None), [b"input"])

    def test_onlyOnce(self) -> None:
        """
        An input that is expensive at first only is none.
        """
        self.assertEqual(self.tried(Expense("1"), Expense("2"), None), 3 * [b"input"])

    def test_always(self) -> None:
        """
        One that is expensive each time is reported, as it was at last.
        """
        errors = [Expense(str(number)) for number in range(TRIES)]
        self.assertIs(self.assertRaises(Expense, self.tried, *errors), errors[-1])

    def test_otherwise(self) -> None:
        """
        What else is wrong is reported at once.
        """
        error = Violation("wrong")
        self.assertIs(self.assertRaises(Violation, self.tried, error), error)


class MeterTests(SynchronousTestCase):
    """
    Tests for L{Meter} and L{metering}.
    """

    def test_slowInC(self) -> None:
        """
        What has no lines has its time, where nothing but a fuzzer's bounds look at it.
        """
        times = iter((1.0, 1.0 + BOUNDS.seconds, 7.0, 7.5))
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        meter = Meter(10, BOUNDS, False, lambda: next(times))
        with meter.turn():
            pass
        error = self.assertRaises(Expense, self._turn, meter)
        self.assertEqual(str(error), "a turn takes 0.50 s of the CPU")

    def _turn(self, meter: Meter) -> None:
        with meter.turn():
            pass

    def test_perByte(self) -> None:
        """
        More may be held for more that was sent.
        """
        bounds = Bounds(held=1000, perByte=100)
        with metering(bytes(1000), bounds) as meter, meter.turn():
            kept = bytearray(50_000)
        with metering(bytes(100), bounds) as meter:
            error = self.assertRaises(Expense, self._keep, meter, kept)
        self.assertIn("bytes are held for 100 bytes", str(error))

    def _keep(self, meter: Meter, kept: bytearray) -> None:
        with meter.turn():
            kept += bytes(200_000)

    def test_restored(self) -> None:
        """
        Nothing of it is left, also when something is raised.
        """
        before = sys.gettrace(), tracemalloc.is_tracing()
        with self.assertRaises(ZeroDivisionError), metering(b"") as meter, meter.turn():
            raise ZeroDivisionError
        self.assertEqual((sys.gettrace(), tracemalloc.is_tracing()), before)

    def test_timed(self) -> None:
        """
        Without a fuzzer, either lines count or the CPU's time does.
        """
        for environment, hasClock in (({}, False), ({TIMED: "1"}, True)):
            with patch.dict(os.environ, environment), metering(b"") as meter:
                self.assertIs(meter._clock is not None, hasClock)
                self.assertIs(meter._counts, not hasClock and sys.gettrace() is None)

    def test_fuzzing(self) -> None:
        """
        A fuzzer counts the lines of some inputs, always the same, and looks at the time of
        all.
        """
        self.addCleanup(tracemalloc.stop)
        counted = []
        with patch.dict(os.environ, {FUZZING: "1"}):
            for number in range(200):
                data = b"%d" % number
                with metering(data) as meter:
                    self.assertIsNotNone(meter._clock)
                    counted.append((meter._counts, zlib.crc32(data) % SAMPLE == 0))
        if sys.gettrace() is None:
            self.assertEqual([one for one, _ in counted], [other for _, other in counted])
            self.assertIn(True, [one for one, _ in counted])
