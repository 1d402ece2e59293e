"""
Tests for L{muxd.usb.threaded.mailbox}.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread

from twisted.trial.unittest import SynchronousTestCase

from muxd.usb.threaded.mailbox import Mailbox
from tests.usb.reactors import DEADLINE, ThreadedClock


class MailboxTests(SynchronousTestCase):
    """
    Tests for L{Mailbox}.
    """

    def setUp(self) -> None:
        """
        A mailbox whose wake-ups are the test's to make.
        """
        self.wakes: list[Callable[[], object]] = []
        self.delivered: list[list[int]] = []
        self.mailbox: Mailbox[int] = Mailbox(
            self.wakes.append, self.delivered.append, capacity=6, batch=4
        )

    def test_oneWakeUp(self) -> None:
        """
        Many items need one wake-up and come in order.
        """
        for item in range(3):
            self.mailbox.put(item)
        self.assertEqual(1, len(self.wakes))
        self.wakes.pop()()
        self.assertEqual([[0, 1, 2]], self.delivered)
        self.assertEqual([], self.wakes)

    def test_nextWakeUp(self) -> None:
        """
        An item after a delivery needs another.
        """
        for item in range(2):
            self.mailbox.put(item)
            self.wakes.pop()()
        self.assertEqual([[0], [1]], self.delivered)

    def test_batches(self) -> None:
        """
        A flood is delivered in portions, with a turn of the reactor between.
        """
        for item in range(9):
            self.mailbox.put(item)
        while self.wakes:
            self.wakes.pop()()
        self.assertEqual([[0, 1, 2, 3], [4, 5, 6, 7], [8]], self.delivered)

    def test_raisingReceiver(self) -> None:
        """
        A receiver that raises loses its batch, and no other.
        """

        def deliver(items: list[int]) -> None:
            self.delivered.append(items)
            raise ZeroDivisionError

        self.mailbox = Mailbox(self.wakes.append, deliver, capacity=6, batch=4)
        for item in range(5):
            self.mailbox.put(item)
        self.assertRaises(ZeroDivisionError, self.wakes.pop())
        self.assertRaises(ZeroDivisionError, self.wakes.pop())
        self.assertEqual([[0, 1, 2, 3], [4]], self.delivered)

    def test_putWhileDelivering(self) -> None:
        """
        What is put in during a delivery is delivered next, not lost.
        """

        def deliver(items: list[int]) -> None:
            self.delivered.append(items)
            if items == [0]:
                self.mailbox.put(1)

        self.mailbox = Mailbox(self.wakes.append, deliver, capacity=6)
        self.mailbox.put(0)
        while self.wakes:
            self.wakes.pop()()
        self.assertEqual([[0], [1]], self.delivered)

    def test_emptyDelivery(self) -> None:
        """
        A wake-up that finds nothing delivers nothing.
        """
        self.mailbox.put(0)
        [wake] = self.wakes
        wake()
        wake()
        self.assertEqual([[0]], self.delivered)

    def test_room(self) -> None:
        """
        There is room up to the capacity, and again after a delivery.
        """
        for item in range(6):
            self.assertTrue(self.mailbox.waitForRoom(0))
            self.mailbox.put(item)
        self.assertFalse(self.mailbox.waitForRoom(0))
        self.wakes.pop()()
        self.assertTrue(self.mailbox.waitForRoom(0))

    def test_waitingForRoom(self) -> None:
        """
        A thread that waits for room goes on when there is some.
        """
        reactor = ThreadedClock()
        delivered: list[int] = []
        mailbox: Mailbox[int] = Mailbox(
            reactor.callFromThread, delivered.extend, capacity=2, batch=2
        )

        def work() -> None:
            for item in range(50):
                if not mailbox.waitForRoom(DEADLINE):
                    break
                mailbox.put(item)

        thread = Thread(target=work, daemon=True)
        thread.start()
        reactor.pumpUntil(lambda: len(delivered) == 50)
        thread.join(DEADLINE)
        self.assertEqual(list(range(50)), delivered)
