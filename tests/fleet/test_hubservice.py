# -*- test-case-name: tests.fleet.test_hubservice -*-
"""
Tests of L{muxd.fleet.service}: a hub that cannot begin.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase

from muxd.fleet.service import HubService
from muxd.net.socketfile import CannotListen
from tests.client.hosts import logOf


class CannotBeginTests(SynchronousTestCase):
    """
    A hub whose place is taken.
    """

    def test_quiet(self) -> None:
        """
        What is wrong is the only thing that an operator hears, wherever the registry is, and
        nothing is left of the start.
        """
        logged = logOf(self)
        for registry in ("embedded", "etcd:127.0.0.1:2379"):
            reactor: Any = MemoryReactorClock()

            def listen(port: int, *args: Any, **kwargs: Any) -> None:
                raise CannotListenError("127.0.0.1", port, OSError(98, "Address already in use"))

            reactor.listenTCP = listen
            hub = HubService(reactor, fleet="tcp:7300", state=self.mktemp(), registry=registry)
            error = self.assertRaises(CannotListen, hub.privilegedStartService)
            self.assertIn("7300", str(error))
            told = [one for one in logged if one["log_level"] > LogLevel.debug]
            self.assertEqual(told, [], registry)
            reactor.advance(10)
            self.assertEqual([one for one in reactor.getDelayedCalls() if one.active()], [])
