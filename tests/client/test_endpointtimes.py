# -*- test-case-name: tests.client.test_endpointtimes -*-
"""
Tests for L{muxd.client.endpoint}: waiting, time-outs and cancelling.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IProtocol

from muxd.client.errors import Stage, TimedOut, UnknownUDID
from tests.client.daemons import OTHER_UDID, BinaryOnlyConnection, SilentConnection
from tests.client.endpoints import EndpointCase


class TimeTests(EndpointCase):
    """
    Waiting, and having waited enough.
    """

    def test_wait(self) -> None:
        """
        With C{wait}, the phone may be plugged in later, and time spent on that
        is not counted as spent on connecting.
        """
        self.start()
        self.host.daemon.detach(1)
        connecting = self.connect(wait=100, timeout=10)
        self.host.advance(99)
        self.host.daemon.attach(2)
        self.host.settle()
        self.application(connecting)
        self.assertEqual(1, len(self.host.openSockets()))

    def test_waitForDaemon(self) -> None:
        """
        So may the daemon be started.
        """
        self.start()
        self.host.running = False
        connecting = self.connect(wait=100)
        self.host.advance(1)
        self.host.running = True
        self.host.advance(1)
        self.application(connecting)

    def test_waitedEnough(self) -> None:
        """
        If nothing comes, the error says for what we waited and why.
        """
        self.start()
        connecting = self.connect(wait=100, udid=OTHER_UDID)
        self.host.advance(100)
        error = self.failure(connecting, TimedOut)
        self.assertIs(Stage.WAIT, error.stage)
        self.assertIn(OTHER_UDID, str(error))
        self.assertIsInstance(error.__cause__, UnknownUDID)

    def test_lookUpTimeout(self) -> None:
        """
        Looking for the phone may not take longer than everything.
        """
        self.start(SilentConnection)
        connecting = self.connect(timeout=2)
        self.host.advance(2)
        error = self.failure(connecting, TimedOut)
        self.assertIs(Stage.ANSWER, error.stage)
        self.assertIn("time-out after 2 s", str(error))

    def test_slowDaemon(self) -> None:
        """
        A daemon that does not answer is found out sooner.
        """
        self.start(SilentConnection)
        connecting = self.connect()
        self.host.advance(5)
        self.assertIs(Stage.ANSWER, self.failure(connecting, TimedOut).stage)

    def test_connectTimeout(self) -> None:
        """
        What looking for the phone took is missing for connecting.
        """

        class Slow(SilentConnection):
            pass

        self.start(Slow)
        connecting = self.connect(timeout=6)
        self.host.advance(4)
        listing = self.host.daemon.connections[0]
        assert isinstance(listing, Slow)
        listing.answer()
        self.host.advance(1.5)
        self.assertNoResult(connecting)
        self.host.advance(0.5)
        self.assertIs(Stage.CONNECT, self.failure(connecting, TimedOut).stage)


class CancelTests(EndpointCase):
    """
    Cancelling, at every stage.
    """

    def cancel(self, connecting: Deferred[IProtocol]) -> None:
        """
        Cancel it: nothing is left.
        """
        self.assertNoResult(connecting)
        connecting.cancel()
        self.failure(connecting, ConnectingCancelledError)

    def test_whileReaching(self) -> None:
        """
        While the daemon's socket is being opened.
        """
        self.start()
        self.host.accepting = False
        self.cancel(self.connect())

    def test_whileListing(self) -> None:
        """
        While phones are being listed.
        """
        self.start(SilentConnection)
        self.cancel(self.connect())

    def test_whileCollecting(self) -> None:
        """
        While phones are being collected, of an old daemon.
        """
        self.start(BinaryOnlyConnection)
        self.cancel(self.connect())

    def test_whileWaiting(self) -> None:
        """
        While the phone is waited for, with a daemon and without.
        """
        for running in (True, False):
            self.start()
            self.host.daemon.detach(1)
            self.host.running = running
            self.cancel(self.connect(wait=10))

    def test_whileConnecting(self) -> None:
        """
        While the phone's answer is awaited.
        """

        class SlowConnect(SilentConnection):
            def requestReceived(self, name: str, values: Any, tag: int) -> None:
                super().requestReceived(name, values, tag)
                if name == "ListDevices":
                    self.answer()

        self.start(SlowConnect)
        connecting = self.connect()
        self.assertEqual(["ListDevices", "Connect"], self.host.daemon.heard)
        self.cancel(connecting)

    def test_whileReachingAgain(self) -> None:
        """
        While the second socket is being opened.
        """
        self.start(SilentConnection)
        connecting = self.connect()
        listing = self.host.daemon.connections[0]
        assert isinstance(listing, SilentConnection)
        self.host.accepting = False
        listing.answer()
        self.host.settle()
        self.cancel(connecting)
