# -*- test-case-name: tests.client.test_clientconnect -*-
"""
Tests for connecting with L{muxd.client.client}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol
from zope.interface.verify import verifyObject

from muxd.client.answers import Device
from muxd.client.client import FeedAddress, PhoneAddress
from muxd.client.errors import (
    DaemonRefused,
    PhoneGone,
    PortRefused,
    Stage,
    TimedOut,
)
from tests.client.clients import ClientCase
from tests.client.daemons import (
    OTHER_UDID,
    UDID,
    BinaryOnlyConnection,
    ChattyConnection,
    DaemonConnection,
    DyingConnection,
    PlistOnlyConnection,
    SilentConnection,
)

PHONE = Device(deviceID=1, udid=UDID)


class Recorder(Protocol):
    """
    An application.
    """

    data = b""

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it.
        """
        self.data += data


class ConnectTests(ClientCase):
    """
    Tests for L{UsbmuxClient.connect}.
    """

    def connect(self, device: Device = PHONE, port: int = 22) -> Deferred[Any]:
        """
        Connect a recorder.
        """
        return self.client.connect(device, port, Factory.forProtocol(Recorder), timeout=10)

    def test_stream(self) -> None:
        """
        Bytes go both ways, and the end is the end on both sides, with daemons of
        every kind.
        """
        for kind in (
            DaemonConnection,
            PlistOnlyConnection,
            BinaryOnlyConnection,
            ChattyConnection,
        ):
            self.start(kind)
            self.host.daemon.attach(1)
            self.host.daemon.greeting = b"hello "
            application = self.result(self.connect())
            (stream,) = self.host.daemon.streams()
            stream.transport.write(b"from the phone")
            application.transport.write(b"to the phone")
            self.host.settle()
            self.assertEqual(b"hello from the phone", application.data)
            self.assertEqual(b"to the phone", stream.received)
            application.transport.loseConnection()
            self.host.settle()
            self.assertTrue(stream.ended)
            self.assertEqual([], self.host.openSockets())

    def test_address(self) -> None:
        """
        The application is built for the phone's port.
        """
        self.start()
        self.host.daemon.attach(1)
        addresses: list[object] = []

        class Building(Factory):
            def buildProtocol(self, addr: IAddress | None) -> Protocol:
                addresses.append(addr)
                return Protocol()

        self.result(self.client.connect(PHONE, 22, Building()))
        self.assertEqual([PhoneAddress(udid=UDID, port=22, deviceID=1)], addresses)
        for address in (addresses[0], FeedAddress("here")):
            verifyObject(IAddress, address)

    def test_refused(self) -> None:
        """
        Result 3 is the phone's refusal.
        """
        self.start()
        self.host.daemon.attach(1)
        self.host.daemon.results[22] = 3
        error = self.failure(self.connect(), PortRefused)
        self.assertEqual((UDID, 22), (error.udid, error.port))

    def test_gone(self) -> None:
        """
        Result 2 is a phone that is not there any more.
        """
        self.start()
        self.failure(self.connect(Device(deviceID=9, udid=OTHER_UDID)), PhoneGone)

    def test_closed(self) -> None:
        """
        So is a connection that is closed without a Result, as the C daemon does
        when the phone goes at this moment.
        """
        self.start(DyingConnection)
        self.assertIn("closed the connection", str(self.failure(self.connect(), PhoneGone)))

    def test_otherRefusal(self) -> None:
        """
        Any other Result is the daemon's.
        """
        self.start()
        self.host.daemon.attach(1)
        self.host.daemon.results[22] = 5
        self.assertEqual(5, self.failure(self.connect(), DaemonRefused).result)

    def test_late(self) -> None:
        """
        A phone that does not answer in time is a time-out of that stage.
        """
        self.start(SilentConnection)
        connecting = self.connect()
        self.host.advance(10)
        self.assertIs(Stage.CONNECT, self.failure(connecting, TimedOut).stage)
