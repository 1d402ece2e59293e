# -*- test-case-name: tests.client.test_access -*-
"""
Tests for L{muxd.client.access}.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from muxd.client.access import DaemonAccess, daemonAccess
from muxd.client.address import InvalidAddress
from muxd.client.client import PhoneAddress
from muxd.client.errors import (
    DaemonLost,
    NoDaemon,
    NotSupported,
    Stage,
    TimedOut,
)
from muxd.client.requests import Dialect, commandRequest, connectRequest
from tests.client.daemons import (
    BinaryOnlyConnection,
    DaemonConnection,
    DyingConnection,
    PlistOnlyConnection,
    SilentConnection,
)
from tests.client.hosts import SOCKET, Host


@implementer(IStreamClientEndpoint)
class FailingEndpoint:
    """
    An endpoint that connects to nothing.
    """

    def __init__(self, error: Exception) -> None:
        self._error = error

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Fail.
        """
        return fail(self._error)


ADDRESS = PhoneAddress(udid="U", port=22, deviceID=1)
READ_BUID = commandRequest("ReadBUID")


def connect(access: DaemonAccess, timeout: float | None = None) -> Deferred[IProtocol]:
    """
    Connect to a port of the first phone.
    """
    factory = Factory.forProtocol(Protocol)
    return access.become(connectRequest(1, 22), factory, ADDRESS, timeout)


class DialectTests(SynchronousTestCase):
    """
    Which dialect is spoken.
    """

    def test_plistFirst(self) -> None:
        """
        Property lists are all that a modern daemon hears.
        """
        host = Host(PlistOnlyConnection)
        host.daemon.attach(1)
        access = host.access()
        for _ in range(2):
            connecting = connect(access)
            host.settle()
            self.successResultOf(connecting)
        self.assertEqual(["Connect", "Connect"], host.daemon.heard)

    def test_binaryAfterResult6(self) -> None:
        """
        An old daemon is spoken to in binary, at once on a second connection and
        from then on.
        """
        host = Host(BinaryOnlyConnection)
        host.daemon.attach(1)
        access = host.access()
        for _ in range(2):
            connecting = connect(access)
            host.settle()
            self.successResultOf(connecting)
        self.assertEqual(["Connect", "binary Connect", "binary Connect"], host.daemon.heard)
        self.assertEqual(2, len(host.openSockets()))

    def test_notSupported(self) -> None:
        """
        What cannot be said in binary fails with an error that says so, and the
        daemon is known to be old.
        """
        host = Host(BinaryOnlyConnection)
        access = host.access()
        asked = access.ask(READ_BUID)
        host.settle()
        self.assertIn("ReadBUID", self.failureResultOf(asked, NotSupported).getErrorMessage())
        self.assertIs(Dialect.BINARY, access.choice.dialect)
        self.assertEqual([], host.openSockets())

    def test_replacedByModern(self) -> None:
        """
        When an old daemon is replaced by one that refuses binary, that is found
        out after one failure at most.
        """
        host = Host(PlistOnlyConnection)
        host.daemon.attach(1)
        access = host.access()
        access.choice.dialect = Dialect.BINARY
        connecting = connect(access)
        host.settle()
        self.failureResultOf(connecting, DaemonLost)
        connecting = connect(access)
        host.settle()
        self.successResultOf(connecting)

    def test_replacedNoticed(self) -> None:
        """
        A command that exists only as a property list finds it out as well.
        """
        host = Host()
        access = host.access()
        access.choice.dialect = Dialect.BINARY
        asked = access.ask(READ_BUID)
        host.settle()
        self.successResultOf(asked)
        self.assertIs(Dialect.PLIST, access.choice.dialect)

    def test_neither(self) -> None:
        """
        A daemon that likes neither dialect is asked twice, not for ever.
        """

        class Neither(BinaryOnlyConnection):
            binaryReceived = BinaryOnlyConnection.requestReceived

        host = Host(Neither)
        connecting = connect(host.access())
        host.settle()
        self.failureResultOf(connecting, NotSupported)
        self.assertEqual(2, len(host.transports))
        self.assertEqual([], host.openSockets())


class ReachTests(SynchronousTestCase):
    """
    How the daemon is reached, or not.
    """

    def test_noDaemon(self) -> None:
        """
        If nobody listens, the error says where we looked and why it failed.
        """
        host = Host()
        host.running = False
        asked = host.access().ask(READ_BUID)
        host.settle()
        text = self.failureResultOf(asked, NoDaemon).getErrorMessage()
        self.assertIn(SOCKET, text)
        self.assertIn("No such file", text)

    def test_socketPerRequest(self) -> None:
        """
        Each request has a connection of its own, which is closed.
        """
        host = Host()
        for count in (1, 2):
            asked = host.access().ask(READ_BUID)
            host.settle()
            self.successResultOf(asked)
            self.assertEqual(count, len(host.transports))
            self.assertEqual([], host.openSockets())

    def test_lost(self) -> None:
        """
        A daemon that hangs up leaves no socket.
        """
        host = Host(DyingConnection)
        asked = host.access().ask(READ_BUID)
        host.settle()
        self.failureResultOf(asked, DaemonLost)
        self.assertEqual([], host.openSockets())

    def test_unreachable(self) -> None:
        """
        A daemon that cannot be reached in time is a time-out of that stage.
        """
        host = Host()
        host.accepting = False
        asked = host.access().ask(READ_BUID)
        host.advance(4.5)
        self.assertNoResult(asked)
        host.advance(0.5)
        self.assertIs(Stage.REACH, self.failureResultOf(asked, TimedOut).value.stage)
        self.assertTrue(host.reactor.connectors[0].stoppedConnecting)

    def test_totalTime(self) -> None:
        """
        A time-out that is given is for the connection and the answer together.
        """
        host = Host(SilentConnection)
        host.accepting = False
        connecting = connect(host.access(), timeout=10)
        host.advance(7)
        host.accepting = True
        host.advance(2.9)
        self.assertNoResult(connecting)
        host.advance(0.1)
        self.assertIs(Stage.CONNECT, self.failureResultOf(connecting, TimedOut).value.stage)
        self.assertEqual([], host.openSockets())

    def test_totalTimeWhileReaching(self) -> None:
        """
        It may be over before the daemon is reached.
        """
        host = Host()
        host.accepting = False
        connecting = connect(host.access(), timeout=2)
        host.advance(2)
        self.assertIs(Stage.REACH, self.failureResultOf(connecting, TimedOut).value.stage)

    def test_totalTimeOfBothDialects(self) -> None:
        """
        It is for both dialects together.
        """

        class SlowOldConnection(BinaryOnlyConnection):
            def binaryReceived(self, *_: object) -> None:
                """
                Never answer.
                """

        host = Host(SlowOldConnection)
        host.accepting = False
        connecting = connect(host.access(), timeout=10)
        host.advance(7)
        host.accepting = True
        host.settle()
        self.assertEqual(["Connect", "binary Connect"], host.daemon.heard)
        host.advance(2.5)
        self.assertNoResult(connecting)
        host.advance(0.5)
        error = self.failureResultOf(connecting, TimedOut).value
        self.assertIn("time-out after 10 s", str(error))
        self.assertEqual([], host.openSockets())

    def test_cancelWhileReaching(self) -> None:
        """
        Cancelling before the daemon is reached stops the attempt.
        """
        host = Host()
        host.accepting = False
        asked = host.access().ask(READ_BUID)
        asked.cancel()
        self.failureResultOf(asked, ConnectingCancelledError)
        self.assertTrue(host.reactor.connectors[0].stoppedConnecting)
        self.assertEqual([], host.reactor.getDelayedCalls())

    def test_cancelWhileAwaiting(self) -> None:
        """
        Cancelling while an answer is awaited closes the socket.
        """
        host = Host(SilentConnection)
        asked = host.access().ask(READ_BUID)
        host.settle()
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        host.settle()
        self.assertEqual([], host.openSockets())
        self.assertEqual([], host.reactor.getDelayedCalls())


class DaemonAccessTests(SynchronousTestCase):
    """
    Tests for L{daemonAccess}.
    """

    def test_environment(self) -> None:
        """
        Without anything given, the environment says where the daemon is.
        """
        reactor = MemoryReactorClock()
        access = daemonAccess(reactor, environ={"USBMUXD_SOCKET_ADDRESS": "UNIX:/x"})
        self.assertEqual("/x", access.where)
        self.assertNoResult(access.ask(READ_BUID))
        self.assertEqual("/x", reactor.unixClients[0][0])

    def test_invalidEnvironment(self) -> None:
        """
        An environment that makes no sense is an error at once.
        """
        environ = {"USBMUXD_SOCKET_ADDRESS": "x"}
        self.assertRaises(InvalidAddress, daemonAccess, MemoryReactorClock(), None, environ)

    def test_description(self) -> None:
        """
        A description wins over the environment, and is what people are told.
        """
        reactor = MemoryReactorClock()
        access = daemonAccess(reactor, "tcp:mac:99", {"USBMUXD_SOCKET_ADDRESS": "x"})
        self.assertEqual("tcp:mac:99", access.where)
        self.assertNoResult(access.ask(READ_BUID))
        self.assertEqual(("mac", 99), reactor.tcpClients[0][:2])

    def test_remedy(self) -> None:
        """
        What is to be done about a daemon that is not there depends on what has named the place.
        """
        for via, told in (("unix:/x", False), (None, True)):
            reactor = MemoryReactorClock()
            access = daemonAccess(reactor, via, {"USBMUXD_SOCKET_ADDRESS": "UNIX:/x"})
            asked = access.ask(READ_BUID)
            _, factory, *_ = reactor.unixClients[0]
            factory.clientConnectionFailed(reactor.connectors[0], Failure(ConnectError()))
            failed = self.failureResultOf(asked, NoDaemon)
            self.assertEqual("USBMUXD_SOCKET_ADDRESS" in failed.getErrorMessage(), told)

    def test_remedyOfFiles(self) -> None:
        """
        Keys that cannot be used, such as those that only another user may read, are no reason to
        look for the daemon.
        """
        for error in (
            PermissionError(13, "Permission denied", "/tls/key.pem"),
            ValueError("expected PEM in /tls/key.pem"),
        ):
            asked = daemonAccess(MemoryReactorClock(), FailingEndpoint(error)).ask(READ_BUID)
            text = self.failureResultOf(asked, NoDaemon).getErrorMessage()
            self.assertIn("/tls/key.pem", text)
            self.assertIn("look at the certificates", text)

    def test_endpoint(self) -> None:
        """
        An endpoint is taken as it is.
        """
        host = Host()
        endpoint = UNIXClientEndpoint(host.reactor, SOCKET)
        asked = daemonAccess(host.reactor, endpoint).ask(READ_BUID)
        host.settle()
        self.successResultOf(asked)

    def test_shared(self) -> None:
        """
        One that exists is used, with what it has learned.
        """
        access = Host(DaemonConnection).access()
        self.assertIs(access, daemonAccess(MemoryReactorClock(), access))
