# -*- test-case-name: tests.phone.bus.test_simulated -*-
"""
A USB device for tests of what is below a phone's muxer.
"""

from __future__ import annotations

import threading

from muxd.phone.bus.descriptors import MUX_IN, MUX_OUT, DeviceDescriptor
from muxd.phone.bus.gadget import Gadget
from muxd.phone.bus.interfaces import IAttachment


class RecordingGadget(Gadget):
    """
    A device that takes each message at once and keeps it, and sends what a
    test tells it to: for tests of what is below the muxer.

    @ivar received: The messages of the mux interface's OUT endpoint.
    @ivar arrived: Set at each of them.
    @ivar configurations: The values that the host has set, in order.
    @ivar modes: The modes that the host has asked for, in order.
    @ivar attachment: Its present place on a bus.
    """

    def __init__(self, descriptor: DeviceDescriptor, mode: int = 1) -> None:
        super().__init__(descriptor, mode)
        self.received: list[bytes] = []
        self.configurations: list[int] = []
        self.modes: list[int] = []
        self.arrived = threading.Event()
        self.attachment: IAttachment | None = None

    def plugged(self, attachment: IAttachment) -> None:
        """
        Remember where.
        """
        self.attachment = attachment

    def unplugged(self, attachment: IAttachment) -> None:
        """
        Forget where.
        """
        self.attachment = None

    def configured(self, attachment: IAttachment, value: int) -> None:
        """
        Remember what was set.
        """
        self.configurations.append(value)

    def modeRequested(self, attachment: IAttachment, mode: int) -> bytes:
        """
        Remember the request and agree.
        """
        self.modes.append(mode)
        return super().modeRequested(attachment, mode)

    def outReady(self, attachment: IAttachment, endpoint: int) -> None:
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
