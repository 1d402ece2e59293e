"""
Tests of L{muxd.device.chunks}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muxd.device.chunks import SMALL, ChunkQueue, joined
from tests.running.properties import examples


class ChunkQueueTests(SynchronousTestCase):
    """
    A queue of bytes that comes out in other pieces than it went in.
    """

    def test_whole(self) -> None:
        """
        A chunk that fits is handed on as the very object that was written.
        """
        queue = ChunkQueue()
        chunk = b"x" * 100
        queue.append(chunk)
        self.assertIs(queue.take(100)[0], chunk)
        self.assertEqual(queue.size, 0)

    def test_cut(self) -> None:
        """
        A chunk that does not fit is cut without a copy, and the rest stays.
        """
        queue = ChunkQueue()
        queue.append(b"abcdef")
        taken = queue.take(4)
        self.assertIsInstance(taken[0], memoryview)
        self.assertEqual(b"".join(taken), b"abcd")
        self.assertEqual(queue.size, 2)
        self.assertEqual(b"".join(queue.take(10)), b"ef")

    def test_tiny(self) -> None:
        """
        Tiny chunks are put together: each would need more memory than it holds.
        """
        queue = ChunkQueue()
        for number in range(10_000):
            queue.append(b"%02d" % (number % 100))
        taken = queue.take(30_000)
        self.assertEqual(b"".join(taken), b"".join(b"%02d" % n for n in range(100)) * 100)
        self.assertEqual([len(one) for one in taken], [SMALL] * 4 + [20_000 - 4 * SMALL])

    def test_joined(self) -> None:
        """
        What has been put together grows, and is not copied for each chunk more.
        """
        last = joined(b"a", b"b")
        self.assertIs(joined(last, memoryview(b"c")), last)
        self.assertEqual(last, b"abc")

    def test_tinyAmongLarge(self) -> None:
        """
        Large ones stay what they are, also behind tiny ones.
        """
        queue = ChunkQueue()
        large = b"x" * SMALL
        for chunk in (b"a", b"b", large, b"c", b"d", large):
            queue.append(chunk)
        taken = queue.take(30_000)
        self.assertEqual([bytes(one) for one in taken], [b"ab", large, b"cd", large])
        self.assertIs(taken[1], large)

    def test_tinyTaken(self) -> None:
        """
        What was taken does not change when more is written.
        """
        queue = ChunkQueue()
        for chunk in (b"ab", b"cd", b"ef"):
            queue.append(chunk)
        first = queue.take(3)
        queue.append(b"gh")
        second = queue.take(2)
        queue.append(b"ij")
        self.assertEqual([b"".join(one) for one in (first, second)], [b"abc", b"de"])
        self.assertEqual(b"".join(queue.take(99)), b"fghij")

    def test_clear(self) -> None:
        """
        A cleared queue is empty and can be used again.
        """
        queue = ChunkQueue()
        queue.append(b"abc")
        queue.clear()
        self.assertEqual(queue.size, 0)
        queue.append(b"d")
        self.assertEqual(b"".join(queue.take(9)), b"d")

    @given(
        st.lists(
            st.one_of(
                st.binary(min_size=1, max_size=9),
                st.integers(SMALL - 1, SMALL + 1).map(lambda size: b"x" * size),
                st.integers(1, 12),
                st.integers(SMALL - 1, 2 * SMALL),
            ),
            max_size=60,
        )
    )
    @settings(deadline=None, max_examples=examples(100))
    def test_order(self, steps: list[bytes | int]) -> None:
        """
        Whatever is appended and taken, the bytes come out in order, and the
        size is what is left.
        """
        queue = ChunkQueue()
        model = b""
        for step in steps:
            if isinstance(step, bytes):
                queue.append(step)
                model += step
            elif model:
                self.assertEqual(b"".join(queue.take(step)), model[:step])
                model = model[step:]
            self.assertEqual(queue.size, len(model))
