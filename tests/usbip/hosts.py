"""
A machine that exports devices, in memory, and connections to it.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.internet.interfaces import IProtocol

from muxd.identity import DeviceIdentity
from muxd.phone.bus.descriptors import MUX_IN, MUX_OUT
from muxd.phone.bus.interfaces import IGadget
from muxd.phone.usbip.exports import Exports
from muxd.phone.usbip.server import UsbipFactory
from muxd.usb.configuration import MuxInterface
from muxd.usb.opening import OpenedPhone
from muxd.usbip.bus import Handle, Place, UsbipBus
from muxd.usbip.transfers import DeviceConnection
from tests.client.transports import MemoryTransport, connectInMemory
from tests.phone.usbip.onusbip import TurnClock

INTERFACE = MuxInterface(
    configuration=4,
    number=1,
    output=MUX_OUT,
    input=MUX_IN,
    maxPacketSize=512,
    inputPacketSize=512,
)


class Exporter:
    """
    The machine.

    @ivar exports: Its devices.
    @ivar transports: Our ends of all connections.
    """

    def __init__(self) -> None:
        self.clock = TurnClock()
        self.exports = Exports()
        self.factory = UsbipFactory(self.clock, self.exports)
        self.transports: list[MemoryTransport] = []

    def plug(self, gadget: IGadget) -> str:
        """
        Export a device.

        @return: Its place.
        """
        return self.exports.plug(gadget)

    def connect(self, protocol: IProtocol) -> MemoryTransport:
        """
        Connect to it.
        """
        served = self.factory.buildProtocol(None)
        assert served is not None
        transport = connectInMemory(protocol, served)
        self.transports.append(transport)
        return transport

    def take(self, busID: str = "1-1") -> DeviceConnection:
        """
        Have a device.
        """
        connection = DeviceConnection(self.clock, busID)
        self.connect(connection)
        self.settle()
        return connection

    def settle(self) -> None:
        """
        Let everything happen that can happen now.
        """
        for _ in range(10000):
            self.clock.turn()
            moved = [end.step() for near in self.transports for end in (near, near.peer)]
            if not any(moved):
                return
        raise AssertionError("it does not come to rest")


class ImportedDevice(SimpleNamespace):
    """
    What there is of pyusb's device: its backend, and where its handle is.
    """


def openedPhone(exporter: Exporter, connection: DeviceConnection) -> OpenedPhone:
    """
    A phone that is open by a connection.
    """
    bus = UsbipBus(exporter.clock, endpoint=None, name="test")  # type: ignore[arg-type]
    place = Place(exporter.exports.devices()[0], connection=connection, isOpen=True)
    handle = Handle(place, connection)

    def dispose(device: Any, closing: bool = True) -> None:
        bus.close_device(handle)

    context = SimpleNamespace(managed_open=lambda: handle, dispose=dispose)
    return OpenedPhone(
        device=ImportedDevice(backend=bus, _ctx=context),
        identity=DeviceIdentity(udid="phone", serial="phone", productID=0x12A8, locationID=1),
        interface=INTERFACE,
        location=(1, 2),
    )
