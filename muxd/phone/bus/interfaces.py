# -*- test-case-name: tests.phone.bus -*-
"""
The contracts between a simulated USB device, its place on a bus, and the bus.
"""

from __future__ import annotations

from typing import Any

from zope.interface import Attribute, Interface

from muxd.phone.bus.control import ControlRequest
from muxd.phone.bus.descriptors import DeviceDescriptor
from muxd.phone.bus.faultmachine import FaultMachine


class CannotPlug(Exception):
    """
    A bus does not take a device.  The text is one line: what, why, and what to do.
    """


class IAttachment(Interface):
    """
    A gadget's place on a bus: the endpoints of the configuration that the host has set.

    A gadget may call these in any thread.  Nothing is raised when it has been
    unplugged meanwhile: what it sends is lost, and nothing comes any more.
    """

    descriptor: DeviceDescriptor = Attribute(
        "What the device said of itself when it was plugged in."
    )
    gone: bool = Attribute("Whether it has been unplugged.")
    configuration: int = Attribute("The value that the host has set, 0 for unconfigured.")

    def send(endpoint: int, data: bytes, end: bool = True) -> None:
        """
        Queue a message for the host; without C{end} it goes on with the next call.
        """

    def hasRoom(endpoint: int) -> bool:
        """
        Whether a polite device may queue more for the host; if not,
        L{IGadget.inReady} is called when it may.
        """

    def isCrowded(endpoint: int) -> bool:
        """
        Whether a device had better not take what the host has sent, which it would
        have to answer; if so, L{IGadget.inReady} is called when it may again.
        """

    def take(endpoint: int) -> bytes | None:
        """
        The next message of the host; C{None} while there is none.
        """

    def openBytes(endpoint: int) -> int:
        """
        How many bytes have come of a message that has not ended.
        """

    def unread(endpoint: int) -> int:
        """
        How many bytes the host has not read.
        """

    def hold() -> None:
        """
        Answer NAK to everything until L{release}.
        """

    def release() -> None:
        """
        Go on after L{hold}.
        """

    def stall(endpoint: int) -> None:
        """
        Stall an endpoint until the host clears it.
        """

    def clearHalt(endpoint: int) -> None:
        """
        End a stall, as the host does.
        """


class IGadget(Interface):
    """
    A USB device, as a bus sees it.

    The bus calls these from whatever thread a host's program runs in, and never
    with a lock held.
    """

    descriptor: DeviceDescriptor = Attribute("What it says of itself at each plug.")
    outDepth: int = Attribute("Transfers of an OUT endpoint that the device has room for.")
    faultMachine: FaultMachine = Attribute("What goes wrong with its transfers.")

    def plugged(attachment: IAttachment) -> None:
        """
        It is on a bus.
        """

    def unplugged(attachment: IAttachment) -> None:
        """
        It is off it.
        """

    def configured(attachment: IAttachment, value: int) -> None:
        """
        The host has set a configuration, or the same again, or reset the
        device: its endpoints are empty and its state starts anew.
        """

    def outReady(attachment: IAttachment, endpoint: int) -> None:
        """
        C{attachment.take(endpoint)} may have something.
        """

    def inReady(attachment: IAttachment, endpoint: int) -> None:
        """
        C{attachment.hasRoom(endpoint)}, which said no, now says yes.
        """

    def thrownOff() -> None:
        """
        A fault wants it off the bus: it leaves.
        """

    def control(attachment: IAttachment, request: ControlRequest) -> bytes:
        """
        Answer a request that is not a standard one.

        @raise Stalled: There is no such request.
        """


class IBus(Interface):
    """
    What devices are plugged into, and where the host at its other end finds them.
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
