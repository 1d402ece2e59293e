# -*- test-case-name: tests.system.test_usbmon -*-
"""
What really goes over the bus, as the kernel's usbmon sees it.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.system.scenario import Failed

_HEADER = struct.Struct("<QcBBBHBBqiiII8s")
"""The 48 bytes that C{read} puts before each event's data (Documentation/usb/usbmon.rst)."""

_LONGEST = 1 << 18
_RING = 1200 << 10
_SET_RING_SIZE = 0x9204
_GET_STATISTICS = 0x80089203
_BULK = 3
_IN = 0x80


@dataclass(frozen=True, slots=True)
class Event:
    """
    A transfer that was submitted or has completed.

    @ivar isSubmission: Which of the two.
    @ivar isBulk: Whether its endpoint is a bulk one.
    @ivar endpoint: The endpoint's address.
    @ivar device: Its device's number on the bus.
    @ivar length: How many bytes, asked for or moved.
    @ivar status: 0, or a negative errno; of no meaning for a submission.
    """

    isSubmission: bool
    isBulk: bool
    endpoint: int
    device: int
    length: int
    status: int

    @classmethod
    def decode(cls, data: bytes) -> Event:
        """
        From what C{read} returns.
        """
        fields = _HEADER.unpack_from(data)
        return cls(
            isSubmission=fields[1] == b"S",
            isBulk=fields[2] == _BULK,
            endpoint=fields[3],
            device=fields[4],
            length=fields[11],
            status=fields[10],
        )


class Capture:
    """
    Looks on.  What it sees is kept by the kernel in a ring of a megabyte: L{drain} it
    before it is full.

    @ivar events: What was seen.
    """

    def __init__(self, bus: int, node: Path | None = None) -> None:
        """
        @param bus: The number of the bus to look at.
        """
        self.events: list[Event] = []
        self._file = os.open(node or f"/dev/usbmon{bus}", os.O_RDONLY | os.O_NONBLOCK)
        fcntl.ioctl(self._file, _SET_RING_SIZE, _RING)

    def drain(self) -> None:
        """
        Take what has come.
        """
        try:
            while True:
                self.events.append(Event.decode(os.read(self._file, _LONGEST)))
        except BlockingIOError:
            pass

    def finish(self) -> list[Event]:
        """
        Look no more.

        @raise Failed: The kernel could not keep all of it.
        """
        self.drain()
        answer = fcntl.ioctl(self._file, _GET_STATISTICS, bytes(8))
        os.close(self._file)
        _, lost = struct.unpack("<II", answer)
        if lost:
            raise Failed(f"usbmon lost {lost} events")
        return self.events


def outgoing(events: Iterable[Event], device: int) -> list[int]:
    """
    The sizes of the bulk transfers to a device, in their order.
    """
    return [
        event.length
        for event in events
        if event.isSubmission
        and event.isBulk
        and event.device == device
        and not event.endpoint & _IN
    ]


def zeroLengthFaults(sizes: Iterable[int], packetSize: int) -> list[str]:
    """
    Where a transfer's end cannot be told: one of whole USB packets ends with an empty
    one, and no other does.

    @param sizes: Of the transfers to one endpoint, in their order.
    """
    faults = []
    isOpen = False
    last = 0
    for size in sizes:
        if isOpen and size:
            faults.append(f"a transfer of {last} bytes was not followed by an empty one")
        if not isOpen and not size:
            faults.append(f"an empty transfer came after one of {last} bytes")
        isOpen = size > 0 and size % packetSize == 0
        last = size
    if isOpen:
        faults.append(f"a transfer of {last} bytes was not followed by an empty one")
    return faults
