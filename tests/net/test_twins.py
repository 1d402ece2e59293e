"""
The compiled modules are what their twins in Python are: whatever they are asked for, in
whatever order and with whatever arguments, both say the same, and the same errors.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from select import EPOLLET, EPOLLIN, EPOLLOUT, EPOLLRDHUP
from typing import Any

from hypothesis import given, settings
from hypothesis.strategies import (
    SearchStrategy,
    binary,
    booleans,
    floats,
    integers,
    just,
    lists,
    none,
    one_of,
    sampled_from,
    tuples,
)
from twisted.trial.unittest import SynchronousTestCase

from tests import twins
from tests.net.twin import SIZE, SOCKETS, Twin
from tests.running.processes import startsProcesses
from tests.running.properties import examples
from tests.sanitized import sanitizedTree

Operation = tuple[Any, ...]

small = integers(-2, SIZE + 2)
bits = sampled_from((8, 16, 24, 31, 32, 62, 63, 64, 70))
edges = bits.flatmap(lambda count: sampled_from(((1 << count) - 1, 1 << count, -(1 << count))))
nonsense = one_of(none(), floats(), just("1"), just(b"1"), booleans())
number = one_of(small, small, small, edges, nonsense)
size = one_of(small, small, edges, nonsense)
version = one_of(integers(1, 2), integers(1, 2), integers(0, 3), edges, none(), just("2"))
field = one_of(integers(0, 255), integers(0, 255), edges, none(), floats(), just("1"))
data = one_of(
    binary(max_size=SIZE + 2),
    binary(max_size=9).map(bytearray),
    binary(min_size=4, max_size=4).map(lambda four: memoryview(four)[::2]),
    binary(min_size=4, max_size=4).map(lambda four: memoryview(four).cast("H")),
    sampled_from(("text", None, 5)),
)
which = integers(0, SOCKETS - 1)
mask = one_of(
    sampled_from((EPOLLIN, EPOLLOUT, EPOLLIN | EPOLLOUT, EPOLLIN | EPOLLET, EPOLLRDHUP)),
    number,
)
seconds = one_of(just(0), just(0.0), just(0.001), just(None), just("1"), just(float("nan")))


def operation(name: str, *arguments: SearchStrategy[Any]) -> SearchStrategy[Operation]:
    """
    A call of a L{Twin}'s method.
    """
    return tuples(just(name), which, *arguments)


good = one_of(
    operation("receive", which, integers(0, 20), integers(1, 20)),
    operation("receiveNoting", which, integers(0, 20), integers(1, 20)),
    operation("send", which, integers(0, 20), integers(0, 20)),
    operation("call", just("write"), integers(0, 20), binary(max_size=20)),
    operation("call", just("read"), integers(0, 20), integers(0, 20)),
    operation("call", just("readHeader"), integers(0, 20)),
    operation("call", just("readSegment"), integers(1, 2), integers(0, 12)),
    operation("call", just("submit"), integers(0, SIZE)),
    operation("call", just("cancel")),
    operation("writeSegment", integers(1, 2), integers(0, 12), *[integers(0, 255)] * 8),
    operation("ends", integers(0, 6), integers(0, SIZE)),
    operation("events"),
    operation("peerSends", binary(max_size=30)),
    operation("peerReads"),
    operation("add", mask, integers(1, 9)),
    operation("modify", mask),
    operation("remove"),
    operation("wait", just(0)),
    operation("waitAwake", just(0)),
)
bad = one_of(
    operation("receive", one_of(which, none(), just(7)), number, number),
    operation("receiveNoting", one_of(which, none(), just(7)), number, number),
    operation("send", one_of(which, none(), just(7)), number, number),
    operation("call", just("write"), number, data),
    operation("call", just("read"), number, number),
    operation("call", just("readHeader"), number),
    operation("call", just("readSegment"), version, number),
    operation("call", just("writeCounters"), field, field),
    operation("call", just("submit"), number),
    operation("call", just("free")),
    operation("writeSegment", version, size, *[field] * 8),
    operation("ends", integers(0, 6), integers(-3, SIZE + 2)),
    operation("refuse", sampled_from((-11, -4, -1))),
    operation("make", number, number),
    operation("peerCloses"),
    operation("onSocket", just("send"), data, number),
    operation("onSocket", sampled_from(("waiting", "shutdown", "close"))),
    operation("add", mask, one_of(none(), integers(1, 9))),
    operation("modify", mask),
    operation("oddly", just("add"), one_of(edges, nonsense, just(-1)), mask, just("x")),
    operation("oddly", sampled_from(("remove", "modify")), one_of(edges, nonsense), mask),
    operation("wait", seconds),
    operation("waitAwake", seconds),
)


class TwinTests(SynchronousTestCase):
    """
    Tests of both at once.
    """

    def compare(self, operations: list[Operation]) -> None:
        """
        Both do the same.
        """
        with ExitStack() as stack:
            pure = Twin(twins.pure(), stack)
            compiled = Twin(twins.compiled(), stack)
            for number, (name, *arguments) in enumerate(operations):
                said = [one.perform(name, *arguments) for one in (pure, compiled)]
                self.assertEqual(said[0], said[1], (number, name, arguments))
                self.assertEqual(pure.look(), compiled.look(), (number, name, arguments))

    def test_same(self) -> None:
        """
        Whatever is done, both say the same.
        """
        twins.compiled()

        @settings(max_examples=examples(300))
        @given(lists(one_of(good, good, good, bad), max_size=40))
        def check(operations: list[Operation]) -> None:
            self.compare(operations)

        check()

    def test_refused(self) -> None:
        """
        Whatever is wrong, both refuse it in the same way.
        """
        twins.compiled()

        @settings(max_examples=examples(300))
        @given(lists(bad, max_size=30))
        def check(operations: list[Operation]) -> None:
            self.compare(operations)

        check()

    def test_names(self) -> None:
        """
        Both have the same names, on modules and on classes.
        """
        pure, compiled = twins.pure(), twins.compiled()
        for name in twins.EVERYTHING:
            for public in vars(compiled[name]):
                one = getattr(compiled[name], public)
                if public.startswith("_") or getattr(one, "__module__", name) != name:
                    continue
                other = getattr(pure[name], public, None)
                if isinstance(one, type):
                    assert other is not None, public
                    self.assertEqual(publicNames(one), publicNames(other), public)
                elif isinstance(one, int) and not isinstance(one, bool):
                    self.assertEqual(one, other, public)


def publicNames(one: type) -> set[str]:
    """
    What is to be used of a class.
    """
    return {name for name in dir(one) if not name.startswith("_")}


@startsProcesses
class SanitizedTwinTests(SynchronousTestCase):
    """
    Tests of all this with compiled modules that notice every access to memory that they
    do not have.
    """

    def test_sanitized(self) -> None:
        """
        None is noticed.
        """
        tree = sanitizedTree()
        done = subprocess.run(
            [
                *(sys.executable, "-m", "tests", f"{__name__}.TwinTests", "tests.net.test_streams"),
                *("tests.net.test_polling", "tests.net.test_packetmemory"),
                "tests.usb.asynchronous.test_transfers",
            ],
            cwd=tree.path,
            env={**os.environ, **tree.environment},
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.assertEqual(done.returncode, 0, done.stdout[-4000:])
        self.assertIn("the compiled build", done.stdout)
        self.assertIn(" 0 failed, 0 skipped", done.stdout)
