"""
Tests for L{muxd.usb.threaded.link}: real threads and pyusb on a simulated bus.
"""

from __future__ import annotations

import threading

from muxd.limits import LIMITS
from muxd.usb.engines import NoThread
from tests.usb import linkcontract
from tests.usb.links import packet


class ThreadedLinkTests(linkcontract.OpenLinks):
    """
    Tests for L{ThreadedLink} while it is open.
    """

    def test_threadsAreNamed(self) -> None:
        """
        The threads are daemons and say whose they are.
        """
        self.link.start(self.receiver)
        udid = self.opened.identity.udid
        found = {t.name: t.daemon for t in threading.enumerate() if udid in t.name}
        self.assertEqual({f"usb-read-{udid}": True, f"usb-write-{udid}": True}, found)

    def test_packetInPieces(self) -> None:
        """
        A packet whose middle comes late, after reads have timed out, is put
        together.
        """
        whole = packet(3000)
        self.link.start(self.receiver)
        self.phone.send(whole[:1024], end=False)
        self.reactor.pumpUntil(lambda: self.reactor.turns)
        self.assertEqual([], self.receiver.packets)
        self.phone.send(whole[1024:])
        self.reactor.pumpUntil(lambda: self.receiver.packets)
        self.assertEqual([whole], self.receiver.packets)

    def test_defectInTheReadingThread(self) -> None:
        """
        Whatever goes wrong in the thread ends the link instead of leaving it
        mute.
        """

        def fail(*args: object) -> int:
            raise ZeroDivisionError

        self.opened.device.read = fail
        self.link.start(self.receiver)
        self.reactor.pumpUntil(lambda: self.receiver.losses)
        self.assertIsNotNone(self.receiver.losses[0].check(ZeroDivisionError))

    def test_noThread(self) -> None:
        """
        A link that gets no thread to read or write in is lost, which is told after it
        was started, with what to do; and it is closed like any other.
        """
        for what in ("read", "write"):
            with self.subTest(what=what):
                self.refuse(what)
                self.link.start(self.receiver)
                self.link.send((packet(20),))
                self.assertEqual([], self.receiver.losses)
                self.reactor.pumpUntil(lambda: self.receiver.losses)
                [loss] = self.receiver.losses
                self.assertIsNotNone(loss.check(NoThread))
                self.assertIn("TasksMax=", loss.getErrorMessage())
                self.close()
                self.assertEqual([loss], self.receiver.losses)
                self.setUp()

    def test_backlogIsBounded(self) -> None:
        """
        While the reactor is busy, no more is read than the limit says, and
        nothing is lost.
        """
        self.link.start(self.receiver)
        count = LIMITS.readBacklog + 20
        for index in range(count):
            self.phone.send(packet(20 + index))
        self.untilUnread(sum(20 + index for index in range(LIMITS.readBacklog, count)))
        self.assertEqual([], self.receiver.packets)
        self.reactor.pumpUntil(lambda: len(self.receiver.packets) == count)
        self.assertEqual([packet(20 + index) for index in range(count)], self.receiver.packets)
