"""
Tests of L{muxd.phone.services.ports}.
"""

from __future__ import annotations

from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.task import Clock
from twisted.protocols.wire import Echo
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.services.inet import ServiceFactory
from muxd.phone.services.ports import (
    FIRST_PORT,
    LAST_PORT,
    MOST_WAITING,
    PATIENCE,
    NamedService,
    ServicePorts,
)


class ServicePortsTests(SynchronousTestCase):
    """
    Ports that come and go.
    """

    def setUp(self) -> None:
        """
        A phone on which something listens already.
        """
        self.clock = Clock()
        self.factory = ServiceFactory(Echo)
        self.listening: dict[int, IProtocolFactory] = {FIRST_PORT: self.factory}
        self.service = NamedService(self.factory)
        self.ports = ServicePorts(self.clock, self.listening, {"echo": self.service})

    def test_find(self) -> None:
        """
        A service is found by its name.
        """
        self.assertIs(self.ports.find("echo"), self.service)
        self.assertIsNone(self.ports.find("other"))
        self.assertIsNone(self.ports.find(7))

    def test_oneConnection(self) -> None:
        """
        A port is one that is free, and lets one connection through.
        """
        port = self.ports.open(self.factory)
        assert port is not None
        self.assertEqual(port, FIRST_PORT + 1)
        factory = self.listening[port]
        self.assertIsInstance(factory.buildProtocol(None), Echo)  # type: ignore[arg-type]
        self.assertNotIn(port, self.listening)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_starts(self) -> None:
        """
        The service's factory is started and stopped with the port's.
        """
        calls = []

        class Service(ServiceFactory):
            def startFactory(self) -> None:
                calls.append("start")

            def stopFactory(self) -> None:
                calls.append("stop")

        port = self.ports.open(Service(Echo))
        assert port is not None
        factory = self.listening[port]
        factory.doStart()
        self.assertEqual(calls, ["start"])
        factory.doStop()
        self.assertEqual(calls, ["start", "stop"])

    def test_patience(self) -> None:
        """
        A port to which nobody comes is closed after a while.
        """
        port = self.ports.open(self.factory)
        self.clock.advance(PATIENCE)
        self.assertNotIn(port, self.listening)

    def test_wrap(self) -> None:
        """
        After the last port comes the first.
        """
        self.ports._next = LAST_PORT
        self.assertEqual(self.ports.open(self.factory), LAST_PORT)
        self.assertEqual(self.ports.open(self.factory), FIRST_PORT + 1)

    def test_most(self) -> None:
        """
        There is an end to what one host may start.
        """
        for _ in range(MOST_WAITING):
            self.assertIsNotNone(self.ports.open(self.factory))
        self.assertIsNone(self.ports.open(self.factory))
        self.ports.stop()
        self.assertEqual(self.listening, {FIRST_PORT: self.factory})
        self.assertEqual(self.clock.getDelayedCalls(), [])
