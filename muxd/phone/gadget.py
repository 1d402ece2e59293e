# -*- test-case-name: tests.phone.test_bus -*-
"""
The device's side of a bus: what is plugged into it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from zope.interface import Attribute, Interface, implementer

from muxd.phone.control import GET_MODE, SET_MODE, VENDOR_IN, ControlRequest, Stalled
from muxd.phone.descriptors import MUX_IN, MUX_OUT, DeviceDescriptor
from muxd.phone.faultmachine import FaultMachine
from muxd.phone.faultplan import NO_FAULTS

if TYPE_CHECKING:
    from muxd.phone.attachment import Attachment


class IGadget(Interface):
    """
    A USB device, as a bus sees it.

    The bus calls these from whatever thread a host's program runs in, and never
    with a lock held.
    """

    descriptor: DeviceDescriptor = Attribute("What it says of itself at each plug.")
    outDepth: int = Attribute("Transfers of an OUT endpoint that the device has room for.")
    faultMachine: FaultMachine = Attribute("What goes wrong with its transfers.")

    def plugged(attachment: Attachment) -> None:
        """
        It is on a bus.
        """

    def unplugged(attachment: Attachment) -> None:
        """
        It is off it.
        """

    def configured(attachment: Attachment, value: int) -> None:
        """
        The host has set a configuration, or the same again, or reset the
        device: its endpoints are empty and its state starts anew.
        """

    def outReady(attachment: Attachment, endpoint: int) -> None:
        """
        C{attachment.take(endpoint)} may have something.
        """

    def inReady(attachment: Attachment, endpoint: int) -> None:
        """
        C{attachment.hasRoom(endpoint)}, which said no, now says yes.
        """

    def thrownOff() -> None:
        """
        A fault wants it off the bus: it leaves.
        """

    def control(attachment: Attachment, request: ControlRequest) -> bytes:
        """
        Answer a request that is not a standard one.

        @raise Stalled: There is no such request.
        """


class CannotPlug(Exception):
    """
    A bus does not take a device.  The text is one line: what, why, and what to do.
    """


class IBus(Interface):
    """
    What devices are plugged into, and whoever is at its other end finds them on.
    """

    def plug(gadget: IGadget) -> Any:
        """
        Plug a device in, and tell it by and by.

        @return: The place it has got; each kind of bus has its own notion of that.
        @raise CannotPlug: That is not possible.
        """

    def unplug(gadget: IGadget, error: int = 0) -> None:
        """
        Pull a device out; harmless if it is not plugged in.

        @param error: What transfers under way fail with first, if not ENODEV.
        """


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

    def plugged(self, attachment: Attachment) -> None:
        """
        Nothing to do.
        """

    def unplugged(self, attachment: Attachment) -> None:
        """
        Nothing to do.
        """

    def configured(self, attachment: Attachment, value: int) -> None:
        """
        Nothing to do.
        """

    def outReady(self, attachment: Attachment, endpoint: int) -> None:
        """
        Nothing to do.
        """

    def inReady(self, attachment: Attachment, endpoint: int) -> None:
        """
        Nothing to do.
        """

    def thrownOff(self) -> None:
        """
        Nothing to do.
        """

    def control(self, attachment: Attachment, request: ControlRequest) -> bytes:
        """
        Answer the two requests about the mode.
        """
        if request.requestType == VENDOR_IN and request.request == GET_MODE:
            return bytes((3 if self.mode == 1 else 5, 3, 3, 0))
        if request.requestType == VENDOR_IN and request.request == SET_MODE:
            return self.modeRequested(attachment, request.index)
        raise Stalled

    def modeRequested(self, attachment: Attachment, mode: int) -> bytes:
        """
        The host asks for another mode.

        @return: One byte, 0 for agreed (protocol 1.2).
        """
        self.mode = mode
        return b"\0"


class Recorder(Gadget):
    """
    A device that takes each message at once and keeps it, and sends what a
    test tells it to: for tests of what is below the muxer.

    @ivar received: The messages of the mux interface's OUT endpoint.
    @ivar arrived: Set at each of them.
    @ivar attachment: Its present place on a bus.
    """

    def __init__(self, descriptor: DeviceDescriptor, mode: int = 1) -> None:
        super().__init__(descriptor, mode)
        self.received: list[bytes] = []
        self.configurations: list[int] = []
        self.modes: list[int] = []
        self.arrived = threading.Event()
        self.attachment: Attachment | None = None

    def plugged(self, attachment: Attachment) -> None:
        """
        Remember where.
        """
        self.attachment = attachment

    def unplugged(self, attachment: Attachment) -> None:
        """
        Forget where.
        """
        self.attachment = None

    def configured(self, attachment: Attachment, value: int) -> None:
        """
        Remember what was set.
        """
        self.configurations.append(value)

    def modeRequested(self, attachment: Attachment, mode: int) -> bytes:
        """
        Remember the request and agree.
        """
        self.modes.append(mode)
        return super().modeRequested(attachment, mode)

    def outReady(self, attachment: Attachment, endpoint: int) -> None:
        """
        Take what there is.
        """
        while endpoint == MUX_OUT and (data := attachment.take(endpoint)) is not None:
            self.received.append(data)
            self.arrived.set()

    def send(self, data: bytes, end: bool = True) -> None:
        """
        Send one message to the host, or without C{end} a part of one.
        """
        assert self.attachment is not None, "not plugged in"
        self.attachment.send(MUX_IN, data, end)
