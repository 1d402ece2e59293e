# -*- test-case-name: tests.net.test_packetmemory -*-
"""
Memory that holds mux packets: a socket is read into it behind where a header goes, and
is written from it where a payload lies, so that no byte is copied in between.

Nothing here knows a rule of the protocol, only where its fields are (protocol 2.1 and
3.1).  Whatever the rules say, no byte outside of the memory is read or written, and
none of memory that the kernel is using: a wrong rule raises an exception in its own
session, and costs no more than that.

B{Two builds.}  This module is compiled from C{packetmemory.pyx} where there is a
compiler, and is this file everywhere else (L{muxd.build}).
"""

from __future__ import annotations

import socket
import struct
from errno import EBADF
from typing import NoReturn

from muxd.net.streams import _WITHOUT_SIGNAL, StreamSocket, checkNumbers
from muxd.wire.mux import (
    DATA_OFFSET,
    MAGIC,
    V1_HEADER,
    V1_TCP,
    V2_HEADER,
    V2_TCP,
    WINDOW_SHIFT,
    MuxProtocol,
)

BUILD = "pure"

V1_SEGMENT = V1_TCP.size
"""28: where the payload of a segment begins under v1, in bytes from that of its packet."""

V2_SEGMENT = V2_TCP.size
"""36: the same under v2."""

LARGEST = 1 << 24
"""The most bytes that one memory may have."""

_TCP = int(MuxProtocol.TCP)
_UNIX = int(getattr(socket, "AF_UNIX", -1))
_CUT = int(getattr(socket, "MSG_CTRUNC", 0))
_writeV1 = V1_TCP.pack_into
_writeV2 = V2_TCP.pack_into
_readV1 = V1_TCP.unpack_from
_readV2 = V2_TCP.unpack_from
_readHeader = V1_HEADER.unpack_from


class PacketMemory:
    """
    Memory for one packet or several.

    What was read last by L{readHeader} or L{readSegment} is in attributes, as they are
    in the packet, but for the window:

    @ivar protocol: The first word, a L{MuxProtocol}.
    @ivar packetLength: The second word: how many bytes the packet says that it has.
    @ivar transmitted: Its sender's packet counter; 0 under v1.
    @ivar received: The last counter that its sender saw; 0 under v1.
    @ivar sourcePort: Of the segment.
    @ivar destinationPort: Of the segment.
    @ivar seq: Of the segment.
    @ivar ack: Of the segment.
    @ivar dataOffset: The octet with the words of TCP header in its upper half.
    @ivar flags: Of the segment.
    @ivar window: In bytes, a multiple of 256.

    @ivar size: How many bytes there are; 0 after L{free}.
    @ivar view: All of them.
    @ivar isInFlight: Whether the kernel is using them: then nothing here may.
    @ivar wasCut: Whether L{receiveNoting} may have left something.
    """

    __slots__ = (
        "_part",
        "_partLength",
        "_partStart",
        "ack",
        "dataOffset",
        "destinationPort",
        "flags",
        "isInFlight",
        "packetLength",
        "protocol",
        "received",
        "seq",
        "size",
        "sourcePort",
        "transmitted",
        "view",
        "wasCut",
        "window",
    )

    def __init__(self, size: int) -> None:
        """
        @raise ValueError: The size is not from 1 to L{LARGEST}.
        @raise MemoryError: There is not as much.
        """
        checkNumbers(size)
        if not 1 <= size <= LARGEST:
            raise ValueError(f"expected a size from 1 to {LARGEST}, got {size}")
        self.size = size
        self.view = memoryview(bytearray(size))
        # What a socket was read into or written from last, which is mostly what is next.
        self._part, self._partStart, self._partLength = self.view, 0, size
        self.isInFlight = self.wasCut = False
        self.protocol = self.packetLength = self.transmitted = self.received = 0
        self.sourcePort = self.destinationPort = self.seq = self.ack = 0
        self.dataOffset = self.flags = self.window = 0

    # Sockets

    def receive(self, source: StreamSocket, start: int, limit: int) -> int:
        """
        Read from a socket what is there, once.

        @param start: Where to put it.
        @param limit: How many bytes at the most, 1 or more.
        @return: How many; 0 at the end of the stream; L{muxd.net.streams.BLOCKED} if
            there is nothing now; another error with a minus sign.
        @raise ValueError: That is not within this memory.
        @raise RuntimeError: It is in flight.
        """
        if limit < 1 or self.isInFlight:
            self._refuseStream(source, start, limit)
        if start != self._partStart or limit != self._partLength:
            self._choose(source, start, limit)
        try:
            return source._socket.recv_into(self._part)
        except OSError as error:
            return -(error.errno or EBADF)
        except AttributeError:
            self._refuseStream(source, start, limit)

    def receiveNoting(self, source: StreamSocket, start: int, limit: int) -> int:
        """
        The same, and C{wasCut} says afterwards whether descriptors came along, which are
        not wanted: the kernel does not read past them, so fewer bytes than asked for are not all
        that there are.
        """
        if limit < 1 or self.isInFlight:
            self._refuseStream(source, start, limit)
        if start != self._partStart or limit != self._partLength:
            self._choose(source, start, limit)
        self.wasCut = False
        try:
            connected = source._socket
            if connected.family != _UNIX:
                return self.receive(source, start, limit)
            count, _, flags, _ = connected.recvmsg_into((self._part,))
        except OSError as error:
            return -(error.errno or EBADF)
        except AttributeError:
            self._refuseStream(source, start, limit)
        self.wasCut = flags & _CUT != 0
        return count

    def send(self, target: StreamSocket, start: int, length: int) -> int:
        """
        Write to a socket what it takes, once.

        @return: How many bytes it took, all or fewer; L{muxd.net.streams.BLOCKED} if it
            takes none now; another error with a minus sign.
        @raise ValueError: That is not within this memory.
        @raise RuntimeError: It is in flight.
        """
        if self.isInFlight:
            self._refuseStream(target, start, length)
        if start != self._partStart or length != self._partLength:
            self._choose(target, start, length)
        try:
            connected = target._socket
            # An empty message is a message to some sockets, and says nothing here.
            return connected.send(self._part, _WITHOUT_SIGNAL) if length else 0
        except OSError as error:
            return -(error.errno or EBADF)
        except AttributeError:
            self._refuseStream(target, start, length)

    # Bytes

    def write(self, start: int, data: bytes | bytearray | memoryview) -> int:
        """
        Copy bytes to a place.

        @return: The place behind them.
        @raise ValueError: They do not fit.
        @raise RuntimeError: It is in flight.
        """
        with memoryview(data).cast("B") as view:
            length = len(view)
            if start < 0 or start + length > self.size or self.isInFlight:
                self._refuse(start, length)
            self.view[start : start + length] = view
        return start + length

    def read(self, start: int, length: int) -> bytes:
        """
        A copy.

        @raise ValueError: That is not within this memory.
        @raise RuntimeError: It is in flight.
        """
        if start < 0 or length < 0 or start + length > self.size or self.isInFlight:
            self._refuse(start, length)
        return bytes(self.view[start : start + length])

    # Headers

    def readHeader(self, start: int) -> int:
        """
        Read what the packets of all protocols and versions begin with, eight bytes:
        C{protocol} and C{packetLength}.

        @return: The latter.
        @raise ValueError: They are not within this memory.
        @raise RuntimeError: It is in flight.
        """
        if start < 0 or self.isInFlight:
            self._refuse(start, 8)
        length: int
        try:
            self.protocol, length = _readHeader(self.view, start)
        except (struct.error, TypeError, OverflowError):
            self._refuse(start, 8)
        self.packetLength = length
        return length

    def readSegment(self, version: int, start: int) -> int:
        """
        Read all fields of a TCP packet's headers, whatever is in them.

        @param version: That of the mux protocol, 1 or 2.
        @return: How many bytes they are: the payload begins C{start} and as many in.
        @raise ValueError: They are not within this memory, or there is no such version.
        @raise RuntimeError: It is in flight.
        """
        if start < 0 or self.isInFlight:
            self._refuseVersion(version, start)
        try:
            if version == 2:
                (
                    self.protocol,
                    self.packetLength,
                    _,
                    self.transmitted,
                    self.received,
                    self.sourcePort,
                    self.destinationPort,
                    self.seq,
                    self.ack,
                    self.dataOffset,
                    self.flags,
                    window,
                    _,
                    _,
                ) = _readV2(self.view, start)
                self.window = window << WINDOW_SHIFT
                return V2_SEGMENT
            if version == 1:
                (
                    self.protocol,
                    self.packetLength,
                    self.sourcePort,
                    self.destinationPort,
                    self.seq,
                    self.ack,
                    self.dataOffset,
                    self.flags,
                    window,
                    _,
                    _,
                ) = _readV1(self.view, start)
                self.transmitted = self.received = 0
                self.window = window << WINDOW_SHIFT
                return V1_SEGMENT
        except (struct.error, TypeError, OverflowError):
            pass
        self._refuseVersion(version, start)

    def writeSegment(
        self,
        version: int,
        payload: int,
        transmitted: int,
        received: int,
        sourcePort: int,
        destinationPort: int,
        seq: int,
        ack: int,
        flags: int,
        window: int,
    ) -> int:
        """
        Write the headers of a TCP packet to the beginning of this memory.

        @param version: That of the mux protocol, 1 or 2.
        @param payload: How many bytes of payload there are behind them.
        @param transmitted: Our packet counter, and C{received} the last one we saw;
            they are not written under v1.
        @param window: In bytes; what does not fill 256 of them is left out.
        @return: How many bytes the packet has.
        @raise ValueError: It does not fit, there is no such version, or a number does
            not fit its field; what is in the place of the headers then is undefined.
        @raise RuntimeError: It is in flight.
        """
        if self.isInFlight or payload < 0:
            self._refusePacket(
                version,
                payload,
                transmitted,
                received,
                sourcePort,
                destinationPort,
                seq,
                ack,
                flags,
                window,
            )
        try:
            if version == 2:
                length = V2_SEGMENT + payload
                if length <= self.size:
                    _writeV2(
                        self.view,
                        0,
                        _TCP,
                        length,
                        MAGIC,
                        transmitted,
                        received,
                        sourcePort,
                        destinationPort,
                        seq,
                        ack,
                        DATA_OFFSET,
                        flags,
                        window >> WINDOW_SHIFT,
                        0,
                        0,
                    )
                    return length
            elif version == 1:
                checkNumbers(transmitted, received)
                length = V1_SEGMENT + payload
                if length <= self.size:
                    _writeV1(
                        self.view,
                        0,
                        _TCP,
                        length,
                        sourcePort,
                        destinationPort,
                        seq,
                        ack,
                        DATA_OFFSET,
                        flags,
                        window >> WINDOW_SHIFT,
                        0,
                        0,
                    )
                    return length
        except (struct.error, TypeError):
            pass
        self._refusePacket(
            version,
            payload,
            transmitted,
            received,
            sourcePort,
            destinationPort,
            seq,
            ack,
            flags,
            window,
        )

    def writeCounters(self, transmitted: int, received: int) -> None:
        """
        Write the two counters of a v2 header that is at the beginning of this memory.

        @raise ValueError: They have more than 16 bits, or the memory less than a header.
        @raise RuntimeError: It is in flight.
        """
        checkNumbers(transmitted, received)
        if self.isInFlight or self.size < V2_HEADER.size:
            self._refuse(0, V2_HEADER.size)
        if not (0 <= transmitted <= 0xFFFF and 0 <= received <= 0xFFFF):
            raise ValueError(f"expected counters of 16 bits, got {transmitted} and {received}")
        self.view[12:16] = (transmitted << 16 | received).to_bytes(4, "big")

    def free(self) -> None:
        """
        Give the memory back, as soon as no part of its view is used any more.

        @raise RuntimeError: It is in flight.
        """
        if self.isInFlight:
            raise RuntimeError("memory in flight cannot be freed")
        self.size = self._partStart = self._partLength = 0
        self.view = self._part = memoryview(bytearray())

    def _choose(self, stream: object, start: int, length: int) -> None:
        """
        Let C{_part} be another part of the memory.
        """
        if start < 0 or length < 0 or start + length > self.size:
            self._refuseStream(stream, start, length)
        try:
            self._part = self.view[start : start + length]
        except TypeError:
            self._refuseStream(stream, start, length)
        self._partStart, self._partLength = start, length

    # What must not be.

    def _refuse(self, start: int, length: int) -> NoReturn:
        checkNumbers(start, length)
        if self.isInFlight:
            raise RuntimeError("this memory is in flight")
        raise ValueError(f"expected a part of {self.size} bytes, got {length} from {start}")

    def _refuseStream(self, stream: object, start: int, length: int) -> NoReturn:
        checkNumbers(start, length)
        if not isinstance(stream, StreamSocket):
            raise TypeError(f"expected a StreamSocket, got {stream!r}")
        self._refuse(start, length)

    def _refuseVersion(self, version: int, start: int) -> NoReturn:
        checkNumbers(version, start)
        if not self.isInFlight and version not in (1, 2):
            raise ValueError(f"expected version 1 or 2, got {version}")
        self._refuse(start, V1_SEGMENT if version == 1 else V2_SEGMENT)

    def _refusePacket(self, version: int, payload: int, *numbers: int) -> NoReturn:
        checkNumbers(version, payload, *numbers)
        if not self.isInFlight:
            if version not in (1, 2):
                raise ValueError(f"expected version 1 or 2, got {version}")
            header = V1_SEGMENT if version == 1 else V2_SEGMENT
            if 0 <= payload <= self.size - header:
                raise ValueError(f"expected numbers that fit their fields, got {numbers}")
        self._refuse(0, payload)
