# -*- test-case-name: tests.system.test_usbmon -*-
"""
Tests for L{tests.system.guest.usbmon}.
"""

from __future__ import annotations

import struct

from twisted.trial.unittest import SynchronousTestCase

from tests.system.guest.usbmon import Event, outgoing, zeroLengthFaults


def record(kind: bytes, transfer: int, endpoint: int, device: int, length: int) -> bytes:
    """
    An event as the kernel gives it, with some of its data.
    """
    header = struct.pack(
        "<QcBBBHBBqiiII8s",
        *(1, kind, transfer, endpoint, device, 1, 45, 0, 1234, 5, -115, length, 4, bytes(8)),
    )
    return header + b"data"


class EventTests(SynchronousTestCase):
    """
    Tests for L{Event} and L{outgoing}.
    """

    def test_decode(self) -> None:
        """
        What is known of an event is in its header.
        """
        self.assertEqual(
            Event.decode(record(b"S", 3, 4, 6, 512)),
            Event(isSubmission=True, isBulk=True, endpoint=4, device=6, length=512, status=-115),
        )

    def test_outgoing(self) -> None:
        """
        Only bulk transfers that are submitted to the device count.
        """
        events = [
            Event.decode(each)
            for each in (
                record(b"S", 3, 4, 6, 20),
                record(b"C", 3, 4, 6, 21),
                record(b"S", 3, 0x85, 6, 22),
                record(b"S", 3, 4, 7, 23),
                record(b"S", 2, 0, 6, 24),
                record(b"S", 3, 4, 6, 0),
            )
        ]
        self.assertEqual(outgoing(events, 6), [20, 0])


class ZeroLengthTests(SynchronousTestCase):
    """
    Tests for L{zeroLengthFaults}.
    """

    def test_good(self) -> None:
        """
        Each transfer of whole USB packets is followed by an empty one.
        """
        self.assertEqual(zeroLengthFaults([20, 512, 0, 1024, 0, 1000], 512), [])

    def test_missing(self) -> None:
        """
        One that is not is told by its size, also if nothing follows at all.
        """
        self.assertEqual(
            zeroLengthFaults([512, 20, 1024], 512),
            [
                "a transfer of 512 bytes was not followed by an empty one",
                "a transfer of 1024 bytes was not followed by an empty one",
            ],
        )

    def test_needless(self) -> None:
        """
        An empty transfer after one that had an end is told by that one's size.
        """
        self.assertEqual(
            zeroLengthFaults([20, 0, 512, 0, 0], 512),
            [
                "an empty transfer came after one of 20 bytes",
                "an empty transfer came after one of 0 bytes",
            ],
        )

    def test_packetSize(self) -> None:
        """
        On a SuperSpeed bus packets have 1024 bytes.
        """
        self.assertEqual(zeroLengthFaults([512, 1536, 2048, 0], 1024), [])
