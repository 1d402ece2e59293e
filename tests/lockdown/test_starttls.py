"""
Tests of L{muxd.lockdown.starttls}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.test.iosim import FakeTransport, connect
from twisted.trial.unittest import SynchronousTestCase

from muxd.lockdown.certificates import clientContext, serverContext
from muxd.lockdown.starttls import Upgradable, securedFactory
from muxd.phone.lockdown.key import PRIVATE_KEY
from tests.lockdown.phones import anyRecord


class Talker(Protocol):
    """
    Remembers what it hears, and what becomes of it.
    """

    def __init__(self) -> None:
        self.heard = b""
        self.made = 0
        self.isSecured = False
        self.reason: Failure | None = None

    def connectionMade(self) -> None:
        """
        Count it.
        """
        self.made += 1

    def secured(self) -> None:
        """
        Remember it.
        """
        self.isSecured = True

    def dataReceived(self, data: bytes) -> None:
        """
        Remember it.
        """
        self.heard += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Remember why.
        """
        self.reason = reason

    def say(self, data: bytes) -> None:
        """
        Say it.
        """
        transport: Any = self.transport
        transport.write(data)


def contexts() -> tuple[Any, Any]:
    """
    A host's and a phone's.
    """
    record = anyRecord()
    values = record.values
    server = serverContext(PRIVATE_KEY, values["DeviceCertificate"], values["RootCertificate"])
    return clientContext(record), server


class UpgradableTests(SynchronousTestCase):
    """
    A conversation that becomes a secret one.
    """

    def setUp(self) -> None:
        """
        Two who talk.
        """
        self.talkers = [Talker(), Talker()]
        self.ends = [Upgradable(talker) for talker in self.talkers]
        client, server = self.ends
        self.transports = [FakeTransport(client, False), FakeTransport(server, True)]
        self.pump = connect(server, self.transports[1], client, self.transports[0])

    def secure(self) -> None:
        """
        From here on nobody else understands them.
        """
        for end, context, isClient in zip(self.ends, contexts(), (True, False), strict=True):
            end.startTLS(context, isClient)
        self.pump.flush()

    def test_plain(self) -> None:
        """
        Before, everything is passed on.
        """
        client, server = self.talkers
        client.say(b"hello")
        self.pump.flush()
        self.assertEqual(server.heard, b"hello")

    def test_secured(self) -> None:
        """
        Afterwards it is encrypted; nobody is connected twice, and those who want
        to know are told.
        """
        client, server = self.talkers
        client.say(b"hello")
        self.pump.flush()
        self.secure()
        client.say(b" there")
        self.assertNotIn(b"there", b"".join(self.transports[0].stream))
        server.say(b"yes?")
        self.pump.flush()
        self.assertEqual((server.heard, client.heard), (b"hello there", b"yes?"))
        self.assertEqual([talker.made for talker in self.talkers], [1, 1])
        self.assertTrue(client.isSecured and server.isSecured)

    def test_end(self) -> None:
        """
        The end is told, with TLS and without.
        """
        self.secure()
        client, server = self.talkers
        transport: Any = client.transport
        transport.loseConnection()
        self.pump.flush()
        self.assertIsNotNone(client.reason)
        self.assertIsNotNone(server.reason)

    def test_plainEnd(self) -> None:
        """
        The end is told without TLS, too.
        """
        self.ends[0].connectionLost(connectionDone)
        self.assertIs(self.talkers[0].reason, connectionDone)

    def test_uninterested(self) -> None:
        """
        A protocol need not want to know.
        """
        Upgradable(Protocol()).secured()


class SecuredFactoryTests(SynchronousTestCase):
    """
    TLS from the first byte on.
    """

    def test_server(self) -> None:
        """
        A service behind it hears what a host says that has the key.
        """
        client, server = Talker(), Talker()
        hostContext, phoneContext = contexts()
        factory = Factory.forProtocol(lambda: server)
        host = Upgradable(client)
        phone: Any = securedFactory(factory, phoneContext, Clock()).buildProtocol(None)
        pump = connect(phone, FakeTransport(phone, True), host, FakeTransport(host, False))
        host.startTLS(hostContext, True)
        client.say(b"hello")
        pump.flush()
        self.assertEqual(server.heard, b"hello")
