"""
A phone that answers, and a receiver of devices.
"""

from __future__ import annotations

from zope.interface import implementer

from muxd.interfaces import IDevice, IDeviceReceiver
from muxd.phone.bus.descriptors import MUX_IN, SERIAL
from muxd.phone.bus.interfaces import IAttachment
from muxd.testing.gadgets import RecordingGadget
from muxd.testing.packets import Packet, Segment
from muxd.wire.mux import Flags, MuxProtocol, encodePacketV2, encodeVersion

UDID = f"{SERIAL[:8]}-{SERIAL[8:]}"


class TalkingPhone(RecordingGadget):
    """
    A phone that answers VERSION, and every SYN.

    @ivar mute: It answers nothing.
    """

    mute = False

    def outReady(self, attachment: IAttachment, endpoint: int) -> None:
        """
        Take what came, and answer.
        """
        before = len(self.received)
        super().outReady(attachment, endpoint)
        for data in self.received[before:]:
            if not self.mute:
                self.answer(attachment, data)

    def answer(self, attachment: IAttachment, data: bytes) -> None:
        """
        Answer one packet.
        """
        packet = Packet.decode(data, 2)
        if packet.protocol == MuxProtocol.VERSION:
            attachment.send(MUX_IN, encodeVersion(2))
        elif packet.protocol == MuxProtocol.TCP:
            segment = Segment.decode(packet.body)
            if segment.flags == Flags.SYN:
                answer = Segment(
                    segment.destinationPort,
                    segment.sourcePort,
                    0,
                    1,
                    Flags.SYN | Flags.ACK,
                    131072,
                )
                attachment.send(MUX_IN, encodePacketV2(6, answer.encode(), 0, 1))

    def flags(self) -> list[int]:
        """
        The flags of the segments that came.
        """
        packets = [Packet.decode(data, 2) for data in self.received]
        return [
            Segment.decode(packet.body).flags
            for packet in packets
            if packet.protocol == MuxProtocol.TCP
        ]


@implementer(IDeviceReceiver)
class Receiver:
    """
    Remembers what it is told.
    """

    def __init__(self) -> None:
        self.attached: list[IDevice] = []
        self.detached: list[IDevice] = []

    def deviceAttached(self, device: IDevice) -> None:
        """
        Remember it.
        """
        self.attached.append(device)

    def devicePaired(self, device: IDevice) -> None:
        """
        Not called: it is this host that pairs with it.
        """

    def deviceDetached(self, device: IDevice) -> None:
        """
        Remember it.
        """
        self.detached.append(device)
