# -*- test-case-name: tests.phone.bus.test_simulated -*-
"""
Control transfers: what a host asks a device on endpoint 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from muxd.phone.bus.descriptors import DeviceDescriptor

DIRECTION_IN = 0x80
KIND = 0x60
VENDOR_IN = 0xC0

GET_DESCRIPTOR = 6
GET_CONFIGURATION = 8
GET_MODE = 0x45
SET_MODE = 0x52

DEVICE_DESCRIPTOR = 1
CONFIGURATION_DESCRIPTOR = 2
STRING_DESCRIPTOR = 3
QUALIFIER_DESCRIPTOR = 6
BOS_DESCRIPTOR = 15


class Stalled(Exception):
    """
    A control request that the device does not have.
    """


@dataclass(frozen=True, slots=True)
class ControlRequest:
    """
    A control transfer's SETUP packet, and what an OUT request brings.
    """

    requestType: int
    request: int
    value: int
    index: int
    length: int
    data: bytes = b""

    @property
    def isStandard(self) -> bool:
        """
        Whether it is one that every device has.
        """
        return not self.requestType & KIND


def standardAnswer(
    descriptor: DeviceDescriptor, configuration: int, request: ControlRequest
) -> bytes:
    """
    Answer a standard request.

    @param configuration: The value that is set.
    @raise Stalled: There is nothing to answer.
    """
    kind, index = request.value >> 8, request.value & 0xFF
    answer = None
    if request.requestType & DIRECTION_IN and request.request == GET_CONFIGURATION:
        answer = bytes((configuration,))
    elif request.requestType & DIRECTION_IN and request.request == GET_DESCRIPTOR:
        if kind == DEVICE_DESCRIPTOR:
            answer = descriptor.encode()
        elif kind == CONFIGURATION_DESCRIPTOR and index < descriptor.bNumConfigurations:
            answer = descriptor.configurations[index].encode()
        elif kind == STRING_DESCRIPTOR:
            answer = descriptor.stringDescriptor(index)
        elif kind == QUALIFIER_DESCRIPTOR:
            answer = descriptor.qualifier()
        elif kind == BOS_DESCRIPTOR:
            answer = descriptor.capabilities()
    if answer is None:
        raise Stalled
    return answer
