# -*- test-case-name: tests.server.test_factory -*-
"""
Tests of L{muxd.server.factory}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.logger import formatEvent

from muxd.limits import LIMITS
from muxd.server.factory import ControlFactory
from muxd.server.registry import DeviceRegistry
from muxd.testing import FakeAddress, ImmediateRecords
from muxd.wire.messages import Message
from tests.server.serving import ServingTestCase, connectRequest, observeLog


class ControlFactoryTests(ServingTestCase):
    """
    What all clients share.
    """

    def test_numbers(self) -> None:
        """
        Clients are numbered from 1, and counted.
        """
        numbers = [self.client().protocol.number for _ in range(3)]
        self.assertEqual((numbers, self.counters.connections), ([1, 2, 3], 3))

    def test_defaultLimits(self) -> None:
        """
        Without limits of its own it has those of the daemon.
        """
        factory = ControlFactory(Clock(), DeviceRegistry(), ImmediateRecords())
        self.assertIs(factory.limits, LIMITS)
        self.assertIs(factory.buildProtocol(FakeAddress()).server, factory)

    def test_stopWithoutClients(self) -> None:
        """
        With no clients it is done at once.
        """
        self.successResultOf(self.factory.stop())

    def test_stop(self) -> None:
        """
        All clients are made to go, whatever they are doing: replies are
        delivered first, and the end is the last one's end.
        """
        idle, listener, slow = self.client(), self.listener(), self.client(budget=0)
        slow.send(Message(0, 99, 1))
        connecting, connected = self.client(), self.client()
        connecting.send(connectRequest(1, 22))
        connected.send(connectRequest(1, 80))
        phone = self.phone.connections[1].accept()
        done = self.factory.stop()
        also = self.factory.stop()
        self.settle()
        for client in (idle, listener, connecting, connected):
            self.assertTrue(client.transport.disconnected)
        self.assertTrue(self.phone.connections[0].cancelled)
        self.assertTrue(phone.disconnected)
        self.assertNoResult(done)
        slow.transport.allow()
        self.settle()
        self.assertEqual(len(slow.messages()), 1)
        self.successResultOf(done)
        self.successResultOf(also)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopLeavesNoTimer(self) -> None:
        """
        What clients did wrong after the listening sockets were closed is summarised when
        the last one goes, or at once if there is none.
        """
        for delivery in (True, False):
            self.factory.stopFactory()
            client = self.client()
            client.send(*(connectRequest(99, 22) for _ in range(10)))
            self.assertEqual(len(client.messages()), 10)
            if not delivery:
                client.transport.lose()
            done = self.factory.stop()
            self.settle()
            self.successResultOf(done)
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_timersWhilePortsListen(self) -> None:
        """
        While a port listens, the last client's going ends no timer, since others will come;
        when none listens any more, or the last client goes after that, it does.
        """
        for isLast in (True, False):
            self.factory.doStart()
            client = self.client()
            paused: Any = client.protocol
            self.factory.hangUps.add(paused)
            if isLast:
                client.transport.lose()
                self.assertEqual(len(self.clock.getDelayedCalls()), 1)
                self.factory.doStop()
            else:
                self.factory.doStop()
                self.assertEqual(len(self.clock.getDelayedCalls()), 1)
                client.transport.lose()
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_startedWhileStopping(self) -> None:
        """
        A port that begins to listen meanwhile does not make the end of the clients be missed.
        """
        self.factory.doStart()
        slow = self.client(budget=0)
        slow.send(Message(0, 99, 1))
        done = self.factory.stop()
        self.factory.doStop()
        self.factory.doStart()
        self.assertNoResult(done)
        slow.transport.allow()
        self.settle()
        self.successResultOf(done)

    def test_stopLetsLastBytesThrough(self) -> None:
        """
        A stream whose phone has gone may still deliver what it had.
        """
        client = self.client()
        client.send(connectRequest(1, 22))
        phone = self.phone.connections[0].accept()
        client.messages()
        client.transport.budget = 0
        phone.deliver(b"last words")
        phone.lose(ConnectionLost())
        done = self.factory.stop()
        self.settle()
        self.assertNoResult(done)
        self.assertEqual(client.transport.take(), b"last words")
        self.settle()
        self.successResultOf(done)


class FullTests(ServingTestCase):
    """
    Users with as much as they may have.
    """

    def test_full(self) -> None:
        """
        One that may have no stream more, or no listener more, is counted, and told of.
        """
        account = self.factory.accounts.enter("somebody")
        assert account is not None
        account.streams = self.factory.accounts.mostStreams
        account.listeners = self.factory.accounts.mostListeners
        events = observeLog(self)
        for _ in range(2):
            self.assertFalse(self.factory.mayStream(account))
            self.assertFalse(self.factory.mayListen(account))
        counters = self.factory.counters
        self.assertEqual((counters.refusedStreams, counters.refusedListeners), (2, 2))
        lines = [formatEvent(event) for event in events]
        for kind in ("too many streams", "too many listeners"):
            told = [line for line in lines if kind in line]
            self.assertIn("somebody has ", told[0])
        account.streams -= 1
        account.listeners -= 1
        self.assertTrue(self.factory.mayStream(account))
        self.assertTrue(self.factory.mayListen(account))
