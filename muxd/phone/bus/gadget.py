# -*- test-case-name: tests.phone.bus.test_simulated -*-
"""
The device's side of a bus: what is plugged into it.
"""

from __future__ import annotations

from zope.interface import implementer

from muxd.phone.bus.control import GET_MODE, SET_MODE, VENDOR_IN, ControlRequest, Stalled
from muxd.phone.bus.descriptors import DeviceDescriptor
from muxd.phone.bus.faultmachine import FaultMachine
from muxd.phone.bus.faultplan import NO_FAULTS
from muxd.phone.bus.interfaces import IAttachment, IGadget


@implementer(IGadget)
class Gadget:
    """
    A device that knows its mode (protocol 1.2) and does nothing: the host's
    writes wait.
    """

    outDepth = 2
    faultMachine = FaultMachine(NO_FAULTS)

    def __init__(self, descriptor: DeviceDescriptor, mode: int = 1) -> None:
        self.descriptor = descriptor
        self.mode = mode

    def plugged(self, attachment: IAttachment) -> None:
        """
        Nothing to do.
        """

    def unplugged(self, attachment: IAttachment) -> None:
        """
        Nothing to do.
        """

    def configured(self, attachment: IAttachment, value: int) -> None:
        """
        Nothing to do.
        """

    def outReady(self, attachment: IAttachment, endpoint: int) -> None:
        """
        Nothing to do.
        """

    def inReady(self, attachment: IAttachment, endpoint: int) -> None:
        """
        Nothing to do.
        """

    def thrownOff(self) -> None:
        """
        Nothing to do.
        """

    def control(self, attachment: IAttachment, request: ControlRequest) -> bytes:
        """
        Answer the two requests about the mode.
        """
        if request.requestType == VENDOR_IN and request.request == GET_MODE:
            return bytes((3 if self.mode == 1 else 5, 3, 3, 0))
        if request.requestType == VENDOR_IN and request.request == SET_MODE:
            return self.modeRequested(attachment, request.index)
        raise Stalled

    def modeRequested(self, attachment: IAttachment, mode: int) -> bytes:
        """
        The host asks for another mode.

        @return: One byte, 0 for agreed (protocol 1.2).
        """
        self.mode = mode
        return b"\0"
