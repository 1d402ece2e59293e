# -*- test-case-name: tests.usb.test_configuration -*-
"""
The choice of a phone's configuration and of the interface in it (protocol 1.4).

The configuration that is active is kept if the muxer can be reached in it:
setting one, even the same, resets the phone's state and ends tethering.
Otherwise the highest one that has a mux interface is set.  When setting fails,
the choice begins again with the next lower one and B{its} interface numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from twisted.logger import Logger
from usb.core import USBError
from usb.util import (
    ENDPOINT_IN,
    ENDPOINT_TYPE_BULK,
    claim_interface,
    endpoint_direction,
    endpoint_type,
)

from muxd.usb.products import MUX_TRIPLE

SMALLEST_BULK_PACKET = 64

_log = Logger()


class NoMuxInterface(Exception):
    """
    No configuration of the device has a mux interface.
    """


class DriversInTheWay(NoMuxInterface):
    """
    Another configuration would have to be set, and drivers of others are at work in the
    present one.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class MuxInterface:
    """
    Where a phone's muxer is.

    @ivar configuration: bConfigurationValue.
    @ivar number: bInterfaceNumber.
    @ivar output: bEndpointAddress of the bulk OUT endpoint.
    @ivar input: bEndpointAddress of the bulk IN endpoint.
    @ivar maxPacketSize: wMaxPacketSize of the OUT endpoint.
    @ivar inputPacketSize: wMaxPacketSize of the IN endpoint.
    """

    configuration: int
    number: int
    output: int
    input: int
    maxPacketSize: int
    inputPacketSize: int


def configure(device: Any, preferred: int | None = None, *, mayDetach: bool = True) -> MuxInterface:
    """
    Choose, set what has to be set, and claim the interface.

    @param device: A C{usb.core.Device}.
    @param preferred: A configuration value that is chosen before all others,
        even before the active one.
    @param mayDetach: Whether the kernel's drivers may lose the interfaces of another
        configuration than the one that is set.
    @raise NoMuxInterface: There is none in any configuration.
    @raise DriversInTheWay: They would have to, and may not.
    @raise usb.core.USBError: The phone is out of reach, or in use by another program.
    """
    active = activeConfiguration(device)
    failure: USBError | None = None
    for interface in candidates(device, active, preferred):
        try:
            if interface.configuration != active:
                if not mayDetach:
                    _refuseToDetach(device, active)
                _setConfiguration(device, active, interface)
        except USBError as error:
            # What has led to it would keep this frame, and the frame it and the device.
            failure = error.with_traceback(None)
            _log.debug(
                "configuration {value} cannot be set: {error}",
                value=interface.configuration,
                error=error,
            )
            continue
        _detachDriver(device, interface.number)
        claim_interface(device, interface.number)
        return interface
    if failure is not None:
        try:
            raise failure
        finally:
            # Now it knows this frame again.
            del failure
    raise NoMuxInterface(
        f"none of its {device.bNumConfigurations} configurations has an interface "
        "255/254/2 with two bulk endpoints"
    )


def candidates(device: Any, active: int, preferred: int | None = None) -> list[MuxInterface]:
    """
    The mux interfaces of a phone, one a configuration, the best one first.

    @param active: The value of the active configuration, 0 if there is none.
    """
    found = [
        interface
        for configuration in _configurations(device)
        if (interface := findMuxInterface(configuration)) is not None
    ]

    def rank(interface: MuxInterface) -> tuple[bool, bool, int]:
        value = interface.configuration
        return (value == preferred, value == active, value)

    return sorted(found, key=rank, reverse=True)


def findMuxInterface(configuration: Any) -> MuxInterface | None:
    """
    The mux interface of one configuration: the right class, subclass and
    protocol, alternate setting 0, and exactly one bulk OUT and one bulk IN
    endpoint, in either order.

    @param configuration: A C{usb.core.Configuration}.
    """
    for interface in configuration:
        triple = (
            interface.bInterfaceClass,
            interface.bInterfaceSubClass,
            interface.bInterfaceProtocol,
        )
        if triple != MUX_TRIPLE or interface.bAlternateSetting != 0:
            continue
        endpoints = list(interface)
        inputs = [each for each in endpoints if _isInput(each)]
        outputs = [each for each in endpoints if not _isInput(each)]
        bulk = all(endpoint_type(each.bmAttributes) == ENDPOINT_TYPE_BULK for each in endpoints)
        if bulk and len(inputs) == len(outputs) == 1:
            return MuxInterface(
                configuration=configuration.bConfigurationValue,
                number=interface.bInterfaceNumber,
                output=outputs[0].bEndpointAddress,
                input=inputs[0].bEndpointAddress,
                maxPacketSize=outputs[0].wMaxPacketSize or SMALLEST_BULK_PACKET,
                inputPacketSize=inputs[0].wMaxPacketSize or SMALLEST_BULK_PACKET,
            )
    return None


def hasMuxInterface(device: Any) -> bool:
    """
    Whether a device has a mux interface in any configuration.  It is not opened for that.

    @param device: A C{usb.core.Device}.
    """
    return any(findMuxInterface(each) is not None for each in _configurations(device))


def activeConfiguration(device: Any) -> int:
    """
    The value of the active configuration; 0 if the phone is unconfigured, which
    udev rules for another daemon leave it in.

    @raise usb.core.USBError: It cannot be asked.
    """
    try:
        return int(device.get_active_configuration().bConfigurationValue)
    except USBError as error:
        # pyusb says "Configuration not set" with no errno at all; whatever
        # comes from the system has one.
        if error.errno is None:
            return 0
        raise


def _isInput(endpoint: Any) -> bool:
    return bool(endpoint_direction(endpoint.bEndpointAddress) == ENDPOINT_IN)


def _configurations(device: Any) -> Iterator[Any]:
    """
    The configurations whose descriptors can be read.
    """
    for index in range(device.bNumConfigurations):
        try:
            yield device[index]
        except USBError as error:
            _log.debug("configuration {index} is unreadable: {error}", index=index, error=error)


def _refuseToDetach(device: Any, active: int) -> None:
    """
    @raise DriversInTheWay: Kernel drivers have interfaces of the active configuration.
    """
    taken = [
        f"{each.bInterfaceNumber} (class {each.bInterfaceClass})"
        for configuration in _configurations(device)
        if configuration.bConfigurationValue == active
        for each in configuration
        if each.bAlternateSetting == 0 and _hasDriver(device, each.bInterfaceNumber)
    ]
    if taken:
        raise DriversInTheWay(
            f"it is left alone: its configuration {active} has no muxer, and setting another would"
            f" take interfaces {', '.join(taken)} from the kernel's drivers; products="
            f"{device.idProduct:04x} of the usb source asks for that"
        )


def _hasDriver(device: Any, number: int) -> bool:
    try:
        return bool(device.is_kernel_driver_active(number))
    except (USBError, NotImplementedError):
        return False


def _setConfiguration(device: Any, active: int, interface: MuxInterface) -> None:
    """
    Activate the interface's configuration.  The kernel refuses to as long as a
    driver has one of the interfaces of the active one.
    """
    for configuration in _configurations(device):
        if configuration.bConfigurationValue == active:
            for number in sorted({each.bInterfaceNumber for each in configuration}):
                _detachDriver(device, number)
    device.set_configuration(interface.configuration)


def _detachDriver(device: Any, number: int) -> None:
    """
    Take an interface from the kernel driver that has it, if one has.  What
    cannot be done here shows when the interface is claimed.
    """
    try:
        if device.is_kernel_driver_active(number):
            device.detach_kernel_driver(number)
    except (USBError, NotImplementedError) as error:
        _log.debug(
            "the kernel driver of interface {number} stays: {error}", number=number, error=error
        )
