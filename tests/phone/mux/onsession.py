"""
A session with a service that does as it is told, for tests.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from muxd.phone.mux.behaviour import Expectations
from muxd.phone.mux.session import PhoneSession, State
from muxd.phone.services.inet import ServiceFactory
from tests.phone.mux.host import ManualHost


class Service(Protocol):
    """
    A service that does what a test tells it to.

    @ivar session: Its transport.
    @ivar received: What it was given.
    @ivar reasons: Why it lost its connection.
    """

    session: PhoneSession

    def __init__(self) -> None:
        self.received = b""
        self.reasons: list[Failure] = []
        self.onData: Callable[[bytes], None] = lambda data: None

    def connectionMade(self) -> None:
        """
        Find the session.
        """
        assert isinstance(self.transport, PhoneSession)
        self.session = self.transport

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it.
        """
        self.received += data
        self.onData(data)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # no default
        """
        Keep it.
        """
        self.reasons.append(reason)


@implementer(IPushProducer)
class Producer:
    """
    Writes what it is told, and says what it was told.
    """

    def __init__(self, session: PhoneSession, chunk: bytes = b"") -> None:
        self.session = session
        self.chunk = chunk
        self.calls: list[str] = []

    def resumeProducing(self) -> None:
        """
        Note it, and write.
        """
        self.calls.append("resume")
        if self.chunk:
            self.session.write(self.chunk)

    def pauseProducing(self) -> None:
        """
        Note it.
        """
        self.calls.append("pause")

    def stopProducing(self) -> None:
        """
        Note it.
        """
        self.calls.append("stop")


class SessionTestCase(SynchronousTestCase):
    """
    A session with a service on port 1.
    """

    window = 131072
    expectations = Expectations()

    def setUp(self) -> None:
        """
        Open the session.
        """
        self.services: list[Service] = []
        self.host = ManualHost(
            {1: ServiceFactory(self._make)}, window=self.window, expectations=self.expectations
        ).handshake()
        self.session = self.host.connect(1)
        (self.service,) = self.services

    def _make(self) -> Service:
        service = Service()
        self.services.append(service)
        return service

    def ended(self) -> type[BaseException]:
        """
        Why the service lost its connection, which it did just once.
        """
        (reason,) = self.service.reasons
        assert reason.type is not None
        self.assertIdentical(self.service.session.state, State.CLOSED)
        self.assertEqual(self.host.muxer.sessions, {})
        return reason.type
