"""
Tests of L{muxd.usbip.requests}.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muxd.usbip.requests import (
    BUS_ID_SIZE,
    DEVICE,
    OP_HEADER,
    DevlistRequest,
    ExportedDevice,
    ImportRequest,
    InvalidUsbip,
    OpCode,
    Status,
    decodeDevlistReply,
    decodeRequest,
    encodeDevlistReply,
    encodeImportReply,
    requestSize,
)

PHONE = ExportedDevice(
    path="/sys/x",
    busID="1-1",
    bus=1,
    address=2,
    speed=3,
    vendor=0x05AC,
    product=0x12A8,
    release=0x1505,
    configuration=4,
    configurations=4,
    interfaces=((6, 1, 1), (255, 254, 2)),
)

names = st.text("abcdefghij0123456789-./", max_size=BUS_ID_SIZE - 1)
bytes_ = st.integers(0, 255)
shorts = st.integers(0, 0xFFFF)
words = st.integers(0, 0xFFFFFFFF)
triples = st.tuples(bytes_, bytes_, bytes_)
devices = st.builds(
    ExportedDevice,
    path=st.text("abc/", max_size=255),
    busID=names,
    bus=words,
    address=words,
    speed=words,
    vendor=shorts,
    product=shorts,
    release=shorts,
    triple=triples,
    configuration=bytes_,
    configurations=bytes_,
    interfaces=st.lists(triples, max_size=20).map(tuple),
)


class RequestTests(SynchronousTestCase):
    """
    Tests of requests.
    """

    def test_onTheWire(self) -> None:
        """
        Requests have version, code, status and, for an import, 32 bytes of a name.
        """
        self.assertEqual(DevlistRequest().encode(), bytes.fromhex("0111 8005 00000000"))
        self.assertEqual(
            ImportRequest("1-1").encode(),
            bytes.fromhex("0111 8003 00000000 312d31") + bytes(29),
        )

    @given(names)
    def test_roundTrip(self, name: str) -> None:
        """
        What was encoded is decoded.
        """
        self.assertEqual(decodeRequest(ImportRequest(name).encode()), ImportRequest(name))
        self.assertEqual(decodeRequest(DevlistRequest().encode()), DevlistRequest())

    def known(self, headers: Iterable[bytes]) -> list[bytes]:
        """
        Those of them that are of requests.
        """
        found = []
        for header in headers:
            with contextlib.suppress(InvalidUsbip):
                requestSize(header)
                found.append(header)
        return found

    def test_everyCode(self) -> None:
        """
        Of all codes two are requests.
        """
        headers = (OP_HEADER.pack(0x0111, code, 0) for code in range(0x10000))
        expected = [OP_HEADER.pack(0x0111, code, 0) for code in (0x8003, 0x8005)]
        self.assertEqual(self.known(headers), expected)

    def test_everyVersion(self) -> None:
        """
        Of all versions one is spoken, and the complaint names both.
        """
        headers = (OP_HEADER.pack(version, OpCode.DEVLIST, 0) for version in range(0x10000))
        self.assertEqual(self.known(headers), [DevlistRequest().encode()])
        header = OP_HEADER.pack(0x0106, OpCode.DEVLIST, 0)
        error = self.assertRaises(InvalidUsbip, requestSize, header)
        self.assertEqual(str(error), "version 0x0106, expected 0x0111")

    def test_nameOfAnyBytes(self) -> None:
        """
        A name ends at its first zero, and what is no ASCII is the name of nothing.
        """
        head = ImportRequest("").encode()[: OP_HEADER.size]
        self.assertEqual(decodeRequest(head + b"1-1\0rest".ljust(32, b"x")), ImportRequest("1-1"))
        self.assertEqual(decodeRequest(head + b"\xff" * 32), ImportRequest("\ufffd" * 32))

    @given(st.binary(max_size=60))
    def test_garbage(self, data: bytes) -> None:
        """
        Whatever comes is a request or invalid.
        """
        if len(data) < OP_HEADER.size:
            return
        try:
            size = requestSize(data[: OP_HEADER.size])
            self.assertIn(size, (8, 40))
            decodeRequest(data)
        except InvalidUsbip as problem:
            self.assertNotIn("\n", str(problem))

    @given(st.integers(0, 80))
    def test_wrongSize(self, size: int) -> None:
        """
        A request of another length than it says is invalid.
        """
        data = ImportRequest("1-1").encode().ljust(80, b"\0")[:size]
        if OP_HEADER.size <= size != 40:
            self.assertRaises(InvalidUsbip, decodeRequest, data)


class ReplyTests(SynchronousTestCase):
    """
    Tests of the answers.
    """

    def test_import(self) -> None:
        """
        An import is answered by a device of 312 bytes, or by a status alone.
        """
        data = encodeImportReply(Status.OK, PHONE)
        self.assertEqual(data[:8], bytes.fromhex("0111 0003 00000000"))
        self.assertEqual(len(data), 8 + 312)
        self.assertEqual(data[8 + 256 :][:3], b"1-1")
        self.assertEqual(
            data[8 + 288 :],
            bytes.fromhex("00000001 00000002 00000003 05ac 12a8 1505 000000 04 04 02"),
        )
        self.assertEqual(encodeImportReply(Status.NO_DEVICE), bytes.fromhex("0111 0003 00000004"))
        self.assertEqual(PHONE.deviceID, 0x10002)

    def test_list(self) -> None:
        """
        A list has a count, and behind each device its interfaces, four bytes each.
        """
        data = encodeDevlistReply([PHONE])
        self.assertEqual(data[:12], bytes.fromhex("0111 0005 00000000 00000001"))
        self.assertEqual(data[12 + 312 :], bytes.fromhex("06010100 fffe0200"))
        self.assertEqual(encodeDevlistReply([]), bytes.fromhex("0111 0005 00000000 00000000"))

    @given(st.lists(devices, max_size=4))
    def test_roundTrip(self, listed: list[ExportedDevice]) -> None:
        """
        What was encoded is decoded.
        """
        self.assertEqual(decodeDevlistReply(encodeDevlistReply(listed)), tuple(listed))

    @given(st.integers(0, 12 + 312 + 7))
    def test_cutShort(self, size: int) -> None:
        """
        A list that has been cut is invalid, wherever.
        """
        self.assertRaises(InvalidUsbip, decodeDevlistReply, encodeDevlistReply([PHONE])[:size])

    def test_invalidList(self) -> None:
        """
        So is one with more behind it, another answer, and one that has failed.
        """
        for data in (
            encodeDevlistReply([PHONE]) + b"x",
            encodeImportReply(Status.OK, PHONE),
            OP_HEADER.pack(0x0111, OpCode.DEVLIST.reply, 1) + bytes(4),
            OP_HEADER.pack(0x0106, OpCode.DEVLIST.reply, 0) + bytes(4),
        ):
            self.assertRaises(InvalidUsbip, decodeDevlistReply, data)

    @given(st.binary(max_size=800))
    def test_garbage(self, data: bytes) -> None:
        """
        Whatever comes is a list or invalid.
        """
        try:
            decodeDevlistReply(bytes.fromhex("0111 0005 00000000") + data)
        except InvalidUsbip as problem:
            self.assertNotIn("\n", str(problem))

    def test_longNames(self) -> None:
        """
        Names that are too long are cut, and end with a zero all the same.
        """
        long = ExportedDevice.decode(
            ExportedDevice(
                path="p" * 300,
                busID="b" * 40,
                bus=1,
                address=1,
                speed=1,
                vendor=1,
                product=1,
                release=1,
            ).encode()
        )
        self.assertEqual((len(long.path), len(long.busID)), (255, 31))
        self.assertEqual(DEVICE.size, 312)
