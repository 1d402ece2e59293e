# -*- test-case-name: tests.phone.usbip.test_endpointzero -*-
"""
Endpoint 0 for a host whose kernel is somewhere else.

What a program asks of this process' bus by a call of libusb, such a kernel asks of
the device itself: configurations, alternate settings, stalls (USB 2.0, 9.4).
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import ClassVar

from muxd.phone.bus.attachment import Attachment
from muxd.phone.bus.control import DIRECTION_IN, ControlRequest

RECIPIENT_DEVICE = 0
RECIPIENT_INTERFACE = 1
RECIPIENT_ENDPOINT = 2

GET_STATUS = 0
CLEAR_FEATURE = 1
SET_FEATURE = 3
SET_ADDRESS = 5
SET_CONFIGURATION = 9
GET_INTERFACE = 10
SET_INTERFACE = 11
SET_SEL = 48
SET_ISOCH_DELAY = 49

ENDPOINT_HALT = 0
SELF_POWERED = 1


class EndpointZero:
    """
    Answers control requests, and does what they ask.
    """

    def __init__(self, attachment: Attachment) -> None:
        self._attachment = attachment

    def answer(self, request: ControlRequest) -> bytes:
        """
        Answer a request; not longer than it has room for.

        @raise OSError: EPIPE if there is nothing to answer, ENODEV if the device
            is gone.
        """
        do = self._requests.get((request.requestType, request.request))
        if do is None:
            return self._attachment.control(request)
        try:
            answer = do(self, request)
        except OSError as error:
            if error.errno == errno.ENODEV:
                raise
            # A device has no other word for no.
            raise OSError(errno.EPIPE, str(error)) from error
        return answer[: request.length]

    def _setConfiguration(self, request: ControlRequest) -> bytes:
        self._attachment.setConfiguration(request.value & 0xFF)
        return b""

    def _getInterface(self, request: ControlRequest) -> bytes:
        return bytes((self._attachment.getAlternate(request.index & 0xFF),))

    def _setInterface(self, request: ControlRequest) -> bytes:
        self._attachment.setAlternate(request.index & 0xFF, request.value)
        return b""

    def _clearEndpointFeature(self, request: ControlRequest) -> bytes:
        self._checkHalt(request)
        if request.index & ~DIRECTION_IN:
            self._attachment.clearHalt(request.index)
        return b""

    def _setEndpointFeature(self, request: ControlRequest) -> bytes:
        self._checkHalt(request)
        self._attachment.stall(request.index)
        return b""

    def _checkHalt(self, request: ControlRequest) -> None:
        if request.value != ENDPOINT_HALT:
            raise OSError(errno.EPIPE, f"no feature {request.value}")

    def _deviceStatus(self, request: ControlRequest) -> bytes:
        return bytes((SELF_POWERED, 0))

    def _interfaceStatus(self, request: ControlRequest) -> bytes:
        self._attachment.getAlternate(request.index & 0xFF)
        return bytes(2)

    def _endpointStatus(self, request: ControlRequest) -> bytes:
        return bytes((self._attachment.halted(request.index), 0))

    def _accept(self, request: ControlRequest) -> bytes:
        """
        Remote wake-up, power saving: nothing that is seen from outside.
        """
        return b""

    _requests: ClassVar[dict[tuple[int, int], Callable[[EndpointZero, ControlRequest], bytes]]] = {
        (RECIPIENT_DEVICE, SET_ADDRESS): _accept,
        (RECIPIENT_DEVICE, SET_CONFIGURATION): _setConfiguration,
        (RECIPIENT_DEVICE, CLEAR_FEATURE): _accept,
        (RECIPIENT_DEVICE, SET_FEATURE): _accept,
        (RECIPIENT_DEVICE, SET_SEL): _accept,
        (RECIPIENT_DEVICE, SET_ISOCH_DELAY): _accept,
        (RECIPIENT_INTERFACE, CLEAR_FEATURE): _accept,
        (RECIPIENT_INTERFACE, SET_FEATURE): _accept,
        (RECIPIENT_INTERFACE, SET_INTERFACE): _setInterface,
        (RECIPIENT_ENDPOINT, CLEAR_FEATURE): _clearEndpointFeature,
        (RECIPIENT_ENDPOINT, SET_FEATURE): _setEndpointFeature,
        (DIRECTION_IN | RECIPIENT_DEVICE, GET_STATUS): _deviceStatus,
        (DIRECTION_IN | RECIPIENT_INTERFACE, GET_STATUS): _interfaceStatus,
        (DIRECTION_IN | RECIPIENT_ENDPOINT, GET_STATUS): _endpointStatus,
        (DIRECTION_IN | RECIPIENT_INTERFACE, GET_INTERFACE): _getInterface,
    }
