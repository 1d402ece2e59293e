# -*- test-case-name: tests.attacks.test_lyingdaemon -*-
"""
Another host's daemon that tells of phones which come and go as fast as it can say so: each was
two lines of the log, and a round through all clients that listen.
"""

from __future__ import annotations

from twisted.logger import formatEvent
from twisted.trial.unittest import SynchronousTestCase

from muxd.remote.source import AT_ONCE, EACH_SECOND, MOST_PHONES
from tests.client.daemons import OTHER_UDID, UDID
from tests.client.hosts import logOf
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
        self.assertLessEqual(len(self.host.receiver.take()), 10 * 2 * EACH_SECOND)
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
