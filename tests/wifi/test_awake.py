# -*- test-case-name: tests.wifi.test_awake -*-
"""
Tests of L{muxd.wifi.awake}.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from muxd.lockdown.errors import LockdownError
from muxd.wifi.awake import LASTS, LOOK, RENEWED, TRY_AGAIN, AssertionClient, Wakefulness
from muxd.wire.messages import parsePlist, writePlist
from tests.server.serving import observeLog


class Held:
    """
    An assertion.

    @ivar isClosed: Whether it is let go of.
    """

    isClosed = False

    def close(self) -> None:
        """
        Let go of it.
        """
        self.isClosed = True


class WakefulnessTests(SynchronousTestCase):
    """
    Tests of L{Wakefulness}.
    """

    def setUp(self) -> None:
        """
        A phone that has not been asked.
        """
        self.clock = Clock()
        self.asked: list[Deferred[Held]] = []
        self.wakefulness = Wakefulness(self.clock, "UDID", self.hold)

    def hold(self) -> Deferred[Held]:
        """
        Ask the phone.
        """
        asked: Deferred[Held] = Deferred()
        self.asked.append(asked)
        return asked

    def stream(self) -> Any:
        """
        A stream that has been opened.
        """
        protocol: Any = Protocol()
        protocol.transport = SimpleNamespace(connected=1)
        self.assertIs(self.wakefulness.opened(protocol), protocol)
        return protocol.transport

    def agree(self) -> Held:
        """
        Have the phone agree.
        """
        held = Held()
        self.asked[-1].callback(held)
        return held

    def test_held(self) -> None:
        """
        It is held while there is a stream, once for all of them, and then let go of; no timer
        is left, and a new stream begins anew.
        """
        streams = [self.stream(), self.stream()]
        self.assertEqual(len(self.asked), 1)
        held = self.agree()
        self.assertTrue(self.wakefulness.isHeld)
        streams[0].connected = 0
        self.clock.advance(LOOK)
        self.assertFalse(held.isClosed)
        streams[1].connected = 0
        self.clock.advance(LOOK)
        self.assertTrue(held.isClosed)
        self.assertFalse(self.wakefulness.isHeld)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.stream()
        self.assertEqual(len(self.asked), 2)
        self.assertFalse(self.agree().isClosed)

    def test_renewed(self) -> None:
        """
        Another one takes its place long before it ends.
        """
        self.assertLess(RENEWED + TRY_AGAIN, LASTS)
        self.stream()
        first = self.agree()
        self.clock.pump([LOOK] * int(RENEWED / LOOK))
        self.assertEqual(len(self.asked), 2)
        self.assertFalse(first.isClosed)
        second = self.agree()
        self.assertEqual((first.isClosed, second.isClosed), (True, False))

    def test_refused(self) -> None:
        """
        A phone that refuses is asked again after a while, and that is said once.
        """
        told = observeLog(self)
        self.stream()
        for count in (1, 2, 3):
            self.assertEqual(len(self.asked), count)
            self.asked[-1].errback(LockdownError("CreateAssertion", "no"))
            self.clock.pump([LOOK] * int(TRY_AGAIN / LOOK))
        self.assertEqual(len([event for event in told if "trouble" in event]), 1)
        self.assertFalse(self.wakefulness.isHeld)

    def test_stopped(self) -> None:
        """
        A phone that is gone is asked for nothing any more.
        """
        self.stream()
        self.wakefulness.stop()
        self.assertTrue(self.asked[0].called)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.wakefulness.stop()


class ClientTests(SynchronousTestCase):
    """
    Tests of L{AssertionClient}.
    """

    def setUp(self) -> None:
        """
        A conversation.
        """
        self.client = AssertionClient()
        self.transport = StringTransport()
        self.client.makeConnection(self.transport)

    def answer(self, **values: object) -> None:
        """
        What the phone says.
        """
        data = writePlist(values)
        self.client.dataReceived(len(data).to_bytes(4, "big") + data)

    def test_agreed(self) -> None:
        """
        It asks as Apple's own tools do, and any answer without an error is agreement.
        """
        asked = parsePlist(self.transport.value()[4:])
        self.assertEqual(asked["CommandKey"], "CommandCreateAssertion")
        self.assertEqual(asked["AssertionTypeKey"], "AMDPowerAssertionTypeWirelessSync")
        self.assertEqual(asked["AssertionTimeoutKey"], LASTS)
        self.assertNoResult(self.client.held)
        self.answer(CommandKey="CommandCreateAssertion")
        self.successResultOf(self.client.held)
        self.answer(ErrorKey="late")

    def test_refused(self) -> None:
        """
        An error is none.
        """
        self.answer(ErrorKey="no\u202e")
        failure = self.failureResultOf(self.client.held, LockdownError)
        self.assertNotIn("\u202e", str(failure.value))

    def test_lost(self) -> None:
        """
        Neither is an end.
        """
        self.client.connectionLost()
        self.failureResultOf(self.client.held)
