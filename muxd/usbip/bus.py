# -*- test-case-name: tests.usbip.test_source -*-
"""
Another machine's exported devices as a pyusb backend, which phones are found and opened by.

What a backend does blocks, so it is done in the discovery thread; the connections belong to
the reactor, which the thread asks and waits for, each time with a deadline.  A device can be
asked for its descriptors only by the host that has it.  So one of Apple's is taken to be
looked at, once; it is given back when the next look begins unless it has been opened by then.
"""

from __future__ import annotations

import array
import errno
import queue
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure
from usb.core import USBError, USBTimeoutError

from muxd.usb.describedbackend import DescribedBackend, placeAnswer
from muxd.usb.products import APPLE
from muxd.usbip.descriptors import (
    LONGEST,
    ConfigurationDescriptor,
    DescriptorKind,
    DeviceDescriptor,
    InvalidDescriptor,
    parseConfiguration,
    parseDevice,
    totalLength,
)
from muxd.usbip.requests import ExportedDevice, InvalidUsbip
from muxd.usbip.transfers import (
    INPUT,
    SETUP,
    DeviceBusy,
    DeviceConnection,
    DeviceListing,
    Transfer,
)

PATIENCE = 10.0
"""Seconds that the other machine has for one thing."""

BUSY_PAUSE = 30.0
"""Seconds until a device that is not given away is asked for again."""

SPEEDS = {1: 1, 2: 2, 3: 3, 5: 4, 6: 5}
"""libusb's number of each of Linux' speeds."""

GET_DESCRIPTOR = (INPUT, 6)
GET_CONFIGURATION = (INPUT, 8)
SET_CONFIGURATION = (0, 9)
SET_INTERFACE = (1, 11)
CLEAR_FEATURE = (2, 1)
ENDPOINT_HALT = 0


@dataclass(slots=True, eq=False)
class Place:
    """
    A device in its place on the other machine.

    @ivar exported: As it was listed.
    @ivar descriptor: As it describes itself; None before it was asked.
    @ivar connection: By which we have it, if we do.
    @ivar isOpen: Whether it has been opened.
    @ivar again: When to ask for it again, if it was not given away.
    """

    exported: ExportedDevice
    descriptor: DeviceDescriptor | None = None
    connection: DeviceConnection | None = None
    isOpen: bool = False
    again: float = 0.0

    @property
    def isHeld(self) -> bool:
        """
        Whether we have it.
        """
        return self.connection is not None and not self.connection.lost


@dataclass(frozen=True, slots=True)
class Handle:
    """
    A device that is open.
    """

    place: Place
    connection: DeviceConnection


@dataclass(frozen=True, slots=True)
class _Located:
    """
    A device descriptor with what pyusb's backends put into it.
    """

    descriptor: DeviceDescriptor
    bus: int
    address: int
    port_numbers: tuple[int, ...] = field(default=())
    port_number: int | None = None
    speed: int = 3

    def __getattr__(self, name: str) -> object:
        return getattr(self.descriptor, name)


class UsbipBus(DescribedBackend):
    """
    The devices that one machine exports.

    @ivar name: What the machine is called in messages.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        endpoint: IStreamClientEndpoint,
        name: str,
        busIDs: frozenset[str] = frozenset(),
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        @param reactor: Provides C{IReactorTime} and C{IReactorFromThreads}.
        @param endpoint: The way to the machine.
        @param busIDs: The places of the devices that are wanted; all when empty.
        """
        self.name = name
        self._reactor = reactor
        self._endpoint = endpoint
        self._busIDs = busIDs
        self._seconds = seconds
        self._places: dict[tuple[str, int, int], Place] = {}
        self._asked: Deferred[Any] | None = None

    # In the reactor's thread.

    def interrupt(self) -> None:
        """
        Nothing is to be waited for any longer.
        """
        if self._asked is not None:
            self._asked.cancel()

    def closeAll(self) -> None:
        """
        Give all devices back.
        """
        for place in self._places.values():
            if place.connection is not None:
                place.connection.close()

    async def _list(self) -> tuple[ExportedDevice, ...]:
        connecting: Deferred[Any] = self._endpoint.connect(_Building(DeviceListing))
        listing: DeviceListing = await connecting
        return await listing.finished

    async def _take(self, place: Place) -> DeviceConnection:
        def build() -> DeviceConnection:
            return DeviceConnection(self._reactor, place.exported.busID)

        connecting: Deferred[Any] = self._endpoint.connect(_Building(build))
        connection: DeviceConnection = await connecting
        await connection.imported
        return connection

    def _transfer(self, connection: DeviceConnection, transfer: Transfer) -> Deferred[Transfer]:
        """
        Make a transfer, and take it back if it is not wanted any more.
        """
        done: Deferred[Transfer] = Deferred(lambda _: connection.withdraw(transfer))
        transfer.ended = done.callback
        connection.submit(transfer)
        return done

    # In the discovery thread.

    def _call(self, work: Callable[..., Any], *args: Any, patience: float = PATIENCE) -> Any:
        """
        Have the reactor do something, and wait for it.

        @raise USBError: It has failed, or took too long.
        """
        box: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def begin() -> None:
            asked = self._asked = maybeDeferred(work, *args)
            asked.addTimeout(patience, self._reactor).addBoth(box.put)

        self._reactor.callFromThread(begin)
        try:
            # The reactor's own time-out comes first, unless it stands still.
            result = box.get(timeout=patience + PATIENCE)
        except queue.Empty:
            raise self._error("is not asked: this process is too busy") from None
        if isinstance(result, Failure):
            self._raise(result)
        return result

    def _raise(self, failure: Failure) -> NoReturn:
        """
        @raise USBError: As pyusb's backends do.
        """
        error = failure.value
        if isinstance(error, USBError):
            raise error
        if isinstance(error, DeferredTimeout):
            text = f"{self.name}: no answer in {PATIENCE:g} s"
            raise USBTimeoutError(text, -7, errno.ETIMEDOUT)
        if isinstance(error, (DeviceBusy, InvalidUsbip, ConnectError, ConnectionClosed)):
            raise self._error(str(error)) from error
        raise self._error(repr(error)) from error

    def _error(self, text: str, number: int = errno.EIO) -> USBError:
        return USBError(f"{self.name}: {text}", None, number)

    def enumerate_devices(self) -> Iterator[Place]:
        """
        The devices that may be phones and whose descriptors are known.
        """
        listed = self._call(Deferred.fromCoroutine, self._list())
        present: dict[tuple[str, int, int], ExportedDevice] = {
            (exported.busID, exported.bus, exported.address): exported
            for exported in listed
            if exported.vendor == APPLE and (not self._busIDs or exported.busID in self._busIDs)
        }
        for key in list(self._places):
            if key not in present and not self._places[key].isHeld:
                del self._places[key]
        for key, exported in present.items():
            place = self._places.setdefault(key, Place(exported))
            if place.descriptor is None and self._seconds() >= place.again:
                self._examine(place)
        return iter([place for place in self._places.values() if place.descriptor is not None])

    def lookBegins(self) -> None:
        """
        Give back what was taken to be looked at, and not opened.  Within one look there are
        several lists, one for each phone that is opened, and a phone that waits for its turn is
        not given back for that: to have a device again costs time, and over there it is unplugged
        and plugged in.
        """
        for place in self._places.values():
            connection = place.connection
            if connection is not None and not place.isOpen:
                place.connection = None
                self._reactor.callFromThread(connection.close)

    def _examine(self, place: Place) -> None:
        """
        Ask a device for its descriptors.
        """
        try:
            self._hold(place)
            place.descriptor = self._describe(place)
        except (USBError, InvalidDescriptor) as error:
            tell = self._log.debug if place.again else self._log.info
            place.again = self._seconds() + BUSY_PAUSE
            tell(
                "{name} has a device of Apple's at {place} that cannot be looked at: {error}",
                name=self.name,
                place=place.exported.busID,
                error=error.strerror if isinstance(error, USBError) else error,
            )

    def _hold(self, place: Place) -> DeviceConnection:
        """
        Have a device.
        """
        if not place.isHeld:
            place.connection = self._call(Deferred.fromCoroutine, self._take(place))
        assert place.connection is not None
        return place.connection

    def _describe(self, place: Place) -> DeviceDescriptor:
        connection = self._hold(place)
        device = parseDevice(self._ask(connection, DescriptorKind.DEVICE, 0, 18))
        configurations = []
        for index in range(device.bNumConfigurations):
            head = self._ask(connection, DescriptorKind.CONFIGURATION, index, 9)
            whole = self._ask(
                connection, DescriptorKind.CONFIGURATION, index, min(totalLength(head), LONGEST)
            )
            configurations.append(parseConfiguration(whole))
        return replace(device, configurations=tuple(configurations))

    def _ask(self, connection: DeviceConnection, kind: int, index: int, length: int) -> bytes:
        """
        A descriptor.
        """
        return self._control(connection, GET_DESCRIPTOR, kind << 8 | index, 0, length)

    def _control(
        self,
        connection: DeviceConnection,
        request: tuple[int, int],
        value: int,
        index: int,
        length: int,
        data: bytes = b"",
        patience: float = PATIENCE,
    ) -> bytes:
        """
        A control transfer.

        @param request: bmRequestType and bRequest.
        @return: What has come, if it goes in.
        """
        transfer = Transfer(
            request[0] & INPUT,
            length,
            _unheard,
            setup=SETUP.pack(*request, value, index, length),
            data=data,
        )
        done: Transfer = self._call(self._transfer, connection, transfer, patience=patience)
        if done.error:
            code = -9 if done.error == errno.EPIPE else None
            text = "Pipe error" if done.error == errno.EPIPE else "a control transfer failed"
            raise USBError(f"{self.name}: {text}", code, done.error)
        return done.data

    # What pyusb calls.

    def get_parent(self, dev: Place) -> None:
        """
        Hubs are not exported.
        """
        return None

    def get_device_descriptor(self, dev: Place) -> _Located:
        """
        The descriptor, and where the device is over there.
        """
        assert dev.descriptor is not None
        exported = dev.exported
        ports = portsOf(exported.busID)
        return _Located(
            dev.descriptor,
            exported.bus,
            exported.address,
            ports,
            ports[-1] if ports else None,
            SPEEDS.get(exported.speed, 3),
        )

    def _configurations(self, dev: Place) -> Sequence[ConfigurationDescriptor]:
        assert dev.descriptor is not None
        return dev.descriptor.configurations

    def open_device(self, dev: Place) -> Handle:
        """
        Have it until it is closed.
        """
        connection = self._hold(dev)
        dev.isOpen = True
        return Handle(dev, connection)

    def close_device(self, dev_handle: Handle) -> None:
        """
        Give it back.  Called in any thread.
        """
        place = dev_handle.place
        if place.connection is dev_handle.connection:
            place.connection = None
            place.isOpen = False
        self._reactor.callFromThread(dev_handle.connection.close)

    def get_configuration(self, dev_handle: Handle) -> int:
        """
        The value of the configuration that is set, 0 for none.
        """
        answer = self._control(dev_handle.connection, GET_CONFIGURATION, 0, 0, 1)
        return answer[0] if answer else 0

    def set_configuration(self, dev_handle: Handle, config_value: int) -> None:
        """
        Set a configuration.
        """
        self._control(dev_handle.connection, SET_CONFIGURATION, config_value, 0, 0)

    def set_interface_altsetting(self, dev_handle: Handle, intf: int, altsetting: int) -> None:
        """
        Set an alternate setting.
        """
        self._control(dev_handle.connection, SET_INTERFACE, altsetting, intf, 0)

    def claim_interface(self, dev_handle: Handle, intf: int) -> None:
        """
        The whole device is ours.
        """

    def release_interface(self, dev_handle: Handle, intf: int) -> None:
        """
        It is given back as a whole.
        """

    def ctrl_transfer(
        self,
        dev_handle: Handle,
        bmRequestType: int,
        bRequest: int,
        wValue: int,
        wIndex: int,
        data: array.array[int],
        timeout: int,
    ) -> int:
        """
        One control transfer.
        """
        length = len(data) * data.itemsize
        isInput = bool(bmRequestType & INPUT)
        answer = self._control(
            dev_handle.connection,
            (bmRequestType, bRequest),
            wValue,
            wIndex,
            length,
            b"" if isInput else data.tobytes(),
            timeout / 1000 or PATIENCE,
        )
        if not isInput:
            return length
        return placeAnswer(data, answer)

    def clear_halt(self, dev_handle: Handle, ep: int) -> None:
        """
        End a stall.
        """
        self._control(dev_handle.connection, CLEAR_FEATURE, ENDPOINT_HALT, ep, 0)

    def is_kernel_driver_active(self, dev_handle: Handle, intf: int) -> bool:
        """
        The other machine's kernel has none while the device is exported.
        """
        return False


class _Building(Factory):
    """
    Builds one protocol.
    """

    noisy = False

    def __init__(self, build: Callable[[], Any]) -> None:
        self._build = build

    def buildProtocol(self, addr: object) -> Any:
        """
        Build it.
        """
        return self._build()


def portsOf(busID: str) -> tuple[int, ...]:
    """
    The ports on the way to a place such as C{3-1.4.2}; none if it is named otherwise.
    """
    _, _, path = busID.partition("-")
    parts = path.split(".")
    return tuple(map(int, parts)) if all(each.isdecimal() for each in parts) else ()


def _unheard(transfer: Transfer) -> None:
    """
    Until it is known what a transfer's end is for.
    """
