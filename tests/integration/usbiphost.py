"""
A USB/IP host and a usbmuxd as a program of two pages would be both: a blocking
socket, nothing of L{muxd}, so that both sides cannot share one mistake.
"""

from __future__ import annotations

import socket
import struct

from tests.integration.conversation import PATIENCE

OUT, IN = 0, 1
MUX_OUT, MUX_IN = 4, 5
VERSION, SETUP, TCP = 0, 2, 6
SYN, RST, ACK = 2, 4, 16


class UsbipHost:
    """
    A connection to a USB/IP server.
    """

    def __init__(self, port: int) -> None:
        """
        @param port: Of this machine.
        """
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._seqnum = 0
        self._device = 0
        self._early: dict[int, tuple[int, bytes]] = {}
        self._incoming: set[int] = set()

    def _take(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            chunk = self.socket.recv(count - len(data))
            if not chunk:
                raise EOFError(f"the server has closed after {len(data)} of {count} bytes")
            data += chunk
        return data

    def list(self) -> list[tuple[str, int, int]]:
        """
        Bus id, vendor and product of each device; the server closes.
        """
        self.socket.sendall(struct.pack(">HHI", 0x0111, 0x8005, 0))
        version, code, status, count = struct.unpack(">HHII", self._take(12))
        assert (version, code, status) == (0x0111, 5, 0)
        found = []
        for _ in range(count):
            record = self._take(312)
            vendor, product = struct.unpack_from(">HH", record, 300)
            found.append((record[256:288].rstrip(b"\0").decode(), vendor, product))
            self._take(4 * record[311])
        assert self.socket.recv(1) == b""
        return found

    def take(self, busID: str) -> int:
        """
        Import a device.

        @return: The status.
        """
        request = struct.pack(">HHI32s", 0x0111, 0x8003, 0, busID.encode())
        self.socket.sendall(request)
        _, _, status = struct.unpack(">HHI", self._take(8))
        if not status:
            bus, device = struct.unpack_from(">II", self._take(312), 288)
            self._device = bus << 16 | device
        return int(status)

    def submit(
        self, endpoint: int, direction: int, data: bytes | int, setup: bytes = bytes(8)
    ) -> int:
        """
        Submit a transfer: with these bytes, or with room for so many.
        """
        self._seqnum += 1
        length, content = (data, b"") if isinstance(data, int) else (len(data), data)
        if direction == IN:
            self._incoming.add(self._seqnum)
        header = struct.pack(
            ">5IIiIII8s",
            *(1, self._seqnum, self._device, direction, endpoint),
            *(0, length, 0, 0, 0, setup),
        )
        self.socket.sendall(header + content)
        return self._seqnum

    def wait(self, seqnum: int) -> tuple[int, bytes]:
        """
        The status of a transfer and what has come in.
        """
        while seqnum not in self._early:
            command, number, _, _, _, status, actual = struct.unpack(">5Iii20x", self._take(48))
            assert command == 3, command
            data = self._take(actual) if number in self._incoming else b""
            self._early[number] = (status, data)
        return self._early.pop(seqnum)

    def control(self, kind: int, request: int, value: int, length: int = 0) -> bytes:
        """
        A control transfer without data of ours.
        """
        setup = struct.pack("<BBHHH", kind, request, value, 0, length)
        status, data = self.wait(self.submit(0, kind >> 7, length, setup))
        assert status == 0, status
        return data


class UsbipMux:
    """
    The mux protocol, version 2, over it.
    """

    def __init__(self, host: UsbipHost) -> None:
        self.host = host
        self._sent, self._seen = 0, 0xFFFF
        self._reads = [host.submit(MUX_IN, IN, 16384) for _ in range(3)]
        self._write(struct.pack(">IIIII", VERSION, 20, 2, 0, 0))
        assert self._message() == struct.pack(">IIIII", VERSION, 20, 2, 0, 0)
        self.send(SETUP, b"\x07")

    def _write(self, data: bytes) -> None:
        assert self.host.wait(self.host.submit(MUX_OUT, OUT, data)) == (0, b"")
        if len(data) % 512 == 0:
            assert self.host.wait(self.host.submit(MUX_OUT, OUT, b"")) == (0, b"")

    def send(self, protocol: int, body: bytes) -> None:
        """
        Send a packet.
        """
        head = (protocol, 16 + len(body), 0xFEEDFACE, self._sent, self._seen)
        self._sent += 1
        self._write(struct.pack(">IIIHH", *head) + body)

    def _message(self) -> bytes:
        message = b""
        while not message or len(message) < int.from_bytes(message[4:8], "big"):
            status, data = self.host.wait(self._reads.pop(0))
            assert status == 0, status
            self._reads.append(self.host.submit(MUX_IN, IN, 16384))
            message += data
        return message

    def segment(self) -> tuple[int, int, int, bytes]:
        """
        The next segment: seq, ack, flags and payload.
        """
        message = self._message()
        protocol, _, _, self._seen, _ = struct.unpack_from(">IIIHH", message)
        assert protocol == TCP, message[:64]
        _, _, seq, ack, _, flags = struct.unpack_from(">HHIIBB", message, 16)
        return seq, ack, flags, message[36:]

    def echo(self, data: bytes, most: int = 30000) -> bytes:
        """
        What the echo service makes of this, sent within its window.
        """
        seq = ack = taken = 0

        def send(flags: int, payload: bytes = b"") -> None:
            head = struct.pack(">HHIIBBHHH", 5000, 7, seq, ack, 0x50, flags, 512, 0, 0)
            self.send(TCP, head + payload)

        send(SYN)
        first, _, flags, _ = self.segment()
        assert flags == SYN | ACK
        seq, ack, taken = 1, first + 1, 1
        send(ACK)
        received = bytearray()
        while len(received) < len(data):
            payload = data[seq - 1 : seq - 1 + most]
            if payload and seq - taken + len(payload) <= 131072:
                send(ACK, payload)
                seq += len(payload)
                continue
            number, taken, flags, content = self.segment()
            assert (number, flags) == (ack, ACK), (number, ack, flags)
            ack += len(content)
            received += content
            if content:
                send(ACK)
        return bytes(received)
