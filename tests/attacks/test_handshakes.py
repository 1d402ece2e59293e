# -*- test-case-name: tests.attacks.test_handshakes -*-
"""
Many phones that begin TLS at the same time: each step of a handshake takes milliseconds, and all
of them were done in one turn of the reactor.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.test.iosim import FakeTransport, IOPump, connect
from twisted.trial.unittest import SynchronousTestCase

from muxd.lockdown.starttls import LONGEST_HANDSHAKE, Upgradable
from muxd.net.turns import Turns
from tests.lockdown.test_starttls import Talker, contexts
from tests.net.workingclock import WorkingClock

PHONES = 10
COST = 0.01
"""Of one step, in seconds."""


class HandshakeTests(SynchronousTestCase):
    """
    Conversations of one host with several phones.
    """

    def setUp(self) -> None:
        """
        Connect them, and have each step of the host's take some time.
        """
        self.clock = WorkingClock()
        self.turns = Turns(self.clock, COST / 2)
        self.steps = 0
        self.hosts: list[Any] = []
        self.talkers: list[Talker] = []
        self.pumps: list[IOPump] = []
        dataReceived = TLSMemoryBIOProtocol.dataReceived

        def step(tls: Any, data: bytes) -> None:
            if tls.wrappedProtocol._upgradable in self.hosts:
                self.steps += 1
                self.clock.work(COST)
            dataReceived(tls, data)

        self.patch(TLSMemoryBIOProtocol, "dataReceived", step)
        for _ in range(PHONES):
            talker = Talker()
            host, phone = Upgradable(talker, self.turns), Upgradable(Talker())
            self.hosts.append(host)
            self.talkers.append(talker)
            ours, theirs = FakeTransport(host, False), FakeTransport(phone, True)
            self.pumps.append(connect(phone, theirs, host, ours))
            client, server = contexts()
            phone.startTLS(server, isClient=False)
            host.startTLS(client, isClient=True)

    def flush(self) -> None:
        """
        Carry what is under way.
        """
        for pump in self.pumps:
            pump.flush()

    def test_oneInATurn(self) -> None:
        """
        In each turn there is one step, and all phones have theirs.
        """
        self.flush()
        self.assertEqual(self.steps, 1)
        for _ in range(10 * PHONES):
            before = self.steps
            self.clock.turn()
            self.flush()
            self.assertLessEqual(self.steps - before, 1)
        self.assertTrue(all(talker.isSecured for talker in self.talkers))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_afterwards(self) -> None:
        """
        What comes after the handshake does not wait, whoever else has one.
        """
        self.flush()
        while not self.talkers[0].isSecured:
            self.clock.turn()
            self.pumps[0].flush()
        self.assertTrue(self.turns.isBusy)
        phone: Any = self.pumps[0].server
        phone.inner.transport.write(b"hello")
        self.pumps[0].flush()
        self.assertEqual(self.talkers[0].heard, b"hello")

    def test_lost(self) -> None:
        """
        A phone that goes while it waits is told of after what it has said before.
        """
        self.flush()
        last = self.hosts[-1]
        last.connectionLost(Failure(ConnectionLost()))
        self.assertIsNone(self.talkers[-1].reason)
        while self.turns.isBusy:
            self.clock.turn()
        self.assertIsNotNone(self.talkers[-1].reason)

    def test_bounded(self) -> None:
        """
        One that says more than any handshake has while it waits is let go of.
        """
        self.flush()
        last = self.hosts[-1]
        for _ in range(LONGEST_HANDSHAKE // 65536 + 1):
            last.dataReceived(bytes(65536))
        self.assertTrue(last.transport.disconnecting)
