# -*- test-case-name: tests.tunnel.test_opening -*-
"""
Tests of L{muxd.tunnel.opening}.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest, SynchronousTestCase
from zope.interface.verify import verifyObject

if find_spec("hyperframe") is None:
    raise SkipTest("these tests need the extra tunnel")

from muxd.tunnel.opening import SharedTunnel, TunnelledService


class FakeTunnel:
    """
    A tunnel that is nothing but open, or not.
    """

    def __init__(self) -> None:
        self.whenLost: Deferred[None] = Deferred()
        self.asked: list[Any] = []

    def close(self) -> Deferred[None]:
        """
        It is no more.
        """
        if not self.whenLost.called:
            self.whenLost.callback(None)
        return self.whenLost

    def endpoint(self, port: int) -> FakeTunnel:
        """
        Note what is asked for.
        """
        self.asked.append(port)
        return self

    def service(self, name: str) -> FakeTunnel:
        """
        Note what is asked for.
        """
        self.asked.append(name)
        return self

    def connect(self, factory: Any) -> Deferred[Any]:
        """
        Connect at once.
        """
        return succeed("protocol")


class SharedTunnelTests(SynchronousTestCase):
    """
    A tunnel that several have.
    """

    def setUp(self) -> None:
        """
        One that the test opens.
        """
        self.opening: list[Deferred[Any]] = []

        def open() -> Deferred[Any]:
            self.opening.append(Deferred())
            return self.opening[-1]

        self.shared = SharedTunnel(open)

    def test_shared(self) -> None:
        """
        It is opened once, for all that wait for it and come later.
        """
        first, second = self.shared.get(), self.shared.get()
        tunnel = FakeTunnel()
        self.opening[0].callback(tunnel)
        third = self.shared.get()
        self.assertEqual(
            [self.successResultOf(one) for one in (first, second, third)], [tunnel] * 3
        )
        self.assertEqual(len(self.opening), 1)

    def test_lost(self) -> None:
        """
        It is opened anew when it was lost.
        """
        self.shared.get()
        tunnel = FakeTunnel()
        self.opening[0].callback(tunnel)
        tunnel.close()
        self.assertNoResult(self.shared.get())
        self.assertEqual(len(self.opening), 2)

    def test_failed(self) -> None:
        """
        What keeps it from opening is told to all, and it is tried again for the next.
        """
        waiting = [self.shared.get(), self.shared.get()]
        self.opening[0].errback(Failure(ConnectError()))
        for one in waiting:
            self.failureResultOf(one, ConnectError)
        self.shared.get()
        self.assertEqual(len(self.opening), 2)

    def test_cancelled(self) -> None:
        """
        One that does not want it any more changes nothing for others.
        """
        first, second = self.shared.get(), self.shared.get()
        first.cancel()
        self.failureResultOf(first)
        third = self.shared.get()
        self.opening[0].callback(FakeTunnel())
        for one in (second, third):
            self.successResultOf(one)
        self.assertEqual(len(self.opening), 1)

    def test_stopped(self) -> None:
        """
        It is closed in the end, also if it opens later.
        """
        for isEarly in (True, False):
            self.setUp()
            self.successResultOf(self.shared.stop())
            self.shared.get()
            tunnel = FakeTunnel()
            if isEarly:
                self.shared = SharedTunnel(lambda tunnel=tunnel: succeed(tunnel))  # type: ignore[misc]
                self.shared.get()
                self.shared.stop()
            else:
                self.opening[0].callback(tunnel)
            self.assertTrue(tunnel.whenLost.called)

    def test_service(self) -> None:
        """
        A service is reached by its name or its port.
        """
        tunnel = FakeTunnel()
        for name in ("com.apple.afc", "50000"):
            endpoint = TunnelledService(self.shared, name)
            verifyObject(IStreamClientEndpoint, endpoint)
            connecting = endpoint.connect(None)
            if not self.opening[0].called:
                self.opening[0].callback(tunnel)
            self.assertEqual(self.successResultOf(connecting), "protocol")
        self.assertEqual(tunnel.asked, ["com.apple.afc", 50000])
