"""
A reader of pcapng files, which shares no code with the writer.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

SECTION, INTERFACE, NAMES, STATISTICS, PACKET = 0x0A0D0D0A, 1, 4, 5, 6


@dataclass(frozen=True)
class Block:
    """
    A block.

    @ivar kind: Its type.
    @ivar body: What comes before its options.
    @ivar options: Their values, by number.
    """

    kind: int
    body: bytes
    options: dict[int, bytes]

    @property
    def comment(self) -> str:
        """
        Its comment; empty without one.
        """
        return self.options.get(1, b"").decode()


@dataclass(frozen=True)
class SeenPacket:
    """
    A packet.

    @ivar interface: The number of its interface.
    @ivar seconds: When it was seen.
    @ivar data: From the IPv6 header on.
    @ivar block: Its block.
    """

    interface: int
    seconds: float
    data: bytes
    block: Block

    @property
    def flags(self) -> int:
        """
        Those of TCP.
        """
        return self.data[40 + 13]

    @property
    def ports(self) -> tuple[int, int]:
        """
        Source and destination.
        """
        source, destination = struct.unpack_from(">HH", self.data, 40)
        return source, destination

    @property
    def payload(self) -> bytes:
        """
        What TCP carries.
        """
        return self.data[40 + (self.data[40 + 12] >> 4) * 4 :]

    @property
    def isInbound(self) -> bool:
        """
        Whether the phone has sent it.
        """
        return self.block.options[2] == struct.pack("=I", 1)

    @property
    def missing(self) -> int:
        """
        How many were dropped before it.
        """
        return int.from_bytes(self.block.options.get(4, b""), "little")


class CaptureFile:
    """
    A file that has been read, and found to be whole.

    @ivar blocks: All blocks.
    @ivar packets: The packets among them.
    @ivar interfaces: The names of interfaces, in their order.
    """

    def __init__(self, data: bytes) -> None:
        """
        @raise ValueError: It is not whole.
        """
        self.blocks: list[Block] = []
        self.packets: list[SeenPacket] = []
        self.interfaces: list[str] = []
        at = 0
        while at < len(data):
            kind, length = struct.unpack_from("=II", data, at)
            [again] = struct.unpack_from("=I", data, at + length - 4)
            if length % 4 or length != again or at + length > len(data):
                raise ValueError(f"block of {length} bytes at {at}, which ends with {again}")
            self._blockRead(kind, data[at + 8 : at + length - 4])
            at += length

    def _blockRead(self, kind: int, body: bytes) -> None:
        if not self.blocks and kind != SECTION:
            raise ValueError("there is no section header")
        match kind:
            case 0x0A0D0D0A:
                fixed = 16
            case 1:
                fixed = 8
                options = readOptions(body[fixed:])
                self.interfaces.append(options[2].decode())
            case 4:
                fixed = len(body)
            case 5:
                fixed = 12
            case 6:
                interface, high, low, size, whole = struct.unpack_from("=IIIII", body)
                if size != whole or interface >= len(self.interfaces):
                    raise ValueError(f"packet of {size} bytes on interface {interface}")
                fixed = 20 + (size + 3 & ~3)
                block = Block(kind, body[:20], readOptions(body[fixed:]))
                seconds = (high << 32 | low) / 1e6
                packet = SeenPacket(interface, seconds, body[20 : 20 + size], block)
                self.packets.append(packet)
            case _:
                raise ValueError(f"block of type {kind}")
        self.blocks.append(Block(kind, body[:fixed], readOptions(body[fixed:])))

    def statistics(self, interface: int) -> list[tuple[int, int]]:
        """
        What the file says of an interface: packets received and dropped, each time.
        """
        found: list[tuple[int, int]] = []
        for each in self.blocks:
            if each.kind == STATISTICS and struct.unpack_from("=I", each.body)[0] == interface:
                [received] = struct.unpack("=Q", each.options[4])
                [dropped] = struct.unpack("=Q", each.options[5])
                found.append((received, dropped))
        return found

    def streams(self) -> dict[tuple[int, int, int], tuple[bytes, bytes]]:
        """
        What was said in each session, to the phone and by it, by interface, host's port and
        phone's; sequence numbers have to follow each other.

        @raise ValueError: They do not.
        """
        said: dict[Any, list[bytearray]] = {}
        expected: dict[Any, int] = {}
        for each in self.packets:
            ports = each.ports[::-1] if each.isInbound else each.ports
            key = (each.interface, *ports)
            way = (key, each.isInbound)
            [seq] = struct.unpack_from(">I", each.data, 44)
            if each.flags & 2:
                expected[way] = seq + 1 & 0xFFFFFFFF
                if not each.isInbound:
                    said[key] = [bytearray(), bytearray()]
            elif not each.flags & 4:
                if seq != expected.get(way, seq):
                    raise ValueError(f"{way}: expected {expected[way]}, got {seq}")
                expected[way] = seq + len(each.payload) & 0xFFFFFFFF
                said.setdefault(key, [bytearray(), bytearray()])[each.isInbound] += each.payload
        return {key: (bytes(out), bytes(into)) for key, (out, into) in said.items()}


def readOptions(data: bytes) -> dict[int, bytes]:
    """
    Options, by number.
    """
    options: dict[int, bytes] = {}
    while data:
        number, size = struct.unpack_from("=HH", data)
        if number == 0:
            break
        options[number] = data[4 : 4 + size]
        data = data[4 + (size + 3 & ~3) :]
    return options
