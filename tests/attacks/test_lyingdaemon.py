# -*- test-case-name: tests.attacks.test_lyingdaemon -*-
"""
Another host's daemon that tells of phones which come and go as fast as it can say so: each was
two lines of the log, and a round through all clients that listen.
"""

from __future__ import annotations

from twisted.logger import formatEvent
from twisted.trial.unittest import SynchronousTestCase

from muxd.remote import source as module
from muxd.remote.source import AT_ONCE, EACH_SECOND, MOST_PHONES
from muxd.wire.messages import plistMessage
from tests.client.daemons import OTHER_UDID, UDID, attachedProperties
from tests.client.hosts import logOf
from tests.client.transports import MemoryTransport
from tests.remote.hosts import RemoteHost

ROUNDS = 2000


class LyingDaemonTests(SynchronousTestCase):
    """
    A source of such a daemon's phones.
    """

    def setUp(self) -> None:
        """
        Another host with one phone.
        """
        self.host = RemoteHost()
        self.host.daemon.attach(7)
        self.host.start()
        self.host.receiver.take()

    def flap(self, rounds: int = ROUNDS) -> None:
        """
        Have one come and go.
        """
        for _ in range(rounds):
            self.host.daemon.attach(9, OTHER_UDID)
            self.host.daemon.detach(9)
        self.host.settle()

    def test_comesAndGoes(self) -> None:
        """
        So many changes are passed on at once, and then a few in a second; the log has a line.
        """
        log = logOf(self)
        self.flap()
        self.assertLessEqual(len(self.host.receiver.take()), AT_ONCE)
        for _ in range(10):
            self.flap(100)
            self.host.advance(1)
        self.assertLessEqual(len(self.host.receiver.take()), 10 * EACH_SECOND)
        told = [formatEvent(each) or "" for each in log]
        self.assertEqual(len([each for each in told if "come and go" in each]), 1)

    def test_otherPhones(self) -> None:
        """
        One after the other, too, and those that are paired.
        """
        for number in range(ROUNDS):
            self.host.daemon.attach(10 + number, f"{number:040x}")
            self.host.daemon.pair(10 + number)
            self.host.daemon.detach(10 + number)
        self.host.settle()
        self.assertLessEqual(len(self.host.receiver.take()), AT_ONCE)
        self.host.advance(ROUNDS / EACH_SECOND)
        self.assertEqual(set(self.host.receiver.present), {UDID})

    def test_atLast(self) -> None:
        """
        What it says last is true in the end.
        """
        self.flap()
        self.host.daemon.attach(9, OTHER_UDID)
        self.host.daemon.detach(7)
        for _ in range(60):
            self.host.advance(1)
        self.assertEqual(set(self.host.receiver.present), {OTHER_UDID})

    def test_allReplugged(self) -> None:
        """
        All phones that a host may have go, and come back, without delay.
        """
        for back in (True, False, True):
            for number in range(2, MOST_PHONES // 2):
                if back:
                    self.host.daemon.attach(10 + number, f"{number:040x}")
                else:
                    self.host.daemon.detach(10 + number)
            self.host.settle()
        self.assertEqual(len(self.host.receiver.present), MOST_PHONES // 2 - 1)

    def test_lost(self) -> None:
        """
        When the source stops meanwhile, nothing is left.
        """
        self.flap()
        stopped = self.host.source.stopService()
        self.host.settle()
        self.successResultOf(stopped)
        self.assertEqual(self.host.receiver.present, {})
        self.assertEqual(self.host.reactor.getDelayedCalls(), [])


class PaceTests(SynchronousTestCase):
    """
    How slowly it is heard when it has told of more changes than are passed on at once; so that
    few are enough, those are sixteen.
    """

    def setUp(self) -> None:
        """
        Another host with one phone, of which no more is passed on at once.
        """
        self.patch(module, "AT_ONCE", 2 * EACH_SECOND)
        self.host = RemoteHost()
        self.host.daemon.attach(7)
        self.host.start()
        for number in range(101, 100 + 2 * EACH_SECOND):
            self.host.daemon.attach(number, f"{number:040x}")
        self.host.settle()
        self.host.receiver.take()

    def feed(self) -> MemoryTransport:
        """
        The connection on which the source listens.
        """
        (listener,) = self.host.daemon.listeners()
        return listener.transport.peer

    def test_manyPhones(self) -> None:
        """
        When many come and go all the time, those of which the source hears after it has caught
        up have to wait as well.
        """
        seconds = 50
        for second in range(seconds):
            for number in range(10, 22):
                if second % 2:
                    self.host.daemon.detach(number)
                else:
                    self.host.daemon.attach(number, f"{number:040x}")
            self.host.advance(1)
        told = len(self.host.receiver.take())
        self.assertLessEqual(told, seconds * EACH_SECOND)
        self.assertGreater(told, seconds * EACH_SECOND // 2)

    def test_renumbered(self) -> None:
        """
        A phone that is there under another number has gone and come, which are two changes.
        """
        seconds = 10
        for _ in range(seconds):
            for _ in range(EACH_SECOND):
                self.host.daemon.attach(9)
                self.host.daemon.detach(9)
            self.host.advance(1)
        told = len(self.host.receiver.take())
        self.assertLessEqual(told, seconds * EACH_SECOND)

    def test_pairs(self) -> None:
        """
        A daemon that tells of pairings alone is heard as slowly.
        """
        seconds = 10
        for _ in range(seconds):
            for _ in range(3 * EACH_SECOND):
                self.host.daemon.pair(7)
            self.host.settle()
            self.assertTrue(self.feed().paused)
            self.host.advance(1)
        told = len(self.host.receiver.take())
        self.assertLessEqual(told, seconds * EACH_SECOND)
        self.assertGreater(told, seconds * EACH_SECOND // 2)

    def test_paired(self) -> None:
        """
        A pairing for which there is no turn is told of when there is one, and once.
        """
        for _ in range(2):
            self.host.daemon.pair(7)
        self.host.settle()
        self.assertEqual(self.host.receiver.take(), [])
        self.host.advance(1)
        self.assertEqual(self.host.receiver.take(), [("paired", UDID)])
        self.host.advance(1)
        self.assertEqual(self.host.receiver.take(), [])

    def test_attachedAndPaired(self) -> None:
        """
        So is that of a phone which is not attached yet for the same reason.
        """
        self.host.daemon.attach(9, OTHER_UDID)
        self.host.daemon.pair(9)
        self.host.daemon.detach(7)
        self.host.advance(1)
        self.assertEqual(
            self.host.receiver.take(),
            [("attached", OTHER_UDID), ("paired", OTHER_UDID), ("detached", UDID)],
        )

    def test_pairedAndGone(self) -> None:
        """
        That of a phone which is gone when it has its turn is not told.
        """
        self.host.daemon.pair(7)
        self.host.daemon.detach(7)
        self.host.advance(1)
        self.assertEqual(self.host.receiver.take(), [("detached", UDID)])

    def test_stopped(self) -> None:
        """
        A source that is stopped meanwhile hears its daemon close the connection, and attaches
        nothing more until then.
        """
        for number in (9, 10):
            self.host.daemon.attach(number, f"{number:040x}")
        self.host.settle()
        feed = self.feed()
        self.assertTrue(feed.paused)
        stopped = self.host.source.stopService()
        self.assertFalse(feed.paused)
        self.host.reactor.advance(2)
        late = {
            "MessageType": "Attached",
            "DeviceID": 11,
            "Properties": attachedProperties(OTHER_UDID),
        }
        feed.protocol.dataReceived(plistMessage(late, 0).encode())
        self.assertEqual(self.host.receiver.take(), [])
        self.host.settle()
        self.successResultOf(stopped)
        self.assertEqual(self.host.receiver.present, {})
        self.assertEqual(self.host.reactor.getDelayedCalls(), [])
