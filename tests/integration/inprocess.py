"""
The daemon in the process of its test, on the real reactor and a real socket, so
that a test can hold the phones and look at what is left.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.python.runtime import platform
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from muxd.interfaces import AttachedDevice, IDeviceListener, IDeviceReceiver
from muxd.limits import LIMITS
from muxd.phone.bus.simulated import SimulatedBus
from muxd.phone.iphone import Phone
from muxd.phone.parser import serials
from muxd.phone.source import busSource
from muxd.service import MuxService
from muxd.usb.source import USBSource
from tests.integration.test_oldclients import CONNECTED, connect

POLL = 0.01
"""Seconds between two looks at the bus."""


class PhoneStream(Protocol):
    """
    A client that asks for a port of a phone, and then has a stream.

    @ivar opened: Fires with the client when there is a stream.
    @ivar lost: Fires when the connection has ended.
    """

    def __init__(self, deviceID: int, port: int) -> None:
        self.opened: Deferred[PhoneStream] = Deferred()
        self.lost: Deferred[None] = Deferred()
        self._request = connect(deviceID, port)
        self._reply = b""

    def connectionMade(self) -> None:
        """
        Ask.
        """
        assert self.transport is not None
        self.transport.write(self._request)

    def dataReceived(self, data: bytes) -> None:
        """
        The reply, and then the stream.
        """
        if len(self._reply) == len(CONNECTED):
            self.streamReceived(data)
            return
        self._reply += data
        if len(self._reply) < len(CONNECTED):
            return
        self._reply, stream = self._reply[: len(CONNECTED)], self._reply[len(CONNECTED) :]
        if self._reply == CONNECTED:
            self.opened.callback(self)
        else:
            self.opened.errback(AssertionError(f"Connect: expected result 0, got {self._reply!r}"))
        if stream:
            self.streamReceived(stream)

    def streamReceived(self, data: bytes) -> None:
        """
        Bytes of the phone.
        """

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The end.
        """
        self.lost.callback(None)


@implementer(IDeviceListener)
class Attendance:
    """
    Who is there, and when that has become a certain number.
    """

    def __init__(self) -> None:
        self.present: dict[str, int] = {}
        self._waiting: tuple[int, Deferred[None]] | None = None

    def count(self, number: int) -> Deferred[None]:
        """
        Fires when so many phones are there.
        """
        waiting: Deferred[None] = Deferred()
        self._waiting = (number, waiting)
        self._changed()
        return waiting

    def deviceAttached(self, attached: AttachedDevice) -> None:
        """
        One more.
        """
        self.present[attached.device.identity.udid] = attached.deviceID
        self._changed()

    def deviceDetached(self, attached: AttachedDevice) -> None:
        """
        One less.
        """
        self.present.pop(attached.device.identity.udid)
        self._changed()

    def devicePaired(self, attached: AttachedDevice) -> None:
        """
        Does not happen here.
        """

    def _changed(self) -> None:
        if self._waiting is not None and self._waiting[0] == len(self.present):
            waiting, self._waiting = self._waiting[1], None
            waiting.callback(None)


class ServiceTestCase(TestCase):
    """
    What tests of a service with real sockets and phones at hand need.

    @cvar phoneCount: How many phones there are.
    @cvar limits: The service's.
    """

    phoneCount = 1
    limits = LIMITS
    if platform.isWindows():
        skip = "Windows has no UNIX sockets here"

    def setUp(self) -> Any:
        """
        Start a service; fires when all phones are attached.
        """
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.directory = Path(tempfile.mkdtemp(prefix="muxd-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.path = str(self.directory / "s")
        self.bus = SimulatedBus()
        self.phones = [Phone(reactor, udid=serial) for serial in serials(self.phoneCount)]
        self.service = MuxService(
            reactor,
            listen=[f"unix:{self.path}"],
            sources=[self.makeSource],
            configDir=str(self.directory / "lockdown"),
            limits=self.limits,
        )
        self.attendance = Attendance()
        self.service.registry.subscribe(self.attendance)
        for phone in self.phones:
            phone.plug(self.bus)
            self.addCleanup(phone.stop)
        self.service.startService()
        self.addCleanup(self.service.stopService)
        return self.attendance.count(self.phoneCount)

    def makeSource(self, receiver: IDeviceReceiver) -> USBSource:
        """
        The bus that the phones are on.
        """
        return busSource(self.reactor, receiver, "the test's bus", self.bus, limits=self.limits)

    def stream(self, client: PhoneStream) -> Deferred[PhoneStream]:
        """
        Connect a client; fires when it has a stream.
        """
        connectProtocol(UNIXClientEndpoint(self.reactor, self.path), client).addErrback(
            client.opened.errback
        )
        return client.opened

    async def until(self, condition: Callable[[], bool], attempts: int = 500) -> bool:
        """
        Let the reactor run until something is so, but not for ever.

        @return: Whether it is.
        """
        for _ in range(attempts):
            if condition():
                return True
            await deferLater(self.reactor, POLL)
        return condition()
