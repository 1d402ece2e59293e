# -*- test-case-name: tests.remote.test_phone -*-
"""
Tests of L{muxd.remote.phone}.
"""

from __future__ import annotations

from errno import EHOSTUNREACH, EINVAL, ENOENT

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import IProtocol, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from muxd.remote.phone import RemotePhone
from tests.client.daemons import OTHER_UDID, UDID
from tests.client.endpoints import Application
from tests.remote.hosts import RemoteHost


class PhoneCase(SynchronousTestCase):
    """
    Another host with one phone.
    """

    def setUp(self) -> None:
        """
        Start a source of it.
        """
        self.host = RemoteHost()
        self.host.daemon.attach(7)
        self.host.start()

    @property
    def phone(self) -> RemotePhone:
        """
        The phone.
        """
        return self.host.receiver.present[UDID]


class EndpointTests(PhoneCase):
    """
    Connections to ports of a phone.
    """

    def connect(self, port: int = 22) -> Deferred[IProtocol]:
        """
        Connect an application, as far as it goes without time.
        """
        connecting = self.phone.endpoint(port).connect(Factory.forProtocol(Application))
        self.host.settle()
        return connecting

    def test_interface(self) -> None:
        """
        It is an endpoint, and says which.
        """
        endpoint = self.phone.endpoint(22)
        verifyObject(IStreamClientEndpoint, endpoint)
        self.assertEqual(repr(endpoint), f"<port 22 of {UDID} at test>")

    def test_noPort(self) -> None:
        """
        There are no ports beyond 65,535.
        """
        self.assertRaises(ValueError, self.phone.endpoint, 65536)

    def test_bytes(self) -> None:
        """
        Bytes go both ways.
        """
        self.host.daemon.greeting = b"hello"
        application = self.successResultOf(self.connect())
        assert isinstance(application, Application) and application.transport is not None
        application.transport.write(b"world")
        self.host.settle()
        (stream,) = self.host.daemon.streams()
        self.assertEqual((application.data, stream.received), (b"hello", b"world"))

    def test_refused(self) -> None:
        """
        A port on which nothing listens is refused, as a phone of our own would.
        """
        self.host.daemon.results[22] = 3
        self.failureResultOf(self.connect(), ConnectionRefusedError)

    def test_staleNumber(self) -> None:
        """
        A number that the daemon does not know any more is looked up once.
        """
        daemon = self.host.daemon
        daemon.devices[9] = daemon.devices.pop(7)
        self.successResultOf(self.connect())
        self.assertEqual(daemon.heard[-3:], ["Connect", "ListDevices", "Connect"])
        self.assertEqual(self.phone.device.deviceID, 9)

    def test_gone(self) -> None:
        """
        A phone that its daemon does not list is gone.
        """
        del self.host.daemon.devices[7]
        self.failureResultOf(self.connect(), ConnectionLost)

    def test_numberOfAnother(self) -> None:
        """
        While the daemon is lost its numbers are worth nothing: one that was started anew may
        have given ours to another phone, which is not connected to.
        """
        self.host.killDaemon()
        self.host.daemon.devices.clear()
        self.host.daemon.attach(7, OTHER_UDID)
        self.host.daemon.attach(8, UDID)
        self.host.running = True
        self.host.daemon.heard.clear()
        self.successResultOf(self.connect())
        self.assertEqual(self.host.daemon.heard, ["ListDevices", "Connect"])
        self.assertEqual(self.phone.device.deviceID, 8)

    def test_noDaemon(self) -> None:
        """
        A phone whose daemon cannot be reached is gone.
        """
        self.host.killDaemon()
        self.failureResultOf(self.connect(), ConnectionLost)

    def test_cancelled(self) -> None:
        """
        An attempt that is given up leaves no socket.
        """
        before = len(self.host.openSockets())
        connecting = self.phone.endpoint(22).connect(Factory.forProtocol(Application))
        connecting.cancel()
        self.host.settle()
        self.failureResultOf(connecting)
        self.assertEqual(len(self.host.openSockets()), before)


class RecordTests(PhoneCase):
    """
    The pair record of a phone, which its host keeps.
    """

    def test_life(self) -> None:
        """
        It is stored there, with an event, read, and forgotten.
        """
        self.host.receiver.take()
        saving = self.phone.savePairRecord(b"record")
        self.host.settle()
        self.successResultOf(saving)
        self.assertEqual(self.host.daemon.records, {UDID: b"record"})
        self.assertEqual(self.host.receiver.take(), [("paired", UDID)])
        reading = self.phone.readPairRecord()
        self.host.settle()
        self.assertEqual(self.successResultOf(reading), b"record")
        deleting = self.phone.deletePairRecord()
        self.host.settle()
        self.successResultOf(deleting)
        self.assertEqual(self.host.daemon.records, {})

    def test_errors(self) -> None:
        """
        What its host objects to is told with the host's number, and that it cannot be
        reached with one of our own.
        """
        reading, saving = self.phone.readPairRecord(), self.phone.savePairRecord(b"")
        self.host.settle()
        self.assertEqual(self.failureResultOf(reading, OSError).value.errno, ENOENT)
        self.assertEqual(self.failureResultOf(saving, OSError).value.errno, EINVAL)
        phone = self.phone
        self.host.killDaemon()
        deleting = phone.deletePairRecord()
        self.host.settle()
        self.assertEqual(self.failureResultOf(deleting, OSError).value.errno, EHOSTUNREACH)

    def test_identity(self) -> None:
        """
        Its host has an identity of its own.
        """
        reading = self.phone.readBUID()
        self.host.settle()
        self.assertEqual(self.successResultOf(reading), "THE-BUID")
