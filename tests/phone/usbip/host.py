"""
A USB/IP host by hand: what C{vhci_hcd} and the kernel's USB core do, without input or
output of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct

from muxd.phone.bus.descriptors import MUX_IN, MUX_OUT
from muxd.usbip.commands import (
    COMMAND_SIZE,
    Direction,
    Reply,
    ReturnSubmit,
    Submit,
    Unlink,
    decodeReply,
)
from muxd.usbip.requests import DEVICE, OP_HEADER, ExportedDevice

SETUP = Struct("<BBHHH")


class ManualUsbipHost:
    """
    A host's end of a connection.

    @ivar device: What it has imported.
    @ivar status: Of its request.
    @ivar replies: What has come, and was not looked at.
    """

    def __init__(self, send: Callable[[bytes], object], deviceID: int | None = None) -> None:
        """
        @param send: Sends bytes.
        @param deviceID: Of the device, if it has one from the start.
        """
        self.device: ExportedDevice | None = None
        self.status: int | None = None
        self.replies: list[Reply] = []
        self.received = bytearray()
        self.deviceID = 0 if deviceID is None else deviceID
        self._send = send
        self._isImported = deviceID is not None
        self._incoming: set[int] = set()
        self._seqnum = 0

    def dataReceived(self, data: bytes) -> None:
        """
        Take answers apart.
        """
        self.received += data
        if not self._isImported:
            self._takeImport()
        while self._isImported and len(self.received) >= COMMAND_SIZE:
            reply = decodeReply(bytes(self.received[:COMMAND_SIZE]))
            size = COMMAND_SIZE
            if isinstance(reply, ReturnSubmit):
                if reply.seqnum in self._incoming:
                    size += reply.actual
                if len(self.received) < size:
                    break
                content = bytes(self.received[COMMAND_SIZE:size])
                reply = ReturnSubmit(
                    seqnum=reply.seqnum, status=reply.status, actual=reply.actual, data=content
                )
            del self.received[:size]
            self.replies.append(reply)

    def _takeImport(self) -> None:
        if len(self.received) < OP_HEADER.size:
            return
        _, code, status = OP_HEADER.unpack_from(self.received)
        if code != 3 or (not status and len(self.received) < OP_HEADER.size + DEVICE.size):
            return
        self.status = status
        del self.received[: OP_HEADER.size]
        if not status:
            self.device = ExportedDevice.decode(bytes(self.received[: DEVICE.size]))
            del self.received[: DEVICE.size]
            self.deviceID = self.device.deviceID
            self._isImported = True

    def take(self, seqnum: int) -> Reply | None:
        """
        The answer to a command, if it has come.
        """
        for reply in self.replies:
            if reply.seqnum == seqnum:
                self.replies.remove(reply)
                return reply
        return None

    def submit(
        self,
        endpoint: int,
        *,
        length: int | None = None,
        data: bytes = b"",
        setup: bytes = bytes(8),
        flags: int = 0,
    ) -> int:
        """
        Submit a transfer.

        @param endpoint: Its address.
        @param length: Room for what comes in.
        @return: Its seqnum.
        """
        self._seqnum += 1
        isIncoming = bool(endpoint & 0x80)
        if isIncoming:
            self._incoming.add(self._seqnum)
        command = Submit(
            seqnum=self._seqnum,
            deviceID=self.deviceID,
            direction=Direction.IN if isIncoming else Direction.OUT,
            endpoint=endpoint & 0x0F,
            length=len(data) if length is None else length,
            flags=flags,
            setup=setup,
            data=data,
        )
        self._send(command.encode())
        return self._seqnum

    def unlink(self, victim: int) -> int:
        """
        Take a transfer back.
        """
        self._seqnum += 1
        self._send(Unlink(seqnum=self._seqnum, deviceID=self.deviceID, victim=victim).encode())
        return self._seqnum

    def control(
        self, kind: int, request: int, value: int = 0, index: int = 0, length: int = 0
    ) -> int:
        """
        Submit a control transfer without data of the host.
        """
        setup = SETUP.pack(kind, request, value, index, length)
        return self.submit(kind & 0x80, length=length if kind & 0x80 else 0, setup=setup)

    def configure(self, value: int) -> int:
        """
        Set a configuration.
        """
        return self.control(0, 9, value)

    def write(self, data: bytes, flags: int = 0) -> int:
        """
        Write to the mux interface.
        """
        return self.submit(MUX_OUT, data=data, flags=flags)

    def read(self, length: int = 16384, flags: int = 0) -> int:
        """
        Read from it.
        """
        return self.submit(MUX_IN, length=length, flags=flags)
