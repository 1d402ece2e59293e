# -*- test-case-name: tests.phone.bus.test_faultplan -*-
"""
What is to go wrong on a simulated phone's cable, and when.

A plan is written as its faults with commas between them, and a seed if chance has a
part in it::

    stall@in3,garbage@out~0.01,seed=7

which stalls the third transfer from the phone, spoils each transfer to it with a
probability of one in a hundred, and does so in the same way each time.  There is no
colon, no backslash and nothing that a shell takes notice of in it, so it can stand in
the description of a source as it is: C{simulated:faults=stall@in3,seed=7}.

A transfer is here what its sender sends as one, a whole mux packet, and the first one
has the number 1.  The empty transfer that ends a packet is not counted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum


class Direction(Enum):
    """
    As USB has it, from where the host stands.
    """

    IN = "in"
    OUT = "out"


class FaultKind(Enum):
    """
    What can go wrong with a transfer.

    The first six are what a host controller reports; the host knows that something is
    wrong.  C{STALL} and C{TIMEOUT} leave the transfer's data where it is, to be moved by
    the next one; the others lose it.

    The last four are those that no transfer reports.

    @cvar STALL: EPIPE until the host clears the endpoint.
    @cvar TIMEOUT: ETIMEDOUT.
    @cvar SHORT: The transfer ends early, inside a USB packet.  To the host, the rest comes as
        a transfer of its own; to the phone, the host is told how much was taken.
    @cvar OVERFLOW: EOVERFLOW.
    @cvar PROTOCOL: EIO, which is what libusb makes of the kernel's EPROTO.
    @cvar NO_DEVICE: ENODEV: the phone leaves the bus.
    @cvar DUPLICATE: The packet comes twice.
    @cvar REORDER: It comes behind the next one, and never without a next one.
    @cvar TRUNCATE: Its end is missing.  It is cut inside a USB packet: an end between two is
        no end at all on USB, and what came next would be taken for the rest.
    @cvar GARBAGE: Random bytes instead of it, before it, or in one field of its headers.
        The payload stays as it is: there is no checksum by which the change could be seen.
    """

    STALL = "stall"
    TIMEOUT = "timeout"
    SHORT = "short"
    OVERFLOW = "overflow"
    PROTOCOL = "eproto"
    NO_DEVICE = "no-device"
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    TRUNCATE = "truncate"
    GARBAGE = "garbage"


KINDS = ", ".join(kind.value for kind in FaultKind)

_FAULT = re.compile(
    r"([a-z-]+)@(in|out)(?:([1-9][0-9]{0,8})|~([01](?:\.[0-9]{1,9})?|\.[0-9]{1,9}))"
)
_SEED = re.compile(r"seed=([0-9]{1,18})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """
    One thing that goes wrong, once or now and then.

    @ivar transfer: The number of the transfer that it happens to; 0 if it is chance.
    @ivar probability: With which it happens to each, if it is.
    """

    kind: FaultKind
    direction: Direction
    transfer: int = 0
    probability: float = 0.0

    def __post_init__(self) -> None:
        if (self.transfer > 0) == (self.probability > 0):
            raise ValueError("expected either the number of a transfer or a probability")
        if self.transfer < 0 or not 0 <= self.probability <= 1:
            raise ValueError(
                "expected a number from 1 or a probability up to 1, "
                f"got {self.transfer} and {self.probability}"
            )

    @classmethod
    def fromString(cls, text: str) -> Fault:
        """
        Read one, such as C{stall@in3}.

        @raise ValueError: It is none.
        """
        match = _FAULT.fullmatch(text)
        if match is None:
            raise ValueError(
                f"expected KIND@in3, KIND@out~0.01 or seed=7 with commas between, got {text!r}"
            )
        kind, direction, transfer, probability = match.groups()
        if kind not in (each.value for each in FaultKind):
            raise ValueError(f"expected one of {KINDS}, got {kind!r}")
        if probability is not None and not 0 < float(probability) <= 1:
            raise ValueError(f"expected a probability above 0 and up to 1, got {text!r}")
        return cls(
            kind=FaultKind(kind),
            direction=Direction(direction),
            transfer=int(transfer or 0),
            probability=float(probability or 0),
        )

    def __str__(self) -> str:
        when = str(self.transfer)
        if self.probability:
            when = f"~{self.probability:.9f}".rstrip("0").rstrip(".")
        return f"{self.kind.value}@{self.direction.value}{when}"


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """
    All that goes wrong.

    @ivar faults: The first of them that applies to a transfer is what happens to it.
    @ivar seed: Decides what is left to chance.
    """

    faults: tuple[Fault, ...] = ()
    seed: int = 0

    @classmethod
    def fromString(cls, text: str) -> FaultPlan:
        """
        Read a plan, as the module's text has it.

        @raise ValueError: It is none; one line says what was expected.
        """
        faults: list[Fault] = []
        seed: int | None = None
        for item in text.split(","):
            match = _SEED.fullmatch(item)
            if match is None:
                faults.append(Fault.fromString(item))
            elif seed is None:
                seed = int(match[1])
            else:
                raise ValueError(f"expected one seed, got {item!r} as well")
        if not faults:
            raise ValueError(f"expected a fault beside the seed, such as stall@in3, got {text!r}")
        return cls(tuple(faults), seed or 0)

    def __str__(self) -> str:
        items = [str(fault) for fault in self.faults]
        if self.seed:
            items.append(f"seed={self.seed}")
        return ",".join(items)


NO_FAULTS = FaultPlan()
