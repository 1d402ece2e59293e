"""
Tests of L{muxd.device.ports}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from muxd.device.ports import HIGHEST, SourcePorts


class SourcePortsTests(SynchronousTestCase):
    """
    Which source port is whose.
    """

    def setUp(self) -> None:
        """
        Ports that rest for five seconds.
        """
        self.clock = Clock()
        self.ports = SourcePorts(self.clock, 5.0)

    def test_counting(self) -> None:
        """
        Ports count up from 1.
        """
        self.assertEqual([self.ports.take() for _ in range(3)], [1, 2, 3])
        self.assertEqual(len(self.ports), 3)

    def test_wrap(self) -> None:
        """
        After 65535 comes 1, never 0; ports in use are skipped.
        """
        kept = [self.ports.take() for _ in range(2)]
        self.assertEqual(kept, [1, 2])
        for expected in range(3, HIGHEST + 1):
            port = self.ports.take()
            self.assertEqual(port, expected)
            assert port is not None
            self.ports.release(port)
        self.clock.advance(5)
        self.assertEqual(self.ports.take(), 3)

    def test_rest(self) -> None:
        """
        A released port rests before it is used again, even when the counter has
        come around.
        """
        self.ports._last = HIGHEST - 1
        self.assertEqual(self.ports.take(), HIGHEST)
        self.assertEqual(self.ports.take(), 1)
        self.ports.release(HIGHEST)
        self.ports._last = HIGHEST - 1
        self.assertEqual(self.ports.take(), 2)
        self.clock.advance(5)
        self.ports._last = HIGHEST - 1
        self.assertEqual(self.ports.take(), HIGHEST)

    def test_noneLeft(self) -> None:
        """
        When all ports are in use there is none; when others are only resting,
        the one that has rested longest is taken.
        """
        taken = [self.ports.take() for _ in range(HIGHEST)]
        self.assertEqual(len(set(taken)), HIGHEST)
        self.assertIsNone(self.ports.take())
        self.ports.release(77)
        self.clock.advance(1)
        self.ports.release(5)
        self.assertEqual(self.ports.take(), 77)
        self.assertEqual(self.ports.take(), 5)
        self.assertIsNone(self.ports.take())
        # One that was taken although it was resting rests no more.
        self.ports.release(77)
        self.clock.advance(5)
        self.ports.release(9)
        self.assertEqual(self.ports.take(), 77)
