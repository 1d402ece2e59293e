"""
Tests of L{muxd.lockdown.starttls} over L{muxd.phone.mux.session}: the phone's services
that speak TLS from the first byte on, each with a session that really holds its service
back.
"""

from __future__ import annotations

import plistlib
from struct import pack
from typing import Any

from OpenSSL import SSL
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from muxd.lockdown.plists import AnsweringProtocol
from muxd.lockdown.starttls import Upgradable, securedFactory
from muxd.phone.mux.flow import ASKING
from muxd.phone.services.heartbeat import INTERVAL, Heartbeat
from muxd.phone.services.inet import ServiceFactory
from muxd.phone.services.logbook import SyslogBook
from muxd.phone.services.syslog import SyslogRelay
from tests.lockdown.test_starttls import contexts
from tests.phone.mux.host import ManualHost
from tests.phone.services.hosts import heard


class SecureHost:
    """
    A host that speaks TLS on one session.

    @ivar isClosed: Whether the service has taken its leave of TLS.
    """

    def __init__(self, host: ManualHost, port: int, context: SSL.Context) -> None:
        self._host = host
        self.session = host.connect(port)
        self.tls = SSL.Connection(context, None)
        self.tls.set_connect_state()
        self._heard = StringTransport()
        self.isClosed = False

    def exchange(self) -> None:
        """
        Let everything be heard that either has to say.
        """
        isBusy = True
        while isBusy:
            isBusy = self._listen()
            isBusy = self._say() or isBusy

    def _say(self) -> bool:
        try:
            said = self.tls.bio_read(16384)
        except SSL.WantReadError:
            return False
        self.session.send(payload=said)
        return True

    def _listen(self) -> bool:
        received = self.session.end()
        if received:
            self.tls.bio_write(received)
            if self.session.reset is None:
                self.session.send()
        try:
            while True:
                self._heard.write(self.tls.recv(16384))
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.isClosed = True
        return bool(received)

    def messages(self) -> list[dict[str, Any]]:
        """
        The property lists that the service has said since the last call.
        """
        return heard(self._heard)

    def say(self, **message: Any) -> None:
        """
        Say a property list.
        """
        data = plistlib.dumps(message)
        self.tls.send(pack(">I", len(data)) + data)
        self.exchange()


class Noting(Protocol):
    """
    A service that notes what becomes of it.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []

    def connectionMade(self) -> None:
        """
        Note it.
        """
        self.calls.append("made")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Note it.
        """
        self.calls.append("lost")


class SecuringTestCase(SynchronousTestCase):
    """
    A service that speaks TLS.
    """

    def setUp(self) -> None:
        """
        A phone without services.
        """
        self.services: dict[int, Any] = {}
        self.book = SyslogBook(Clock())
        self.phone = ManualHost(self.services).handshake()
        self.hostContext, self.phoneContext = contexts()

    def connect(self, makeProtocol: Any) -> SecureHost:
        """
        Connect to a service.
        """
        factory = ServiceFactory(makeProtocol)
        self.services[1] = securedFactory(factory, self.phoneContext, self.phone.clock)
        return SecureHost(self.phone, 1, self.hostContext)


class BeginningTests(SecuringTestCase):
    """
    How conversations begin.
    """

    def test_servicesFirstWord(self) -> None:
        """
        A service that has the first word, and listens to nobody until it has been said, is
        heard all the same: a heart beats.
        """
        host = self.connect(lambda: Heartbeat(self.phone.clock))
        host.exchange()
        (marco,) = host.messages()
        self.assertEqual(marco["Command"], "Marco")
        host.say(Command="Polo")
        self.phone.clock.advance(INTERVAL)
        host.exchange()
        self.assertEqual([each["Command"] for each in host.messages()], ["Marco"])
        self.assertEqual(self.phone.violations, [])

    def test_onceSecure(self) -> None:
        """
        A service is connected when its conversation is secret, and hears of the end of one
        that it has had.
        """
        service = Noting()
        host = self.connect(lambda: service)
        self.assertEqual(service.calls, [])
        host.exchange()
        self.assertEqual(service.calls, ["made"])
        self.phone.muxer.lost()
        self.assertEqual(service.calls, ["made", "lost"])

    def test_neverSecure(self) -> None:
        """
        It hears nothing of a host that does not speak TLS.
        """
        service = Noting()
        host = self.connect(lambda: service)
        host.session.send(payload=b"GET / HTTP/1.0\r\n\r\n")
        host.session.end()
        self.assertIsNotNone(host.session.reset)
        self.assertEqual(service.calls, [])


class EndTests(SecuringTestCase):
    """
    How they end.
    """

    def test_hostCloses(self) -> None:
        """
        A host that takes its leave of TLS is answered, and its session ends, whether or not
        the service produces something for it.
        """
        for makeProtocol in (Noting, AnsweringProtocol, lambda: SyslogRelay(self.book)):
            host = self.connect(makeProtocol)
            host.exchange()
            host.tls.shutdown()
            host.exchange()
            self.assertTrue(host.isClosed)
            self.assertIsNotNone(host.session.reset)
            self.assertEqual(self.phone.muxer.sessions, {})
        self.assertEqual(self.phone.violations, [])

    def test_hostClosesAndDoesNotRead(self) -> None:
        """
        So it is if it has not read, and does so at last.
        """
        host = self.connect(lambda: SyslogRelay(self.book))
        host.exchange()
        for _ in range(300):
            self.book.write("test", "Notice", "x" * 1000)
        self.phone.clock.advance(0)
        host.tls.shutdown()
        host.session.send(payload=host.tls.bio_read(16384))
        self.assertIsNone(host.session.reset)
        host.exchange()
        self.phone.clock.advance(ASKING)
        host.exchange()
        self.assertTrue(host.isClosed)
        self.assertIsNotNone(host.session.reset)

    def test_lockdownd(self) -> None:
        """
        A conversation that has become secret ends in the same way.
        """
        upgradable = Upgradable(AnsweringProtocol())
        self.services[1] = ServiceFactory(lambda: upgradable)
        host = SecureHost(self.phone, 1, self.hostContext)
        upgradable.inner.transport.unregisterProducer()
        upgradable.startTLS(self.phoneContext, isClient=False)
        upgradable.inner.connectionMade()
        host.exchange()
        host.tls.shutdown()
        host.exchange()
        self.assertTrue(host.isClosed)
        self.assertIsNotNone(host.session.reset)
