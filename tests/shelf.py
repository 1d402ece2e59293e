"""
A source with one device, both of which do what a test tells them.
"""

from __future__ import annotations

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory, IStreamClientEndpoint
from zope.interface import implementer

from muxd.identity import DeviceIdentity
from muxd.interfaces import IDevice, IDeviceReceiver, IDeviceSource


@implementer(IStreamClientEndpoint)
class DeviceEndpoint:
    """
    An endpoint that has no way to connect: it remembers who tried.
    """

    def __init__(self, attempts: list[int], port: int) -> None:
        self.attempts = attempts
        self.port = port

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Note the attempt.
        """
        self.attempts.append(self.port)
        address: IAddress | None = None
        protocol = protocolFactory.buildProtocol(address)  # type: ignore[arg-type] # None will do
        assert protocol is not None
        return succeed(protocol)


@implementer(IDevice)
class Device:
    """
    A device that notes to which ports somebody connected.
    """

    def __init__(self, udid: str, connectionType: str = "USB") -> None:
        self.identity = DeviceIdentity(
            udid=udid,
            serial=udid.replace("-", ""),
            productID=0x12A8,
            locationID=1,
            connectionType=connectionType,
        )
        self.attempts: list[int] = []

    def endpoint(self, port: int) -> IStreamClientEndpoint:
        """
        A way that is noted.
        """
        return DeviceEndpoint(self.attempts, port)


@implementer(IDeviceSource)
class Source(Service):
    """
    A source with one device, which ends when it is told to.
    """

    description = "shelf"

    def __init__(self, receiver: IDeviceReceiver) -> None:
        self.receiver = receiver
        self.device = Device("00008110-000A1B2C3D4E5F60")
        self.stopping: Deferred[None] | None = None
        self.problem: Exception | None = None

    def startService(self) -> None:
        """
        Attach the device.
        """
        super().startService()
        if self.problem is not None:
            raise self.problem
        self.receiver.deviceAttached(self.device)

    def stopService(self) -> Deferred[None]:
        """
        Detach it, and take one's time.
        """
        super().stopService()
        self.receiver.deviceDetached(self.device)
        self.stopping = Deferred()
        return self.stopping
