# -*- test-case-name: tests.phone.usbip.test_exports -*-
"""
Devices that hosts somewhere else may have: a bus whose other end is USB/IP.
"""

from __future__ import annotations

from zope.interface import Interface, implementer

from muxd.phone.bus.attachment import Attachment
from muxd.phone.bus.descriptors import Speed
from muxd.phone.bus.interfaces import CannotPlug, IBus, IGadget
from muxd.phone.usbip.urbs import TransferCounters
from muxd.usbip.requests import ExportedDevice

BUS = 1
LAST_ADDRESS = 127

USB_SPEED = {Speed.FULL: 2, Speed.HIGH: 3, Speed.SUPER: 5, Speed.SUPER_PLUS: 6}
"""Linux' numbers of speeds."""


class IHostConnection(Interface):
    """
    The connection of a host that has a device.
    """

    def disconnect(error: int) -> None:
        """
        The device is taken away from it.

        @param error: What its transfers fail with first; 0 for not a word.
        """


class IRemoteBus(IBus):
    """
    A bus whose other end is a host's USB stack, in this machine or elsewhere.
    """

    def export(gadget: IGadget) -> Export | None:
        """
        A device in its place; None if it is not plugged in.
        """

    def counters(gadget: IGadget) -> TransferCounters:
        """
        What hosts have done with a device, all together.
        """


class Export:
    """
    A device in its place, where one host at a time may have it.

    @ivar gadget: The device.
    @ivar busID: What hosts call the place.
    @ivar counters: What hosts have done.
    """

    def __init__(
        self, gadget: IGadget, address: int, port: int, counters: TransferCounters
    ) -> None:
        self.gadget = gadget
        self.address = address
        self.port = port
        self.busID = f"{BUS}-{port}"
        self.counters = counters
        self._attachment: Attachment | None = None
        self._connection: IHostConnection | None = None

    @property
    def isTaken(self) -> bool:
        """
        Whether a host has it.
        """
        return self._attachment is not None

    def take(self, connection: IHostConnection) -> Attachment:
        """
        A host takes it: it is on that one's bus.
        """
        assert self._attachment is None, "a host has it already"
        attachment = Attachment(self.gadget, BUS, self.address, self.port)
        self._attachment, self._connection = attachment, connection
        self.gadget.plugged(attachment)
        return attachment

    def giveBack(self) -> None:
        """
        The host has it no more.
        """
        attachment, self._attachment, self._connection = self._attachment, None, None
        if attachment is not None:
            attachment.unplug()
            self.gadget.unplugged(attachment)

    def withdraw(self, error: int) -> None:
        """
        Take it away from the host that has it.

        @param error: See L{IHostConnection.disconnect}.
        """
        if self._connection is not None:
            self._connection.disconnect(error)

    def describe(self) -> ExportedDevice:
        """
        What hosts are told of it: as if this machine's kernel had it.
        """
        descriptor = self.gadget.descriptor
        active = descriptor.configuration(descriptor.initialConfiguration)
        return ExportedDevice(
            path=f"/sys/devices/muxd/usb{BUS}/{self.busID}",
            busID=self.busID,
            bus=BUS,
            address=self.address,
            speed=USB_SPEED[descriptor.deviceSpeed],
            vendor=descriptor.idVendor,
            product=descriptor.idProduct,
            release=descriptor.bcdDevice,
            triple=(
                descriptor.bDeviceClass,
                descriptor.bDeviceSubClass,
                descriptor.bDeviceProtocol,
            ),
            configuration=active.bConfigurationValue if active else 0,
            configurations=descriptor.bNumConfigurations,
            interfaces=tuple(each[0].triple for each in active.interfaces) if active else (),
        )


@implementer(IRemoteBus)
class Exports:
    """
    What hosts may import.
    """

    def __init__(self) -> None:
        self._exports: dict[int, Export] = {}
        self._counters: dict[IGadget, TransferCounters] = {}
        self._plugged = 0

    def plug(self, gadget: IGadget) -> str:
        """
        Offer a device.

        @return: Its bus id.
        """
        if self.export(gadget) is not None:
            raise CannotPlug("it is plugged in already")
        port = next((n for n in range(1, LAST_ADDRESS) if n not in self._exports), 0)
        if not port:
            raise CannotPlug(f"there are {len(self._exports)} devices already: the bus is full")
        used = {export.address for export in self._exports.values()}
        while True:
            # From 2 to 127, counting up and round.
            address = self._plugged % (LAST_ADDRESS - 1) + 2
            self._plugged += 1
            if address not in used:
                break
        export = self._exports[port] = Export(gadget, address, port, self.counters(gadget))
        return export.busID

    def unplug(self, gadget: IGadget, error: int = 0) -> None:
        """
        Offer it no more, and take it away from the host that has it.
        """
        export = self.export(gadget)
        if export is not None:
            del self._exports[export.port]
            export.withdraw(error)

    def export(self, gadget: IGadget) -> Export | None:
        """
        Where a device is.
        """
        return next((e for e in self._exports.values() if e.gadget is gadget), None)

    def counters(self, gadget: IGadget) -> TransferCounters:
        """
        What hosts have done with a device.
        """
        return self._counters.setdefault(gadget, TransferCounters())

    def find(self, busID: str) -> Export | None:
        """
        What is in a place.
        """
        return next((e for e in self._exports.values() if e.busID == busID), None)

    def devices(self) -> list[ExportedDevice]:
        """
        What hosts are told of all of them.
        """
        return [export.describe() for export in self._exports.values()]
