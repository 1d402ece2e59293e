# -*- test-case-name: tests.phone.bus.test_faultmachine -*-
"""
What makes a plan's faults happen to the transfers of a bus.

Garbage is spread so that what must notice it can: the pseudo-TCP has sequence numbers and
no checksum, so a wrong byte of a payload is as good as a right one to all.  It comes
as a whole transfer of random bytes, or in one field of the headers.  The payload stays as it
is, and a field is replaced as a whole, by something that is not it: one wrong bit in a
sequence number could make old bytes out of new ones, one in a port another session's.
"""

from __future__ import annotations

import errno
from collections import deque
from dataclasses import dataclass
from random import Random

from muxd.phone.bus.faultplan import Direction, Fault, FaultKind, FaultPlan

ERRORS = {
    FaultKind.STALL: errno.EPIPE,
    FaultKind.TIMEOUT: errno.ETIMEDOUT,
    FaultKind.OVERFLOW: errno.EOVERFLOW,
    FaultKind.PROTOCOL: errno.EIO,
    FaultKind.NO_DEVICE: errno.ENODEV,
}
"""What the host's transfer fails with."""

KEEPING = (FaultKind.STALL, FaultKind.TIMEOUT)
"""Those after which the data is still there."""

STRIKES_KEPT = 1000
HEAD = 36
"""How much of a packet is remembered: the headers of a v2 segment."""

LONGEST_GARBAGE = 2000

V1_FIELDS = ((0, 4), (4, 4), (8, 4), (12, 4), (16, 4), (20, 1), (21, 1), (22, 2), (24, 4))
"""
Where the headers' fields are, and how long.  The two ports are one, and so is what follows
the window.
"""

V2_FIELDS = (
    *((0, 4), (4, 4), (8, 4), (12, 2), (14, 2)),
    *((offset + 8, size) for offset, size in V1_FIELDS[2:]),
)


@dataclass(frozen=True, slots=True)
class Strike:
    """
    A fault that has happened.

    @ivar number: Of the transfer, in its direction.
    @ivar head: The first bytes of what it was to carry.
    """

    kind: FaultKind
    direction: Direction
    number: int
    head: bytes


class _Way:
    """
    One direction of one phone: its faults, its count, its chance.
    """

    def __init__(self, plan: FaultPlan, direction: Direction) -> None:
        self.direction = direction
        self.count = 0
        self.random = Random(f"{plan.seed} {direction.value}")
        faults = [fault for fault in plan.faults if fault.direction is direction]
        self._once = {fault.transfer: fault for fault in reversed(faults) if fault.transfer}
        self._often = [fault for fault in faults if fault.probability]

    def next(self) -> Fault | None:
        """
        What happens to the next transfer.
        """
        self.count += 1
        happening = self._once.get(self.count)
        for fault in self._often:
            # Chance is asked each time: what comes later does not depend on the others.
            if self.random.random() < fault.probability and happening is None:
                happening = fault
        return happening


class FaultMachine:
    """
    Applies a plan to one phone, however often that is plugged in.

    @ivar plan: The plan.
    @ivar strikes: What has happened of late, oldest first.
    """

    def __init__(self, plan: FaultPlan) -> None:
        self.plan = plan
        self.strikes: deque[Strike] = deque(maxlen=STRIKES_KEPT)
        # Apart from each other, as threads do not keep an order between the two.
        self._ways = {direction: _Way(plan, direction) for direction in Direction}

    def line(self, direction: Direction, packetSize: int) -> FaultLine | None:
        """
        For one endpoint, while its configuration lasts.

        @return: None if nothing is to go wrong there.
        """
        if all(fault.direction is not direction for fault in self.plan.faults):
            return None
        return FaultLine(self._ways[direction], packetSize, self.strikes)


class FaultLine:
    """
    The faults of one endpoint.
    """

    def __init__(self, way: _Way, packetSize: int, strikes: deque[Strike]) -> None:
        self._way = way
        self._random = way.random
        self._packetSize = packetSize
        self._strikes = strikes
        self._held: list[bytes] = []

    def strike(self, data: bytes) -> FaultKind | None:
        """
        What happens to the next transfer, which is to carry this.
        """
        fault = self._way.next()
        if fault is None:
            return None
        way = self._way
        self._strikes.append(Strike(fault.kind, way.direction, way.count, bytes(data[:HEAD])))
        return fault.kind

    def spoil(self, kind: FaultKind | None, message: bytes) -> list[bytes]:
        """
        What comes out at the other end for a message that goes in here.

        @param kind: What happens to it.
        """
        if kind is FaultKind.REORDER and not self._held:
            self._held.append(message)
            return []
        if kind is FaultKind.SHORT:
            cut = self.cut(len(message))
            messages = [message[:cut], message[cut:]]
        elif kind is FaultKind.DUPLICATE:
            messages = [message, message]
        elif kind is FaultKind.TRUNCATE:
            messages = [message[: self.cut(len(message))]]
        elif kind is FaultKind.GARBAGE:
            messages = self._garbled(message)
        else:
            messages = [message]
        messages += self._held
        self._held.clear()
        return messages

    def cut(self, size: int) -> int:
        """
        A place within this many bytes, and inside a USB packet.
        """
        place = self._random.randrange(1, max(size, 2))
        return place if place % self._packetSize else place - 1

    def _garbled(self, message: bytes) -> list[bytes]:
        random = self._random
        choice = random.randrange(4)
        if choice == 0:
            return [self._noise()]
        if choice == 1:
            return [self._noise(), message]
        isV1 = len(message) < 16 or message[8:10] not in (b"\xfe\xed", b"\xfa\xce")
        fields = [
            (offset, size)
            for offset, size in (V1_FIELDS if isV1 else V2_FIELDS)
            if offset + size <= len(message)
        ]
        offset, size = random.choice(fields)
        field = bytes(byte ^ random.randrange(1, 256) for byte in message[offset : offset + size])
        return [message[:offset] + field + message[offset + size :]]

    def _noise(self) -> bytes:
        size = self._random.randrange(1, LONGEST_GARBAGE)
        # Never one that goes on in what comes next (see L{FaultKind.TRUNCATE}).
        return self._random.randbytes(size if size % self._packetSize else size - 1)
