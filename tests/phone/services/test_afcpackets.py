"""
Tests of L{muxd.phone.services.afcpackets}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from muxd.phone.services.afcpackets import (
    HEADER,
    LONGEST_BODY,
    MAGIC,
    AFCError,
    BadPacket,
    Header,
    Operation,
    Status,
    encode,
    paths,
    strings,
    words,
)


class PacketTests(SynchronousTestCase):
    """
    Packets, written and read.
    """

    @given(
        st.integers(0, 2**64 - 1),
        st.sampled_from(Operation),
        st.binary(max_size=100),
        st.binary(max_size=100),
    )
    def test_roundTrip(self, number: int, operation: Operation, body: bytes, data: bytes) -> None:
        """
        What is written can be read.
        """
        packet = encode(number, operation, body, data)
        header = Header.decode(packet[: HEADER.size])
        self.assertEqual(header, Header(number, operation, len(body), len(data)))
        self.assertEqual(packet[HEADER.size :], body + data)

    def test_bytes(self) -> None:
        """
        A packet, byte for byte.
        """
        self.assertEqual(
            encode(1, Operation.STATUS, b"\0" * 8),
            b"CFA6LPAA" + bytes.fromhex("3000000000000000" * 2 + "0100000000000000" * 2 + "00" * 8),
        )

    def test_bad(self) -> None:
        """
        What is no header is told.
        """
        for fields in (
            (b"CFA6LPAB", 40, 40, 0, 1),
            (MAGIC, 40, 39, 0, 1),
            (MAGIC, 40, 41, 0, 1),
            (MAGIC, 1 << 40, 41 + LONGEST_BODY, 0, 1),
        ):
            self.assertRaises(BadPacket, Header.decode, HEADER.pack(*fields))

    def test_arguments(self) -> None:
        """
        Numbers and paths, and too few of them.
        """
        body = (5).to_bytes(8, "little") + b"a\0b\xc3\xa9\0"
        (number,), rest = words(body, 1)
        self.assertEqual((number, paths(rest, 2)), (5, ["a", "b\u00e9"]))
        for wrong in (
            lambda: words(b"1234567", 1),
            lambda: paths(b"a", 2),
            lambda: paths(b"\xff\0", 1),
        ):
            error = self.assertRaises(AFCError, wrong)
            self.assertIs(error.status, Status.INVALID_ARGUMENT)

    def test_strings(self) -> None:
        """
        A list of texts, of which a file's name may be any bytes.
        """
        self.assertEqual(strings("a", "\udcff"), b"a\0\xff\0")
