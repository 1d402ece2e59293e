"""
Tests of L{muxd.capture.blocks}.
"""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from muxd.capture.blocks import (
    LONGEST_TEXT,
    enhancedPacket,
    interfaceDescription,
    interfaceStatistics,
    nameResolution,
    sectionHeader,
    text,
    timestamp,
)
from tests.capture.reader import INTERFACE, NAMES, SECTION, STATISTICS, CaptureFile

HEAD = sectionHeader("muxd 1", "linux", "hello") + interfaceDescription("A", "a phone", b"\1" * 16)


class BlockTests(SynchronousTestCase):
    """
    Blocks, as a reader sees them.
    """

    def test_header(self) -> None:
        """
        A section says in which order its numbers' bytes are, which version it is of, what has
        written it, and on what.
        """
        [header, _] = CaptureFile(HEAD).blocks
        self.assertEqual(header.kind, SECTION)
        self.assertEqual(struct.unpack("=IHHq", header.body), (0x1A2B3C4D, 1, 0, -1))
        self.assertEqual(header.options, {1: b"hello", 3: b"linux", 4: b"muxd 1"})

    def test_interface(self) -> None:
        """
        An interface has packets of IPv6 of any length, a name, and an address.
        """
        interface = CaptureFile(HEAD).blocks[1]
        self.assertEqual(interface.kind, INTERFACE)
        self.assertEqual(struct.unpack("=HHI", interface.body), (229, 0, 0))
        self.assertEqual(interface.options, {2: b"A", 3: b"a phone", 5: b"\1" * 16 + b"\x40"})

    @given(
        some.lists(some.binary(max_size=20), max_size=4),
        some.text(max_size=2 * LONGEST_TEXT),
        some.booleans(),
        some.integers(0, 1 << 40),
        some.integers(0, 1 << 50),
    )
    def test_packet(
        self, parts: list[bytes], comment: str, isInbound: bool, dropped: int, micros: int
    ) -> None:
        """
        Packets of all sizes are read back with what is said of them.
        """
        packet = enhancedPacket(
            0, micros / 1e6, tuple(parts), isInbound=isInbound, comment=comment, dropped=dropped
        )
        [seen] = CaptureFile(HEAD + packet).packets
        self.assertEqual(seen.data, b"".join(parts))
        self.assertEqual(seen.isInbound, isInbound)
        self.assertEqual(seen.missing, dropped)
        self.assertEqual(seen.block.options.get(1, b""), text(comment))
        self.assertAlmostEqual(seen.seconds, micros / 1e6, places=5)

    def test_statistics(self) -> None:
        """
        Statistics tell from when to when, and how many packets came and were dropped.
        """
        blocks = CaptureFile(HEAD + interfaceStatistics(0, 1.0, 2.5, 7, 3))
        self.assertEqual(blocks.statistics(0), [(7, 3)])
        last = blocks.blocks[-1]
        self.assertEqual((last.options[2], last.options[3]), (timestamp(1.0), timestamp(2.5)))
        self.assertEqual(last.kind, STATISTICS)

    def test_names(self) -> None:
        """
        Names follow their addresses, padded, and the list has an end.
        """
        [*_, names] = CaptureFile(HEAD + nameResolution({b"\1" * 16: "host"})).blocks
        self.assertEqual(names.kind, NAMES)
        record = struct.pack("=HH", 2, 21) + b"\1" * 16 + b"host\0" + bytes(3)
        self.assertEqual(names.body, record + bytes(4))

    def test_text(self) -> None:
        """
        A text that is too long is cut, but no character of it.
        """
        cut = text("\u00fc" * LONGEST_TEXT + "x")
        self.assertEqual(cut.decode(), "\u00fc" * (LONGEST_TEXT // 2))
        self.assertEqual(text("x" + "\u00fc" * LONGEST_TEXT).decode()[-1], "\u00fc")

    def test_early(self) -> None:
        """
        A clock from before the epoch is taken for the epoch.
        """
        self.assertEqual(timestamp(-5.0), bytes(8))
