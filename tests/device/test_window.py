"""
Tests of L{muxd.device.window}: all of it holds across the wrap at 2^32.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muxd.device.window import ReceiveWindow, SendWindow
from tests.running.properties import examples

numbers = st.integers(0, 2**32 - 1)
sizes = st.integers(0, 65535 << 8)


def sendWindow(start: int, inFlight: int, size: int) -> SendWindow:
    """
    A window with so many bytes in flight.
    """
    window = SendWindow()
    window.next = window.acknowledged = start
    window.sent(inFlight)
    window.size = size
    return window


class SendWindowTests(SynchronousTestCase):
    """
    What may be sent.
    """

    def test_empty(self) -> None:
        """
        Before the phone has said anything, nothing may be sent.
        """
        self.assertEqual(SendWindow().room(1, 1), 0)

    @given(numbers, sizes, sizes, sizes, sizes)
    @settings(deadline=None, max_examples=examples(50))
    def test_room(self, start: int, inFlight: int, size: int, available: int, most: int) -> None:
        """
        The room is the window less what is in flight, and never below 0: a
        phone may shrink its window.
        """
        window = sendWindow(start, inFlight, size)
        self.assertEqual(window.inFlight(), inFlight)
        room = min(available, most, max(0, size - inFlight))
        self.assertEqual(window.room(available, most), room)

    @given(numbers, sizes, sizes)
    @settings(deadline=None, max_examples=examples(50))
    def test_acknowledge(self, start: int, inFlight: int, count: int) -> None:
        """
        What is in flight can be acknowledged and nothing else; the window
        counts either way.
        """
        window = sendWindow(start, inFlight, 0)
        ack = (start + count) % 2**32
        self.assertEqual(window.acknowledge(ack, 512), count <= inFlight)
        self.assertEqual(window.acknowledged, ack if count <= inFlight else start)
        self.assertEqual(window.size, 512)

    def test_oldAcknowledgement(self) -> None:
        """
        An acknowledgement does not go back.
        """
        window = sendWindow(2**32 - 1, 10, 512)
        self.assertTrue(window.acknowledge(3, 512))
        self.assertFalse(window.acknowledge(2**32 - 1, 512))
        self.assertEqual(window.acknowledged, 3)


class ReceiveWindowTests(SynchronousTestCase):
    """
    What the phone may send.
    """

    def test_begin(self) -> None:
        """
        The phone's SYN counts as a byte, also the very last number.
        """
        window = ReceiveWindow(512)
        window.begin(2**32 - 1)
        self.assertEqual((window.expected, window.delivered, window.acknowledged), (0, 0, 0))
        self.assertEqual(window.owed(), 0)

    @given(numbers, st.integers(-(2**31) + 1, 2**31 - 1))
    @settings(deadline=None, max_examples=examples(50))
    def test_behind(self, expected: int, distance: int) -> None:
        """
        How far a number lies behind, or ahead, is seen across the wrap.
        """
        window = ReceiveWindow(512)
        window.expected = expected
        self.assertEqual(window.behind((expected - distance) % 2**32), distance)

    def test_opposite(self) -> None:
        """
        What lies just half of all numbers away lies ahead.
        """
        window = ReceiveWindow(512)
        window.expected = 5
        self.assertEqual(window.behind(5 + 2**31), -(2**31))

    @given(numbers, st.integers(0, 512), st.integers(0, 1024))
    @settings(deadline=None, max_examples=examples(50))
    def test_admits(self, start: int, unacknowledged: int, count: int) -> None:
        """
        The window can be filled exactly, and not by a byte more.
        """
        window = ReceiveWindow(512)
        window.acknowledged = start
        window.expected = (start + unacknowledged) % 2**32
        self.assertEqual(window.admits(count), unacknowledged + count <= 512)
