"""
What a seed makes, and what has become of it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from muxd.limits import Limits
from muxd.phone.bus.faultmachine import Strike
from muxd.phone.bus.faultplan import Direction, Fault, FaultKind, FaultPlan
from muxd.wire.mux import MuxProtocol
from tests.faults.clients import End


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What has become of a scenario.

    @ivar wrong: What must not have happened; nothing, if all is well.
    @ivar ends: How it ended for the clients of the phone with the faults.
    """

    seed: int
    plan: FaultPlan
    strikes: tuple[Strike, ...]
    ends: tuple[End, ...]
    steps: int
    wrong: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(
            [
                f"seed {self.seed}, plan {self.plan}, after {self.steps} steps:",
                *(f"  {text}" for text in self.wrong),
                *(
                    f"  fault: {strike.kind.value} of {strike.direction.value} transfer "
                    f"{strike.number}, {strike.head.hex(' ', 4)}"
                    for strike in self.strikes
                ),
                f"again: python -m tests.faults --seed {self.seed} --plans 1 --plan {self.plan}",
                "(--verbose tells of each step)",
            ]
        )


def makePlan(random: Random) -> FaultPlan:
    """
    One to three faults, by number or by chance.
    """
    faults = []
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        kind = random.choice(tuple(FaultKind))
        direction = random.choice(tuple(Direction))
        if random.random() < 0.7:
            number = random.randrange(1, random.choice((4, 20, 100)))
            faults.append(Fault(kind=kind, direction=direction, transfer=number))
        else:
            chance = random.choice((0.01, 0.05, 0.3))
            faults.append(Fault(kind=kind, direction=direction, probability=chance))
    return FaultPlan(tuple(faults), random.randrange(1 << 32))


def makeLimits(random: Random) -> Limits:
    """
    Ours, or narrow ones.
    """
    if random.random() < 0.4:
        return Limits()
    window = random.choice((1024, 4096, 16384))
    return Limits(
        receiveWindow=window,
        acknowledgeAt=window // 8,
        sendBuffer=random.choice((1000, 20000)),
        pendingInput=random.choice((100, 20000)),
        packetsInFlight=random.choice((1, 4, 32)),
        readsInFlight=random.choice((1, 3)),
    )


def phonePorts(strike: Strike) -> Iterator[int]:
    """
    The phone's port in the head of a packet.
    """
    head = strike.head
    if len(head) < 28 or int.from_bytes(head[:4]) != MuxProtocol.TCP:
        return
    isV2 = head[8:10] in (b"\xfe\xed", b"\xfa\xce")
    source, destination = struct.unpack_from(">HH", head, 16 if isV2 else 8)
    yield source if strike.direction is Direction.IN else destination
