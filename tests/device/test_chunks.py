"""
Tests of L{muxd.device.chunks}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muxd.device.chunks import ChunkQueue


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

    @given(st.lists(st.one_of(st.binary(min_size=1, max_size=9), st.integers(1, 12)), max_size=60))
    @settings(deadline=None, max_examples=100)
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
